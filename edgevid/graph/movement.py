"""Which parts of a graph can only move data: where a shift may hide, however it is spelled.

Every value gets its **origin**: the one tensor from which it is made by operations that move,
drop, repeat, mask or add elements, with constants for all else. Between a value and its origin
stand its **cuts**: values that every path of data goes through. A cut and a value behind it
bound a region with one input and one output, which can be run alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

__all__ = ["Movements", "is_movement", "static_sizes"]

_ALL = frozenset(range(1 << 10))

_EXACT_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.DOUBLE, ir.DataType.FLOAT16, ir.DataType.BFLOAT16})
"""What probes in float32 stand for. Smaller floats round what passes through them."""

_FIRST = frozenset(
    {"Cast", "CastLike", "CenterCropPad", "Compress", "Conv", "DepthToSpace", "Div", "Dropout", "Expand"}
    | {"Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Neg", "Pad", "Reshape", "Slice"}
    | {"ReverseSequence", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze"}
)

_MOVES: Mapping[str, frozenset[int]] = MappingProxyType(
    {
        **dict.fromkeys(("Add", "Concat", "Sub", "Sum"), _ALL),
        **dict.fromkeys(("ScatterElements", "ScatterND"), frozenset({0, 2})),
        "Where": frozenset({1, 2}),
        **dict.fromkeys(_FIRST, frozenset({0})),
        **dict.fromkeys(("MatMul", "Mul"), frozenset({0, 1})),
    }
)
"""Operations that are linear in the inputs at these places when all others are constant."""

_ONE_PLACE = frozenset({"MatMul", "Mul"})
"""Not linear any more as soon as two inputs are data."""

_RESTING = frozenset(
    {"Add", "Cast", "CastLike", "Div", "Dropout", "Flatten", "Identity", "Mul", "Neg", "Reshape", "Squeeze"}
    | {"Sub", "Sum", "Unsqueeze", "Where"}
)
"""Operations that leave every element at its place in memory."""

_RANDOM = frozenset({"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike"}) | frozenset(
    {"RandomUniform", "RandomUniformLike"}
)
_INDEXED = frozenset({"Gather", "GatherElements", "GatherND", "ScatterElements", "ScatterND"})


class Movements:
    """What of a graph only moves data.

    Requires:
        Nodes in topological order. Where shapes are unknown, less is found.

    Attributes:
        origin: value to the tensor that it is made of; a tensor that is computed is its own.
        cuts: value to the values before it that all of its data pass, the origin first.
        constants: values that do not depend on data, but perhaps on a static shape.
        by_data: nodes that would only move data if their indices were constant.
    """

    def __init__(self, graph: ir.Graph) -> None:
        self.constants: set[ir.Value] = set(graph.initializers.values())
        self.origin: dict[ir.Value, ir.Value] = {}
        self.cuts: dict[ir.Value, tuple[ir.Value, ...]] = {}
        self.by_data: list[ir.Node] = []
        for value in graph.inputs:
            if value not in self.constants:
                self._begin(value)
        for node in graph:
            self._visit(node)

    def data(self, node: ir.Node) -> list[ir.Value]:
        """The inputs of ``node`` that are not constant."""
        return [value for value in node.inputs if value is not None and value not in self.constants]

    def nodes_between(self, cut: ir.Value, value: ir.Value) -> list[ir.Node]:
        """All nodes that ``value`` needs beside ``cut``, constants included, in topological order.

        A Shape of a static tensor needs nothing: its producer is not among them.
        """
        found: dict[ir.Node, None] = {}
        pending: list[tuple[ir.Value, bool]] = [(value, False)]
        while pending:
            current, done = pending.pop()
            node = current.producer()
            if node is None or current is cut or node in found:
                continue
            if done:
                found[node] = None
                continue
            pending.append((current, True))
            if not _measures_shape(node):
                pending.extend((each, False) for each in node.inputs if each is not None)
        return list(found)

    def displaces(self, cut: ir.Value, value: ir.Value) -> bool:
        """Does an operation between the two put data elsewhere?"""
        return any(
            node.op_type not in _RESTING and self.data(node) for node in self.nodes_between(cut, value)
        )

    def is_end(self, value: ir.Value) -> bool:
        """Is something else than further movement made of it?"""
        followers = [output for use in value.uses() for output in use.node.outputs]
        moved_on = bool(followers) and all(self.origin.get(each) is self.origin[value] for each in followers)
        return self.origin[value] is not value and (value.is_graph_output() or not moved_on)

    def _begin(self, value: ir.Value) -> None:
        self.origin[value], self.cuts[value] = value, ()

    def _visit(self, node: ir.Node) -> None:
        data = self.data(node)
        if _is_fixed(node) and (not data or _measures_shape(node)):
            self.constants.update(node.outputs)
            return
        origins = {self.origin[value] for value in data if value in self.origin}
        if len(origins) == 1 and all(value in self.origin for value in data) and is_movement(node, data):
            (origin,) = origins
            paths = [(*self.cuts[value], value) for value in data]
            common = tuple(value for value in paths[0] if all(value in path for path in paths[1:]))
            for output in node.outputs:
                self.origin[output], self.cuts[output] = origin, common
            return
        if node.op_type in _INDEXED and not node.domain and node.inputs[1] in data:
            self.by_data.append(node)
        for output in node.outputs:
            self._begin(output)


def is_movement(node: ir.Node, data: Sequence[ir.Value]) -> bool:
    """Is ``node`` linear in its inputs ``data``, every result being made of few elements?"""
    places = _MOVES.get(node.op_type)
    if places is None or node.domain:
        return False
    at = [index for index, value in enumerate(node.inputs) if value is not None and value in data]
    if not places.issuperset(at) or (node.op_type in _ONE_PLACE and len(at) != 1):
        return False
    if node.op_type in ("Conv", "MatMul"):
        return _picks(node, at[0])
    if node.op_type in ("Cast", "CastLike"):
        output = node.outputs[0]
        kind = ir.DataType(node.attributes["to"].as_int()) if "to" in node.attributes else output.dtype
        return kind in _EXACT_FLOATS
    if node.op_type == "Dropout":
        return len(node.inputs) < 3 or node.inputs[2] is None
    return True


def static_sizes(value: ir.Value) -> list[int] | None:
    """The shape of ``value`` where all of it is known."""
    if value.shape is None or not value.shape.is_static():
        return None
    return [int(size) for size in value.shape.numpy()]


def _is_fixed(node: ir.Node) -> bool:
    """Gives the same result whenever it is given the same inputs, and reads nothing else."""
    reads_more = any(attribute.type is ir.AttributeType.GRAPH for attribute in node.attributes.values())
    return not node.domain and node.op_type not in _RANDOM and not reads_more


def _measures_shape(node: ir.Node) -> bool:
    """A Shape or Size of a tensor of which both are known."""
    if node.op_type not in ("Shape", "Size") or node.domain or node.inputs[0] is None:
        return False
    return static_sizes(node.inputs[0]) is not None


def _picks(node: ir.Node, data: int) -> bool:
    """A constant kernel or matrix that picks at most one element a result, and no bias."""
    weight = node.inputs[1 - data]
    bias = node.inputs[2] if len(node.inputs) > 2 else None
    arrays = []
    for value in (weight, bias):
        tensor = None if value is None else ir.convenience.get_const_tensor(value)
        if value is not None and tensor is None:
            return False
        arrays.append(None if tensor is None else tensor.numpy())
    kernel = arrays[0]
    if kernel is None or kernel.ndim < 2 or (arrays[1] is not None and np.any(arrays[1])):
        return False
    if node.op_type == "Conv":
        rows = kernel.reshape(kernel.shape[0], -1)
    else:
        rows = np.swapaxes(kernel, -1, -2) if data == 0 else kernel
    return bool((np.count_nonzero(rows, axis=-1) <= 1).all())
