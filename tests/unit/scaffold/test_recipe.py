"""What `luodi add` chooses for data: every choice is a setting that exists, and the kinds of data that went wrong."""

import math
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


@given(rows=COUNTS, height=st.integers(8, 64), width=st.integers(8, 64))
def test_every_recipe_of_images_is_valid_and_bounded(rows: int, height: int, width: int) -> None:
    advice = recipe.image(rows, height, width)
    block = settings("image", advice).train
    steps = block.epochs * -(-0.8 * rows // block.batch_size)
    assert steps >= 60
    assert steps <= max(6500, 12 * (0.8 * rows / 128 + 1))
    long = height * width * 0.8 * rows * block.epochs * recipe.PIXEL > 60 * (recipe.LONG + 1)
    assert not long or "minutes of a processor" in advice.said


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
    assert recipe.image(180, 24, 24).settings["train"] == {"batch_size": 16, "epochs": 60, "patience": 60}
    assert recipe.image(1250, 24, 24).settings["train"] == {"batch_size": 16, "epochs": 24, "patience": 24}
    assert recipe.image(70_000, 28, 28).settings["train"] == {"batch_size": 120, "epochs": 12, "patience": 12}


@given(train=st.integers(2, 100_000))
def test_a_few_images_more_change_little_of_how_a_network_is_trained(train: int) -> None:
    """At 1,000 and at 20,000 of them steps fell, from 1,512 to 960 and from 6,260 to 1,884, and costs rose by 2.5."""
    (batch, epochs), (more_batch, more_epochs) = recipe.schedule(train), recipe.schedule(train + 1)
    assert 0 <= more_batch - batch <= max(4, batch // 4)
    assert 0 <= epochs - more_epochs <= 1


@given(train=st.integers(2, 100_000))
def test_twice_the_images_never_take_fewer_steps(train: int) -> None:
    (batch, epochs), (double_batch, double_epochs) = recipe.schedule(train), recipe.schedule(2 * train)
    assert double_epochs * math.ceil(2 * train / double_batch) >= 0.9 * epochs * math.ceil(train / batch)
    assert 2 * double_epochs >= epochs - 1, "nor less time, but for what rounding takes"


def test_a_network_that_takes_long_is_told_of_with_what_takes_less() -> None:
    """2,135 letters of 51 x 49 pixels took half an hour of a processor for one fit of three."""
    assert recipe.image(2135, 51, 49).said.endswith(
        "; the network takes about 13 minutes of a processor, and twice that again where a class has few test rows "
        "(train.out_of_fold)"
    )
    assert recipe.image(4000, 64, 64).said.endswith(
        "(train.out_of_fold); images of 40 x 40 in place of 64 x 64 (preprocess.height and width) would take 14"
    )
    assert "minutes" not in recipe.image(1797, 8, 8).said
    assert recipe.image(70_000, 28, 28).said.endswith("(train.out_of_fold)"), "what is small is not to be smaller"
