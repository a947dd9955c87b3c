"""What was found goes into params.yaml as a person would write it there."""

from pathlib import Path

import pytest

from luodi.errors import ParamsError
from luodi.scaffold import settling

BEFORE = """\
models:
  # the shop's reviews
  shop:
    modality: text
    labels: ["bad", 'good']  # in this order
    preprocess: {max_length: 64}
    train:
      learning_rate: 0.005  # tried 0.01 too
      # no more, for time
      epochs: 3
  other: {modality: text, labels: [a, b]}
"""
AFTER = """\
models:
  # the shop's reviews
  shop:
    modality: text
    labels: ["bad", 'good']  # in this order
    preprocess: {max_length: 32}
    train:
      learning_rate: 0.002  # tried 0.01 too
      # no more, for time
      epochs: 3
      dropout: 0.2
    tune:
      trials: 4
  other: {modality: text, labels: [a, b]}
"""


def test_comments_quotes_and_order_stay(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(BEFORE, encoding="utf-8")
    train = {"learning_rate": 0.002, "dropout": 0.2}
    settling.settle(path, "shop", {"preprocess": {"max_length": 32}, "train": train, "tune": {"trials": 4}})
    assert path.read_text(encoding="utf-8") == AFTER


def test_what_is_no_setting_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(BEFORE, encoding="utf-8")
    with pytest.raises(ParamsError, match="dropout"):
        settling.settle(path, "shop", {"train": {"dropout": 1.5}})
    assert path.read_text(encoding="utf-8") == BEFORE
