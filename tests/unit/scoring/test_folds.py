"""Out-of-fold scores: every row once, by a fit that has not seen it; only where a class has few test rows."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from luodi.errors import ArtifactError
from luodi.scoring import folds


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

    found = folds.scores(label, 5, fit)
    assert sorted(seen) == list(range(200))
    assert (found[:, 4] == 1).all()


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
    assert folds.wanted(np.array(label, np.int32), np.array(test, np.int32), 2) is wanted


def test_what_is_written_is_read(tmp_path: Path) -> None:
    scores = np.random.default_rng(1).dirichlet(np.ones(3), 7).astype(np.float32)
    folds.write(tmp_path / "some.parquet", np.arange(7), scores)
    places, found = folds.read(tmp_path / "some.parquet", 3)
    assert places.tolist() == list(range(7))
    assert (found == scores).all()
    folds.write(tmp_path / "none.parquet", np.zeros(0, np.int64), np.zeros((0, 3), np.float32))
    assert folds.read(tmp_path / "none.parquet", 3)[1].shape == (0, 3)
    (tmp_path / "broken.parquet").write_bytes(b"x")
    for name, said in (("broken", "cannot be read"), ("absent", "does not exist")):
        with pytest.raises(ArtifactError, match=said):
            folds.read(tmp_path / f"{name}.parquet", 3)
