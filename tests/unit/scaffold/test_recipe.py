"""What `luodi add` chooses for data: every choice is a setting that exists, and the kinds of data that went wrong."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luodi import config
from luodi.scaffold import recipe

COUNTS = st.integers(2, 2_000_000)


def settings(modality: str, advice: Any) -> Any:
    return config.parse(
        {"models": {"m": {"modality": modality, "labels": ["a", "b"], **advice.settings}}}, "here"
    ).models["m"]


@given(rows=COUNTS, classes=st.integers(2, 1000), chinese=st.floats(0, 1), times=st.floats(1, 1e6))
def test_every_recipe_of_texts_is_valid(rows: int, classes: int, chinese: Any, times: Any) -> None:
    advice = recipe.text(rows, classes, chinese, times=times)
    block = settings("text", advice)
    assert block.preprocess.words == (chinese < 0.5)
    assert block.train.architecture == "linear" or block.train.embedding == (32 if classes > 2 else 2)
    assert block.train.class_weight == ("balanced" if times > 20 else "none")
    assert ("train.class_weight" in advice.said) == (times > 20)
    assert advice.said


@given(rows=COUNTS)
def test_every_recipe_of_images_is_valid_and_bounded(rows: int) -> None:
    block = settings("image", recipe.image(rows)).train
    steps = block.epochs * -(-0.8 * rows // block.batch_size)
    assert steps >= 60
    assert steps <= max(3000, 12 * (0.8 * rows / 128 + 1), 20 * (0.8 * rows / 64 + 1))


@pytest.mark.parametrize(
    ("rows", "classes", "architecture"),
    [
        (45_000, 10, "ngram"),
        (20_000, 3, "ngram"),
        (62_774, 2, "ngram"),
        (17_360, 2, "ngram"),
        (8000, 10, "linear"),
        (15_000, 150, "linear"),
        (10_000, 77, "linear"),
        (4000, 400, "linear"),
        (900, 6, "linear"),
        (500, 3, "linear"),
    ],
)
def test_few_rows_of_all_or_of_a_class_are_for_a_linear_model(rows: Any, classes: Any, architecture: Any) -> None:
    assert settings("text", recipe.text(rows, classes, 0.0)).train.architecture == architecture


def test_small_sets_of_images_take_enough_steps() -> None:
    assert recipe.image(180).settings["train"] == {"batch_size": 16, "epochs": 60, "patience": 60}
    assert recipe.image(70_000).settings["train"] == {"batch_size": 128, "epochs": 12, "patience": 12}
