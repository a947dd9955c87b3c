"""Which columns are taken, and what a person is shown to type where none can be."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from luodi.data import columns, importing, tables
from luodi.data.columns import IMAGE, TEXT, Wanted
from luodi.errors import BrokenData, MissingColumn

ROWS = "".join(f"{number % 2},the room was number {number}\n" for number in range(20))


def table(folder: Path, content: str, header: bool = True) -> tables.Table:
    (folder / "a.csv").write_text(content)
    return tables.look(folder / "a.csv", tables.Given(header=header))


@pytest.mark.parametrize(
    ("content", "header", "options"),
    [
        (ROWS, True, "--no-header --text-column 2 --label-column 1"),
        (ROWS, False, "--text-column 2 --label-column 1"),
        ("intent,utterance\n" + ROWS, True, "--text-column utterance --label-column intent"),
        ("the mark,utterance\n" + ROWS, True, "--text-column utterance --label-column 'the mark'"),
        ("id,intent,utterance\n" + "".join(f"{n},{row}\n" for n, row in enumerate(ROWS.splitlines())), True,
         "--text-column utterance --label-column intent"),
        ("x\ny\n", True, ""),
    ],
)  # fmt: skip
def test_a_table_whose_columns_are_not_told_says_which_they_may_be(
    tmp_path: Path, content: Any, header: Any, options: Any
) -> None:
    with pytest.raises(MissingColumn, match="cannot tell the column of the texts") as caught:
        columns.choose_columns(table(tmp_path, content, header), Wanted())
    assert caught.value.options == options
    if options:
        words = [one.strip("'") for one in options.replace("'the mark'", "the_mark").split()]
        named = dict(pairwise(words))
        found = table(tmp_path, content, header and "--no-header" not in options)
        text, label = (named[option].replace("_", " ") for option in ("--text-column", "--label-column"))
        assert columns.choose_columns(found, Wanted(text, label)).item == text


def test_of_a_table_of_measurements_no_column_is_proposed(tmp_path: Path) -> None:
    rows = "".join(f"{n / 7:.3f},{-n}e-3,sort {n % 3}\n" for n in range(60))
    with pytest.raises(
        MissingColumn, match="; `high`, the longest, holds numbers alone: a model reads texts"
    ) as caught:
        columns.choose_columns(table(tmp_path, "wide,high,species\n" + rows), Wanted())
    assert caught.value.options == ""


BY_GENRE = "".join(f"it is {n},g{n // 400},d{n // 40}\n" for n in range(1600))
NESTED = "".join(f'{{"query": {{"text": "play {n}", "n": 1}}, "intent": "i{n % 2}"}}\n' for n in range(9))


@pytest.mark.parametrize(
    ("name", "content", "named", "options"),
    [
        ("sorted.csv", "sentence,genre,document\n" + BY_GENRE, Wanted(), "--label-column genre"),
        ("a.jsonl", NESTED, Wanted(), "--text-column query.text --label-column intent"),
        ("a.jsonl", NESTED, Wanted("query.text"), "--label-column intent"),
        ("names.csv", "sector,sex,name\n" + "".join(f"Jewish and others,{'FM'[n % 2]},Noa {n}\n" for n in range(60)),
         Wanted(), "--text-column name --label-column sex"),
        ("faces.csv", "user.id,image,emotion\n" + "".join(f"7,{n}.png,e{n % 3}\n" for n in range(9)),
         Wanted(), "--label-column emotion"),
        ("faces.csv", "user_id,image,emotion\n" + "".join(f"{n % 2},{n}.png,e{n % 3}\n" for n in range(9)),
         Wanted(), "--label-column emotion"),
    ],
)  # fmt: skip
def test_what_is_shown_to_type_is_what_is_missing(
    tmp_path: Path, name: str, content: str, named: Wanted, options: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(MissingColumn) as caught:
        columns.choose_columns(tables.look(tmp_path / name), named, IMAGE if name == "faces.csv" else TEXT)
    assert caught.value.options == options


def test_of_what_is_predicted_the_text_alone_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingColumn) as caught:
        columns.choose_item(table(tmp_path, "intent,utterance\n" + ROWS), None, TEXT)
    assert caught.value.options == "--text-column utterance"
    with pytest.raises(MissingColumn) as caught:
        columns.choose_item(table(tmp_path, "intent,utterance\n" + ROWS), None, IMAGE)
    assert caught.value.options == "--image-column utterance"


def test_a_column_called_split_is_taken_and_another_if_it_is_named(tmp_path: Path) -> None:
    found = table(tmp_path, "text,label,Split,part\na,b,test,train\n")
    assert columns.choose_columns(found, Wanted()).split == "Split"
    assert columns.choose_columns(found, Wanted(split="part")).split == "part"
    with pytest.raises(MissingColumn, match="`fold`"):
        columns.choose_columns(found, Wanted(split="fold"))
    assert columns.choose_columns(found, Wanted("Split", "label")).split is None


def test_the_column_of_row_numbers_that_pandas_writes_has_no_name_and_is_none(tmp_path: Path) -> None:
    rows = "".join(f"{n},the room was number {n},{n % 2}\n" for n in range(20))
    found = table(tmp_path, ",utterance,intent\n" + rows)
    with pytest.raises(MissingColumn) as caught:
        columns.choose_columns(found, Wanted())
    assert caught.value.options == "--text-column utterance --label-column intent"
    found = table(tmp_path, ",utterance,label\n" + rows)
    chosen = columns.choose_columns(found, Wanted())
    assert (chosen.item, chosen.label) == ("utterance", "label")
    assert [row.label for row in importing.texts(found, chosen)] == ["0", "1"] * 10


def test_of_two_columns_of_a_name_none_is_taken(tmp_path: Path) -> None:
    with pytest.raises(BrokenData, match="expected one column `label`, found 2: give the others another name"):
        columns.choose_columns(table(tmp_path, "text,label,label\na,1,0\n"), Wanted())
    assert columns.choose_columns(table(tmp_path, "text,label,x,x\na,1,0,0\n"), Wanted()).label == "label"
    with pytest.raises(BrokenData, match="expected one column `text`, found 2"):
        columns.choose_item(table(tmp_path, "text,text\na,b\n"), None)
    assert columns.choose_item(table(tmp_path, "text,x,x\na,b,c\n"), None) == "text"
