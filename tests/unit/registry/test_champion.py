"""What the gate's scoring is made of: columns in one order, rows that nobody was trained on."""

from pathlib import Path
from typing import Any

import images
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi import config
from luodi.data import image, split_rows
from luodi.project.paths import ModelPaths
from luodi.registry import champion

PARAMS = Path(__file__).resolve().parents[3] / "params.yaml"
REVIEWS = config.settings_of(config.load(PARAMS), "reviews")
LABELS = st.lists(st.sampled_from("abcdef"), min_size=2, max_size=6, unique=True).map(tuple)


@given(LABELS, LABELS, st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_aligned_columns(theirs: tuple[str, ...], ours: tuple[str, ...], count: int, seed: int) -> None:
    scores = np.random.default_rng(seed).dirichlet(np.ones(len(theirs)), count).astype(np.float32)
    result = champion.aligned(scores, theirs, ours)
    assert result.shape == (count, len(ours))
    assert result.dtype == np.float32
    assert np.allclose(result.sum(1), 1, atol=1e-5)
    common = [label for label in ours if label in theirs]
    for first in common:
        for second in common:  # the order of two labels that both know stays
            before = scores[:, theirs.index(first)] - scores[:, theirs.index(second)]
            after = result[:, ours.index(first)] - result[:, ours.index(second)]
            assert (np.sign(before) == np.sign(after))[abs(after) > 1e-6].all()


def test_equal_labels_are_left_as_they_are() -> None:
    scores = np.array([[0.2, 0.8], [1, 0]], np.float32)
    assert np.array_equal(champion.aligned(scores, ("a", "b"), ("a", "b")), scores)
    assert np.array_equal(champion.aligned(scores, ("a", "b"), ("b", "a")), scores[:, ::-1])
    assert np.array_equal(champion.aligned(scores, ("a", "b"), ("a", "c")), [[1, 0], [1, 0]])
    assert np.array_equal(champion.aligned(scores, ("a", "b"), ("c", "d")), [[0.5, 0.5], [0.5, 0.5]])


def test_what_only_they_know_is_scaled_away() -> None:
    scores = np.array([[0.2, 0.3, 0.5], [0, 0, 1], [0.6, 0.2, 0.2]], np.float32)
    assert champion.aligned(scores, ("a", "b", "c"), ("a", "b")) == pytest.approx(
        np.array([[0.4, 0.6], [0.5, 0.5], [0.75, 0.25]]), abs=1e-6
    )
    assert champion.aligned(scores, ("a", "b", "c"), ("c", "x", "a")) == pytest.approx(
        np.array([[5 / 7, 0, 2 / 7], [1, 0, 0], [0.25, 0, 0.75]]), abs=1e-6
    )


def write(root: Path, kept: list[tuple[str, str]]) -> ModelPaths:
    paths = ModelPaths(root, "m")
    paths.rows.parent.mkdir(parents=True)
    columns = {"text": [text for text, _ in kept], "split": [split for _, split in kept], "source": [""] * len(kept)}
    pq.write_table(pa.table(columns | {"label": pa.array([0] * len(kept), pa.int32())}), paths.rows)
    return paths


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_row_that_the_champion_learned_from_is_seen(tmp_path: Path, split: str) -> None:
    other = {"train": "validation", "validation": "train"}[split]
    theirs = write(tmp_path / "theirs", [("learned", split), ("other", other), ("tested", "test")])
    ours = write(tmp_path / "ours", [("learned", "test"), ("tested", "test"), ("new", "test"), ("x", "train")])
    test = split_rows.read(ours.rows, "text", "test", 1)
    assert champion.unseen(test, theirs, REVIEWS, 1).tolist() == [False, True, True]


def test_a_row_that_another_code_cleaned_is_seen(tmp_path: Path) -> None:
    """What the champion learned from is kept as it was cleaned then."""
    theirs = write(tmp_path / "theirs", [("ＡＢ&amp;", "train"), ("x", "validation")])
    ours = write(tmp_path / "ours", [("AB&", "test"), ("new", "test")])
    test = split_rows.read(ours.rows, "text", "test", 1)
    assert champion.unseen(test, theirs, REVIEWS, 1).tolist() == [False, True]


def test_newest_rows_judge_but_those_that_the_champion_learned_from(tmp_path: Path) -> None:
    """It did if the setting came after it. Rows that were its newest are none that came after it was chosen."""
    theirs = write(
        tmp_path / "theirs", [("x", "train"), ("old", "train"), ("y", "validation"), ("t", "test"), ("back", "newest")]
    )
    ours = write(tmp_path / "ours", [("old", "newest"), ("new", "newest"), ("back", "test"), ("later", "test")])
    rows = champion._newest(ours, theirs, REVIEWS, REVIEWS.labels[:1])
    assert rows is not None
    assert rows.items == ["new"]
    none = write(tmp_path / "none", [("x", "train"), ("y", "validation"), ("z", "test")])
    assert champion._newest(none, theirs, REVIEWS, REVIEWS.labels[:1]) is None
    test = split_rows.read(ours.rows, "text", "test", 1)
    assert champion.unseen(test, theirs, REVIEWS, 1, ("test", "newest")).tolist() == [False, True]


def test_rows_that_stand_together_are_known(tmp_path: Path) -> None:
    paths = write(tmp_path, [("a", "train"), ("b", "test"), ("c", "test"), ("d", "test")])
    assert split_rows.read(paths.rows, "text", "test", 1).group is None
    bare = pq.read_table(paths.rows)
    pq.write_table(bare.append_column("group", pa.array([0, 1, 1, 2])), paths.rows)
    found = split_rows.read(paths.rows, "text", "test", 1)
    assert found.group is not None
    assert found.group.tolist() == [1, 1, 2]
    assert found.some(np.array([1, 2])).group is None
    assert found.some(np.array([0, 1])).group is not None
    pq.write_table(bare.append_column("group", pa.array([0, 0, 1, 2])), paths.rows)
    assert split_rows.read(paths.rows, "text", "test", 1).group is None, "a train row it stands with is no test row"


def test_an_image_that_the_champion_learned_from_is_seen_however_it_was_kept(tmp_path: Path) -> None:
    """What it learned from is brought to today's size before it is compared."""
    paths = ModelPaths(tmp_path / "theirs", "digits")
    paths.rows.parent.mkdir(parents=True)
    kept, shown = [images.png(1, 56), images.png(2, 28)], [images.png(1, 28), images.png(3, 28)]
    columns = {"split": ["train", "validation"], "source": [""] * 2, "label": pa.array([0, 0], pa.int32())}
    pq.write_table(pa.table(columns | {"image": pa.array(kept, pa.large_binary())}), paths.rows)
    block: Any = config.settings_of(config.load(PARAMS), "digits")
    today = image.clean(pa.array([*shown, kept[0]], pa.large_binary()), block.preprocess).to_pylist()
    test = split_rows.Rows(today, np.zeros(3, np.int32), [""] * 3)
    found = champion.unseen(test, paths, block, 1)
    assert (found.tolist(), found.dtype) == ([True, True, False], np.dtype(bool))
