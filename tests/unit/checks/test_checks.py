"""Which rows are held back and why, and what the suite makes of a batch."""

import cProfile
import importlib
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi import config
from luodi.checks import findings, profile, quarantine
from luodi.checks.findings import FAILED, PASSED, WARNED, Finding
from luodi.checks.text import measures
from luodi.terminal import visible

LABELS = ("negative", "positive")
LIMITS = config.TextValidate(
    min_rows=10,
    min_length=2,
    max_length=20,
    max_duplicate_share=0.2,
    max_contradictions=1,
    min_class_share=0.2,
    min_chinese_share=0.5,
    max_quarantined_share=0.2,
)
ROOT = Path(__file__).parents[3]
MODEL: Any = config.settings_of(config.load(ROOT / "params.yaml"), "reviews").model_copy(
    update={"labels": LABELS, "validate_": LIMITS}
)
SCHEMA = pa.schema([(name, pa.string()) for name in ("text", "label", "source", "shard")] + [("row", pa.int64())])


def batch(*pairs: tuple[str | None, str | None], source: Any = "s") -> Any:
    records = [
        {"text": text, "label": label, "source": source, "shard": "a.parquet", "row": place}
        for place, (text, label) in enumerate(pairs)
    ]
    return pa.Table.from_pylist(records, schema=SCHEMA)


def good(count: int = 20) -> Any:
    return [(f"房间很好{place}", LABELS[place % 2]) for place in range(count)]


def measure(table: Any) -> Any:
    return measures.measure([table], MODEL).table


def split(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    return quarantine.split(table, measures.flags(table, quarantine.codes(table["text"]), LABELS, LIMITS), "text")


@pytest.mark.parametrize(
    ("text", "label", "source", "reasons"),
    [
        ("房间很好", "positive", "s", []),
        ("a\tb\r\nc", "positive", "s", []),
        ("好" * 20, "positive", "s", []),
        ("好好", "positive", "s", []),
        (None, "positive", "s", ["text is missing"]),
        ("", "positive", "s", ["text is blank", "text is too short"]),
        ("\u3000\u3000", "positive", "s", ["text is blank"]),
        (" \t\n\u200b\ufeff\u00a0", "positive", "s", ["text is blank"]),
        ("好", "positive", "s", ["text is too short"]),
        ("好" * 21, "positive", "s", ["text is too long"]),
        ("好\ufffd", "positive", "s", ["text holds U+FFFD"]),
        ("好\x00", "positive", "s", ["text holds control characters"]),
        ("好\x1b[0m", "positive", "s", ["text holds control characters"]),
        ("好\x85", "positive", "s", ["text holds control characters"]),
        ("房间很好", None, "s", ["label is missing"]),
        ("房间很好", "Positive", "s", ["label is unknown"]),
        ("房间很好", "", "s", ["label is unknown"]),
        ("房间很好", "positive", None, ["source is missing"]),
        (
            "\x07\ufffd" * 11,
            "?",
            None,
            [
                "text is too long",
                "text holds U+FFFD",
                "text holds control characters",
                "label is unknown",
                "source is missing",
            ],
        ),
        (None, None, None, ["text is missing", "label is missing", "source is missing"]),
    ],
)
def test_row_is_held_back_with_all_its_reasons(
    text: str | None, label: str | None, source: str | None, reasons: list[str]
) -> None:
    clean, held = split(batch((text, label), source=source))
    assert clean.num_rows == (not reasons)
    assert [row["reasons"] for row in held.to_pylist()] == ([reasons] if reasons else [])


def test_contradiction_is_between_known_labels_only() -> None:
    table = batch(
        ("早餐不错", "negative"),
        ("早餐不错", "positive"),
        ("早餐不错", "positive"),
        ("早餐不错", "neutral"),
        ("位置很好", "positive"),
        ("位置很好", "neutral"),
        ("位置很好", None),
        (None, "negative"),
        (None, "positive"),
    )
    marks = measures.flags(table, quarantine.codes(table["text"]), LABELS, LIMITS)[
        quarantine.contradiction("text")
    ].to_pylist()
    assert marks == [True, True, True, False, False, False, False, False, False]


def test_duplicates_are_counted_but_not_held_back() -> None:
    table = batch(*[(text, "positive") for text in ("甲乙", "丙丁", "甲乙", "甲乙", None, None)])
    assert measure(table)[quarantine.duplicate("text")].to_pylist() == [False, False, True, True, False, False]
    assert split(table)[0].num_rows == 4


def test_measures() -> None:
    measured = measure(batch(("好a1，", "positive"), ("好々b", "positive"), ("??", "?"), (None, "negative")))
    assert measured["characters"].to_pylist() == [4, 3, 2, None]
    assert measured["share of the label"].to_pylist() == [0.5, 0.5, None, 0.25]
    assert measured["length is out of bounds"].to_pylist() == [False, False, False, False]
    assert measured["share of Chinese"].to_pylist() == [3 / 5] * 4


@pytest.mark.slow
def test_no_expectation_calls_a_function_of_python_for_each_row(tmp_path: Path) -> None:
    def calls(rows: int) -> Any:
        measured = measure(batch(*good(rows)))
        with cProfile.Profile() as profile:
            validated(measured, tmp_path / str(rows))
        return Counter({str(one.code): one.callcount for one in profile.getstats()})

    calls(20)  # what is imported and cached
    few, many = calls(20), calls(5000)
    assert [name for name, count in (many - few).items() if count > 2500] == []


texts = st.none() | st.text(st.sampled_from("好坏 \u3000a\x00\ufffd"), max_size=4)
labels = st.sampled_from([None, "negative", "positive", "other"])


@given(st.lists(st.tuples(texts, labels, st.sampled_from([None, "s", "t"])), max_size=30))
def test_every_row_is_once_in_clean_or_quarantine_in_order(parts: list[tuple[str | None, ...]]) -> None:
    table = pa.Table.from_pylist(
        [
            {"text": text, "label": label, "source": source, "shard": "a", "row": place}
            for place, (text, label, source) in enumerate(parts)
        ],
        schema=SCHEMA,
    )
    clean, held = split(table)
    held_rows = held["row"].to_pylist()
    rest = [part for place, part in enumerate(parts) if place not in held_rows]
    assert held_rows == sorted(set(held_rows))
    assert [tuple(row.values()) for row in clean.to_pylist()] == rest
    assert [(row["text"], row["label"], row["source"]) for row in held.to_pylist()] == [
        parts[place] for place in held_rows
    ]
    assert all(held["reasons"].to_pylist())
    assert all(column.null_count == 0 for column in clean.columns)
    kept = clean.to_pydict()
    assert len(set(zip(kept["text"], kept["label"], strict=True))) == len(set(kept["text"]))


@given(st.lists(st.tuples(texts, labels), max_size=30))
def test_duplicates_are_rows_less_distinct_texts(pairs: list[tuple[str | None, str | None]]) -> None:
    known = [text for text, _ in pairs if text is not None]
    measured = measure(batch(*pairs))
    assert sum(measured[quarantine.duplicate("text")].to_pylist()) == len(known) - len(set(known))


def validated(measured: Any, docs: Path) -> Any:
    """The result, without Data Docs: tests/unit/checks/test_engine.py looks at them."""
    from great_expectations import ExpectationSuite  # here: it takes seconds, in each worker of pytest

    from luodi.checks import engine
    from luodi.checks.text import expectations

    return engine._run(engine._context(docs), "m", measured, ExpectationSuite("m", expectations.build(MODEL)))


def check(measured: Any, docs: Path) -> Any:
    return findings.read(validated(measured, docs), measured, "text")


@pytest.mark.slow
def test_good_batch_passes(tmp_path: Path) -> None:
    found = check(measure(batch(*good())), tmp_path)
    assert findings.verdict(found) == PASSED
    assert [finding.title for finding in found if not finding.passed] == []


def cast(name: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.set_column(table.column_names.index(name), name, pa.array(range(table.num_rows)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("title", "verdict", "table", "spoil"),
    [
        ("Columns are present", FAILED, batch(*good()), lambda table: table.rename_columns({"row": "line"})),
        ("Column source is a string", FAILED, batch(*good()), cast("source")),
        ("Enough rows", FAILED, batch(*good(8)), None),
        ("No text is missing", FAILED, batch(*good(), *[(None, "positive")] * 6), None),
        ("No label is missing", FAILED, batch(*good(), *[(f"房间不好{n}", None) for n in range(6)]), None),
        ("No source is missing", WARNED, batch(*good(), source=None), None),
        ("Labels are known", WARNED, batch(*good(), ("房间不好", "Negative")), None),
        ("Every label occurs", FAILED, batch(*[(text, "positive") for text, _ in good()]), None),
        (
            "Classes are balanced",
            FAILED,
            batch(*[(t, LABELS[place > 2]) for place, (t, _) in enumerate(good())]),
            None,
        ),
        (
            "Labels agree",
            WARNED,
            batch(*good(), ("甲乙", "positive"), ("甲乙", "negative"), ("丙丁", "positive"), ("丙丁", "negative")),
            None,
        ),
        ("No text is blank", WARNED, batch(*good(), ("\u3000\u3000", "positive")), None),
        ("Lengths are within bounds", WARNED, batch(*good(), ("好", "positive")), None),
        ("Lengths are within bounds", WARNED, batch(*good(), ("好" * 21, "positive")), None),
        ("No replacement characters", WARNED, batch(*good(), ("好\ufffd", "positive")), None),
        ("No control characters", WARNED, batch(*good(), ("好\x07", "positive")), None),
        (
            "Texts are Chinese",
            WARNED,
            batch(*[(f"good room {place}", label) for place, (_, label) in enumerate(good())]),
            None,
        ),
        ("Few duplicates", WARNED, batch(*good(), *[("房间很好1", "positive")] * 6), None),
        ("Few rows are held back", FAILED, batch(*good(), *[("好", "positive")] * 6), None),
    ],
)  # fmt: skip
def test_expectation_fails(title: str, verdict: str, table: Any, spoil: Any, tmp_path: Path) -> None:
    measured = measure(table)
    spoiled = spoil(measured) if spoil else measured
    found = {finding.title: finding for finding in findings.read(validated(spoiled, tmp_path), measured, "text")}
    assert found[title].verdict == verdict


@pytest.mark.slow
def test_bounds_themselves_hold(tmp_path: Path) -> None:
    table = batch(*good(15), *[("房间很好1", "positive")] * 4, ("好\ufffd", "positive"))
    found = {finding.title: finding for finding in check(measure(table), tmp_path)}
    assert (found["Few duplicates"].passed, found["Few duplicates"].found) == (True, "4 rows (20.0%)")
    assert found["Few rows are held back"].found == "1 row (5.0%)"


def test_examples_are_the_rows_at_fault(tmp_path: Path) -> None:
    table = batch(*good(), *[(f"房间不好{place}", "neutral\n") for place in range(9)])
    found = {finding.title: finding for finding in check(measure(table), tmp_path)}["Labels are known"]
    assert found.found == "9 rows (31.0%)"
    assert [example.row for example in found.examples] == [20, 21, 22, 23, 24]
    assert str(found.examples[0]) == r"a.parquet row 20 [neutral\n] 房间不好0"


def test_missing_label_is_named(tmp_path: Path) -> None:
    found = check(measure(batch(*[(text, "positive") for text, _ in good()])), tmp_path)
    assert {one.title: one.found for one in found}["Every label occurs"] == "no negative"


def test_batch_of_nothing_usable_is_judged_without_an_error(tmp_path: Path) -> None:
    found = check(measure(batch(*[(None, None)] * 3, source=None)), tmp_path)
    assert findings.verdict(found) == FAILED
    assert {one.title: one.found for one in found}["Classes are balanced"] == "nothing to measure"


def finding(severity: str, passed: bool, title: str = "t") -> Finding:
    rows_at_fault = tuple(findings.Example("a.parquet", row, "positive", "好" * 500) for row in range(5))
    return Finding(title, severity, passed, "this", "that", rows_at_fault)


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([], PASSED),
        ([("critical", True), ("warning", True)], PASSED),
        ([("critical", True), ("warning", False)], WARNED),
        ([("warning", False), ("critical", False)], FAILED),
    ],
)
def test_verdict(parts: list[tuple[str, bool]], verdict: str) -> None:
    assert findings.verdict([finding(*part) for part in parts]) == verdict


def test_message_names_critical_failures_and_is_bounded() -> None:
    every = [finding("critical", False, "broken"), finding("warning", False, "odd"), finding("critical", True, "fine")]
    lines = findings.message(every)
    assert lines[0] == "  broken: expected this; found that"
    assert len(lines) == 6
    assert len("".join(lines)) < 500
    assert not any("odd" in line or "fine" in line for line in lines)


@given(st.text(), st.integers(1, 50))
def test_shown_text_is_printable_and_bounded(text: str, width: int) -> None:
    shown = findings.shown(text, width)
    assert visible(shown) == shown
    assert len(shown.splitlines()) <= 1
    assert len(shown) <= 10 * width
    assert shown == text or len(text) > width or not text.isprintable()


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0.0%"), (1e-9, "<0.1%"), (0.0005, "0.1%"), (0.5, "50.0%"), (1, "100.0%")]
)
def test_percent(share: float, text: str) -> None:
    assert findings.percent(share) == text


def count(measured: pa.Table) -> profile.Profile:
    return profile.profile(measured, measures.charts(measured), LABELS)


@given(st.lists(st.integers(0, 5000), min_size=1, max_size=20))
def test_profile_counts_every_row_once(lengths: list[int]) -> None:
    counted = count(measure(batch(*[("a" * length, None) for length in lengths])))
    (edges,) = [chart.edges for chart in counted.charts]
    assert sum(counted.whole.counts[0]) == counted.whole.rows == sum(counted.whole.labels) == len(lengths)
    assert edges[-2] <= max(lengths) < edges[-1]
    assert list(edges) == sorted(set(edges))


def test_profile_tells_the_largest_sources_apart() -> None:
    tables = [
        batch(("好的", "positive"), *[("坏的", "x")] * (20 - place), source=f"s{place:02}") for place in range(15)
    ]
    counted = count(measure(pa.concat_tables(tables)))
    assert [part.name for part in counted.sources] == [f"s{place:02}" for place in range(12)] + ["3 other sources"]
    assert sum(part.rows for part in counted.sources) == counted.whole.rows
    assert counted.sources[0].labels == (0, 1, 20)


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ({"ok": 5000, "fraud": 5}, "class fraud has 5 rows: about 0 in the test split"),
        ({"a": 99, "b": 100}, "class a has 99 rows: about 10 in the test split"),
        ({"a": 100, "b": 100}, "all of them have"),
        (
            {f"c{index}": index for index in range(7)},
            "class c4 has 4 rows: about 0 in the test split; and 2 more classes",
        ),
    ],
)
def test_classes_that_a_test_split_proves_nothing_of_are_a_warning(counts: dict[str, int], found: str) -> None:
    finding = findings.of_classes(counts, 0.1, 10)
    assert finding.found.endswith(found)
    assert finding.expected == "about 100 rows of each class or more: 10 of them in the test split"
    assert finding.verdict == ("passed" if found.startswith("all") else "passed with warnings")


def test_the_rows_of_an_official_test_split_are_counted_whole() -> None:
    finding = findings.of_classes({"a": 9, "b": 10}, 1, 10, "test")
    assert finding.found == "class a has 9 rows of source test: about 9 in the test split"
    assert finding.expected == "about 10 rows of each class of source test or more: 10 of them in the test split"
    assert finding.verdict == "passed with warnings"


@pytest.mark.parametrize("modality", ["text", "image"])
def test_each_limit_is_told_by_the_key_that_sets_it(modality: str) -> None:
    """Who reads that a limit is broken knows what to change, and no limit is left out."""
    settings = config.load(ROOT / "params.yaml").models[{"text": "reviews", "image": "digits"}[modality]]
    built = importlib.import_module(f"luodi.checks.{modality}.expectations").build(settings)
    told = {
        key for one in built for keys in re.findall(r"\(validate\.([\w, ]+)\)", one.meta["expected"])
        for key in keys.split(", ")
    }  # fmt: skip
    assert told == set(type(settings.validate_).model_fields) - {"expectations", "contradictions"}
