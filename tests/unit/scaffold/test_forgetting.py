"""Rows that are forgotten leave every shard, and come back by nothing but a person who asks for it."""

import random
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from luodi.data import arrivals, forgotten, shards
from luodi.data.columns import Wanted
from luodi.errors import BrokenData, DataError, MissingColumn, MissingData
from luodi.files import folder_checksum
from luodi.project.paths import ModelPaths
from luodi.scaffold import adding, amending, forgetting, history, ingesting, traces

NOBODY: Any = None  # runs no command: `dvc` is faked
LABELS = ("差评", "好评")


def rows(start: int, stop: int) -> list[tuple[str, str]]:
    rng = random.Random(start)
    return [
        (f"第{number}间{''.join(chr(rng.randrange(0x4E00, 0x9000)) for _ in range(6))}", LABELS[number % 2])
        for number in range(start, stop)
    ]


def table(found: Sequence[tuple[str, ...]], head: str = "text,label") -> str:
    return "\n".join([head, *map(",".join, found)]) + "\n"


@pytest.fixture
def hotels(root: Path, write: Any) -> Path:
    """A checkout with a model of 120 texts, of which 20 came later, and one was relabelled since."""
    adding.add_texts(root, "hotels", write("hotels.csv", table(rows(0, 100))), NOBODY)
    ingesting.ingest(root, "hotels", [write("more.csv", table(rows(100, 120)))], NOBODY)
    sheet = write("sheet.csv", table([("relabel", "差评", rows(0, 2)[1][0], "part-00000.parquet:1")],
                                     "verdict,label,text,row"))  # fmt: skip
    amending.amend(root, "hotels", sheet, NOBODY, what="labels reviewed")
    return root


def texts(root: Path) -> Counter[str]:
    return Counter(shards.read(root / "data" / "hotels", "text")["text"].to_pylist())


def forget(root: Path, sheet: Path | None) -> forgetting.Done:
    return forgetting.forget(root, "hotels", sheet, NOBODY)


def test_all_that_holds_the_same_leaves_every_shard_and_the_rest_stays_in_order(hotels: Path, write: Any) -> None:
    folder = hotels / "data" / "hotels"
    gone = [rows(0, 2)[1][0], rows(100, 120)[5][0]]
    before = shards.read(folder, "text").select(["text", "label", "source", "origin"])
    done = forget(hotels, write("gone.csv", table([(one,) for one in gone], "text")))
    assert (done.rows, sorted(done.texts)) == (3, sorted(gone))  # the relabelled one stood twice
    mask = pa.array([text not in gone for text in before["text"].to_pylist()])
    assert shards.read(folder, "text").select(before.column_names).equals(before.filter(mask))
    (one,) = forgotten.read(folder)
    assert one.rows == 3 and len(one.digests) == 2 and len(one.gone) == 4 + 1
    assert not any(text in path.read_text("utf-8", "replace") for path in folder.glob("*.json") for text in gone)
    assert not any(text.encode() in path.read_bytes() for path in folder.iterdir() for text in gone)
    assert [event.rows for event in history.log(hotels, ModelPaths(hotels, "hotels"))] == [99, 19, 0]


def test_pages_that_show_a_row_as_it_was_cleaned_and_cut_are_named(hotels: Path, write: Any) -> None:
    """Commas of full width are others once a text is cleaned, and pages cut what is long."""
    long = "房间很好，服务也好，" * 80
    ingesting.ingest(hotels, "hotels", [write("long.csv", table([(f'"{long}"', "好评")]))], NOBODY)
    page = hotels / "artifacts" / "hotels" / "evaluate" / "report.html"
    page.parent.mkdir(parents=True)
    page.write_text(f"<td>{long.replace('，', ',')[:300]}</td>", encoding="utf-8")
    done = forget(hotels, write("gone.csv", table([(f'"{long}"',)], "text")))
    assert done.rows == 1
    assert list(traces.Traces(hotels, "hotels", done.texts, NOBODY)._pages()) == [page]


def test_what_a_person_took_out_stays_out_at_its_new_place(hotels: Path, write: Any) -> None:
    folder = hotels / "data" / "hotels"
    others = rows(0, 4)
    sheet = write("drop.csv", table([("drop", others[3][0], "part-00000.parquet:3")], "verdict,text,row"))
    amending.amend(hotels, "hotels", sheet, NOBODY, what="labels reviewed")
    forget(hotels, write("gone.csv", table([(others[2][0],)], "text")))
    out = arrivals.out(folder)
    found = shards.read(folder, "text").to_pylist()
    assert {row["text"] for row in found if row["row"] in out.get(row["shard"], ())} == {others[1][0], others[3][0]}


@pytest.mark.slow
def test_what_was_forgotten_comes_back_only_where_it_is_asked_for(hotels: Path, write: Any) -> None:
    one = rows(100, 120)[5][0]
    forget(hotels, write("gone.csv", table([(one,)], "text")))
    same = write("more.csv", table(rows(100, 120)))
    said = ingesting.ingest(hotels, "hotels", [same], NOBODY)
    assert "nothing new in more.csv" in said and "1 row is of what was forgotten" in said
    ingesting.ingest(hotels, "hotels", [write("new.csv", table([(one, "好评"), *rows(120, 130)]))], NOBODY)
    assert texts(hotels)[one] == 0 and len(texts(hotels)) == 129
    ingesting.ingest(hotels, "hotels", [same], NOBODY, again=True)
    assert texts(hotels)[one] == 1
    assert not forgotten.known(hotels / "data" / "hotels").has(one)
    assert forget(hotels, None).rows == 0, "it came by one who asked for it"
    assert forget(hotels, hotels.parent / "gone.csv").rows == 1
    assert "1 row is of what was forgotten" in ingesting.ingest(hotels, "hotels", [same], NOBODY)


def test_shards_of_another_checkout_are_rid_of_them_by_the_same_command(hotels: Path, write: Any) -> None:
    folder = hotels / "data" / "hotels"
    one = rows(100, 120)[5][0]
    kept = {path.name: path.read_bytes() for path in folder.iterdir()}
    forget(hotels, write("gone.csv", table([(one,)], "text")))
    expected = texts(hotels)
    for name, content in kept.items():
        if name.startswith("part-00001"):
            (folder / name).write_bytes(content)
    (hotels / "data.dvc").write_text(f"outs:\n- md5: {folder_checksum(hotels / 'data')}\n  path: data\n")
    assert texts(hotels)[one] == 1
    assert forget(hotels, None).rows == 1
    assert set(texts(hotels)) == set(expected)
    assert forget(hotels, None).said == "nothing to forget: no row of hotels is named"


@pytest.mark.slow
def test_what_two_checkouts_forgot_apart_stays_forgotten_where_both_come_together(hotels: Path, write: Any) -> None:
    """Each took a salt of its own, and wrote the same shard again: a union has the files of both."""
    other, folder = hotels.parent / "other", Path("data", "hotels")
    shutil.copytree(hotels, other)
    one, two = rows(100, 120)[5][0], rows(100, 120)[7][0]
    forget(hotels, write("one.csv", table([(one,)], "text")))
    forget(other, write("two.csv", table([(two,)], "text")))
    assert forgotten.read(hotels / folder)[0].salt != forgotten.read(other / folder)[0].salt
    for path in (other / folder).iterdir():
        if not (hotels / folder / path.name).exists():
            shutil.copyfile(path, hotels / folder / path.name)
    (hotels / "data.dvc").write_text(f"outs:\n- md5: {folder_checksum(hotels / 'data')}\n  path: data\n")
    assert texts(hotels)[one] == texts(hotels)[two] == 1
    assert forget(hotels, None).rows == 2
    found = texts(hotels)
    assert found.keys().isdisjoint({one, two}) and len(found) == 118
    assert found[rows(100, 120)[0][0]] == 1, "the shards that both wrote again are one"
    assert forget(hotels, None).said == "nothing to forget: no row of hotels is named"
    said = ingesting.ingest(hotels, "hotels", [write("more.csv", table(rows(100, 120)))], NOBODY)
    assert "nothing new in more.csv" in said and "2 rows are of what was forgotten" in said
    ingesting.ingest(hotels, "hotels", [write("two.csv", table([(two, "好评")]))], NOBODY, again=True)
    assert texts(hotels)[two] == 1 and forget(hotels, None).rows == 0


def test_all_revisions_of_an_id_go_together_and_others_of_the_same_text_stay(root: Path, write: Any) -> None:
    wanted = Wanted(None, None, "id", "revision")
    found = [(text, label, f"n{place}", "1") for place, (text, label) in enumerate(rows(0, 60))]
    found += [(rows(0, 60)[7][0], "好评", "n99", "1")]
    head = "text,label,id,revision"
    adding.add_texts(root, "hotels", write("hotels.csv", table(found, head)), NOBODY, wanted=wanted)
    ingesting.ingest(root, "hotels", [write("later.csv", table([("改了", "差评", "n7", "2")], head))], NOBODY)
    assert forget(root, write("gone.csv", table([("n7",)], "id"))).rows == 2
    folder = root / "data" / "hotels"
    ids = shards.column(folder, "id").to_pylist()
    assert "n7" not in ids and "n99" in ids
    said = ingesting.ingest(root, "hotels", [write("third.csv", table([("又改", "好评", "n7", "3")], head))], NOBODY)
    assert "stay out" in said


def test_what_says_what_was_forgotten_is_not_passed_over_where_it_is_broken(hotels: Path, write: Any) -> None:
    forget(hotels, write("gone.csv", table([(rows(0, 2)[0][0],)], "text")))
    (path,) = (hotels / "data" / "hotels").glob("forgotten-*.json")
    path.write_text("{}")
    with pytest.raises(BrokenData, match="does not say what was forgotten: bring it again"):
        forgotten.read(path.parent)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sheet", "error", "said"),
    [
        ("id,why\nx,y\n", MissingData, "no row"),
        ("name\nx\n", MissingColumn, "expected a column row, id, text, origin, by which rows are named; found name"),
        ("row\npart-00000.parquet:4000\n", MissingData, "has no row part-00000.parquet:4000: nothing was forgotten"),
        ("row\nsome words\n", MissingData, "gone.csv, line 2: expected what luodi wrote under `row`"),
        ("origin\nnone.csv\n", MissingData, "has no row none.csv: nothing was forgotten"),
        (
            table([(text,) for text, _ in rows(0, 100) + rows(100, 120)], "text"),
            MissingData,
            "no row of hotels would be left",
        ),
    ],
)
def test_a_sheet_that_cannot_be_used_changes_nothing(
    hotels: Path, write: Any, sheet: str, error: type[DataError], said: str
) -> None:
    before = folder_checksum(hotels / "data")
    path = write("gone.csv", sheet)
    if sheet.startswith("id"):  # of rows that are not there, only the digest is kept
        assert forget(hotels, path).rows == 0
        return
    with pytest.raises(error) as raised:
        forget(hotels, path)
    assert said in str(raised.value)
    assert folder_checksum(hotels / "data") == before


def test_a_change_that_ends_half_way_is_taken_back_whole(
    hotels: Path, write: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, move = folder_checksum(hotels / "data"), shutil.move
    sheet = write("gone.csv", table([(rows(0, 2)[1][0],)], "text"))
    left = 0

    def ends(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left == -1:  # what takes it back moves too
            raise KeyboardInterrupt
        return move(*arguments)

    for moment in range(6):  # two shards and a record go out, as many come in
        with monkeypatch.context() as patch:
            left = moment
            patch.setattr(shutil, "move", ends)
            with pytest.raises(KeyboardInterrupt):
                forget(hotels, sheet)
        assert folder_checksum(hotels / "data") == before
    assert forget(hotels, sheet).rows == 2
