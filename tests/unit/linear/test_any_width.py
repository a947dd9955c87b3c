"""Graphs whose rows are as long as the longest of a batch, beside those of one width that were registered before."""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import onnx
import pytest
from linear_rows import make
from numpy.typing import NDArray

from luodi import config
from luodi.data import text
from luodi.linear import text as linear
from luodi.nets import ensemble
from luodi.nets.canonical import canonical
from luodi.scoring import inference
from luodi.scoring.inference import ANY_WIDTH, Classifier

ROWS = make(120, 3)
SETTINGS = config.TextBaseline(max_features=5000, regularization=(1.0,))
BLANK = text.Encoder(tuple("abc"), "ngram", 20, 2**20, (), (), grams=4, kept="")
ENCODER = BLANK.keeping([text.column(ROWS.items)])
ITEMS = [*ROWS.items, "ωψ", *(one[:place] for place, one in enumerate(ROWS.items, 1)), "<p>" * 90 + "好"] * 3


@cache
def trained() -> onnx.ModelProto:
    """A linear model: scikit-learn takes seconds, which nobody who collects tests should spend."""
    model: onnx.ModelProto = linear.fit(ENCODER, ROWS, ROWS, SETTINGS).judged
    return model


def named(model: onnx.ModelProto, side: str | int) -> onnx.ModelProto:
    """The same with that name or number as the length of its rows; a number is what luodi wrote before."""
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    length = changed.graph.input[0].type.tensor_type.shape.dim[1]
    length.Clear()
    if isinstance(side, str):
        length.dim_param = side
    else:
        length.dim_value = side
    return changed


@dataclass
class Watched:
    """A session that keeps the widths it was asked."""

    session: Any
    widths: list[int] = field(default_factory=list)

    def get_inputs(self) -> Any:
        return self.session.get_inputs()

    def run(self, names: list[str], given: dict[str, NDArray[Any]]) -> Any:
        self.widths.append(given["x"].shape[1])
        return self.session.run(names, given)


def asked(model: onnx.ModelProto, items: list[str]) -> tuple[NDArray[np.float32], list[int]]:
    """What the model says, and the widths of the batches."""
    watched: Any = Watched(inference.session(model.SerializeToString()))
    return Classifier(ENCODER, watched).probabilities(items), watched.widths


@pytest.mark.parametrize("side", [ENCODER.length, "side_1"])
@pytest.mark.parametrize("joined", [False, True])
def test_a_version_of_before_is_read_at_its_own_width_and_says_the_same(side: str | int, joined: bool) -> None:
    """`side_1` is what a network of a user's own may have: what pads a row may make a difference there."""
    model = ensemble.mean(trained(), trained()) if joined else trained()
    found, widths = asked(model, ITEMS)
    expected, before = asked(named(model, side), ITEMS)
    assert set(before) == {ENCODER.length}
    assert widths == sorted(widths), "rows of like length are predicted together"
    assert max(widths) < ENCODER.length
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    for one in ("ωψ", ROWS.items[0]):
        np.testing.assert_allclose(asked(model, [one])[0], asked(named(model, side), [one])[0], rtol=0, atol=1e-6)


def test_a_row_may_be_padding_alone() -> None:
    session = inference.session(trained().SerializeToString())
    one, full = (inference.run_session(session, np.zeros((1, width), np.int32)) for width in (1, ENCODER.length))
    np.testing.assert_allclose(one, full, rtol=0, atol=1e-6)


@pytest.mark.parametrize("first", [True, False])
def test_both_are_of_one_width_where_either_is(first: bool) -> None:
    pair = (trained(), named(trained(), ENCODER.length)) if first else (named(trained(), ENCODER.length), trained())
    assert set(asked(ensemble.mean(*pair), ITEMS)[1]) == {ENCODER.length}


def test_a_graph_that_is_rebuilt_keeps_the_name() -> None:
    rebuilt = canonical(trained(), inference.facts(ENCODER))
    assert rebuilt.graph.input[0].type.tensor_type.shape.dim[1].dim_param == ANY_WIDTH
    assert asked(rebuilt, ITEMS)[1] == asked(trained(), ITEMS)[1]
