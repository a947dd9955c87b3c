"""`luodi add`: a table of texts or a folder of images becomes a model, or nothing changes at all."""

import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from dvc.utils.serialize import loads_yaml
from images import png
from PIL import Image
from project import Ended

from luodi import config
from luodi.checks import quarantine
from luodi.checks.text import measures
from luodi.config.image import ImageSplit
from luodi.data import columns, image_files, importing, shards, statistics, tables
from luodi.data.labels import Labels
from luodi.errors import (
    BrokenData,
    DataError,
    EmptyData,
    LuodiError,
    MissingColumn,
    MissingData,
    ParamsError,
    SourceMismatch,
    WrongValue,
)
from luodi.files import folder_checksum
from luodi.project import programs
from luodi.scaffold import adding, blocks
from luodi.terminal import visible

ROOT = Path(__file__).resolve().parents[3]
PARAMS = (ROOT / "params.yaml").read_bytes()
NOBODY: Any = None  # runs no command: `dvc` is faked
GRAPH = (ROOT / "dvc.yaml").read_bytes()


class Pointer(Exception):
    """What the fake dvc raises when it is to fail."""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with two classes of ten images of 20 x 10 pixels."""
    for label, value in (("猫", 40), ("dog", 200)):
        for number in range(10):
            path = tmp_path / "pets" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (20, 10), value + number).save(path)
    return tmp_path / "pets"


def everything(root: Path) -> Any:
    return {
        str(path.relative_to(root)): path.read_bytes() if path.is_file() else None
        for path in root.rglob("*")
        if ".luodi" not in path.parts
    }


def add(
    root: Path,
    source: Path,
    name: str = "new",
    *,
    encoding: Any = None,
    text: Any = None,
    label: Any = None,
) -> Any:
    if source.is_dir():
        return adding.add_images(root, name, source, NOBODY)
    given, wanted = tables.Given(encoding), columns.Wanted(text, label)
    return adding.add_texts(root, name, source, NOBODY, given=given, wanted=wanted)


def csv(*rows: Any, header: str = "text,label") -> str:
    return "\n".join([header, *rows]) + "\n"


GOOD = csv(*(f"房间{number}很{'差好'[number % 2]},{'差好'[number % 2]}评" for number in range(100)))


def parquet(**columns: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def read(root: Path, modality: str = "text", name: str = "new") -> Any:
    table = shards.read(root / "data" / name, modality)
    return list(zip(table[modality].to_pylist(), table["label"].to_pylist(), strict=True))


# What it writes


def test_luodis_own_folder_may_lie_on_another_disk(root: Path, write: Callable[..., Any], tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if Path(other).stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("/dev/shm is no other disk here")
        (root / ".luodi").symlink_to(other)
        add(root, write("hotels.csv", GOOD))
        assert len(read(root)) == 100 and not list(Path(other).glob("adding"))


def test_rows_of_a_group_are_to_stand_in_one_split(root: Path, write: Callable[..., Any]) -> None:
    rows = (f"房间{number}很{'差好'[number % 2]},{'差好'[number % 2]}评,guest {number % 9}" for number in range(100))
    source = write("hotels.csv", csv(*rows, header="text,label,guest"))
    wanted = columns.Wanted(groups=("guest",))
    told = adding.add_texts(root, "new", source, NOBODY, wanted=wanted)
    assert "rows that share a value of `guest` stand in one split" in told
    assert config.load(root / "params.yaml").models["new"].preprocess.split.by == ("guest",)
    found = shards.read(root / "data" / "new", "text", ["guest"])
    assert found[shards.OF_GROUP + "guest"].to_pylist()[:2] == ["guest 0", "guest 1"]


def test_images_of_a_folder_below_their_class_are_to_stand_in_one_split(root: Path, pictures: Path) -> None:
    for path in sorted((pictures / "dog").iterdir())[:4]:
        (pictures / "dog" / "rex").mkdir(exist_ok=True)
        path.rename(pictures / "dog" / "rex" / path.name)
    adding.add_images(root, "new", pictures, NOBODY, wanted=columns.Wanted(groups=("folder",)))
    assert config.load(root / "params.yaml").models["new"].preprocess.split.by == ("folder",)
    found = shards.read(root / "data" / "new", "image", ["folder"])
    assert found[shards.OF_GROUP + "folder"].to_pylist().count("rex") == 4
    assert found[shards.OF_GROUP + "folder"].null_count == 16
    with pytest.raises(MissingColumn, match="name the column folder"):
        adding.add_images(root, "more", pictures, NOBODY, wanted=columns.Wanted(groups=("owner",)))


@pytest.mark.parametrize("listed", [False, True])
def test_images_stand_together_by_what_a_pattern_finds_in_their_paths(
    root: Path, tmp_path: Path, write: Any, listed: bool
) -> None:
    for row in range(12):
        (folder := tmp_path / "scans" / ("ill", "well")[row // 3 % 2]).mkdir(parents=True, exist_ok=True)
        (folder / (f"patient{row // 3}_{row}.png" if row else "unnamed.png")).write_bytes(png(row))
    source = tmp_path / "scans"
    if listed:
        files = sorted(source.rglob("*.png"))
        source = write("labels.csv", csv(*(f"{path},{path.parent.name}" for path in files), header="path,label"))
    wanted = columns.Wanted(pattern="(patient[0-9]+)_")
    told = adding.add_images(root, "scans", source, NOBODY, wanted=wanted, images=tmp_path if listed else None)
    assert "--group-pattern finds 4 groups; 1 image that it does not match stands alone (" in told
    assert config.load(root / "params.yaml").models["scans"].preprocess.split.by == ("name",)
    found = shards.column(root / "data" / "scans", "name").to_pylist()
    assert sorted(filter(None, found)) == sorted(f"patient{row // 3}" for row in range(1, 12))
    with pytest.raises(WrongValue, match=r"--group-pattern doctor: no path of an image holds it, such as .*ill/"):
        wanted = columns.Wanted(pattern="doctor")
        adding.add_images(root, "more", source, NOBODY, wanted=wanted, images=tmp_path if listed else None)


def test_values_of_a_group_that_may_mean_none_are_told(root: Path, write: Any) -> None:
    authors = ["NaN", "NaN", "null", "", "ann", "-"] * 4
    rows = (f"text {'xyz'[place % 3]} {place},{'ab'[place % 2]},{author}" for place, author in enumerate(authors))
    source = write("some.csv", csv(*rows, header="text,label,author"))
    told = adding.add_texts(root, "new", source, NOBODY, wanted=columns.Wanted(groups=("author",)))
    assert (
        "8 rows share `author` NaN and stand in one split: if that means none, leave it empty and add them again"
        in told
    )
    assert "4 rows share `author` null" in told
    assert "`author` ann" not in told


def test_images_that_belong_together_by_their_names_are_told_with_the_pattern_that_keeps_them_so(
    root: Path, tmp_path: Path
) -> None:
    for row in range(60):
        (folder := tmp_path / "icons" / ("edit", "view")[row % 2]).mkdir(parents=True, exist_ok=True)
        (folder / f"{'abcdefghij'[row // 6]}pen-{16 * (row // 2 % 3 + 1)}.png").write_bytes(png(row))
    told = adding.add_images(root, "icons", tmp_path / "icons", NOBODY)
    line = next(line for line in told.splitlines() if "share 20 names" in line)
    assert "60 of 60 images share 20 names, as edit/apen-16.png and edit/apen-32.png do" in line
    pattern = line.split("`")[1].removeprefix("pattern: ").strip("'")
    assert ImageSplit(pattern=pattern).pattern == pattern
    again = adding.add_images(root, "more", tmp_path / "icons", NOBODY, wanted=columns.Wanted(pattern=pattern))
    assert "--group-pattern finds 10 groups" in again
    assert "share 20 names" not in again


def test_a_column_of_groups_that_no_row_has_a_value_of_is_told(root: Path, pictures: Path, write: Any) -> None:
    wanted = columns.Wanted(groups=("folder",))
    said = "no row has a value of `folder`, so it keeps none together"
    assert said in adding.add_images(root, "new", pictures, NOBODY, wanted=wanted)
    rows = [f"房间{number}很{'差好'[number % 2]},{'差好'[number % 2]}评,,guest {number}" for number in range(100)]
    source = write("hotels.csv", csv(*rows, header="text,label,folder,guest"))
    wanted = columns.Wanted(keep=("guest",), groups=("folder",))
    assert said in adding.add_texts(root, "more", source, NOBODY, wanted=wanted)


def test_all_that_the_recipe_says_stands_in_the_block(root: Path, write: Any) -> None:
    """Block baseline was left out, and with it what texts of more than two classes gain most by."""
    for count in (2, 3):
        add(root, write("a.csv", csv(*(f"房间{row}很好,{'abc'[row % count]}" for row in range(120)))), f"of-{count}")
    models = config.load(root / "params.yaml").models
    assert [models[f"of-{count}"].baseline.all_rows for count in (2, 3)] == [False, True]


def test_where_a_class_is_rare_the_metric_is_chosen_for_it_and_it_is_said_why(root: Path, write: Any) -> None:
    told = add(root, write("rare.csv", csv(*(f"text {row},{'rare' if row < 9 else 'common'}" for row in range(100)))))
    rule = config.load(root / "params.yaml").models["new"].gate
    assert (rule.metric, rule.minimum, rule.baseline_margin) == ("macro_f1", 0.477, 0.01)
    assert "gate.metric is macro_f1, for the largest class has more than 5 times the rows of the smallest" in told
    assert "gate.baseline_margin" not in told, "the linear model is not compared with itself"


@pytest.mark.parametrize(("rare", "weight"), [(9, "none"), (4, "balanced")])
def test_where_a_class_is_very_rare_its_rows_count_for_more(root: Any, write: Any, rare: Any, weight: Any) -> None:
    rows = (f"text {row},{'rare' if row < rare else 'common'}" for row in range(100))
    told = add(root, write("rare.csv", csv(*rows)))
    assert config.load(root / "params.yaml").models["new"].train.class_weight == weight
    assert ("rows of rare classes count for more (train.class_weight)" in told) == (weight == "balanced")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("column", "remembered"), [("text", None), ("Review", None), ("bewertung", "bewertung"), ("no", "no"), (" x", None)]
)
def test_a_column_of_another_name_than_usual_is_remembered(
    root: Path, write: Callable[..., Any], column: str, remembered: str | None
) -> None:
    add(root, write("hotels.csv", GOOD.replace("text", column, 1)), text=column)
    assert config.load(root / "params.yaml").models["new"].column == remembered
    assert ("column:" in (root / "params.yaml").read_text()) == (remembered is not None)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_column_that_tells_the_label_is_told_though_it_is_not_kept(root: Path, write: Any, kind: str) -> None:
    rows = [
        {"text": f"room {row}", "label": "ab"[row % 2], "stars": 1 + 3 * (row % 2) + row % 3 % 2, "row": row}
        | {"shop": ["north", "south", "east"][row % 3], "tags": [row % 2]}
        for row in range(300)
    ]
    lines = (",".join(map(str, list(row.values())[:5])) for row in rows)
    content = {
        "csv": csv(*lines, header="text,label,stars,row,shop"),
        "jsonl": "\n".join(map(json.dumps, rows)),
        "parquet": parquet(**{name: [row[name] for row in rows] for name in rows[0]}),
    }[kind]
    told = add(root, write(f"hotels.{kind}", content))
    assert (
        "`stars` alone tells 100.0% of the labels, the largest class is 50.0%: no model sees it, but see that" in told
    )
    assert told.count("alone tells") == 1
    assert "stars" not in shards.kept(root / "data" / "new", "text")


def test_a_column_beside_paths_of_images_that_tells_the_label_is_told(root: Path, pictures: Path, write: Any) -> None:
    files = sorted(path for path in pictures.rglob("*.png"))
    rows = (f"{path.relative_to(pictures)},{path.parent.name},{len(path.parent.name)} legs" for path in files)
    told = adding.add_images(root, "new", write("pets/all.csv", csv(*rows, header="path,label,legs")), NOBODY)
    assert "`legs` alone tells 100.0% of the labels" in told


def test_rows_that_will_not_be_learned_from_are_told_and_do_not_stop_the_first_run(root: Path, write: Any) -> None:
    rows = [f"text {row},{'ab'[row % 2]}" for row in range(100)]
    told = add(root, write("some.csv", csv(*rows, *rows[:50], *(f"left {row}," for row in range(10)), "text 1,a")))
    assert "10 rows lack a label or what it is of: validation holds them back" in told
    assert "of the rows repeat an earlier one: 99 are left to learn from" in told
    assert "1 item carries several labels: 3 rows are left out" in told
    assert config.load(root / "params.yaml").models["new"].validate_.max_quarantined_share >= 10 / 161


def test_rows_of_several_labels_do_not_stop_the_first_run(root: Path, write: Any) -> None:
    """They are told, and left out: they are held back too, and must not be more than may be."""
    rows = [f"text {row},{'ab'[row % 2]}" for row in range(90)]
    told = add(root, write("some.csv", csv(*rows, *(f"both {row // 2},{'ab'[row % 2]}" for row in range(10)))))
    assert "5 items carry several labels: 10 rows are left out, 10% of all: figures will be of the others alone" in told
    assert config.load(root / "params.yaml").models["new"].validate_.max_quarantined_share >= 0.1


def test_classes_that_the_gate_cannot_judge_are_told(root: Path, write: Any) -> None:
    rare = [f"第{number}间房,{label}" for number, label in enumerate("甲乙乙丙" + "丁" * 10)]
    told = add(root, write("a.csv", GOOD + "\n".join(rare) + "\n"))
    assert "  3 classes have fewer than 10 rows (丙 1, 甲 1, 乙 2): nothing lands until there are more" in told
    assert "fewer than 10 rows" not in add(root, write("b.csv", GOOD), "other")


def test_texts_that_no_limit_makes_fit_are_told(root: Path, write: Any) -> None:
    """Each by its first reason: where they are many, the run that follows would stop, and nobody would know why."""
    rows = "".join(f"\x1b[32m好书{row}\x1b[m,{row % 2}\n" for row in range(30)) + "坏\ufffd\x1b书,0\n"
    fit = "".join(f"好书第{row}本,{row % 2}\n" for row in range(69))
    told = adding.add_texts(root, "books", write("books.csv", "text,label\n" + rows + fit), NOBODY)
    assert (
        "  31 of 100 rows (31.0%) are unfit (text holds control characters 30, text holds U+FFFD 1): validation holds "
        "such back, and stops the run above 2% (validate.max_quarantined_share): correct them\n"
    ) in told
    few = "text,label\n" + fit * 2 + "坏\ufffd书,0\n"
    told = adding.add_texts(root, "novels", write("novels.csv", few), NOBODY)
    assert "  1 of 139 rows (0.7%) are unfit (text holds U+FFFD 1): validation holds such back\n" in told


def test_tags_that_cleaning_takes_out_are_told(root: Path, write: Any) -> None:
    plain = [f"好书第{row}本 3 < 4,{row % 2}\n" for row in range(96)]
    told = adding.add_texts(root, "books", write("books.csv", "".join(["text,label\n", *plain])), NOBODY)
    assert "tags" not in told
    code = [f"#include <stdio{row}.h>,{row % 2}\n" for row in range(8)] + ["<br/> <i></i>,0\n"]
    told = adding.add_texts(root, "code", write("code.csv", "".join(["text,label\n", *plain, *code])), NOBODY)
    assert "  9 of 105 texts hold tags, as <b> or <stdio.h>, which cleaning takes out; of 1 nothing is left\n" in told


def test_images_that_cannot_be_used_are_told(root: Path, tmp_path: Path) -> None:
    for row in range(40):
        (folder := tmp_path / "pets" / ("cat", "dog")[row % 2]).mkdir(parents=True, exist_ok=True)
        file = png(row)
        (folder / f"{row}.png").write_bytes(file if row % 10 else file[: len(file) // 2])
    told = adding.add_images(root, "pets", tmp_path / "pets", NOBODY)
    assert "4 of 40 images looked at (10.0%) are unfit (" in told
    assert "validation holds such back, and stops the run above 2%" in told


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([f"text {row},{row}.5" for row in range(100)], "found 100 labels on 100 rows .* as a number or an id has"),
        ([f"the same,{'ab'[row % 2]}" for row in range(100)], "each of the 1 distinct rows carries several labels"),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused(
    root: Path, write: Callable[..., Any], rows: list[str], said: str
) -> None:
    with pytest.raises(BrokenData, match=said):
        add(root, write("none.csv", csv(*rows)))
    assert not (root / "data" / "new").exists()


def test_a_table_becomes_a_model(root: Path, write: Any) -> None:
    told = add(root, write("hotels.csv", GOOD))
    assert read(root)[:2] == [("房间0很差", "差评"), ("房间1很好", "好评")]
    block: Any = config.load(root / "params.yaml").models["new"]
    assert block.labels == ("好评", "差评")
    assert (block.validate_.min_rows, block.validate_.min_class_share) == (50, 0.25)
    assert block.validate_.min_chinese_share == 0.5
    assert block.gate.minimum == 0.5
    assert block.train.architecture == "linear", "of a hundred rows"
    for part in ("100 rows", "`text`", "`label`", "好评 50", "git add .", "luodi run new"):
        assert part in told
    assert set(shards.read(root / "data/new", "text")["source"].to_pylist()) == {"hotels.csv"}


@pytest.mark.slow
def test_a_folder_becomes_a_model(root: Path, pictures: Path) -> None:
    told = add(root, pictures)
    rows = read(root, "image")
    assert [label for _, label in rows] == ["dog"] * 10 + ["猫"] * 10
    assert rows[3][0] == (pictures / "dog" / "3.png").read_bytes()
    block: Any = config.load(root / "params.yaml").models["new"]
    assert block.labels == ("dog", "猫")
    assert (block.preprocess.height, block.preprocess.width, block.preprocess.channels) == (10, 20, 1)
    assert (block.validate_.min_side, block.validate_.max_side) == (5, 4096)
    assert block.validate_.min_intensity < 124 / 255 < block.validate_.max_intensity
    assert "20 rows, images, brought to 10 x 20 x 1" in told


def test_what_was_found_is_told(root: Path, write: Any) -> None:
    rows = (f"房间{number}的空调不太好用;{['0', '1.0', ' 1 '][number % 3]}" for number in range(90))
    table = write("hotels.csv", csv(*rows, header="text;label").encode("gb18030"))
    named = Labels({"0": "bad"})
    told = adding.add_texts(root, "new", table, NOBODY, labels=named)
    assert "\n  read hotels.csv as .csv in GB18030, semicolons between columns\n" in told
    assert "\n  labels read as others: '1.0' as 1 (30), ' 1 ' as 1 (30)\n" in told
    assert config.load(root / "params.yaml").models["new"].labels == ("1", "bad")
    kept = pq.read_table(root / "data" / "new" / "part-00000.parquet")
    assert kept["origin"].to_pylist()[:2] == ["hotels.csv, line 2", "hotels.csv, line 3"]
    before = everything(root)
    with pytest.raises(BrokenData, match="--label-map names zero"):
        adding.add_texts(root, "other", table, NOBODY, labels=Labels({"zero": "bad"}))
    assert everything(root) == before


def test_a_text_longer_than_a_limit_is_held_back_and_stops_no_file(root: Path, write: Any) -> None:
    long = "很" * 140_000
    add(root, write("a.csv", csv(*GOOD.splitlines()[1:] * 20, f"{long},好评")))
    limits: Any = config.load(root / "params.yaml").models["new"]
    assert (long, "好评") in read(root)
    assert limits.validate_.max_length == 5000
    marks = measures.flags(
        rows := shards.read(root / "data" / "new", "text"),
        quarantine.codes(rows["text"]),
        limits.labels,
        limits.validate_,
    )
    assert marks["text is too long"].to_pylist() == [False] * 2000 + [True]


def test_a_folder_called_test_is_the_test_split(root: Path, pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "split" / "train")
    for path in pictures.rglob("1.png"):
        other = tmp_path / "split" / "test" / path.parent.name / "x.png"
        other.parent.mkdir(parents=True)
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(other)
    told = add(root, tmp_path / "split")
    assert "\n  `test` is the test split (2 rows); of the other 20 a part by content is validation\n" in told
    block = config.load(root / "params.yaml").models["new"].preprocess
    assert (block.test_source, block.shares.test) == ("test", 0)
    assert set(shards.read(root / "data" / "new", "image")["source"].to_pylist()) == {"train", "test"}
    assert not (root / ".luodi" / "adding").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "mode", "expected"),
    [
        ((4, 4), "L", (8, 8, 1)),
        ((640, 480), "L", (48, 64, 1)),
        ((28, 28), "RGB", (28, 28, 3)),
        ((28, 28), "1", (28, 28, 1)),
    ],
)
def test_what_images_are_brought_to(root: Path, tmp_path: Path, size: Any, mode: str, expected: Any) -> None:
    for label in "ab":
        (tmp_path / "in" / label).mkdir(parents=True)
        Image.new(mode, size, (200, 40, 40) if mode == "RGB" else 1).save(tmp_path / "in" / label / "x.png")
    add(root, tmp_path / "in")
    found: Any = config.load(root / "params.yaml").models["new"].preprocess
    assert (found.height, found.width, found.channels) == expected


def test_grey_images_saved_in_colour_are_grey(root: Path, pictures: Path) -> None:
    for path in pictures.rglob("*.png"):
        Image.open(path).convert("RGB").save(path)
    add(root, pictures)
    found: Any = config.load(root / "params.yaml").models["new"].preprocess
    assert found.channels == 1


@pytest.mark.slow
@pytest.mark.parametrize("before", [PARAMS, PARAMS.rstrip(b"\n"), PARAMS + b"\n# the end\n", b"\xef\xbb\xbf" + PARAMS],
                         ids=["as it is", "no newline", "comment", "byte order mark"])  # fmt: skip
def test_the_params_keep_every_byte_and_gain_a_block(root: Path, write: Callable[..., Any], before: bytes) -> None:
    (root / "params.yaml").write_bytes(before)
    old = config.load(root / "params.yaml").models
    add(root, write("a.csv", GOOD))
    after = (root / "params.yaml").read_bytes()
    assert after.startswith(before)
    models = config.load(root / "params.yaml").models
    assert {name: models[name] for name in old} == old
    assert set(models) == {*old, "new"}


def test_a_wider_indent_is_kept(root: Path, write: Callable[..., Any]) -> None:
    lines = PARAMS.decode().split("\n")
    wide = [" " * (len(line) - len(line.lstrip())) + line for line in lines]
    (root / "params.yaml").write_text("\n".join(wide))
    add(root, write("a.csv", GOOD))
    assert "\n    new:\n" in (root / "params.yaml").read_text()


@pytest.mark.slow
def test_the_same_data_give_the_same_bytes(root: Path, write: Callable[..., Any], pictures: Path) -> None:
    for source, name in ((write("a.csv", GOOD), "texts"), (pictures, "images")):
        add(root, source, name)
    first = everything(root)
    (root / "dvc.yaml").write_bytes(GRAPH)
    (root / "params.lock").unlink()
    for name in ("texts", "images"):
        for path in (root / "data" / name).iterdir():
            path.unlink()
        (root / "data" / name).rmdir()
    (root / "data.dvc").unlink()
    (root / "params.yaml").write_bytes(PARAMS)
    for source, name in ((write("a.csv", GOOD), "texts"), (pictures, "images")):
        add(root, source, name)
    assert everything(root) == first


def test_shards_and_row_groups_are_bounded(
    root: Path, write: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "ROWS", 30)
    monkeypatch.setattr(importing, "BYTES", 100)
    add(root, write("a.csv", GOOD))
    files = sorted((root / "data" / "new").iterdir())
    assert [path.name for path in files] == [f"part-0000{place}.parquet" for place in range(4)]
    counts = [pq.ParquetFile(path).metadata.num_rows for path in files]
    assert counts == [30, 30, 30, 10]
    assert pq.ParquetFile(files[0]).num_row_groups > 1
    assert [text for text, _ in read(root)] == [line.split(",")[0] for line in GOOD.splitlines()[1:]]


@pytest.mark.slow
@pytest.mark.parametrize(
    "labels",
    [["0", "1"], ["yes", "no"], ["true", "null"], ["1e3", "0x1F"], ["2024-01-01", "12:30"], ["a: b", "- c"], ["'", '"'],
     ["#x", "好 评"], ["{a}", "[b]"], ["\\n", "~"], ["a b", "é"]],
    ids="|".join,
)  # fmt: skip
def test_labels_survive_yaml(root: Path, write: Callable[..., Any], labels: list[str]) -> None:
    rows = [{"text": f"好{number}", "label": labels[number % 2]} for number in range(10)]
    add(root, write("a.jsonl", "\n".join(json.dumps(row) for row in rows)))
    assert config.load(root / "params.yaml").models["new"].labels == tuple(sorted(labels))


ROWS = [("好", "a"), ("坏", "b")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.csv", csv("好,a", "坏,b"), {}),
        ("a.csv", "\ufeff" + csv("好,a", "坏,b"), {}),
        ("a.csv", csv("好,a", "坏,b").encode("gbk"), {"encoding": "gbk"}),
        ("a.csv", csv("好,a", "坏,b").encode("gbk"), {"encoding": "gb18030"}),
        ("a.csv", csv("好,a", "坏,b").encode("utf-16"), {"encoding": "utf-16"}),
        ("a.csv", "\ufeff" + csv("好,a", "坏,b"), {"encoding": "utf8"}),
        ("a.csv", csv("1, a ,好", "2,b,坏", header="id,Label,Review"), {}),
        ("a.csv", csv("x,a,好", "y,b,坏", header="cat,label,review"), {}),
        ("a.csv", csv("a,x,好", "b,y,坏", header="cat,label,review"), {"label": "cat"}),
        ("a.csv", csv("a,好", "b,坏", header="label,words"), {}),
        ("a.csv", csv("好,a", "坏,b", header="review,mark"), {}),
        ("a.csv", csv("好,a", "坏,b", header="x,y"), {"text": "x"}),
        ("a.csv", csv("好,a", "坏,b", header="x,y"), {"label": "y"}),
        ("a.csv", csv("好,a", "坏,b", header="评论,标签"), {}),
        ("a.jsonl", '{"text": "好", "label": "a"}\n\n{"label": "b", "text": "坏"}', {}),
        ("a.jsonl", '{"text": "好", "label": "a"}\n{"label": "b", "text": "坏"}'.encode("gbk"), {"encoding": "gbk"}),
        ("a.parquet", parquet(text=["好", "坏"], label=["a", "b"]), {}),
        ("a.parquet", parquet(label=["a", "b"], text=pa.array(["好", "坏"]).dictionary_encode(), id=[1, 2]), {}),
    ],
)  # fmt: skip
def test_every_kind_of_table_is_read(
    root: Path, write: Callable[..., Any], name: str, content: bytes | str, options: dict[str, str]
) -> None:
    add(root, write(name, content), **options)
    assert read(root) == ROWS


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "labels"),
    [
        (parquet(text=["好", "坏"], label=[1, 0]), ["1", "0"]),
        (parquet(text=["好", "坏"], label=[True, False]), ["true", "false"]),
        (b'{"text": "x", "label": 1}\n{"text": "y", "label": 0}', ["1", "0"]),
        (b'{"text": "x", "label": true}\n{"text": "y", "label": false}', ["true", "false"]),
    ],
)
def test_labels_that_are_no_strings_become_strings(
    root: Path, write: Callable[..., Any], content: bytes, labels: list[str]
) -> None:
    add(root, write("a.parquet" if content.startswith(b"PAR1") else "a.jsonl", content))
    assert [label for _, label in read(root)] == labels


def test_rows_without_a_text_or_label_are_kept_for_validation(root: Path, write: Callable[..., Any]) -> None:
    lines = ['{"text": null, "label": "a"}', '{"label": "b"}', '{"text": "x"}', '{"text": "\\ud800", "label": " "}']
    add(root, write("a.jsonl", "\n".join(lines)))
    assert read(root) == [(None, "a"), (None, "b"), ("x", None), ("\ufffd", None)]


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + kind + content + zlib.crc32(kind + content).to_bytes(4, "big")


def bomb() -> bytes:
    """A PNG that says it has 50,000 x 50,000 pixels."""
    header = (50000).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"x")) + chunk(b"IEND", b"")


def odd(kind: str) -> bytes:
    sink = io.BytesIO()
    frames = [Image.new("L", (8, 8), value) for value in (0, 255)]
    {
        "cmyk.jpg": lambda: Image.new("CMYK", (8, 8)).save(sink, "JPEG"),
        "deep.png": lambda: Image.new("I;16", (8, 8)).save(sink, "PNG"),
        "moving.png": lambda: frames[0].save(sink, "PNG", save_all=True, append_images=frames[1:]),
        "gif.png": lambda: frames[0].save(sink, "GIF"),
    }[kind]()
    return sink.getvalue()


def test_images_that_cannot_be_used_are_kept_for_validation(root: Path, pictures: Path) -> None:
    bad = {kind: odd(kind) for kind in ("cmyk.jpg", "deep.png", "moving.png", "gif.png")}
    bad |= {"text.png": b"words", "empty.png": b"", "bomb.png": bomb(), "cut.png": odd("deep.png")[:-20]}
    for name, content in bad.items():
        (pictures / "dog" / name).write_bytes(content)
    add(root, pictures)
    kept = [content for content, _ in read(root, "image")]
    assert len(kept) == 28
    assert set(bad.values()) <= set(kept)


def test_hidden_files_and_clutter_are_passed_over(root: Path, pictures: Path) -> None:
    for name in (".DS_Store", "dog/.x.png", ".git/config", "dog/Thumbs.db", "desktop.ini"):
        (pictures / name).parent.mkdir(exist_ok=True)
        (pictures / name).write_bytes(b"x")
    add(root, pictures)
    assert len(read(root, "image")) == 20


def test_limits_leave_room_for_the_data_they_come_from(root: Path, write: Any) -> None:
    rows = [f"{'长' * (number % 300 + 1)},{'ab'[number % 5 == 0]}" for number in range(1000)]
    add(root, write("a.csv", csv(*rows)))
    limits: Any = config.load(root / "params.yaml").models["new"].validate_
    repeated, contradicting = 0.7, 0
    assert limits.max_duplicate_share > repeated
    assert limits.max_contradictions > contradicting
    assert limits.min_class_share < 0.2
    assert limits.max_length >= 300


@pytest.mark.slow
@pytest.mark.parametrize(
    ("characters", "kept", "said"),
    [
        (40, 42, False),
        (1500, 1502, False),
        (9000, 2000, True),
    ],
)
def test_texts_are_read_whole_or_it_is_told(root: Path, write: Any, characters: int, kept: int, said: bool) -> None:
    told = add(root, write("a.csv", csv(*(f"{'长' * characters}{n:02},{'ab'[n % 2]}" for n in range(100)))))
    limits: Any = config.load(root / "params.yaml").models["new"]
    assert limits.preprocess.max_length == kept
    assert ("of 100% of the texts no more is read than the first 2,000 characters" in told) is said


@pytest.mark.parametrize(("rows", "kept"), [(10_000, 2000), (100_000, 400), (10**6, 200)])
def test_of_many_long_texts_less_is_read(rows: int, kept: int) -> None:
    seen = statistics.TextTraits(rows=rows)
    seen._lengths.extend([5000] * rows)
    assert blocks.kept(seen) == kept


# What it refuses


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("reviews", WrongValue, "has a model reviews already"),
        ("Hotels", WrongValue, "'Hotels' cannot name a model: expected lower-case"),
        ("a/b", WrongValue, "cannot name"),
        ("..", WrongValue, "cannot name"),
        ("", WrongValue, "cannot name"),
        ("1", WrongValue, "cannot name"),
        ("a\n", WrongValue, "cannot name"),
    ],
)
def test_names(root: Path, write: Callable[..., Any], name: str, error: type, message: str) -> None:
    before = everything(root)
    with pytest.raises(error, match=message):
        add(root, write("a.csv", GOOD), name)
    assert everything(root) == before


@pytest.mark.parametrize(
    "case",
    [
        ("a.csv", "", {}, EmptyData, "a.csv holds no row: expected at least one"),
        ("a.csv", "text,label\n", {}, EmptyData, r"a\.csv holds no row"),
        ("a.csv", csv("x,y", header="a,b"), {}, MissingColumn, "texts: name it with --text-column; found a, b"),
        ("a.csv", csv("x,y,z", header="text,b,c"), {}, MissingColumn, "labels: name it with --label-column"),
        ("a.csv", GOOD, {"text": "words"}, MissingColumn, "`words`, found text, label"),
        ("a.csv", GOOD, {"label": "text", "text": "text"}, MissingColumn, "cannot tell"),
        ("a.csv", GOOD[:60].encode("gbk"), {}, BrokenData, r"a\.csv is not UTF-8, .* name its .* --encoding cp949"),
        ("a.csv", GOOD + "\udcff", {}, BrokenData, "is not UTF-8"),
        ("a.csv", GOOD, {"encoding": "ascii"}, BrokenData, "is not ascii"),
        ("a.csv", GOOD, {"encoding": "utf-16"}, BrokenData, "is not utf-16"),
        ("a.csv", csv("a,b,c"), {}, BrokenData, "line 2: more fields than the header names: put texts"),
        ("a.csv", csv('"' + "x" * 200000), {}, BrokenData, "line 2: a quote opens in the last row and is never closed"),
        ("a.csv", csv("x,a", "y,a"), {}, BrokenData, r"column `label`: expected 2 to 1,000 labels, found 1 \(a\)"),
        ("a.csv", csv("x,", "y,"), {}, BrokenData, r"found 0 \(none\)"),
        ("a.csv", csv(*(f"x,{n}" for n in range(1001))), {}, BrokenData, "found 1,001"),
        ("a.jsonl", '{"text": 3, "label": "a"}', {}, BrokenData, "expected a text in quotes under `text`, found 3"),
        ("a.jsonl", '{"text": "x", "label": ["a"]}', {}, BrokenData, "line 1: found a list of labels"),
        ("a.jsonl", '{"text": "x", "label": "a"}\nwords', {}, BrokenData, "line 2: expected a JSON object"),
        ("a.parquet", b"words", {}, BrokenData, "not a readable Parquet"),
        ("a.parquet", parquet(text=[1], label=["a"]), {}, BrokenData, "`text` of strings, found int64"),
        ("a.parquet", parquet(text=["x"], label=[["a"]]), {}, BrokenData, "found list.*a row has one label"),
        ("a.ods", "x", {}, MissingData, r"expected \.csv, .*\.xlsx, .*found \.ods"),
        ("a.xlsx", "x", {}, BrokenData, "is not a readable workbook"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used_changes_nothing(
    root: Path, write: Callable[..., Any], case: tuple[Any, ...]
) -> None:
    name, content, options, error, message = case
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogateescape")
    source = write(name, content)
    before = everything(root)
    with pytest.raises(error, match=message) as caught:
        add(root, source, **options)
    assert type(caught.value) is error
    assert everything(root) == before
    assert not (root / ".luodi" / "adding").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "case",
    [
        ("dog/x.png", lambda path: path.symlink_to("/etc/passwd"), BrokenData, "leads out of"),
        ("birds", lambda path: path.symlink_to("/usr"), BrokenData, "leads out of"),
        ("dog/x.png", lambda path: path.symlink_to("gone.png"), BrokenData, "leads nowhere"),
        ("loop", lambda path: path.symlink_to("loop"), BrokenData, "leads nowhere"),
        ("dog/x.png", os.mkfifo, BrokenData, "not a regular file"),
        ("dog/x.png", lambda path: path.write_bytes(b"x" * 2000), BrokenData, "too large: .*1,500 bytes, found 2,000"),
        (os.fsdecode(b"\xff") + "/x.png", lambda path: path.write_bytes(b"x"), BrokenData, "not UTF-8"),
    ],
)
def test_a_folder_that_cannot_be_used_changes_nothing(
    root: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, case: tuple[str, Callable[..., Any], type, str]
) -> None:
    name, make, error, message = case
    monkeypatch.setattr(image_files, "LARGEST", 1500)
    (pictures / name).parent.mkdir(exist_ok=True, parents=True)
    make(pictures / name)
    before = everything(root)
    with pytest.raises(error, match=message):
        add(root, pictures)
    assert everything(root) == before


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_classes_are_refused(root: Path, tmp_path: Path, count: int) -> None:
    (tmp_path / "in").mkdir()
    for number in range(count):
        (tmp_path / "in" / str(number)).mkdir()
        Image.new("L", (8, 8)).save(tmp_path / "in" / str(number) / "x.png")
    with pytest.raises(
        DataError, match="expected 2 to 1,000 labels, found 1" if count else "holds no folder with an image"
    ):
        add(root, tmp_path / "in")


@pytest.mark.parametrize(
    ("mode", "kind", "reason"),
    [("CMYK", "JPEG", "is CMYK"), ("I;16", "PNG", "has more than 8 bits per channel"), ("", "", "cannot be decoded")],
)
def test_a_folder_of_which_no_image_can_be_used_is_refused_and_told_why(
    root: Path, pictures: Path, mode: str, kind: str, reason: str
) -> None:
    for path in pictures.rglob("*.png"):
        if mode:
            Image.new(mode, (8, 8)).save(path, kind)
        else:
            path.write_bytes(b"words")
    with pytest.raises(BrokenData, match=f"no image looked at can be used; image {reason}: expected one picture"):
        add(root, pictures)


@pytest.mark.parametrize(
    "before",
    [b"...\n", b"---\n", json.dumps(yaml.safe_load(PARAMS)).encode()],
    ids=["document end", "second document", "flow style"],
)
def test_params_that_cannot_be_extended_are_left_alone(root: Path, write: Callable[..., Any], before: bytes) -> None:
    (root / "params.yaml").write_bytes(before if before.startswith(b"{") else PARAMS + before)
    kept = everything(root)
    with pytest.raises(ParamsError, match=r"no block can be appended|is not YAML"):
        add(root, write("a.csv", GOOD))
    assert everything(root) == kept


def test_a_project_without_a_model_gains_its_first(root: Path, write: Callable[..., Any]) -> None:
    (root / "params.yaml").write_text("# mine\nmodels: {}\n")
    add(root, write("a.csv", GOOD))
    assert (root / "params.yaml").read_text().startswith("# mine\nmodels:\n\n  new:\n    modality: text\n")
    assert list(config.load(root / "params.yaml").models) == ["new"]


def test_the_block_holds_what_differs_from_the_defaults_alone(
    root: Path, write: Callable[..., Any], pictures: Path
) -> None:
    add(root, write("a.csv", GOOD))
    add(root, pictures, "pets")
    models = yaml.safe_load((root / "params.yaml").read_text())["models"]
    for name in ("new", "pets"):
        block = models[name]
        bare = config.MODALITIES[block["modality"]].model_validate(
            {"modality": block["modality"], "labels": tuple(block["labels"])}
        )
        defaults = bare.model_dump(by_alias=True)
        assert all(value != defaults[stage][key] for stage in block.keys() & {"validate", "preprocess", "gate"}
                   for key, value in block[stage].items())  # fmt: skip
    assert len((root / "params.yaml").read_text().splitlines()) < len(PARAMS.splitlines()) + 44


def test_the_model_is_in_the_plots_and_the_settings_in_effect(root: Path, write: Callable[..., Any]) -> None:
    add(root, write("a.csv", GOOD))
    plots = yaml.safe_load((root / "dvc.yaml").read_text())["plots"]
    own = [title for plot in plots for title, body in plot.items() if all("/new/" in path for path in body["y"])]
    assert len(own) == 7
    assert yaml.safe_load((root / "params.lock").read_text())["models"]["new"]["train"]["epochs"] == 12


def test_data_that_is_away_would_be_dropped_from_the_pointer(root: Path, write: Callable[..., Any]) -> None:
    (root / "data.dvc").write_text("outs:\n- md5: 0123.dir\n  path: data\n")
    with pytest.raises(MissingData, match=r"is away, though data\.dvc records it"):
        add(root, write("a.csv", GOOD))
    (root / "data").mkdir()
    with pytest.raises(SourceMismatch, match=r"does not match data\.dvc"):
        add(root, write("a.csv", GOOD))


def test_a_folder_that_is_there_already_is_kept(root: Path, write: Callable[..., Any]) -> None:
    (root / "data" / "new").mkdir(parents=True)
    (root / "data" / "new" / "mine").write_text("x")
    with pytest.raises(DataError, match=r"exists, though params\.yaml has no model new"):
        add(root, write("a.csv", GOOD))
    assert (root / "data" / "new" / "mine").read_text() == "x"


def test_two_at_a_time_are_refused(root: Path, write: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    inner = {}
    whole = importing.texts

    def texts(*arguments: Any) -> Any:
        with pytest.raises(DataError, match="another `luodi add`, `ingest`") as inner["error"]:
            adding.add_images(root, "other", root, NOBODY)
        return whole(*arguments)

    monkeypatch.setattr(importing, "texts", texts)
    add(root, write("a.csv", GOOD))
    assert inner["error"]
    assert len(read(root)) == 100


def test_data_that_a_stage_reads_now_is_not_changed_under_it(root: Path, write: Callable[..., Any]) -> None:
    from dvc.fs import localfs
    from dvc.rwlock import rwlock

    add(root, write("first.csv", GOOD), "first")
    (root / ".dvc" / "tmp").mkdir(parents=True, exist_ok=True)
    with (
        rwlock(str(root / ".dvc" / "tmp"), localfs, "dvc repro", [str(root / "data" / "first")], [], False),
        pytest.raises(DataError, match=r"a `dvc` in this checkout reads data/ now \(process \d+\): wait for it to end"),
    ):
        add(root, write("a.csv", GOOD))
    assert not (root / "data" / "new").exists()
    add(root, write("a.csv", GOOD))


@pytest.mark.slow
@pytest.mark.parametrize("error", [Pointer, KeyboardInterrupt, SystemExit, OSError])
@pytest.mark.parametrize("recorded", [False, True])
def test_whatever_breaks_at_the_end_everything_is_taken_back(
    root: Path, write: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, error: type, recorded: bool
) -> None:
    if recorded:
        add(root, write("first.csv", GOOD), "first")
    before = everything(root)

    def dvc(runner: Any, where: Path, *arguments: Any) -> None:
        assert (where / "data" / "new").is_dir()
        assert b"\n  new:\n" in (where / "params.yaml").read_bytes()
        (where / "data.dvc").write_text("half")
        (where / ".gitignore").write_text("/data\n")
        raise error

    monkeypatch.setattr(programs, "dvc", dvc)
    with pytest.raises(error):
        add(root, write("a.csv", GOOD))
    assert everything(root) == before


def test_what_a_killed_one_left_is_swept(root: Path, write: Callable[..., Any]) -> None:
    left = root / ".luodi" / "adding" / "data"
    left.mkdir(parents=True)
    (left / "part-00000.parquet").write_bytes(b"half")
    add(root, write("a.csv", GOOD))
    assert len(read(root)) == 100
    assert not left.exists()


MEMORY = """
import os, resource, sys
from pathlib import Path
from luodi.data import importing, statistics
seen = statistics.Traits()
with importing.Writer(Path(sys.argv[1]), "image") as writer:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for batch in importing.batches((importing.Row(os.urandom(2**20), "ab"[row % 2]) for row in range(600)), "here"):
        writer.write(batch)
        seen.add(batch)
print(seen.rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_memory_is_bounded_by_a_row_group(tmp_path: Path) -> None:
    """600 MiB go through in row groups of 64 MiB: a batch, its column and its compressed page are held."""
    done = subprocess.run([sys.executable, "-c", MEMORY, tmp_path], capture_output=True, text=True, check=True)
    rows, grown = map(int, done.stdout.split())
    assert rows == 600
    assert grown < 350 * 1024, f"{grown:,} KiB"


def test_columns_of_each_kind(write: Callable[..., Any]) -> None:
    assert tables.look(write("a.csv", "a,b\n")).columns == ["a", "b"]
    assert tables.look(write("a.csv", "a,b\n1,2\n")).columns == ["a", "b"]
    assert tables.look(write("a.jsonl", '{"x": 1, "y": 2}\n')).columns == ["x", "y"]
    assert tables.look(write("a.parquet", parquet(p=[1], q=[2]))).columns == ["p", "q"]


# Names and labels


@pytest.mark.parametrize(
    "name", ["a" * 101, "a" * 245, "on", "null", "a.lock", "a..b", "a@{b", "-a", ".a", "A", "a\x1b[31m"]
)
def test_a_name_that_something_cannot_carry_is_one_line(root: Path, write: Callable[..., Any], name: str) -> None:
    before = everything(root)
    with pytest.raises(WrongValue, match=r"cannot name a model: expected lower-case letters, .* at most 100") as caught:
        add(root, write("a.csv", GOOD), name)
    assert len(str(caught.value)) < 400
    assert visible(str(caught.value)) == str(caught.value)
    assert everything(root) == before


LABELS = ["yes", "no", "on", "null", "09", "1e3", "1:30", "2024-01-01", "1_000", "👩‍💻", "a\u202eb", "a\x1b[31m",
          '"', "\\x41", "~", "全角　空格", "\ufeffx", "-", "a: b", "#x", "\U000e0041", "x" * 255]  # fmt: skip


def test_odd_labels_are_the_same_in_params_for_us_and_for_dvc(root: Path, write: Any) -> None:
    rows = [json.dumps({"text": f"房间{number}", "label": LABELS[number % len(LABELS)]}) for number in range(220)]
    told = add(root, write("a.jsonl", "\n".join(rows)))
    expected = sorted(label.strip() for label in LABELS)
    assert list(config.load(root / "params.yaml").models["new"].labels) == expected
    assert loads_yaml((root / "params.yaml").read_text())["models"]["new"]["labels"] == expected
    assert visible(told, keep="\n") == told


@pytest.mark.parametrize("label", ["a" * 256, "b" * 5000])
def test_a_label_that_is_none_is_told_in_short(root: Path, write: Callable[..., Any], label: str) -> None:
    before = everything(root)
    rows = [json.dumps({"text": f"房间{number}", "label": ["good", label][number % 2]}) for number in range(100)]
    with pytest.raises(LuodiError, match="labels") as caught:
        add(root, write("a.jsonl", "\n".join(rows)))
    assert len(str(caught.value)) < 300
    assert "\n" not in str(caught.value)
    assert everything(root) == before


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["猫" * 85, "a" * 255, "a\nb", "\x1b[2J", "\u202e", "a'b\"", " x "])
def test_folders_of_odd_names_are_classes(root: Path, pictures: Path, folder: str) -> None:
    (pictures / "dog").rename(pictures / folder)
    told = add(root, pictures)
    assert folder.strip().replace("\n", " ") in config.load(root / "params.yaml").models["new"].labels
    assert visible(told, keep="\n") == told
    assert max(map(len, told.splitlines())) < 200


@pytest.mark.slow
@pytest.mark.parametrize("name", [os.fsdecode(b"\xff.csv"), "\x1b]0;x\x07.csv", "a\nb\u202e.csv", "评论.csv"])
def test_files_of_odd_names_are_sources(root: Path, write: Callable[..., Any], name: str) -> None:
    add(root, write(name, GOOD))
    assert len(read(root)) == 100


@pytest.mark.slow
@pytest.mark.parametrize("column", ["\x1b[31m", "\u202etext", "x" * 5000, "a\nb"])
def test_odd_columns_are_told_in_short(root: Path, write: Any, column: str) -> None:
    source = write("a.jsonl", "\n".join(json.dumps({column: f"房间{n}", "label": "ab"[n % 2]}) for n in range(100)))
    told = add(root, source, text=column)
    with pytest.raises(MissingColumn) as caught:
        add(root, source, "other", text="zzz")
    for message in (told, str(caught.value)):
        assert visible(message, keep="\n") == message
        assert max(map(len, message.splitlines())) < 500
    assert "\n" not in str(caught.value)


# The command


@pytest.mark.slow
def test_the_command_records_the_data_with_dvc(make_project: Callable[..., Any], write: Callable[..., Any]) -> None:
    project = make_project("adds")
    told = project.run("luodi", "add", "hotels", "--modality", "text", "--from", str(write("hotels.csv", GOOD)))
    assert "luodi run hotels" in told
    changed = sorted(line[3:] for line in project.run("git", "status", "--porcelain").splitlines())
    assert changed == ["data.dvc", "dvc.yaml", "params.lock", "params.yaml"]
    recorded = (project.root / "data.dvc").read_text()
    assert folder_checksum(project.root / "data") in recorded
    assert sorted(path.name for path in (project.root / "data").iterdir()) == ["hotels", "reviews"]
    again = project.run(
        "luodi", "add", "hotels", "--modality", "text", "--from", str(write("hotels.csv", GOOD)), code=12
    )
    assert "has a model hotels already" in again


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--modality", "sound", "--from", "x"], "is not one of 'text', 'image'"),
        (["--modality", "image", "--from", "x", "--text-column", "a"], "is for --modality text"),
        (["--modality", "text", "--from", "x", "--images", "a"], "--images are for image"),
        (["--modality", "text", "--from", "x", "--delimiter", ", "], "expected one character"),
        (["--modality", "text", "--from", "x", "--label-map", "0=no"], "expected a JSON object of texts"),
        (["--modality", "text", "--from", "x", "--encoding", "nonsense"], "unknown encoding"),
        (["--modality", "text", "--from", "x", "--encoding", "base64"], "not a text encoding"),
        (["--modality", "text"], "give PATH once"),
        (["x", "--from", "x"], "give PATH once"),
        (["x", "--text-column", "a", "--images", "b"], "--images are for image"),
    ],
)
def test_a_wrong_use_shows_the_usage(
    tmp_path: Path, luodi: Callable[..., Ended], arguments: list[str], said: str
) -> None:
    done = luodi(tmp_path, "add", "new", *arguments)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.replace("│", " ").split())
