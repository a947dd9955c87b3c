"""The validate stage: what it writes, that equal data gives equal bytes, and that data is never markup."""

import base64
import csv
import io
import json
import random
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from luodi import config
from luodi.checks import held_back, joined_rows
from luodi.config.shared import Split
from luodi.data.shards import CORRECTS
from luodi.errors import NothingLeft, ValidationFailed
from luodi.files import read_facts
from luodi.project.paths import ModelPaths
from luodi.stages import validate

ROOT = Path(__file__).parents[3]
REVIEWS = config.settings_of(config.load(ROOT / "params.yaml"), "reviews")
MODEL = REVIEWS.model_copy(update={"validate_": REVIEWS.validate_.model_copy(update={"min_rows": 10})})
EVIL = '<script>alert("x")</script><img src=https://example.org/x onerror=y>'


def lay(root: Path, *rows: tuple[str | None, ...]) -> ModelPaths:
    """Write `rows` of text, label, source and, if they have it, origin as the one shard of a model."""
    paths = ModelPaths(root, "reviews")
    paths.data.mkdir(parents=True)
    columns = dict(zip(("text", "label", "source", "origin"), map(list, zip(*rows, strict=True)), strict=False))
    pq.write_table(
        pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()}),
        paths.data / "a.parquet",
    )
    return paths


def good(count: int = 200) -> list[tuple[str | None, str | None, str | None]]:
    return [(f"房间很好{place}", MODEL.labels[place % 2], "s") for place in range(count)]


def sheet_of(page: str) -> list[list[str]]:
    """The lines of the table that the page holds."""
    found = re.search(r'download="held.csv" href="data:text/csv;charset=utf-8;base64,([^"]*)"', page)
    assert found
    return list(csv.reader(io.StringIO(base64.b64decode(found[1]).decode("utf-8-sig"))))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Page(HTMLParser):
    """Collects the tags of a page, and every value that could make a browser ask for something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.requests: list[Any] = []
        self.handlers: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        asked = (value or "" for name, value in attrs if name in {"src", "href", "srcset", "data", "action"})
        self.requests += [value for value in asked if not value.startswith(("#", "data:text/csv;"))]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]


@pytest.mark.slow
def test_page_runs_nothing_and_asks_for_nothing_whatever_the_data_holds(tmp_path: Path) -> None:
    paths = lay(tmp_path, *good(), (EVIL, EVIL, EVIL), (EVIL, "positive", EVIL))
    validate.run(MODEL, paths)
    text = paths.validation_report.read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags.isdisjoint({"script", "img", "link", "iframe", "object", "form"})
    assert (page.requests, page.handlers) == ([], [])
    assert "&lt;script&gt;" in text
    assert not re.search(r"@import|url\(", text)
    for docs in paths.data_docs.rglob("*.html"):
        assert "example.org" not in docs.read_text(encoding="utf-8")


@pytest.mark.slow
def test_critical_failure_is_raised_after_everything_is_written(tmp_path: Path) -> None:
    limits = MODEL.validate_.model_copy(update={"max_quarantined_share": 0.001})
    paths = lay(tmp_path, *good(), ("房间不好", "Negative", "s"))
    with pytest.raises(ValidationFailed) as caught:
        validate.run(MODEL.model_copy(update={"validate_": limits}), paths)
    assert "found 1 row (0.5%): label is unknown 1" in str(caught.value)
    assert "a.parquet row 200 [Negative] 房间不好" in str(caught.value)
    assert str(paths.validation_report) in str(caught.value)
    assert "nothing is trained, and the version in production stays" in str(caught.value)
    page = paths.validation_report.read_text(encoding="utf-8")
    assert "The run stops here: nothing is trained, and the version in production stays." in page
    assert f"<code>luodi quarantine {paths.model} --csv held.csv</code>" in page
    assert not isinstance(caught.value, NothingLeft)
    assert pq.read_table(paths.clean).num_rows == 200
    assert pq.read_table(paths.quarantine).to_pylist() == [
        {"shard": "a.parquet", "row": 200, "text": "房间不好", "label": "Negative", "source": "s",
         "reasons": ["label is unknown"]}
    ]  # fmt: skip
    assert paths.validation_result.is_file()
    assert (paths.data_docs / "index.html").is_file()


@pytest.mark.slow
def test_rows_of_a_class_that_nobody_admitted_are_held_back_and_the_others_are_of_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = lay(tmp_path, *good(), *[(f"一般般{place}", "neutral", "s") for place in range(4)])
    validate.run(MODEL, paths)
    assert "warning: Labels are known: found 4 rows (2.0%)" in capsys.readouterr().out
    assert pq.read_table(paths.clean).num_rows == 200
    assert pq.read_table(paths.quarantine)["reasons"].to_pylist() == [["label is unknown"]] * 4


@pytest.mark.slow
def test_the_page_leads_from_each_reason_to_its_rows_and_to_those_that_contradict_them(tmp_path: Path) -> None:
    """A new file contradicts rows of an old one, which were clean, and spells labels in ways of its own."""
    old = [(*row, f"base.csv, line {number}") for number, row in enumerate(good(), 2)]
    week = [(f"房间很好{place}", MODEL.labels[1 - place % 2], "s", f"week.csv, line {place + 2}") for place in range(3)]
    odd = [(f"说不清{place}", label, "s", f"week.csv, line {place + 5}")
           for place, label in enumerate(("Negative", "Negative", "negativ", " positive", "好"))]  # fmt: skip
    paths = lay(tmp_path, *old, *week, *odd, *old[:40])
    with pytest.raises(ValidationFailed):
        validate.run(MODEL, paths)
    page = paths.validation_report.read_text(encoding="utf-8")
    text = " ".join(re.sub("<[^>]*>", " ", page).split())
    assert "Stopped by 1 check, beside" in text
    assert "text carries several labels: 9 base.csv 6, week.csv 3" in text
    assert "Held back by rows of another file alone: base.csv 6, week.csv 3. Without the other file" in text
    assert text.count("房间很好0 negative · base.csv, line 2 beside positive · week.csv, line 2") == 1
    assert text.count(" beside positive ") + text.count(" beside negative ") == 3  # each text once, which repeats rows
    for said in ("“Negative” 2, near negative", "“negativ” 1, near negative", "“ positive” 1, near", "“好” 1 "):
        assert said in text or said in page
    summary = read_facts(paths.validation_summary)
    assert (summary["clean"], summary["usable"]) == (234, 197)
    assert "197 clean, each text once" in text
    assert [line[0] for line in sheet_of(page)[1:4]] == [f"base.csv, line {line}" for line in (2, 3, 4)]


@pytest.mark.slow
def test_rows_that_are_held_back_are_told_by_reason_and_by_the_shard_that_most_are_in(tmp_path: Path) -> None:
    paths = lay(tmp_path, *good(), ("\u3000", "negative", "s"))
    blank = pa.table({"text": ["\u3000"] * 60, "label": ["negative"] * 60, "source": ["s"] * 60})
    pq.write_table(blank, paths.data / "march.parquet")
    with pytest.raises(
        ValidationFailed, match=r"found 61 rows \(23.4%\): text is blank 61; 60 of them in march.parquet"
    ) as caught:
        validate.run(MODEL, paths)
    assert "march.parquet row 0 [negative]" in str(caught.value)
    assert "a.parquet row" not in str(caught.value)


@pytest.mark.slow
def test_of_rows_that_are_held_back_those_of_the_main_reason_are_shown_and_the_file_is_named(tmp_path: Path) -> None:
    added = [(*row, f"base.csv, line {number}") for number, row in enumerate(good(), 2)]
    blank = [("\u3000", "negative", "s", f"week.csv, line {number}") for number in range(2, 5)]
    long = [("长" * 6000 + str(number), "negative", "s", f"week.csv, line {number}") for number in range(5, 55)]
    paths = lay(tmp_path, *added, *blank, *long)
    with pytest.raises(
        ValidationFailed, match=r"text is too long 50, text is blank 3; 53 of them in week\.csv"
    ) as caught:
        validate.run(MODEL, paths)
    assert "week.csv, line 5 [negative] 长" in str(caught.value) and "week.csv, line 2 " not in str(caught.value)


@pytest.mark.slow
def test_a_row_is_named_by_where_it_stood_before_it_was_added(tmp_path: Path) -> None:
    added = [(*row, f"hotels.csv, line {number}") for number, row in enumerate(good(), 2)]
    paths = lay(tmp_path, *added, ("房间不好", "Negative", "s", "hotels.csv, line 202"))
    validate.run(MODEL, paths)
    held = pq.read_table(paths.quarantine)
    assert held.column_names == ["shard", "row", "text", "label", "source", "origin", "reasons"]
    assert held["origin"].to_pylist() == ["hotels.csv, line 202"]
    assert pq.read_table(paths.clean)["origin"].to_pylist()[:2] == ["hotels.csv, line 2", "hotels.csv, line 3"]
    page = paths.validation_report.read_text(encoding="utf-8")
    assert (
        "Negative · hotels.csv, line 202" in page and '</span> <span class="soft">hotels.csv 1</span></summary>' in page
    )


@pytest.mark.slow
def test_classes_with_few_rows_of_an_official_test_split_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    official = MODEL.preprocess.model_copy(
        update={"test_source": "test", "shares": config.Shares(train=0.9, validation=0.1, test=0.0)}
    )
    rows = [*good(), *((f"位置很好{place}", MODEL.labels[place > 8], "test") for place in range(30))]
    paths = lay(tmp_path, *rows, (" ", MODEL.labels[0], "test"))
    validate.run(MODEL.model_copy(update={"preprocess": official}), paths)
    assert "reviews: passed with warnings" in capsys.readouterr().out
    few = f"class {MODEL.labels[0]} has 9 rows of source test: about 9 in the test split"
    assert few in paths.validation_report.read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_column_that_tells_the_label_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever else shards hold stops nothing: lists, bytes, a column that one shard lacks."""
    paths = lay(tmp_path, *good())
    table = pq.read_table(paths.data / "a.parquet")
    stars = [5 * (row % 2) for row in range(200)]
    table = table.append_column("stars", pa.array(stars)).append_column("id", pa.array(range(200)))
    table = table.append_column("list", pa.array([[1]] * 200)).append_column("bytes", pa.array([b"\xff"] * 200))
    pq.write_table(table, paths.data / "a.parquet")
    pq.write_table(
        pa.table({name: table[name].slice(0, 4) for name in ("text", "label", "source")}), paths.data / "b.parquet"
    )
    validate.run(MODEL, paths)
    page = paths.validation_report.read_text(encoding="utf-8")
    assert set(re.findall("`([^`]+)` alone tells ([0-9.]+%)", page)) == {("stars", "100.0%")}
    assert "passed with warnings" in capsys.readouterr().out


@pytest.mark.slow
def test_nothing_left(tmp_path: Path) -> None:
    paths = lay(tmp_path, *[(" ", "positive", "s")] * 20)
    with pytest.raises(NothingLeft):
        validate.run(MODEL, paths)
    assert paths.validation_report.is_file()


@pytest.mark.slow
def test_equal_data_gives_equal_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [*good(), (" ", "positive", "s"), ("房间很好1", "positive", "s")]
    here, there = lay(tmp_path / "here", *rows), lay(tmp_path / "far" / "there", *rows)
    for paths, zone in ((here, "UTC"), (there, "America/Sao_Paulo")):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        validate.run(MODEL, paths)
    monkeypatch.undo()
    time.tzset()
    first, second = contents(here.artifacts), contents(there.artifacts)
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []
    validate.run(MODEL, here)
    assert contents(here.artifacts) == first
    result = json.loads(here.validation_result.read_text())
    assert result["meta"]["batch_markers"] == {}  # no hash of every value, which takes longer than the expectations


@pytest.mark.slow
def test_long_quarantine_is_cut_and_the_rest_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    paths = lay(tmp_path, *good(6000), *[(f"坏{place}\ufffd\x07", "positive", "s") for place in range(60)])
    validate.run(MODEL, paths)
    text = paths.validation_report.read_text(encoding="utf-8")
    assert text.count(">10 of 60.<") == 2
    (line, *_), *lines = sheet_of(text)
    assert (line, len(lines)) == ("place", 60)
    assert {line[-2] for line in lines} == {"text holds U+FFFD; text holds control characters"}
    assert "text holds U+FFFD: 60" in text
    assert capsys.readouterr().out == (
        "reviews: passed with warnings; 6,060 rows, 6,000 clean, 60 quarantined, 0 duplicates\n"
        "  warning: No replacement characters: found 60 rows (1.0%)\n"
        "  warning: No control characters: found 60 rows (1.0%)\n"
    )


@pytest.mark.slow
def test_rows_of_a_group_go_on_together_and_one_that_ties_two_splits_is_held_back(tmp_path: Path) -> None:
    paths = ModelPaths(tmp_path, "reviews")
    paths.data.mkdir(parents=True)
    rows = [(text, label, source, place % 40) for place, (text, label, source) in enumerate(good())]
    for name, some in {"a": rows, "b": [*rows, ("房间很好0", MODEL.labels[0], "s", 1)]}.items():
        columns = dict(zip(("text", "label", "source", "guest"), zip(*some, strict=True), strict=True))
        pq.write_table(pa.table({key: pa.array(values) for key, values in columns.items()}), paths.data / "a.parquet")
        split = MODEL.preprocess.split.model_copy(update={"by": ("guest",)})
        block = MODEL.model_copy(update={"preprocess": MODEL.preprocess.model_copy(update={"split": split, "seed": 3})})
        validate.run(block, paths)
        clean = pq.read_table(paths.clean)
        assert clean.column_names == ["text", "label", "source", "group", "split"]
        assert clean["group"].to_pylist() == [place % 40 for place in range(200)]
        assert all(len(set(clean["split"].to_pylist()[guest::40])) == 1 for guest in range(40)), name
    assert clean["split"][0] != clean["split"][1]  # so that the last row ties two
    assert [row["reasons"] for row in pq.read_table(paths.quarantine).to_pylist()] == [[joined_rows.APART]]
    assert read_facts(paths.validation_summary)["tying_splits"] == 1
    page = paths.validation_report.read_text(encoding="utf-8")
    assert "40 groups; the largest has 5 of the 200 clean rows (2.5%)." in page
    assert "and rows of the same “guest”." in page


@pytest.mark.slow
def test_the_newest_rows_go_on_as_a_split_and_rows_without_a_day_are_held_back(tmp_path: Path) -> None:
    paths = lay(tmp_path, *good())
    table = pq.read_table(paths.data / "a.parquet")
    days = [f"2026-{1 + row // 25:02}-{1 + row % 25:02}" for row in range(200)]  # 25 rows in each of 8 months
    days[3], days[7], days[11] = "yesterday", "", "20/01/2026"
    pq.write_table(table.append_column("day", pa.array(days)), paths.data / "a.parquet")
    split = Split(newest="31d", column="day")
    gate = MODEL.gate.model_copy(update={"min_slice_rows": 20})
    block = MODEL.model_copy(update={"gate": gate})
    block = block.model_copy(update={"preprocess": MODEL.preprocess.model_copy(update={"split": split})})
    validate.run(block, paths)
    clean = pq.read_table(paths.clean)
    assert clean.column_names == ["text", "label", "source", "split"]
    assert clean["split"].to_pylist() == [""] * 172 + ["newest"] * 25
    held = pq.read_table(paths.quarantine).to_pylist()
    why = ["day is no day such as 2026-01-31"]
    assert [(row["row"], row["reasons"]) for row in held] == [(row, why) for row in (3, 7, 11)]
    page = paths.validation_report.read_text(encoding="utf-8")
    assert "25 rows, 2026-08-01 to 2026-08-25" in page


@pytest.mark.slow
@pytest.mark.skipif(not (ROOT / "data" / "reviews").is_dir(), reason="needs the corpus: luodi fetch reviews")
def test_embedded_corpus(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(ROOT / "data")
    paths = ModelPaths(tmp_path, "reviews")
    validate.run(REVIEWS, paths)
    text = paths.validation_report.read_text(encoding="utf-8")
    clean, held = pq.read_table(paths.clean), pq.read_table(paths.quarantine)
    assert "<b>17,713</b><span>duplicates" in text
    assert "47 texts" in text
    assert clean.num_rows + held.num_rows == 35124
    assert clean.column_names == ["text", "label", "source"]
    assert pc.list_value_length(held["reasons"]).to_pylist() == [1] * 226
    assert len(set(held["text"].to_pylist())) == 48  # 47 that contradict and the blank line


def splits_of(paths: ModelPaths) -> dict[str, tuple[str, str]]:
    clean = pq.read_table(paths.clean)
    return {row["text"]: (row["label"], row["split"]) for row in clean.to_pylist()}


@pytest.mark.slow
def test_rows_that_are_corrected_change_neither_their_split_nor_that_of_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first of two near-copies settles the split of both, and goes on to do so."""
    rng = random.Random(3)
    first = [("".join(chr(rng.randrange(0x4E00, 0x9000)) for _ in range(30)), MODEL.labels[0], "s") for _ in range(60)]
    copies = [(f"{text}！", label, source) for text, label, source in first]
    paths = lay(tmp_path, *good(), *first, *copies)
    joined = MODEL.model_copy(
        update={"preprocess": MODEL.preprocess.model_copy(update={"split": Split(near_copies="join")})}
    )
    validate.run(joined, paths)
    before = splits_of(paths)
    corrected = pa.table(dict(zip(("text", "label", "source"), zip(*first, strict=True), strict=True)))
    other = pa.array([MODEL.labels[1]] * len(first))
    correction = corrected.set_column(1, "label", other)
    pq.write_table(correction.replace_schema_metadata({CORRECTS: b"yes"}), paths.data / "b.parquet")
    validate.run(joined, paths)
    assert "reviews: passed; 320 rows, 320 clean" in (said := capsys.readouterr().out)
    assert "beside 60 that count no longer" in said
    texts = {text for text, _, _ in first}
    assert splits_of(paths) == {
        text: (MODEL.labels[1] if text in texts else label, split) for text, (label, split) in before.items()
    }
    assert len({split for text, (_, split) in before.items() if text in texts}) > 1
    page = paths.validation_report.read_text(encoding="utf-8")
    assert "Not among them: 60 rows that a later one corrects or a person took out; they stay in the shards." in page
    assert held_back.rows_checked(paths.validation_summary) == 380


@pytest.mark.slow
@pytest.mark.parametrize(("rule", "label"), [("drop", None), ("newest", 1), ("vote", 0)])
def test_a_text_of_two_labels_counts_as_the_setting_says(tmp_path: Path, rule: str, label: int | None) -> None:
    votes = [("房间不错", MODEL.labels[one], "s") for one in (0, 0, 1)]
    paths = lay(tmp_path, *good(), *votes)
    limits = MODEL.validate_.model_copy(update={"contradictions": rule, "max_quarantined_share": 0.1})
    validate.run(MODEL.model_copy(update={"validate_": limits}), paths)
    found = {row["label"] for row in pq.read_table(paths.clean).to_pylist() if row["text"] == "房间不错"}
    assert found == (set() if label is None else {MODEL.labels[label]})
    assert pq.read_table(paths.quarantine).num_rows == (3 if label is None else 0)
