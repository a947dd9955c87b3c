"""One ONNX model of two that read the same rows: the mean of their probabilities."""

import onnx
from onnx import NodeProto, TensorProto, helper

from luodi.scoring.inference import ANY_WIDTH

OUTPUT = "probabilities"


def mean(first: onnx.ModelProto, second: onnx.ModelProto) -> onnx.ModelProto:
    """Return the model from "x" to the mean of what both make of it; its metadata are those of `first`.

    Its rows may be of any length where those of both may.
    """
    parts = [_renamed(part, f"{place}_") for place, part in enumerate((first, second))]
    both = helper.make_node("Mean", [f"{place}_{OUTPUT}" for place in range(2)], [OUTPUT])
    graph = helper.make_graph(
        [*(node for nodes, _ in parts for node in nodes), both],
        "luodi",
        next((part.graph.input for part in (first, second) if _width(part) != ANY_WIDTH), first.graph.input),
        first.graph.output,
        [weight for _, weights in parts for weight in weights],
    )
    opsets = {(one.domain, one.version): one for part in (first, second) for one in part.opset_import}
    model = helper.make_model(
        graph, producer_name="luodi", opset_imports=list(opsets.values()), ir_version=first.ir_version
    )
    model.metadata_props.extend(first.metadata_props)
    onnx.checker.check_model(model)
    return model


def _width(model: onnx.ModelProto) -> str:
    """How the model names the length of its rows, where it does."""
    return str(model.graph.input[0].type.tensor_type.shape.dim[1].dim_param)


def _renamed(model: onnx.ModelProto, prefix: str) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and weights of a model, every name but that of its input behind `prefix`."""
    kept = {"", model.graph.input[0].name}
    nodes, weights = [], []
    for node in model.graph.node:
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.name = f"{prefix}{node.name}"
        for names in (copy.input, copy.output):
            names[:] = [name if name in kept else f"{prefix}{name}" for name in names]
        nodes.append(copy)
    for weight in model.graph.initializer:
        renamed = TensorProto()
        renamed.CopyFrom(weight)
        renamed.name = f"{prefix}{weight.name}"
        weights.append(renamed)
    return nodes, weights
