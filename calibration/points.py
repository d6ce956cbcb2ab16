"""Which tensors of a canonical graph an int8 network needs ranges of.

The rules are the same for every target (what fuses best was measured with OpenVINO and agrees
with NVIDIA's guidance for explicit quantization): the inputs of convolutions and dense layers,
of residual additions, of the first pooling and of spatial means. A shift and a maximum only
choose among their inputs, so that what comes out of them has the scale of what went in.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import onnx_ir as ir

from edgevid.errors import GraphError
from edgevid.graph.shift_op import DOMAIN, SHIFT

__all__ = [
    "GROUPS",
    "Edge",
    "edges",
    "is_layer",
    "is_non_negative",
    "is_shift",
    "layers_named",
    "points",
    "source",
]

GROUPS = ("depthwise", "first", "last", "gates")
"""Words for layers that are often kept in float: all depthwise ones, those at the ends, and those whose
results are weights only: behind a sigmoid, a tanh or a softmax they are multiplied with something."""

_WEIGHING = frozenset({"Sigmoid", "Softmax", "Tanh"})
_VIEWS = frozenset({"Cast", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split"})
_VIEWS |= {"Squeeze", "Transpose", "Unsqueeze"}
_SCALINGS = frozenset({"Add", "Div", "Mul", "Sub"})

_MEANS = frozenset({"AveragePool", "GlobalAveragePool", "ReduceMean"})
_POSITIVE = frozenset({"Abs", "Exp", "HardSigmoid", "Relu", "Sigmoid", "Softmax", "Softplus"})
_SIGN_KEEPING = _MEANS | {"Flatten", "Identity", "MaxPool", "Reshape", SHIFT, "Squeeze", "Transpose"}
_SIGN_KEEPING |= {"Add", "Concat", "Max", "Mul", "Unsqueeze"}


@dataclass(frozen=True)
class Edge:
    """An input of an operation that is to be quantized.

    Attributes:
        node: the operation.
        index: of the input.
        source: the tensor whose range counts: the input itself, or what shifts and maxima
            before it choose from.
    """

    node: ir.Node
    index: int
    source: ir.Value


def points(graph: ir.Model) -> tuple[str, ...]:
    """Names of the tensors that need a range, in the order of the graph.

    Args:
        graph: canonical, float32; the same tensors are named for every batch.
    """
    return tuple(dict.fromkeys(str(edge.source.name) for edge in edges(graph)))


def edges(graph: ir.Model) -> Iterator[Edge]:
    """All inputs that are quantized where every layer is."""
    for node in graph.graph:
        for index in _quantized_inputs(node):
            value = node.inputs[index]
            assert value is not None
            yield Edge(node, index, source(value))


def is_layer(node: ir.Node) -> bool:
    """A convolution or a dense layer with constant weights."""
    if node.op_type not in ("Conv", "Gemm", "MatMul") or node.domain:
        return False
    weight = node.inputs[1]
    return weight is not None and ir.convenience.get_const_tensor(weight) is not None


def layers_named(graph: ir.Model, words: Collection[str]) -> dict[str, str]:
    """Layers, in the order of the graph, each with the word that named it: its name or one of `GROUPS`.

    Raises:
        GraphError: neither a layer nor such a word.
    """
    layers = [node for node in graph.graph if is_layer(node)]
    groups = {
        "depthwise": [node for node in layers if node.attributes.get_int("group", 1) != 1],
        "first": layers[:1],
        "last": layers[-1:],
        "gates": [node for node in layers if _is_gate(node)],
    }
    names = [str(node.name) for node in layers]
    chosen = {str(node.name): word for word in words if word in groups for node in groups[word]}
    chosen |= {word: word for word in words if word in names}
    if unknown := sorted(set(words) - set(groups) - set(names)):
        raise GraphError(
            f"there are no layers of these names: {', '.join(unknown)}",
            fix=f"give {', '.join(GROUPS)}, or layers: {', '.join(names)}",
        )
    return {name: chosen[name] for name in names if name in chosen}


def is_shift(node: ir.Node | None) -> bool:
    """An ``edgevid::Shift``."""
    return node is not None and node.domain == DOMAIN and node.op_type == SHIFT


def source(value: ir.Value) -> ir.Value:
    """The tensor that shifts and maxima before ``value`` choose from."""
    producer = value.producer()
    while producer is not None and _keeps_numbers(producer) and producer.inputs[0] is not None:
        value = producer.inputs[0]
        producer = value.producer()
    return value


def _keeps_numbers(node: ir.Node) -> bool:
    """Are its results some of its inputs, or zero?"""
    return is_shift(node) or (node.op_type == "MaxPool" and not node.domain)


def is_non_negative(value: ir.Value) -> bool:
    """Is ``value`` never below zero, whatever the clip?"""
    node = value.producer()
    if node is None or (node.domain and not is_shift(node)):
        return False
    if node.op_type in _POSITIVE:
        return True
    if node.op_type == "Clip":
        low = node.inputs[1] if len(node.inputs) > 1 else None
        tensor = None if low is None else ir.convenience.get_const_tensor(low)
        return tensor is not None and bool((tensor.numpy() >= 0).all())
    if node.op_type not in _SIGN_KEEPING:
        return False
    data = node.inputs if node.op_type in ("Add", "Concat", "Max", "Mul") else node.inputs[:1]
    return all(each is not None and is_non_negative(each) for each in data)


def _quantized_inputs(node: ir.Node) -> tuple[int, ...]:
    if node.domain:
        return ()
    if node.op_type in _MEANS:
        # What only a gate reads stays in float with it.
        return (0,) if _has_rows(node) and not all(map(_is_gate, _readers(node))) else ()
    if is_layer(node) or node.op_type == "MaxPool":
        return (0,)
    if node.op_type == "Add" and all(_is_data(value) for value in node.inputs):
        return (0, 1)
    return ()


def _is_gate(node: ir.Node) -> bool:
    """A layer of whose results all become weights."""
    return is_layer(node) and all(map(_makes_weights, _readers(node)))


def _makes_weights(node: ir.Node) -> bool:
    """Are results of it nothing but weights? So they are through shifts, views and further layers."""
    if node.op_type in _WEIGHING and not node.domain:
        return any(_multiplies(value) for value in node.outputs)
    followed = is_shift(node) or is_layer(node) or (node.op_type in _VIEWS and not node.domain)
    readers = _readers(node)
    return followed and node not in readers and all(map(_makes_weights, readers))


def _multiplies(weights: ir.Value) -> bool:
    """Is some of it multiplied with what is not constant? Scores that only leave the graph are not."""
    for use in weights.uses():
        node = use.node
        if node.op_type in ("Mul", "MatMul") and all(map(_is_data, node.inputs)):
            return True
        scaled = node.op_type in _SCALINGS and not all(map(_is_data, node.inputs))
        if (scaled or node.op_type in _VIEWS) and any(map(_multiplies, node.outputs)):
            return True
    return False


def _readers(node: ir.Node) -> list[ir.Node]:
    """What reads its results; itself where one is an output of the graph."""
    if any(result.is_graph_output() for result in node.outputs):
        return [node]
    return [use.node for result in node.outputs for use in result.uses()]


def _has_rows(node: ir.Node) -> bool:
    value = node.inputs[0]
    return value is not None and value.shape is not None and len(value.shape) >= 4


def _is_data(value: ir.Value | None) -> bool:
    return value is not None and ir.convenience.get_const_tensor(value) is None
