"""What stands together in a batch: no group straddles splits, no row moves, what is left out is told."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luodi import config
from luodi.checks import modality, quarantine, together
from luodi.checks.quarantine import Checked
from luodi.config import ModelSettings, Shares
from luodi.data import shards
from luodi.errors import DataError, MissingColumn, WrongValue
from luodi.stages import preprocess

LABELS = ("a", "b")
THIRDS = Shares(train=0.34, validation=0.33, test=0.33)
Row = tuple[str, str, str | None, str | None]  # text, label, author, day


def model(modality: str = "text", **split: Any) -> ModelSettings:
    block = {"modality": modality, "labels": LABELS, "preprocess": {"shares": THIRDS.model_dump(), "split": split}}
    return config.parse({"models": {"some": block}}, "params.yaml").models["some"]


def checked(rows: Sequence[Row], settings: ModelSettings, source: Sequence[str] | None = None) -> Checked:
    text, label, author, day = zip(*rows, strict=True)
    columns: dict[str, Any] = {"text": text, "label": label, "source": source or ["s"] * len(rows)}
    columns |= {shards.OF_GROUP + "author": author, shards.OF_GROUP + "day": day}
    kept = ["text", "label", "source", *(shards.OF_GROUP + name for name in settings.preprocess.split.by)]
    table = pa.table({name: pa.array(columns[name], pa.string()) for name in kept})
    table = table.append_column("shard", pa.array(["a"] * len(rows))).append_column("row", pa.array(range(len(rows))))
    found = modality.measures("text").measure([table], settings)
    joined = together.groups_of(found, settings, "text")
    return together.hold_back(found, joined) if joined else found


def placed(found: Checked, settings: ModelSettings) -> dict[int, str]:
    """The split of each row that preprocess keeps, by its place among all rows."""
    part = found.table
    for name, column in together.columns(found).items():
        part = part.append_column(name, column)
    clean = quarantine.split(part.append_column("origin", part["row"].cast(pa.string())), found.marks, "text")[0]
    try:
        rows = preprocess.select(clean["text"].combine_chunks(), clean, settings)[0]
    except DataError:  # a split is empty yet
        return {}
    return dict(zip(map(int, rows["origin"].to_pylist()), rows["split"].to_pylist(), strict=True))


def arrival(rng: np.random.Generator) -> list[Row]:
    """Some rows of a few texts, authors and days, which merge groups time and again."""
    return [
        (
            f"房间{rng.integers(400)}很好",
            LABELS[int(rng.random() < 0.01)],
            None if rng.random() < 0.1 else f"author {rng.integers(80)}",
            None if rng.random() < 0.1 else f"day {rng.integers(80)}",
        )
        for _ in range(rng.integers(1, 30))
    ]


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([["author"], ["author", "day"]]))
def test_50_arrivals_move_no_row_and_groups_stand_in_one_split(seed: int, by: list[str]) -> None:
    rng = np.random.default_rng(seed)
    arrivals = [arrival(rng) for _ in range(50)]
    block, rows, before = model(by=by), list[Row](), dict[int, str]()
    for more in arrivals:
        rows += more
        found = checked(rows, block)
        now = placed(found, block)
        assert {row: now[row] for row in before if row in now} == {
            row: old for row, old in before.items() if row in now
        }
        gone = [row for row in before if row not in now]
        contradicting = found.table[quarantine.contradiction("text")].to_pylist()
        assert all(contradicting[row] for row in gone)  # it is told, and held back
        for place in (0, *(2 + ["author", "day"].index(name) for name in by)):
            splits: dict[Any, set[str]] = {}
            for row, split in now.items():
                if rows[row][place] is not None:
                    splits.setdefault(rows[row][place], set()).add(split)
            assert all(len(one) == 1 for one in splits.values())
        before |= now
    assert before


def test_a_row_without_a_value_stands_where_its_text_alone_puts_it() -> None:
    """An empty value is none; a row of a group stands where the name of the group puts it."""
    block, plain = model(by=["author"]), model()
    rows: list[Row] = [(f"房间{place}很好", "a", ("", None)[place % 2], None) for place in range(60)]
    expected = placed(checked(rows, plain), plain)
    assert placed(checked(rows, block), block) == expected
    grouped: list[Row] = [
        (text, label, f"房间{7 * (place // 7)}很好", None) for place, (text, label, *_) in enumerate(rows)
    ]
    found = placed(checked(grouped, block), block)
    assert found == {row: expected[7 * (row // 7)] for row in expected}


def test_a_row_that_ties_two_splits_is_held_back_with_its_reason_and_told() -> None:
    block = model(by=["author"])
    rows: list[Row] = [(f"房间{place}很好", "a", f"author {place}", None) for place in range(60)]
    splits_ = placed(checked(rows, block), block)
    other = next(row for row in splits_ if splits_[row] != splits_[0])
    found = checked([*rows, ("房间0很好", "a", f"author {other}", None)], block)
    assert placed(found, block) == splits_
    assert quarantine.reasons(found.marks).to_pylist()[-1] == [together.APART]
    told = together.finding(found, "text")
    assert (told.passed, told.found) == (False, "1 row (1.6%), held back")
    assert together.counts(found) == {"groups": 60, "largest_group": 1, "tying_splits": 1}


def test_official_rows_stand_in_their_split_and_what_ties_to_them_is_left_out() -> None:
    """As with equal texts, a test row counts as there before others."""
    shares = Shares(train=0.5, validation=0.5, test=0.0)
    block = model(by=["author"])
    block = block.model_copy(
        update={"preprocess": block.preprocess.model_copy(update={"shares": shares, "test_source": "official"})}
    )
    rows: list[Row] = [(f"房间{place}很好", "a", f"author {place % 30}", None) for place in range(60)]
    source = ["official" if place in (35, 59) else "s" for place in range(60)]
    found = checked(rows, block, source)
    assert {row for row, split in placed(found, block).items() if split == "test"} == {35, 59}
    held = found.table[quarantine.HELD].to_pylist()
    assert [row for row in range(60) if held[row]] == [5, 29]


def test_nothing_changes_where_nothing_stands_together() -> None:
    found = checked([("房间很好", "a", "x", "y")] * 3, model())
    assert found.groups is None
    assert together.columns(found) == together.counts(found) == {}


PATHS = ["cat/p1_1.png", "cat/p1_2.png", "dog/p1_3.png", "dog/p2_1.png", "dog/other.png", None]


def test_images_stand_together_by_a_part_of_their_path() -> None:
    block = model("image", pattern=r"/(p\d+)_")
    table = pa.table({
        "source": ["s"] * 6,
        "origin": pa.array(PATHS, pa.string()),
        quarantine.HELD: [False] * 6,
    })  # fmt: skip
    content = pa.chunked_array([pa.array([str(place).encode() for place in range(6)])])
    found = together.groups_of(Checked(table, (quarantine.HELD,), content), block, "image")
    assert found is not None
    assert found.first.tolist() == [0, 0, 0, 3, 4, 5]
    bare = Checked(table.drop_columns(["origin"]), (quarantine.HELD,), content)
    with pytest.raises(MissingColumn, match="no shard has the column `origin`"):
        together.groups_of(bare, block, "image")


@pytest.mark.parametrize("pattern", ["(", "p", "(a)(b)"])
def test_a_pattern_has_one_group(pattern: str) -> None:
    with pytest.raises(WrongValue, match="expected a regular expression"):
        model("image", pattern=pattern)
