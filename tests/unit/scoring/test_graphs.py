"""Rows of a table added up: whichever way ONNX Runtime copies them, the same."""

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from luodi.data.text import Encoder
from luodi.nets.canonical import canonical
from luodi.scoring import graphs, inference

ENCODER = Encoder(("no", "yes"), "char", 6, 16, (), tuple("abcdefghij"))
IDS = np.array([[1, 2, 3, 0, 0], [11, 11, 0, 0, 0], [0, 0, 0, 0, 0], [5, 4, 3, 2, 1]], np.int32)


def table(columns: int) -> NDArray[np.float32]:
    drawn = np.random.default_rng(columns).normal(size=(ENCODER.size, columns)).astype(np.float32)
    drawn[0] = 0
    return drawn


def model(columns: int) -> onnx.ModelProto:
    nodes, weights = graphs.sums("table", "x", columns)
    nodes.append(helper.make_node("Identity", ["sums"], ["found"]))
    return graphs.make(nodes, {"table": table(columns), **weights}, ENCODER, "found", any_width=True)


def found(made: onnx.ModelProto, ids: NDArray[np.int32] = IDS) -> Any:
    return inference.session(made.SerializeToString()).run(None, {"x": ids})[0]


def kinds(made: onnx.ModelProto) -> set[str]:
    return {node.op_type for node in made.graph.node}


@pytest.mark.parametrize("columns", [1, 2, 3, graphs.FEW, graphs.FEW + 1, 40])
@pytest.mark.parametrize("rows", [slice(None), slice(1)])
def test_the_rows_that_ids_name_are_added_up(columns: int, rows: slice) -> None:
    made = model(columns)
    assert ("GatherElements" in kinds(made)) == (columns <= graphs.FEW)
    np.testing.assert_allclose(found(made, IDS[rows]), table(columns)[IDS[rows]].sum(1), rtol=0, atol=1e-6)


def test_the_same_is_said_row_by_row() -> None:
    made = model(3)
    changed = graphs.with_rows(canonical(made, {}, "found"))  # by other names
    assert kinds(changed) - kinds(made) == {"Gather", "Transpose"}
    assert "GatherElements" not in kinds(changed)
    np.testing.assert_allclose(found(changed), found(made), rtol=0, atol=1e-6)


@pytest.mark.parametrize("columns", [3, 9])
def test_what_is_copied_otherwise_stays_as_it_is(columns: int) -> None:
    """Rows; and a table that is computed, which no quantizer reads."""
    made = model(columns)
    if columns <= graphs.FEW:
        made.graph.initializer[0].name = "raw"
        made.graph.node.insert(0, helper.make_node("Neg", ["raw"], ["table"], "first"))
    assert graphs.with_rows(made) == made
    own = helper.make_node("GatherElements", ["table", "x"], ["y"])
    assert graphs.with_rows(helper.make_model(helper.make_graph([own], "g", [], []))).graph.node[0] == own


@pytest.mark.slow
def test_a_quantizer_makes_its_table_a_quarter(tmp_path: Any) -> None:
    """Of what is copied number by number it finds nothing to make smaller."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    sizes = []
    for name, made in {"as_it_is": model(4), "rows": graphs.with_rows(model(4))}.items():
        onnx.save(made, tmp_path / name)
        quantize_dynamic(tmp_path / name, tmp_path / "small", weight_type=QuantType.QInt8)
        weights = canonical(onnx.load(tmp_path / "small"), {}, "found").graph.initializer  # what is read by none goes
        sizes.append(max(numpy_helper.to_array(weight).nbytes for weight in weights))
    assert sizes == [4 * 4 * ENCODER.size, 4 * ENCODER.size]
