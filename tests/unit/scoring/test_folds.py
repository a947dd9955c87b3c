"""Out-of-fold scores: every row once, by a fit that has not seen it; only where a class has few test rows."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luodi.errors import ArtifactError
from luodi.scoring import folds

ALONE = np.arange(1000)


def test_every_row_is_scored_by_a_fit_that_has_not_seen_it() -> None:
    label = np.random.default_rng(1).integers(0, 4, 200).astype(np.int32)
    label[:5] = 4  # a rare class
    seen = []

    def fit(fitted: Any, judged: Any, held: Any) -> Any:
        assert not set(held) & (set(fitted) | set(judged))
        assert not set(fitted) & set(judged)
        assert len(fitted) + len(judged) + len(held) == 200
        assert set(label[fitted]) == set(range(5)), "every class is learned"
        seen.extend(held)
        return np.tile(np.array([0, 0, 0, 0, 1], np.float32), (len(held), 1))

    found = folds.scores(label, ALONE[:200], 5, fit)
    assert sorted(seen) == list(range(200))
    assert (found[:, 4] == 1).all()


@pytest.mark.parametrize("count", [4, 13, 60])
def test_no_group_straddles_two_folds(count: int) -> None:
    """Neither what is scored nor, where there are enough groups, what chooses is of a group that was learned from."""
    rng = np.random.default_rng(count)
    group, seen = rng.integers(0, count, 600), []

    def fit(fitted: Any, judged: Any, held: Any) -> Any:
        assert not set(group[held]) & {*group[fitted], *group[judged]}
        assert not set(fitted) & set(judged)
        assert count < 60 or not set(group[fitted]) & set(group[judged])
        assert 140 <= len(held) <= 330
        assert len(judged) < len(fitted) / 2
        seen.extend(held)
        return np.zeros((len(held), 2), np.float32)

    folds.scores(np.arange(600, dtype=np.int32) % 2, group, 2, fit)
    assert sorted(seen) == list(range(600))


@pytest.mark.parametrize(
    ("label", "test", "wanted"),
    [
        ([0, 1] * 50, [0, 1] * 30, False),
        ([0, 1] * 50, [0] * 30 + [1] * 29, True),
        ([0, 1] * 50, [0] * 30, True),
        ([0] * 50 + [1], [0] * 30, False),
        ([0] * 50 + [1, 1], [0] * 30, True),
    ],
)
def test_it_is_wanted_where_a_class_has_few_test_rows_and_can_be_learned(label: Any, test: Any, wanted: bool) -> None:
    assert folds.wanted(np.array(label, np.int32), ALONE[: len(label)], np.array(test, np.int32), 2) is wanted


def test_what_is_written_is_read(tmp_path: Path) -> None:
    scores = np.random.default_rng(1).dirichlet(np.ones(3), 7).astype(np.float32)
    folds.write(tmp_path / "some.parquet", np.arange(7), np.arange(7) // 2, scores)
    places, group, found = folds.read(tmp_path / "some.parquet", 3)
    assert places.tolist() == list(range(7))
    assert group.tolist() == [0, 0, 1, 1, 2, 2, 3]
    assert (found == scores).all()
    folds.write(tmp_path / "none.parquet", ALONE[:0], ALONE[:0], np.zeros((0, 3), np.float32))
    assert folds.read(tmp_path / "none.parquet", 3)[2].shape == (0, 3)
    (tmp_path / "broken.parquet").write_bytes(b"x")
    for name, said in (("broken", "cannot be read"), ("absent", "does not exist")):
        with pytest.raises(ArtifactError, match=said):
            folds.read(tmp_path / f"{name}.parquet", 3)


@pytest.mark.slow
def test_it_is_read_without_pandas(tmp_path: Path) -> None:
    folds.write(tmp_path / "found", np.arange(3), np.arange(3), np.ones((3, 2), np.float32))
    code = (
        "import sys, pathlib; from luodi.scoring import folds; "
        "row, group, found = folds.read(pathlib.Path(sys.argv[1]), 2); print(found.shape, 'pandas' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "found")]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "(3, 2) False\n"


def test_what_is_of_one_group_is_scored_by_what_never_saw_its_class() -> None:
    label = np.repeat(np.arange(4, dtype=np.int32), 30)
    group = np.where(label == 3, 500, np.arange(120))  # one group of the last class
    group[60:75], group[75:90] = 501, 502  # two of the third
    assert (folds.learned(label, group) == (label != 3)).all()
    split = np.where(label == 1, "test", "train")
    assert (folds.knowing(label, split, group) == np.isin(label, [0, 2])).all()
