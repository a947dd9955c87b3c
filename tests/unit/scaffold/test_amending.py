"""Sheets that a person hands back: what they say is done once, and anything wrong in them changes nothing."""

import csv
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from luodi import config, files
from luodi.checks import held_back
from luodi.data import arrivals, revisions, shards, tables
from luodi.data.columns import Wanted
from luodi.errors import BrokenData, DataError, MissingColumn, MissingData
from luodi.files import folder_checksum
from luodi.project.paths import ModelPaths
from luodi.registry import champion, doubts
from luodi.scaffold import adding, amending, history, ingesting, reviewing
from luodi.stages import baseline, preprocess, validate

NOBODY: Any = None  # runs no command: `dvc` is faked
KEY = "part-00000.parquet"
WORDS = {"差评": ["很差", "太脏", "吵闹", "失望", "难吃"], "好评": ["很好", "干净", "安静", "满意", "好吃"]}


def table(rows: Iterable[Iterable[str]], header: str = "text,label") -> str:
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"


def some(count: int) -> list[tuple[str, str]]:
    rng = random.Random(3)
    found = []
    for number in range(count):
        label = ("差评", "好评")[number % 2]
        filler = "".join(chr(rng.randrange(0x4E00, 0x9000)) for _ in range(6))
        found.append((f"{filler}{rng.choice(WORDS[label])}{rng.choice(WORDS[label])}", label))
    return found


@pytest.fixture
def hotels(root: Path, write: Any) -> Path:
    """A checkout with a model of 120 texts, of which the first begins as a formula."""
    rows = [("=1+1" + some(1)[0][0], "差评"), *some(120)[1:]]
    adding.add_texts(root, "hotels", write("hotels.csv", table(rows)), NOBODY)
    return root


def counting(root: Path) -> dict[str, str]:
    folder = root / "data" / "hotels"
    found, stands = shards.read(folder, "text"), revisions.standing(folder, "text", ("差评", "好评"), "drop")
    rows = found if stands is None else found.filter(pa.array(stands))
    return dict(zip(rows["text"].to_pylist(), rows["label"].to_pylist(), strict=True))


def sheet(root: Path, lines: Iterable[Iterable[object]], head: str = "verdict label suggested text row") -> Path:
    files.write_sheet(root.parent / "sheet.csv", head.split(), lines)
    return root.parent / "sheet.csv"


def amend(root: Path, path: Path, **more: Any) -> str:
    return amending.amend(root, "hotels", path, NOBODY, what="labels reviewed", **more)


def state(root: Path) -> str:
    return folder_checksum(root / "data")


def test_verdicts_are_done_once(hotels: Path) -> None:
    texts = shards.read(hotels / "data" / "hotels", "text")["text"].to_pylist()
    lines = [
        ("keep", "差评", "好评", texts[0], f"{KEY}:0"),
        ("relabel", "好评", "差评", texts[1], f"{KEY}:1"),
        ("Relabel", "好评", "", texts[2], f"{KEY}:2"),
        ("drop", "好评", "差评", texts[3], f"{KEY}:3"),
        ("", "差评", "好评", texts[4], f"{KEY}:4"),
        ("", "好评", "差评", texts[5] + "！", f"{KEY}:5"),
    ]
    before = counting(hotels)
    said = amend(hotels, path := sheet(hotels, lines))
    assert said.startswith("took sheet.csv into hotels: 3 corrected, 1 fewer rows, 1 found right\n")
    expected = before | {texts[1]: "差评", texts[2]: "好评", texts[5] + "！": "好评"}
    assert counting(hotels) == {text: label for text, label in expected.items() if text not in (texts[3], texts[5])}
    assert arrivals.kept(hotels / "data" / "hotels") == {KEY: {0}}
    after = state(hotels)
    assert amend(hotels, path).startswith("nothing to do in sheet.csv")
    assert state(hotels) == after
    what = [(one.arrival.what, one.rows) for one in history.log(hotels, ModelPaths(hotels, "hotels"))]
    assert what == [("added", 120), ("labels reviewed", 3)]


def test_what_was_left_out_does_not_come_again(hotels: Path, write: Any) -> None:
    rows = shards.read(hotels / "data" / "hotels", "text").select(["text", "label"]).to_pylist()
    amend(hotels, sheet(hotels, [("", rows[7]["label"], "", rows[7]["text"], f"{KEY}:7")]), discard=True)
    again = write("again.csv", table([tuple(row.values()) for row in rows]))
    for corrects in (False, True):
        said = ingesting.ingest(hotels, "hotels", [again], NOBODY, corrects=corrects)
        assert said.startswith("nothing new in again.csv")
    assert len(counting(hotels)) == 119


@pytest.mark.slow
@pytest.mark.parametrize(
    ("line", "error", "says"),
    [
        (("keep", "差评", "", "", "here"), BrokenData, "line 2: expected what luodi wrote under `row`, found here"),
        (("maybe", "差评", "", "", f"{KEY}:0"), BrokenData, "expected keep, relabel, drop or nothing, found maybe"),
        (("relabel", "差评", "", "", f"{KEY}:0"), BrokenData, "expected another label to relabel by, found 差评 again"),
        (
            ("relabel", "好平", "", "", f"{KEY}:0"),
            BrokenData,
            "1 of 1 corrected rows would be held back again: label is",
        ),
        (("drop", "差评", "", "", f"{KEY}:120"), MissingData, f"has no row {KEY}:120: the sheet was written of other"),
        (("drop", "差评", "", "", "../../etc/passwd:1"), MissingData, "has no row"),
    ],
)
def test_a_sheet_with_anything_wrong_changes_nothing(hotels: Path, line: Any, error: Any, says: str) -> None:
    before = state(hotels)
    with pytest.raises(error, match=says.replace("(", r"\(").replace("..", r"\.\.")):
        amend(hotels, sheet(hotels, [("drop", "好评", "", "", f"{KEY}:1"), line][::-1]))
    assert state(hotels) == before


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"\x00\xff\xfe", b"a,b\n1,2\n", "verdict,label\nkeep,差评\n".encode()])
def test_what_is_no_sheet_is_told(hotels: Path, write: Any, content: bytes) -> None:
    with pytest.raises((DataError, MissingColumn)):
        amend(hotels, write("other.csv", content))


def test_a_row_of_an_id_that_is_left_out_brings_no_older_one_back(root: Path, write: Any) -> None:
    from luodi.data.columns import Wanted

    rows = [(text, label, str(number)) for number, (text, label) in enumerate(some(120))]
    adding.add_texts(root, "hotels", write("a.csv", table(rows, "text,label,id")), NOBODY, wanted=Wanted(id="id"))
    later = write("b.csv", table([(rows[4][0] + "了", "差评", "4")], "text,label,id"))
    ingesting.ingest(root, "hotels", [later], NOBODY)
    (new,) = (path.name for path in (root / "data" / "hotels").glob("*.parquet") if path.name != KEY)
    amend(root, sheet(root, [("drop", "差评", "", "", f"{new}:0")]))
    assert {rows[4][0], rows[4][0] + "了"}.isdisjoint(counting(root))


@pytest.mark.slow
def test_rows_that_were_held_back_are_released_by_the_sheet_as_a_spreadsheet_writes_it(
    hotels: Path, write: Any
) -> None:
    new = write("new.csv", table([("=好的\ufffd很干净", "好评"), ("-真的太脏了", "差平"), ("很安静啊也干净", "好评")]))
    ingesting.ingest(hotels, "hotels", [new], NOBODY)
    paths = ModelPaths(hotels, "hotels")
    settings = config.load(hotels / "params.yaml").models["hotels"]
    validate.run(settings, paths)
    held_back.write_csv(held_back.read(paths.quarantine), path := hotels.parent / "held.csv")
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [line["text"] for line in lines] == ["'=好的\ufffd很干净", "'-真的太脏了"]
    before = state(hotels)
    assert amend(hotels, path).startswith("nothing to do in held.csv")
    assert state(hotels) == before
    lines[0]["text"], lines[1]["label"] = lines[0]["text"].replace("\ufffd", ""), "差评"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(lines[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(lines)
    assert "2 corrected, 0 fewer rows" in amend(hotels, path)
    validate.run(settings, paths)
    assert held_back.read(paths.quarantine).num_rows == 0
    assert counting(hotels)["=好的很干净"] == "好评"
    assert counting(hotels)["-真的太脏了"] == "差评"


def test_suspects_are_told_as_by_the_paper() -> None:
    label = np.array([0, 0, 0, 1, 1, 1], np.int32)
    ones = [0.1, 0.2, 0.95, 0.9, 0.8, 0.3]
    found = np.array([[1 - one, one] for one in ones], np.float32)
    places, other = doubts.suspects(label, found)
    # Means of their own class: 0.583 of the first, 0.667 of the second. Row 2 reaches that of the other, row 5 too.
    assert places.tolist() == [2, 5]
    assert other.tolist() == [1, 0]


@pytest.mark.slow
def test_a_class_of_one_group_is_not_in_doubt(root: Path, write: Any) -> None:
    """No model that did not see its group knows the class: each of its rows would rather be of another."""
    rows = [(*row, str(number)) for number, row in enumerate(some(160))]
    rows += [(f"也许{text}", "其他", "one") for text, _ in some(200)[170:]]
    path, wanted = write("hotels.csv", table(rows, "text,label,who")), Wanted(groups=("who",))
    adding.add_texts(root, "hotels", path, NOBODY, wanted=wanted)
    paths, settings = ModelPaths(root, "hotels"), config.load(root / "params.yaml").models["hotels"]
    for stage in (validate, preprocess, baseline):
        stage.run(settings, paths)
    found, looked_at = reviewing.review(root, "hotels")
    assert looked_at == 190
    assert "其他" not in {one.label for one in found}
    told = champion.doubted(paths, settings)
    assert told.rows == 160 and "其他" not in {one.label for one in told.shown}


@pytest.mark.slow
def test_labels_that_were_flipped_are_told_first(root: Path, write: Any) -> None:
    rows = some(400)
    flipped = {rows[number][0] for number in range(0, 400, 40)}
    turned = [(text, {"差评": "好评", "好评": "差评"}[label] if text in flipped else label) for text, label in rows]
    adding.add_texts(root, "hotels", write("hotels.csv", table(turned)), NOBODY)
    paths, settings = ModelPaths(root, "hotels"), config.load(root / "params.yaml").models["hotels"]
    validate.run(settings, paths)
    preprocess.run(settings, paths)
    found, looked_at = reviewing.review(root, "hotels")
    assert looked_at == 400
    assert len(flipped & {one.item for one in found[:12]}) >= 8
    report = reviewing.write_page(paths, found, looked_at)
    text = report.read_text(encoding="utf-8")
    told = text.index('id="joined-1">Labels that the other rows contradict'), text.index(found[0].item)
    assert told == tuple(sorted(told)) and told[1] < text.index(found[1].item) < text.index('id="part-1"')
    assert found[0].origin.startswith("hotels.csv, line ") and found[0].origin in text
    assert tables.look(report.with_name("doubts.csv")).marked
    reviewing.write(path := root.parent / "doubts.csv", found)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    baseline.run(settings, paths)
    before = champion.doubted(paths, settings)  # as the page of a run tells of them
    item = pq.read_table(paths.rows)["text"].to_pylist()
    kept = item[before.shown[0].place]
    assert before.rows == 400 and kept in flipped
    for line in lines:
        line["verdict"] = "relabel" if line["text"] in flipped - {kept} else "keep"
    files.write_sheet(path, list(lines[0]), [line.values() for line in lines])
    amend(root, path)
    after = champion.doubted(paths, settings)
    assert after.rows < before.rows and kept not in {item[one.place] for one in after.shown}
    right = dict(rows)
    assert sum(label != right[text] for text, label in counting(root).items()) <= 3
    assert {one.item for one in reviewing.review(root, "hotels")[0]} <= flipped  # the others were found right
