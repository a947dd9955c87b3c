"""ONNX graphs of converters and quantizers, rebuilt so that equal graphs are equal bytes. Needs no Keras."""

import json
from collections.abc import Iterator, Sequence

import onnx
from onnx import NodeProto, TensorProto, ValueInfoProto, helper

from luodi.scoring.inference import ANY_WIDTH

LARGEST = 1_900_000_000  # bytes of float32 weights: a graph and they are one message of protobuf, which holds 2 GiB


def canonical(model: onnx.ModelProto, facts: dict[str, int], output: str = "probabilities") -> onnx.ModelProto:
    """Rebuild `model`, from "x" to `output`, so that equal graphs are equal bytes.

    The converter walks sets of strings: the order of nodes and weights and the numbers in names vary with
    Python's hash seed. Here nodes stand in depth-first order from the output, values are named in that order.
    """
    graph = model.graph
    nodes = list(_ordered(graph.node, graph.output[0].name))
    weights = {weight.name: weight for weight in graph.initializer}
    names = _names(nodes, weights, {graph.input[0].name: "x", graph.output[0].name: output})
    rebuilt = helper.make_graph(
        [_renamed(number, node, names) for number, node in enumerate(nodes)],
        "luodi",
        [_port("x", graph.input[0])],
        [_port(output, graph.output[0])],
        [_named(weights[name], names[name]) for name in names if name in weights],
    )
    opsets = [opset for opset in model.opset_import if opset.domain in {node.domain for node in nodes}]
    result = helper.make_model(rebuilt, producer_name="luodi", opset_imports=opsets, ir_version=model.ir_version)
    if facts:
        helper.set_model_props(result, {"luodi": json.dumps(facts, sort_keys=True)})
    onnx.checker.check_model(result)
    return result


def _ordered(nodes: Sequence[NodeProto], output: str) -> Iterator[NodeProto]:
    """The nodes that `output` needs, each after its inputs."""
    producers = {name: node for node in nodes for name in node.output}
    done: set[str] = set()

    def visit(name: str) -> Iterator[NodeProto]:
        node = producers.get(name)
        if node is None or node.output[0] in done:  # not by its name, which quantizers give twice
            return
        done.add(node.output[0])
        for source in node.input:
            yield from visit(source)
        yield node

    return visit(output)


def _names(nodes: Sequence[NodeProto], weights: dict[str, TensorProto], ends: dict[str, str]) -> dict[str, str]:
    """New names by old ones, in order of use; `ends` are those of input and output."""
    names = {"": "", **ends}
    for node in nodes:
        for name in (*node.input, *node.output):
            names.setdefault(name, f"{'w' if name in weights else 'v'}{len(names)}")
    return names


def _renamed(number: int, node: NodeProto, names: dict[str, str]) -> NodeProto:
    copy = NodeProto(op_type=node.op_type, domain=node.domain, name=f"{node.op_type}_{number}")
    copy.input.extend(names[name] for name in node.input)
    copy.output.extend(names[name] for name in node.output)
    copy.attribute.extend(sorted(node.attribute, key=lambda attribute: str(attribute.name)))
    return copy


def _named(weight: TensorProto, name: str) -> TensorProto:
    copy = TensorProto()
    copy.CopyFrom(weight)
    copy.name = name
    return copy


def _port(name: str, port: ValueInfoProto) -> ValueInfoProto:
    tensor = port.type.tensor_type
    sides = [
        one.dim_param if one.dim_param == ANY_WIDTH else one.dim_value or f"side_{place}"  # which may be any
        for place, one in enumerate(tensor.shape.dim[1:])
    ]
    return helper.make_tensor_value_info(name, tensor.elem_type, ["batch", *sides])
