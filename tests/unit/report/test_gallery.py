"""Pages of hard cases: whole, bounded, and in one with the facts that they are made from."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from html import unescape
from pathlib import Path
from typing import Any

import gallery
import pytest

from luodi import config
from luodi.files import read_facts
from luodi.registry import acting, card, gate_sections, rules
from luodi.registry.records import Verdict
from luodi.report import page

TONES = {Verdict.PROMOTE: "good", Verdict.HOLD: "bad", Verdict.INSUFFICIENT: "warn"}


def words(html: str) -> str:
    return " ".join(re.sub("<[^>]*>", " ", re.sub("<style>.*?</style>", "", html, flags=re.DOTALL)).split())


def require_whole(html: str) -> None:
    """Parts and tables are named, names are there once, nothing is asked of another host."""
    names = re.findall(r' id="([^"]*)"', html)
    assert len(names) == len(set(names))
    assert set(re.findall(r'href="#([^"]*)"', html)) <= set(names)
    assert set(re.findall(r'aria-labelledby="([^"]*)"', html)) <= set(names)
    assert not re.search(r"<script|https?://|@import|url\(", html)


@pytest.fixture(scope="module")
def decisions() -> dict[str, Any]:
    return {name: decide() for name, decide in gallery.DECISIONS.items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", gallery.DECISIONS)
def test_a_comparison_says_what_the_decision_does(name: str, decisions: dict[str, Any]) -> None:
    decision = decisions[name]
    html = card.comparison("reviews", decision.to_json())
    require_whole(html)
    text = words(html)
    tone = "warn" if name == "loosened" else TONES[decision.verdict]
    assert f'class="verdict {tone}"' in html and f"{decision.verdict.capitalize()}. " in text
    told = [reason for reason in decision.reasons if not reason.startswith(acting.ADVICE)]
    assert all(reason in text.replace("&#39;", "'") for reason in told)
    assert text.count(" passes ") >= sum(check.passed for check in decision.checks)
    if decision.comparison:
        shown = decision.comparison.metrics["accuracy"]
        assert all(f"{one.value:.4f}" in text for one in (shown.challenger, shown.champion))
        assert f"{decision.comparison.rows:,} Test rows scored by both" in text
    facts = gallery.carded(decision)
    require_whole(card.html("reviews@v1.1.0", gallery.REGISTERED, "Ada", facts))


NUMBER = re.compile(r"(?<![\w.])\d(?:[\d,]*\d)?(?:\.\d+)?(?:e-?\d+)?%?")
FORMS = ("{}", "{:,}", "{:.4f}", "{:.2f}", "{:.3f}", "{:,.1f}", "{:g}")


def leaves(facts: Any) -> Iterator[Any]:
    """What facts hold, keys and lengths too."""
    if isinstance(facts, dict):
        for key, one in facts.items():
            yield from (key, *leaves(one))
    elif isinstance(facts, list | tuple):
        yield len(facts)
        for one in facts:
            yield from leaves(one)
    else:
        yield facts


def written(facts: Any) -> set[str]:
    """Every way in which a page may write a number of the facts: as it is, in percent, in millions; signs apart."""
    found = {"0.0001"}  # below which no p is told
    for one in leaves(facts):
        if isinstance(one, int | float) and not isinstance(one, bool):
            size = abs(one)
            found |= {form.format(size) for form in FORMS} | {f"{100 * size:.1f}%", f"{100 * size:g}%"}
            found |= {f"{100 * size:.2f}", f"{100 * size:.1f}", f"{100 * size:g}", f"{size / 1e6:.2f}"}
        elif isinstance(one, str):
            found |= set(NUMBER.findall(one))
    return found


def shares(counts: Iterable[int], whole: int) -> set[str]:
    return {f"{100 * (one / whole):.1f}%" for one in counts}


def claimed(html: str) -> set[str]:
    """Every number that a page writes outside of its charts."""
    told = re.sub(r"<style>.*?</style>|<svg.*?</svg>|<[^>]*>", " ", html, flags=re.DOTALL)
    return set(NUMBER.findall(unescape(told)))


@pytest.mark.slow
@pytest.mark.parametrize("name", gallery.DECISIONS)
def test_every_number_of_a_comparison_and_a_card_stands_in_the_facts(name: str, decisions: dict[str, Any]) -> None:
    decision = decisions[name].to_json()
    known = written(decision)
    kinds = decision["comparison"]["turned"] if decision["comparison"] else decision["turned"]
    for right in (True, False):
        known.add(f"{sum(one['rows'] for one in kinds if (one['truth'] == one['challenger']) is right):,}")
    if found := decision["comparison"]:
        table = [found["mcnemar"][who] for who in ("both", "challenger", "champion", "neither")]
        known |= shares(table, sum(table))
    assert claimed(card.comparison("reviews", decision)) <= known

    facts = gallery.carded(decisions[name])
    data = facts["data"]["summary"]
    splits = [list(one.values()) for one in data["kept"].values()]
    rows = [sum(one) for one in splits]
    known |= written(facts) | {f"{one:,}" for one in rows} | shares(rows, sum(rows)) | {"18", "02", "338"}
    known |= {share for one, whole in zip(splits, rows, strict=True) for share in shares(one, whole)}
    known |= shares([data["rows"], facts["data"]["quarantined"], *data["dropped"].values()], facts["data"]["rows"])
    known |= shares(facts["sources"].values(), data["rows"]) | {f"{33.8 * 10 / 3600:.3g}"}  # watt-hours of a core
    assert claimed(card.html("reviews@v1.1.0", gallery.REGISTERED, "Ada", facts)) <= known


ROWS = re.compile(
    r'<ul class="examples">.*?</ul>|<td[^>]*data-name="(?:Text|Confidence|Truth|Predicted|Baseline says)".*?</td>|'
    r'<head>.*?</head>| href="data:[^"]*"', re.DOTALL,
)  # fmt: skip
"""What a page shows of rows, which are no figures: mistakes.csv and held.csv hold them."""


def said(html: str) -> set[str]:
    return claimed(ROWS.sub(" ", html))


def require_noticed(html: str, known: set[str], figures: Iterable[str]) -> None:
    """Another number in the place of each figure of a page is one that the facts do not have."""
    for figure in figures:
        wrong = f"{figure[:-1]}{(int(figure[-1]) + 3) % 10}7"
        changed = re.sub(rf"(?<![\w.,])(?:{re.escape(figure)})(?![\d.])", wrong, html)
        assert changed != html and not said(changed) <= known, figure


@pytest.mark.parametrize("labels", [("negative", "positive"), gallery.MANY[:25]])
def test_every_number_of_an_evaluation_stands_in_its_facts(labels: tuple[str, ...]) -> None:
    html, measured = gallery.evaluation(labels, 600, 0.15)
    model, rows = measured["model"], measured["rows"]
    rulings = rules.of_evaluation(measured, config.Gate(min_slice_rows=100))
    known = written(measured) | written([[one.expected, one.found, one.room, *one.reasons] for one in rulings])
    wrong = rows - round(rows * model["accuracy"]["value"])
    known |= {f"{wrong:,}", "95%", "50", *(f"{one:,}" for one in range(26))}  # the level, resamples; counts of classes
    known |= {f"{wrong - 50:,}", *shares(range(rows // len(labels) + 1), rows // len(labels))}
    assert said(html) <= known
    require_noticed(
        html, known, [f"{model['accuracy']['value']:.4f}", f"{measured['baseline']['accuracy']['low']:.4f}"]
    )


@pytest.mark.slow
def test_every_number_of_a_validation_stands_in_its_facts(tmp_path: Path) -> None:
    base = gallery.texts(400)
    paths = gallery.validation(tmp_path / "both", "reviews", {"base": base, "week": gallery.BAD_WEEK})
    before = read_facts(gallery.validation(tmp_path / "before", "reviews", {"base": base}).validation_summary)
    facts = read_facts(paths.validation_summary)
    html = paths.validation_report.read_text("utf-8").partition("Shape of the data</h2>")[0]
    known = written(facts) | written(before)
    counts = {name: facts[name] for name in ("rows", "usable", "clean", "quarantined", "duplicates")}
    known |= shares(counts.values(), facts["rows"])
    known |= {f"{counts[name] - before[name]:,}" for name in counts}
    broken = Counter(one["severity"] for one in facts["findings"] if not one["passed"])
    known |= {"0", "2", f"{broken['warning']}", f"{broken['critical']}"}
    assert said(html) <= known
    require_noticed(html, known, [f"{facts[name]:,}" for name in ("rows", "usable", "clean", "quarantined")])
    for name, rows in facts["held"].items():
        assert f"{name}: {rows:,}</span>" in html


@pytest.mark.slow
def test_pages_say_what_the_gate_says_and_what_moved(decisions: dict[str, Any]) -> None:
    decision = decisions["hold"].to_json()
    html = card.comparison("reviews", decision, gallery.rows_of(decisions["hold"]))
    require_whole(html)
    text = words(html)
    lost = sum(one.rows for one in decisions["hold"].comparison.turned if one.challenger != one.truth)
    assert f"Rows newly wrong: {lost}" in text and text.count("base.csv, line") == lost + 20
    assert "Of 4 classes and slices with rows enough, 0 are proven better and 4 worse." in text
    made, _ = gallery.evaluation(("negative", "positive"), 600, 0.1)
    classes = gate_sections.classes(decision)
    assert classes
    judged = gate_sections.judged(decision, acting.todo("reviews", decision))
    told = page.joined(made, gate_sections.since(decision), judged)
    require_whole(told)
    assert made.count('class="verdict ') == told.count('class="verdict ') == 1  # two would be read as two verdicts
    said = "The gate says hold. It may not land: it is proven worse than reviews@v1.0.0. "
    assert said in words(told) and f"What to do: {judged['todo'].replace('`', '')[:40]}" in words(told)
    assert judged["evidence"] in unescape(words(told)) and "What changed since reviews@v1.0.0" in words(told)
    assert "Classes since reviews@v1.0.0" in words(told)
    worse, _ = gallery.evaluation(("negative", "positive"), 40, 0.3)
    both = page.joined(worse, [classes], judged)
    for one in (made, told, worse, both):
        assert words(one).count("What to do: ") == 1, "the gate's, where it has judged"
    promoted = decisions["promote"].to_json()
    assert "may land. " in words(card.comparison("reviews", promoted))
    assert "What to do" not in (landed := words(card.comparison("reviews", promoted, landed=True)))
    assert "keeps every rule, and landed. " in landed
    first = decisions["first"].to_json()
    alone = card.comparison("reviews", first, gallery.rows_of(decisions["first"]))
    require_whole(alone)
    told = words(alone)
    assert "12 test rows are wrong by this version alone and 34 right by it alone, listed below" in told
    assert "Rows wrong by this version alone: 12 The linear baseline knows them" in told
    assert "Rows right by this version alone: 34 The challenger knows them" in told
    assert 'data-name="Baseline says"' in alone and 'data-name="Champion says"' not in alone
    assert gate_sections.classes(first) is None and gate_sections.moved(first) is None


@pytest.mark.parametrize("make", ["tuning", "batch"])
def test_pages_of_a_search_and_a_batch_say_what_to_do(make: str, tmp_path: Path) -> None:
    html = gallery.tuning() if make == "tuning" else gallery.batch(tmp_path)
    require_whole(html)
    assert "What to do:" in words(html) and 'class="verdict ' in html


def figures(found: dict[str, Any]) -> Iterator[str]:
    for who in ("model", "baseline"):
        yield from (f"{found[who][name]['value']:.4f}" for name in found[who])
    yield from (f"{one['judged']['value']:.4f}" for one in found["classes"].values())


@pytest.mark.slow
def test_thousands_of_mistakes_among_150_classes_make_a_page_that_one_can_read() -> None:
    html, measured = gallery.evaluation(gallery.MANY, 6000, 0.34)
    require_whole(html)
    text = words(html)
    wrong = measured["rows"] - round(measured["rows"] * measured["model"]["accuracy"]["value"])
    assert wrong > 2000 and f"200 of {wrong:,} mistakes" in text
    assert all(figure in text for figure in figures(measured))
    assert len(html) < 1_000_000 and html.count("<td") < 4000


@pytest.mark.slow
def test_the_index_of_many_versions_is_folded_and_says_why_one_was_rolled_back() -> None:
    html = gallery.versions()
    require_whole(html)
    text = words(html)
    assert "41 more" in text and "rolled back it missed refunds" in text
    assert page.headed(html, page.Identity("a", "b", "c", "d")).count("<header") == 1
