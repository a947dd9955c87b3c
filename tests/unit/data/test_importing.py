"""Tables are read by columns where they can be: rows, counts and refusals are those of row by row."""

import csv
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi.data import importing, revisions, tables
from luodi.data.columns import Wanted
from luodi.data.labels import Labels
from luodi.errors import BrokenData, LuodiError

WANTED = Wanted("text", "label", id="nr", keep=("shop",), split="part")
CELL = st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=6)
LABEL = st.sampled_from(["good", " bad", "1.0", "", "[1, 2]", "['a']", "é"])
PART = st.sampled_from(["train", "TEST ", "other", ""])


def read(path: Path, *, by_columns: bool) -> Any:
    """Rows, what the labels say and what was counted, or the error."""
    with mock.patch.object(tables.Table, "by_columns", property(lambda table: by_columns)):
        table, labels = tables.look(path, tables.Given(delimiter=",")), Labels()
        try:
            rows = list(importing.texts(table, WANTED, labels))
        except LuodiError as error:
            return str(error)
        return rows, labels.told(), [(name, *map(list, counts)) for name, *counts in _counts(labels)]


def _counts(labels: Labels) -> Any:
    return [(name, pairs.tolist(), rows.tolist()) for name, pairs, rows in labels.beside.counts()]


@given(
    rows=st.lists(st.tuples(CELL, LABEL, CELL, CELL, PART).map(list), min_size=1, max_size=12), cut=st.integers(0, 9)
)
def test_by_columns_as_row_by_row(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], cut: int) -> None:
    path = tmp_path_factory.mktemp("rows") / "in.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["text", "label", "nr", "shop", "part"], *rows, rows[0][: cut % 5 + 1]])
    with mock.patch.object(tables, "BATCH", 3):
        assert read(path, by_columns=True) == read(path, by_columns=False)
    if all(len(row) == 5 for row in rows):
        pq.write_table(pa.Table.from_pylist([dict(zip(["text", "label", "nr", "shop", "part"], row, strict=True))
                                             for row in rows]), path.with_suffix(".parquet"))  # fmt: skip
        found = path.with_suffix(".parquet")
        assert read(found, by_columns=True) == read(found, by_columns=False)


def test_a_row_with_too_many_fields_is_named(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("text,label,nr,shop,part\na,b,1,x,train\nc,d,2,y,test,more\n")
    said = {read(tmp_path / "in.csv", by_columns=way) for way in (True, False)}
    assert len(said) == 1
    assert "line 3: more fields than the header names" in said.pop()


def test_long_texts_are_read_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "SIZE", 10)
    (tmp_path / "in.csv").write_text("text,label\n" + "long text,a\n" * 5)
    table = tables.look(tmp_path / "in.csv")
    assert [len(places) for places, _ in tables.blocks(table, ("text",))] == [2, 2, 1]
    (tmp_path / "in.csv").write_text('text,label\n"open,a\n')
    with pytest.raises(BrokenData, match="never closed"):
        list(tables.blocks(table, ("text",)))


@given(st.lists(st.none() | st.text(max_size=4) | st.binary(max_size=4)))
def test_digests_are_those_of_each(items: list[Any]) -> None:
    assert revisions.digests(items).tolist() == [revisions.digest(one) for one in items]
