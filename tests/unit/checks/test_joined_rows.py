"""What stands together in a batch: no group straddles splits, no row moves, what is left out is told."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import images
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luodi import config
from luodi.checks import joined_rows, modality, quarantine
from luodi.checks.quarantine import Checked
from luodi.config import ModelSettings, Shares
from luodi.data import clean_rows, shards, splits
from luodi.errors import DataError, MissingColumn, WrongValue

LABELS = ("a", "b")
THIRDS = Shares(train=0.34, validation=0.33, test=0.33)
Row = tuple[Any, str, str | None, str | None]  # item, label, author, day


def model(modality: str = "text", **split: Any) -> Any:
    block = {"modality": modality, "labels": LABELS, "preprocess": {"shares": THIRDS.model_dump(), "split": split}}
    return config.parse({"models": {"some": block}}, "params.yaml").models["some"]


def checked(rows: Sequence[Row], settings: ModelSettings, source: Sequence[str] | None = None) -> Checked:
    kind, (items, label, author, day) = settings.modality, zip(*rows, strict=True)
    columns: dict[str, Any] = {"label": label, "source": source or ["s"] * len(rows)}
    columns |= {shards.OF_GROUP + "author": author, shards.OF_GROUP + "day": day}
    kept = ["label", "source", *(shards.OF_GROUP + name for name in settings.preprocess.split.by)]
    table = pa.table({kind: items} | {name: pa.array(columns[name], pa.string()) for name in kept})
    table = table.append_column("shard", pa.array(["a"] * len(rows))).append_column("row", pa.array(range(len(rows))))
    found = modality.measures(kind).measure([table], settings)
    joined = joined_rows.groups_of(found, settings, modality.measures(kind))
    return joined_rows.hold_back(found, joined) if joined else found


def placed(found: Checked, settings: ModelSettings) -> dict[int, str]:
    """The split of each row that preprocess keeps, by its place among all rows."""
    part = found.table
    for name, column in joined_rows.columns(found).items():
        part = part.append_column(name, column)
    part = part.append_column("origin", part["row"].cast(pa.string()))
    if settings.modality == "image":  # which is not kept
        part = part.append_column("image", found.content)
    clean = quarantine.split(part, found.marks, settings.modality)[0]
    rows = pa.array(map(int, clean["origin"].to_pylist()))
    split = pc.index_in(clean["split"], pa.array(splits.NAMES)).to_numpy() if found.groups else np.full(len(clean), -1)
    marks = clean_rows.Marks(
        splits.digests(found.content.take(rows).combine_chunks(), settings.preprocess.seed),
        pc.index_in(clean["label"], pa.array(LABELS)).to_numpy(),
        splits.rank(clean["source"], settings.preprocess),
        split.astype(np.int8),
    )
    try:
        kept = clean_rows.select(marks, settings)[0].tolist()
    except DataError:  # a split is empty yet
        return {}
    return {row: splits.NAMES[one] for row, one in zip(rows.to_pylist(), kept, strict=True) if one >= 0}


SENTENCES = ["".join(map(chr, np.random.default_rng(seed).integers(0x4E00, 0x5E00, 40))) for seed in range(300)]


def arrival(rng: np.random.Generator) -> list[Row]:
    """Some rows of a few texts, a character of some changed, of a few authors and days: groups merge time and again."""
    rows = []
    for _ in range(rng.integers(1, 30)):
        text = SENTENCES[rng.integers(len(SENTENCES))]
        place = int(rng.integers(len(text)))
        rows.append((
            text if rng.random() < 0.6 else text[:place] + "好" + text[place + 1 :],
            LABELS[int(rng.random() < 0.01)],
            None if rng.random() < 0.2 else f"author {rng.integers(80)}",
            None if rng.random() < 0.2 else f"day {rng.integers(80)}",
        ))  # fmt: skip
    return rows


def pictures(rng: np.random.Generator) -> list[Row]:
    """Some images, most of them copies of 40: larger, or a JPEG of some quality, with all that this loses."""
    rows: list[Row] = []
    for _ in range(rng.integers(1, 8)):
        seed, author = int(rng.integers(25)), f"author {rng.integers(60)}"
        one = images.drawing(seed, int(rng.integers(24, 40)))
        quality = int(rng.integers(40, 95))
        file = images.png(seed) if rng.random() < 0.2 else images.encoded(one, "JPEG", quality=quality)
        rows.append((file, LABELS[seed % 2], None if rng.random() < 0.8 else author, None))
    return rows


def ties(rows: Sequence[Row], block: Any, found: Checked) -> Iterator[tuple[bool, int, Any]]:
    """Whether it is resemblance, a row, and what ties it: another thing for each kind of tie."""
    items, _, author, day = zip(*rows, strict=True)
    named = {"author": author, "day": day}
    for name, codes in (("item", items), *((name, named[name]) for name in block.preprocess.split.by)):
        yield from ((False, row, (name, code)) for row, code in enumerate(codes) if code is not None)
    if block.preprocess.split.near_copies == "join":
        bands, links = modality.measures(block.modality).alike(found)
        for band, numbers in enumerate(bands):
            yield from ((True, row, (band, number)) for row, number in enumerate(numbers.tolist()))
        yield from ((True, row, ("link", number)) for row, number in links.tolist())


@settings(max_examples=1, deadline=None)
@given(seed=st.integers(0, 2**32))
@pytest.mark.slow
def test_50_arrivals_move_no_row_and_groups_stand_in_one_split(seed: int) -> None:
    grow(seed, model(by=["author", "day"], near_copies="join"))


@settings(max_examples=1, deadline=None)
@given(seed=st.integers(0, 2**32))
@pytest.mark.slow
def test_50_arrivals_of_copies_of_images_move_none(seed: int) -> None:
    grow(seed, model("image", by=["author"], near_copies="join"), pictures)


@pytest.mark.proof
@pytest.mark.parametrize(
    "split",
    [{"by": ["author"]}, {"by": ["author", "day"]}, {"near_copies": "join"}, {"by": ["day"], "near_copies": "join"}],
)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_arrivals_move_a_row(seed: int, split: dict[str, Any]) -> None:
    grow(seed, model(**split))


@pytest.mark.proof
@pytest.mark.parametrize("split", [{"near_copies": "join"}, {"by": ["author"], "near_copies": "join"}])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_no_arrivals_of_images_move_one(seed: int, split: dict[str, Any]) -> None:
    grow(seed, model("image", **split), pictures)


def grow(seed: int, block: Any, arrival: Callable[[np.random.Generator], list[Row]] = arrival) -> None:
    """Let 50 batches arrive, and look at all rows after each."""
    rng, rows, before = np.random.default_rng(seed), list[Row](), dict[int, str]()
    told = 0
    for _ in range(50):
        rows += arrival(rng)
        found = checked(rows, block)
        now = placed(found, block)
        assert all(now[row] == old for row, old in before.items() if row in now)
        contradicting = found.table[quarantine.contradiction(block.modality)].to_pylist()
        assert all(contradicting[row] for row in before if row not in now)  # it is told, and held back
        stood: dict[Any, set[str]] = {}
        for near, row, code in ties(rows, block, found):
            if row in now and not (near and found.groups and found.groups.loose[row]):  # it resembles a template
                stood.setdefault(code, set()).add(now[row])
        assert all(len(there) == 1 for there in stood.values())
        before |= now
        told = joined_rows.counts(found)["tying_splits"]
    assert before
    assert (
        told or not block.preprocess.split.by
    )  # that a row is nearly alike to two that are not to each other is a chance


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
    assert quarantine.reasons(found.marks).to_pylist()[-1] == [joined_rows.APART]
    told = joined_rows.finding(found, "text")
    assert (told.passed, told.severity, told.found) == (False, "warning", "1 row (1.6%), held back")
    assert joined_rows.counts(found) == {"groups": 60, "largest_group": 1, "tying_splits": 1, "of_templates": 0}


def test_groups_that_straddle_most_of_the_datas_own_splits_stop_the_run() -> None:
    own = {
        "shares": {"train": 1, "validation": 0, "test": 0},
        "split": {"by": ["author"]},
        "test_source": "test",
        "validation_source": "val",
    }
    block = config.parse({"models": {"m": {"modality": "text", "labels": LABELS, "preprocess": own}}}, "").models["m"]
    rows: list[Row] = [(f"房间{place}很好", "a", f"author {place // 4}", None) for place in range(60)]
    found = checked(rows, block, [("train", "train", "val", "test")[row % 4] for row in range(60)])
    told = joined_rows.finding(found, "text")
    assert (told.passed, told.severity, told.found) == (False, "critical", "45 rows (75.0%), held back")
    assert "leave out preprocess.split.by, or test_source" in told.expected


def test_a_class_that_its_groups_keep_out_of_a_split_is_told() -> None:
    """All rows of a are of one author, and stand in one split; those of b are of thirty."""
    block = model(by=["author"])
    texts = [f"房间{place}很好" for place in range(120)]
    sides = set()
    for author in "stuvwxyz":
        rows: list[Row] = [(text, "a", author, None) for text in texts[:60]]
        rows += [(text, "b", f"author {place % 30}", None) for place, text in enumerate(texts[60:])]
        found = checked(rows, block)
        split = placed(found, block)[0]
        told = joined_rows.of_classes(found, block)
        missing = [name for name in ("train", "test") if name != split]
        assert told.found == "; ".join(f"class a: none of its 60 rows in {name}, of 1 group" for name in missing)
        assert (told.passed, told.severity) == (False, "warning")
        sides.add(split)
    assert sides == {"train", "validation", "test"}
    own = checked([(text, label, author and f"{author}{place}", None) for place, (text, label, author, _) in
                   enumerate(rows)], block)  # fmt: skip
    assert joined_rows.of_classes(own, block).found == "all have them"


def test_groups_that_leave_a_split_empty_are_told() -> None:
    none = np.zeros(20, np.int8)
    marks = clean_rows.Marks(np.arange(1, 21, dtype=np.uint64), none.astype(np.int64), none + 2, none)
    with pytest.raises(DataError, match=r"share a value of author stand together.* group by a column of more values"):
        clean_rows.select(marks, model(by=["author"]))


TEMPLATES = ("order {} shipped", "your order {} was delayed", "refund for order {} issued", "invoice {} is due")


def test_rows_of_templates_do_not_fall_on_one_side() -> None:
    """1,600 rows of four templates: each class has the test rows that it would have. Up to 9 copies are together."""
    rng = np.random.default_rng(0)
    rows: list[Row] = [
        (TEMPLATES[row % 4].format(rng.integers(10**6)), LABELS[row % 2], None, None) for row in range(1600)
    ]
    for copy, sentence in enumerate(SENTENCES[:100]):
        rows += [(f"{sentence}{'!' * times}", LABELS[copy % 2], None, None) for times in range(1 + copy % 9)]
    block = model(near_copies="join")
    found, plain = checked(rows, block), checked(rows, model())
    joined, apart = placed(found, block), placed(plain, model())
    for label in LABELS:
        tests, usual = (
            sum(split == "test" and rows[row][1] == label and row < 1600 for row, split in one.items())
            for one in (joined, apart)
        )
        assert 0.8 * usual < tests < 1.2 * usual
    sides: dict[str, set[str]] = {}
    for row, split in joined.items():
        if row >= 1600:
            sides.setdefault(rows[row][0].strip("!"), set()).add(split)
    assert {len(one) for one in sides.values()} == {1}
    assert joined_rows.counts(found)["of_templates"] > 1400
    assert joined_rows.counts(found)["largest_group"] < 0.1 * len(rows)


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
    assert joined_rows.columns(found) == joined_rows.counts(found) == {}


PATHS = ["cat/p1_1.png", "cat/p1_2.png", "dog/p1_3.png", "dog/p2_1.png", "dog/other.png", None]


def test_images_stand_together_by_a_part_of_their_path() -> None:
    block = model("image", pattern=r"/(p\d+)_")
    table = pa.table({
        "source": ["s"] * 6,
        "origin": pa.array(PATHS, pa.string()),
        quarantine.HELD: [False] * 6,
    })  # fmt: skip
    content = pa.chunked_array([pa.array([str(place).encode() for place in range(6)])])
    codes = quarantine.codes(content)
    found = joined_rows.groups_of(Checked(table, (quarantine.HELD,), content, codes), block, modality.measures("image"))
    assert found is not None
    assert found.first.tolist() == [0, 0, 0, 3, 4, 5]
    bare = Checked(table.drop_columns(["origin"]), (quarantine.HELD,), content, codes)
    with pytest.raises(MissingColumn, match="no shard has the column `origin`"):
        joined_rows.groups_of(bare, block, modality.measures("image"))


@pytest.mark.parametrize("pattern", ["(", "p", "(a)(b)"])
def test_a_pattern_has_one_group(pattern: str) -> None:
    with pytest.raises(WrongValue, match="expected a regular expression"):
        model("image", pattern=pattern)
