"""`luodi ingest`: rows that are new become shards of their own, each once, or nothing changes at all."""

import random
import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from images import drawing, encoded, png

from luodi import config, files
from luodi.data import arrivals, columns, revisions, shards, tables
from luodi.data.importing import Row
from luodi.data.labels import Labels
from luodi.errors import BrokenData, DataError, EmptyData, MissingColumn, MissingData, UnknownKey
from luodi.files import folder_checksum, read_facts
from luodi.scaffold import adding, admitting, ingesting

NOBODY: Any = None  # runs no command: `dvc` is faked
Rows = Sequence[tuple[str, str]]


def csv(rows: Rows, header: str = "text,label") -> str:
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"


def some(start: int, stop: int) -> list[tuple[str, str]]:
    return [(f"房间{number}很{'差好'[number % 2]}", f"{'差好'[number % 2]}评") for number in range(start, stop)]


@pytest.fixture
def hotels(root: Path, write: Any) -> Path:
    """A checkout with a model of a hundred texts."""
    adding.add_texts(root, "hotels", write("hotels.csv", csv(some(0, 100))), NOBODY)
    return root


def ingest(root: Path, *sources: Path, model: str = "hotels", **more: Any) -> str:
    return ingesting.ingest(root, model, sources, NOBODY, **more)


def stored(root: Path, model: str = "hotels") -> list[tuple[str, str]]:
    table = shards.read(root / "data" / model, "text")
    return list(zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True))


def state(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".luodi" not in path.parts
    }


def record(root: Path) -> None:
    (root / "data.dvc").write_text(f"outs:\n- md5: {folder_checksum(root / 'data')}\n  path: data\n")


def test_new_rows_follow_those_that_are_there(hotels: Path, write: Any) -> None:
    said = ingest(hotels, write("week 48.csv", csv(some(90, 130))))
    assert said.startswith("ingested week 48.csv into hotels: 30 of 40 rows are new\n")
    assert "  10 rows are there already, or twice in what came\n" in said
    assert "  data/hotels has 130 rows, recorded in data.dvc\n" in said
    assert stored(hotels) == some(0, 130)
    assert folder_checksum(hotels / "data") in (hotels / "data.dvc").read_text()
    table = shards.read(hotels / "data" / "hotels", "text")
    assert table[shards.ORIGIN].to_pylist()[-1] == "week 48.csv, line 41"


def test_the_same_rows_again_change_nothing(hotels: Path, write: Any) -> None:
    ingest(hotels, write("a.csv", csv(some(100, 120))))
    before = state(hotels)
    said = ingest(hotels, write("b.csv", csv(some(110, 120))), write("c.csv", csv(some(0, 100))))
    assert said.startswith("nothing new in b.csv, c.csv: hotels has all of its 110 rows\n")
    assert state(hotels) == before


@given(cuts=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=4))
def test_every_row_is_there_once_however_the_batches_overlap(cuts: list[tuple[int, int]]) -> None:
    whole = [Row(text, label) for text, label in some(0, 60)]
    there: list[Row] = []
    for cut in cuts:
        hashes = ingesting._hashes([row.item for row in there], [row.label for row in there], [()] * len(there), None)
        rows, labelled, items, _ = map(np.unique, hashes)
        if some_rows := whole[min(cut) : max(cut)]:
            there += ingesting.Known(rows, labelled, items).new(iter(some_rows), "a.csv")
    covered = {place for cut in cuts for place in range(min(cut), max(cut))}
    assert sorted(there) == sorted(whole[place] for place in covered)


@given(blocks=st.lists(st.lists(st.integers(0, 300), max_size=60), max_size=12))
def test_what_came_is_known_however_it_came(blocks: list[list[int]]) -> None:
    came, known = ingesting.Came(), set[int]()
    for block in blocks:
        assert came.among(np.array(block, np.int64)).tolist() == [one in known for one in block]
        came.add(np.array([*{*block} - known], np.int64))
        known |= {*block}
    lengths = [len(run) for run in came._runs]
    assert sum(lengths) == len(known) and all(one > 2 * other for one, other in pairwise(lengths))


def test_two_batches_of_one_state_unite(hotels: Path, write: Any) -> None:
    """As of two people, or of two branches of git."""
    folder = hotels / "data" / "hotels"
    first = [*folder.iterdir()]
    ingest(hotels, write("a.csv", csv(some(100, 120))))
    left = {path: path.read_bytes() for path in folder.iterdir() if path not in first}
    for path in left:
        path.unlink()
    record(hotels)
    ingest(hotels, write("b.csv", csv(some(110, 130))))
    for path, content in left.items():
        path.write_bytes(content)
    assert {*stored(hotels)} == {*some(0, 130)}
    assert len([*folder.glob("*.parquet")]) == 3
    assert [(one.files, one.rows, one.new) for one in arrivals.read(folder)] in (
        [(["a.csv"], 20, 20), (["b.csv"], 20, 20)],
        [(["b.csv"], 20, 20), (["a.csv"], 20, 20)],
    )


def test_columns_that_are_kept_are_asked_of_what_comes(root: Path, write: Any) -> None:
    rows = [(text, label, f"作者{number % 7}", str(number)) for number, (text, label) in enumerate(some(0, 100))]
    wanted = columns.Wanted(keep=("author",), id="number")
    source = write("hotels.csv", csv(rows[:80], "text,label,author,number"))  # type: ignore[arg-type]
    adding.add_texts(root, "hotels", source, NOBODY, wanted=wanted)
    bare = write("bare.csv", csv(some(80, 90)))
    with pytest.raises(MissingColumn, match="id"):
        ingest(root, bare)
    more = write("more.csv", csv(rows[70:], "text,label,author,number"))  # type: ignore[arg-type]
    said = ingest(root, more, wanted=columns.Wanted(id="number"))
    assert "20 of 30 rows are new" in said
    assert shards.column(root / "data" / "hotels", "author").to_pylist() == [row[2] for row in rows]
    assert shards.column(root / "data" / "hotels", "id").to_pylist() == [row[3] for row in rows]


def test_columns_that_bear_a_name_of_luodis_own_are_kept_beside_it(root: Path, write: Any) -> None:
    """Who exports a table cannot always rename its columns."""
    rows = [(*row, f"shop{number % 9}", str(number)) for number, row in enumerate(some(0, 100))]
    wanted = columns.Wanted(keep=("id",), groups=("source",))
    source = write("hotels.csv", csv(rows[:80], "text,label,source,id"))  # type: ignore[arg-type]
    told = adding.add_texts(root, "hotels", source, NOBODY, wanted=wanted)
    assert "`source` is stored as `kept source`, for luodi has a column source of its own" in told
    settings = config.load(root / "params.yaml").models["hotels"]
    assert settings.preprocess.split.by == ("kept source",)
    more = write("more.csv", csv(rows[70:], "text,label,source,id"))  # type: ignore[arg-type]
    assert "20 of 30 rows are new" in ingest(root, more)
    folder = root / "data" / "hotels"
    assert shards.column(folder, "kept source").to_pylist() == [row[2] for row in rows]
    assert shards.column(folder, "kept id").to_pylist() == [row[3] for row in rows]
    assert set(shards.column(folder, "source").to_pylist()) == {"hotels.csv", "more.csv"}
    assert len(set(shards.read(folder, "text", ["kept source"])[shards.OF_GROUP + "kept source"].to_pylist())) == 9


def test_what_contradicts_or_will_be_held_back_is_told(hotels: Path, write: Any) -> None:
    rows = [*some(100, 197), ("房间4很差", "好评"), ("新", "好平"), ("坏\ufffd", "差评")]
    said = ingest(hotels, write("new.csv", csv(rows)))
    assert "  1 row is there with another label: no text of two labels is used until one is corrected\n" in said
    assert "  validation will hold back 2 of them: " in said
    assert "label is unknown 1" in said
    assert "(好平 1)" in said
    assert len(stored(hotels)) == 200


def test_a_batch_of_which_too_much_would_be_held_back_is_refused_whole(hotels: Path, write: Any) -> None:
    before = state(hotels)
    rows = [(text, {"差评": "0", "好评": "1"}[label]) for text, label in some(100, 200)]
    source = write("coded.csv", csv(rows))
    with pytest.raises(BrokenData) as told:
        ingest(hotels, source)
    assert "coded.csv: 100 of 100 new rows (100.0%) would be held back, above 2%" in str(told.value)
    assert "label is unknown 100 (0 50, 1 50)" in str(told.value)
    assert "nothing was added" in str(told.value)
    assert state(hotels) == before
    ingest(hotels, source, labels=Labels({"0": "差评", "1": "好评"}))
    assert stored(hotels) == some(0, 200)


def test_a_class_too_rare_for_the_next_run_is_told(hotels: Path, write: Any) -> None:
    assert "stop until" not in ingest(hotels, write("more.csv", csv(some(100, 120))))
    admitting.admit(hotels, "hotels", ["中评"], NOBODY)
    said = ingest(hotels, write("new.csv", csv([(f"一般{number}", "中评") for number in range(3)])))
    share = config.load(hotels / "params.yaml").models["hotels"].validate_.min_class_share
    assert f"  中评 has 2.44% of the rows: runs stop until it has {share:.2%}, or validate.min_class_share" in said


@pytest.mark.parametrize(("content", "error"), [("", DataError), ("a,b,c\n1,2,3\n", MissingColumn)])
def test_what_cannot_be_read_changes_nothing(hotels: Path, write: Any, content: str, error: type[Exception]) -> None:
    before = state(hotels)
    with pytest.raises(error):
        ingest(hotels, write("good.csv", csv(some(100, 110))), write("bad.csv", content))
    assert state(hotels) == before


def test_a_table_without_a_row_is_told(hotels: Path, write: Any) -> None:
    empty = write("empty.csv", "text,label\n")
    with pytest.raises(EmptyData, match=r"empty\.csv holds no row: expected at least one"):
        ingest(hotels, empty)
    assert "10 of 10 rows are new" in ingest(hotels, empty, write("a.csv", csv(some(100, 110))))


def test_a_model_has_to_be_there_and_its_data_too(hotels: Path, write: Any) -> None:
    source = write("a.csv", csv(some(100, 110)))
    with pytest.raises(UnknownKey, match="did you mean 'hotels'"):
        ingest(hotels, source, model="hotel")
    (hotels / "data").rename(hotels / "away")
    with pytest.raises(MissingData, match="dvc pull"):
        ingest(hotels, source)


def test_shards_of_a_users_own_take_in_rows_too(hotels: Path, write: Any) -> None:
    """Of another name, without an origin, and numbers beside."""
    (shard,) = (hotels / "data" / "hotels").iterdir()
    own = pq.read_table(shard).select(["text", "label", "source"]).append_column("stars", pa.array(range(100)))
    shard.unlink()
    pq.write_table(own, shard.with_name("mine.parquet"))
    record(hotels)
    rows = [(text, label, str(number)) for number, (text, label) in enumerate(some(0, 120))]
    said = ingest(hotels, write("stars.csv", csv(rows, "text,label,stars")))  # type: ignore[arg-type]
    assert "20 of 120 rows are new" in said
    assert stored(hotels)[-20:] == some(100, 120) or stored(hotels)[:20] == some(100, 120)


def test_images_of_a_folder_and_of_a_table(root: Path, tmp_path: Path, write: Any) -> None:
    def folder(name: str, numbers: range) -> Path:
        for number in numbers:
            (place := tmp_path / name / ("cat", "dog")[number % 2]).mkdir(parents=True, exist_ok=True)
            (place / f"{number}.png").write_bytes(png(number))
        return tmp_path / name

    adding.add_images(root, "pets", folder("pets", range(20)), NOBODY)
    said = ingest(root, folder("more", range(15, 30)), model="pets")
    assert said.startswith("ingested more into pets: 10 of 15 rows are new\n")
    folder("listed", range(30, 34))
    listed = [(f"{('cat', 'dog')[number % 2]}/{number}.png", ("cat", "dog")[number % 2]) for number in range(30, 34)]
    table = write("labels.csv", csv(listed, "path,label"))
    said = ingest(root, table, model="pets", images=tmp_path / "listed", given=tables.PLAIN)
    assert "4 of 4 rows are new" in said
    assert shards.read(root / "data" / "pets", "image").num_rows == 34


def test_images_of_a_group_are_known_by_the_same_pattern(root: Path, tmp_path: Path) -> None:
    for row in range(24):
        (folder := tmp_path / ("old", "new")[row // 20] / ("ill", "well")[row % 2]).mkdir(parents=True, exist_ok=True)
        (folder / f"patient{row // 3}_{row}.png").write_bytes(png(row))
    wanted = columns.Wanted(pattern="patient[0-9]+")
    adding.add_images(root, "scans", tmp_path / "old", NOBODY, wanted=wanted)
    with pytest.raises(MissingColumn, match="has no column `name`"):
        ingest(root, tmp_path / "new", model="scans")
    ingest(root, tmp_path / "new", model="scans", wanted=wanted)
    found = shards.column(root / "data" / "scans", "name").to_pylist()
    assert sorted(found) == sorted(f"patient{row // 3}" for row in range(24))


def test_new_rows_that_tie_splits_are_told(root: Path, write: Any) -> None:
    def table(name: str, rows: Sequence[tuple[str, str, str]]) -> Path:
        path: Path = write(name, "".join(f"{','.join(row)}\n" for row in [("text", "label", "author"), *rows]))
        return path

    def unlike(start: int, stop: int) -> list[tuple[str, str]]:
        return [(f"{random.Random(text).getrandbits(200):x}", label) for text, label in some(start, stop)]

    old = [(*row, f"a{place % 20}") for place, row in enumerate(unlike(0, 100))]
    adding.add_texts(root, "hotels", table("old.csv", old), NOBODY, wanted=columns.Wanted(groups=("author",)))
    fresh = [(*row, f"b{place}") for place, row in enumerate(unlike(200, 210))]
    assert "tie rows" not in ingest(root, table("fresh.csv", fresh))
    again = [(text, label, "a0") for text, label, _ in old[1:20]]  # what authors of every split wrote, by one of them
    assert re.search(
        r"\n  \d+ of them tie rows of different splits: validation will hold", ingest(root, table("again.csv", again))
    )


@pytest.mark.slow
def test_arrivals_in_any_order_leave_the_same_rows(hotels: Path, write: Any) -> None:
    parts = [some(start, start + 15) for start in range(90, 190, 10)]
    random.Random(1).shuffle(parts)
    for number, part in enumerate(parts):
        ingest(hotels, write(f"{number}.csv", csv(part)))
    assert sorted(stored(hotels)) == sorted(some(0, 195))


LABELS = ("差评", "好评")
Exports = list[dict[str, tuple[str, str, int]]]


def exports(rounds: int, rows: int, share: float) -> Exports:
    """What an annotator exports: by its id the text, the label and the number of the revision of each row."""
    rng = random.Random(5)
    state = {str(number): (text, label, 0) for number, (text, label) in enumerate(some(0, rows))}
    found = [dict(state)]
    for revision in range(1, rounds + 1):
        for key in rng.sample(sorted(state), int(rows * share)):
            text, label, _ = state[key]
            state[key] = text, LABELS[label == "差评"], revision
        found.append(dict(state))
    return found


def counting(root: Path, rule: Any = "drop") -> dict[str, str]:
    """The labels that count, by text; each once."""
    folder = root / "data" / "hotels"
    table, stands = shards.read(folder, "text"), revisions.standing(folder, "text", LABELS, rule)
    rows = table if stands is None else table.filter(pa.array(stands))
    found = dict(zip(rows["text"].to_pylist(), rows["label"].to_pylist(), strict=True))
    assert len(found) == rows.num_rows
    return found


@pytest.mark.slow
@pytest.mark.parametrize("times", [5, pytest.param(20, marks=pytest.mark.proof)])
@pytest.mark.parametrize("how", ["revision", "id", "corrects", "newest"])
def test_what_an_annotator_relabels_many_times_is_what_counts(root: Path, write: Any, how: str, times: int) -> None:
    named = {"revision": columns.Wanted(id="id", revision="revision"), "id": columns.Wanted(id="id")}
    wanted, corrects = named.get(how, columns.NOTHING), how == "corrects"

    def export(number: int) -> Path:
        lines = [(text, label, key, str(one)) for key, (text, label, one) in every[number].items()]
        random.Random(number).shuffle(lines)
        path: Path = write(f"{number}.csv", csv(lines, "text,label,id,revision"))  # type: ignore[arg-type]
        return path

    every = exports(times, 100, 0.05)
    adding.add_texts(root, "hotels", export(0), NOBODY, wanted=wanted)
    if how == "newest":
        params = (root / "params.yaml").read_text(encoding="utf-8")
        (root / "params.yaml").write_text(params.replace("min_rows: 50", "contradictions: newest\n      min_rows: 50"))
    for number in range(1, times + 1):
        said = ingest(root, export(number), corrects=corrects)
        assert "5 of 100 rows are new" in said
        if number % 5 == 0:
            assert ingest(root, export(number), corrects=corrects).startswith("nothing new in")
        assert counting(root, "newest" if how == "newest" else "drop") == {
            text: label for text, label, _ in every[number].values()
        }
    before = state(root)
    assert "its 100 rows came before" in (said := ingest(root, export(3), corrects=corrects)) or how == "revision"
    assert said.startswith("nothing new in 3.csv")
    assert state(root) == before
    if how != "revision":
        ingest(root, export(3), corrects=corrects, again=True)
        assert counting(root, "newest" if how == "newest" else "drop") == {
            text: label for text, label, _ in every[3].values()
        }


def test_revisions_that_arrive_late_are_history(root: Path, write: Any) -> None:
    every, wanted = exports(3, 100, 0.05), columns.Wanted(id="id", revision="revision")

    def export(number: int) -> Path:
        lines = [(text, label, key, f"2026-11-2{one} 10:00") for key, (text, label, one) in every[number].items()]
        path: Path = write(f"{number}.csv", csv(lines, "text,label,id,revision"))  # type: ignore[arg-type]
        return path

    adding.add_texts(root, "hotels", export(2), NOBODY, wanted=wanted)
    for number in (1, 3, 0):
        ingest(root, export(number))
    assert counting(root) == {text: label for text, label, _ in every[3].values()}


def test_two_who_differ_contradict_and_one_who_corrects_does_not(root: Path, write: Any) -> None:
    """Label Studio's export has an annotation's own id and when it was updated."""
    rows = [(text, label, f"a{number}", "1", "ann") for number, (text, label) in enumerate(some(0, 100))]
    wanted = columns.Wanted(id="id", revision="at", keep=("annotator",))
    header = "text,label,id,at,annotator"
    adding.add_texts(root, "hotels", write("a.csv", csv(rows, header)), NOBODY, wanted=wanted)  # type: ignore[arg-type]
    other = [("房间0很差", "好评", "b0", "2", "bob"), ("房间2很差", "好评", "a2", "2", "ann")]
    said = ingest(root, write("b.csv", csv(other, header)), wanted=columns.Wanted(revision="at"))  # type: ignore[arg-type]
    assert "the id of 1 row is there: of each id the latest revision counts\n" in said
    assert "1 row is there with another label: no text of two labels is used until one is corrected\n" in said
    folder = root / "data" / "hotels"
    table, stands = shards.read(folder, "text"), revisions.standing(folder, "text", LABELS, "drop")
    rows_that_count = table.filter(pa.array(stands))
    assert rows_that_count.filter(pa.compute.equal(rows_that_count["text"], "房间2很差"))["label"].to_pylist() == [
        "好评"
    ]
    assert rows_that_count.filter(pa.compute.equal(rows_that_count["text"], "房间0很差")).num_rows == 2


def test_rows_of_one_id_in_what_is_added_are_told(root: Path, write: Any) -> None:
    rows = [(text, label, str(number // 2)) for number, (text, label) in enumerate(some(0, 100))]
    source = write("a.csv", csv(rows, "text,label,id"))  # type: ignore[arg-type]
    said = adding.add_texts(root, "hotels", source, NOBODY, wanted=columns.Wanted(id="id"))
    assert "50 of 100 rows have the id of another (`id`): of each id the last of them counts" in said


def test_shards_of_a_users_own_keep_each_column_under_its_name(hotels: Path, write: Any) -> None:
    """In whatever order they stand there."""
    (shard,) = (hotels / "data" / "hotels").glob("*.parquet")
    own = pq.read_table(shard).select(["text", "label", "source"])
    own = own.append_column("author", pa.array(["ann"] * 100)).append_column("id", pa.array(map(str, range(100))))
    pq.write_table(own, shard)
    record(hotels)
    ingest(hotels, write("b.csv", csv([("新的很好", "好评", "bob", "7")], "text,label,author,id")))  # type: ignore[list-item]
    assert shards.column(hotels / "data" / "hotels", "author").to_pylist()[-1] == "bob"
    assert shards.column(hotels / "data" / "hotels", "id").to_pylist()[-1] == "7"


@pytest.mark.slow
@pytest.mark.parametrize("content", ["", "[]", '{"rows": 1}'])
def test_a_broken_record_of_a_batch_is_told(hotels: Path, write: Any, content: str) -> None:
    ingest(hotels, write("a.csv", csv(some(100, 120))))
    (path,) = (hotels / "data" / "hotels").glob("batch-*.json")
    path.write_text(content)
    record(hotels)
    with pytest.raises(BrokenData, match=r"batch-00001-\w+\.json is no record of a batch: bring it again"):
        ingest(hotels, write("b.csv", csv(some(110, 130))))


@pytest.mark.slow
def test_a_batch_of_another_world_is_told_and_has_a_page(root: Path, write: Any) -> None:
    rows = [some(number, number + 1)[0] for number in random.Random(2).sample(range(1000, 10_000), 300)]
    adding.add_texts(root, "hotels", write("hotels.csv", csv(rows[:200])), NOBODY)
    alike = ingest(root, write("alike.csv", csv(rows[200:])))
    assert "  no drift is proven\n" in alike
    told = ingest(root, write("<b>.csv", csv([(f"parcel {n} arrived broken what a pity", "差评") for n in range(80)])))
    assert re.search(r"\n  drift: .*labels [0-9.]+ \(at least [0-9.]+; drift\)", told)
    (path,) = re.findall(r"see (artifacts/hotels/batches/\w+\.html)", told)
    page = (root / path).read_text(encoding="utf-8")
    assert "Drift: these rows are not like those before" in page
    assert "&lt;b&gt;.csv" in page and "<b>.csv" not in page
    facts = read_facts((root / path).with_suffix(".json"))
    assert (facts["verdict"], facts["rows"], facts["before"]) == ("drift", 80, 300)


@pytest.mark.slow
def test_images_of_another_light_are_drift_and_those_of_the_same_are_none(root: Path, tmp_path: Path) -> None:
    def folder(name: str, numbers: range, light: float = 1) -> Path:
        for number in numbers:
            (place := tmp_path / name / ("cat", "dog")[number % 2]).mkdir(parents=True, exist_ok=True)
            shown = drawing(number).point(lambda value: int(value * light))
            (place / f"{number}.png").write_bytes(encoded(shown))
        return tmp_path / name

    adding.add_images(root, "pets", folder("pets", range(200)), NOBODY)
    assert "no drift is proven" in ingest(root, folder("same", range(200, 300)), model="pets")
    said = ingest(root, folder("darker", range(300, 400), 0.5), model="pets")
    assert "drift: intensity " in said


def test_a_sheet_of_luodis_comes_back_without_its_marks_and_another_table_as_it_is(hotels: Path, write: Any) -> None:
    came = [("=1+1间房", "好评"), ("'=也是这样写的", "差评"), ("-很脏", "差评"), ("'很安静'", "好评")]
    files.write_sheet(
        sheet := hotels.parent / "worth.csv",
        ["text", "label", "why", "request"],
        [(*row, "random", "r") for row in came],
    )
    said = ingest(hotels, sheet)
    assert "4 of 4 rows are new" in said
    assert stored(hotels)[-4:] == came
    own = [("'=他自己写的", "好评"), ("''-两个引号", "差评")]
    ingest(hotels, write("own.csv", csv(own)))
    assert stored(hotels)[-2:] == own


def test_every_sheet_that_a_person_may_hand_back_is_known(tmp_path: Path) -> None:
    from luodi.checks import held_back
    from luodi.monitoring import worth
    from luodi.registry import changed_answers
    from luodi.scaffold import reviewing
    from luodi.stages import evaluate

    paths = {name: tmp_path / f"{name}.csv" for name in ("held", "review", "mistakes", "turned", "worth")}
    columns = {name: pa.array([], pa.string()) for name in ("text", "label", "source", "shard")}
    reasons, row = pa.array([], pa.list_(pa.string())), pa.array([], pa.int64())
    held_back.write_csv(pa.table(columns | {"reasons": reasons, "row": row}), paths["held"])
    reviewing.write(paths["review"], [])
    worth.write(tmp_path, [], "text", ["a", "b"])
    files.write_sheet(paths["mistakes"], evaluate.MISTAKE, [])
    files.write_sheet(paths["turned"], changed_answers.HEAD, [])
    assert {name for name, path in paths.items() if tables.look(path).marked} == paths.keys()
