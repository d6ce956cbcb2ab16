"""Write a lowered float32 graph in float16, for runtimes that take the graph's types at their word.

The clips and the logits keep their types; caches of a graph that takes frame by frame are float16 as well, so
that nothing is converted where they are read and written. What float16 computes badly stays in float32, with
casts around it.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import numpy as np
import onnx_ir as ir
from onnx_ir import tape
from onnx_ir.passes import common as passes

from edgevid.errors import GraphError
from edgevid.targets.tensorrt.cache_tensors import caches_of

__all__ = ["as_half", "float_nodes"]

LARGEST, SMALLEST = float(np.finfo(np.float16).max), np.finfo(np.float16).smallest_subnormal
LARGEST_WINDOW = 1024
"""Elements that a mean may be over: beyond, 11 bits of a sum's mantissa leave too little of each."""

_GATES = frozenset({"HardSigmoid", "LogSoftmax", "Sigmoid", "Softmax", "Softplus", "Tanh"})
_WIDE = frozenset({"Exp", "LayerNormalization", "Log", "Pow", "Reciprocal", "ReduceL2", "ReduceLogSumExp"})
_WIDE |= {"ReduceProd", "ReduceSum", "ReduceSumSquare", "Resize", "Sqrt"}
_SUMS = frozenset({"AveragePool", "GlobalAveragePool", "ReduceMean"})
_LAYERS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_PAIRS = frozenset({"DequantizeLinear", "QuantizeLinear"})

_FLOAT, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16


def as_half(graph: ir.Model, keep: Collection[str] = ()) -> ir.Model:
    """A copy in float16.

    Args:
        graph: lowered, in float32 or in int8 with Q/DQ pairs: then what int8 leaves in float is halved.
        keep: names of operations that stay in float32 beside those of `float_nodes`.

    Raises:
        GraphError: a weight beyond the range of float16, an operation with a graph of its own, or an
            unknown name in ``keep``; the message names the operation.
    """
    if unknown := sorted(set(keep) - {str(node.name) for node in graph.graph}):
        raise GraphError(
            f"there are no operations of these names: {', '.join(unknown)}",
            fix="give names of the graph's operations",
        )
    changed = graph.clone()
    _refuse_graphs(changed)
    kept = {*float_nodes(changed), *keep}
    work = _Halver(changed)
    for cache, _ in caches_of(changed):
        if cache.dtype == _FLOAT:
            cache.type = ir.TensorType(_HALF)
    for node in list(changed.graph):
        if node.name in kept:
            work.keep(node)
        else:
            work.halve(node)
    work.restore_outputs()
    passes.RemoveUnusedNodesPass()(changed)
    return changed


def float_nodes(graph: ir.Model) -> dict[str, str]:
    """Name of each operation that stays in float32 to the reason."""
    found: dict[str, str] = {}
    before, behind = _outside_of_layers(graph)
    for node in graph.graph:
        if _writes_no_float(node):
            continue
        if node in before:
            found[str(node.name)] = "before the first layer"
        elif node in behind:
            found[str(node.name)] = "behind the last layer"
        elif node.op_type in _GATES:
            found[str(node.name)] = "a gate or softmax"
        elif node.op_type in _WIDE:
            found[str(node.name)] = "results beyond the range of float16"
        elif node.op_type in _SUMS and (size := _window(node)) > LARGEST_WINDOW:
            found[str(node.name)] = f"a mean over {size} elements"
    return found


class _Halver:
    """One graph, changed in place: every float32 tensor is made float16 where it arises or where it is read.

    Attributes:
        halves: float32 value to its float16 form.
        floats: float16 value to its float32 form.
    """

    def __init__(self, model: ir.Model) -> None:
        self.graph = model.graph
        self.halves: dict[ir.Value, ir.Value] = {}
        self.floats: dict[ir.Value, ir.Value] = {}

    def keep(self, node: ir.Node) -> None:
        """Let an operation compute in float32."""
        for index, value in enumerate(node.inputs):
            if value is not None and value.dtype == _HALF:
                node.replace_input_with(index, self._as(value, _FLOAT, self.floats, node))

    def halve(self, node: ir.Node) -> None:
        """Let an operation compute in float16."""
        if node.op_type == "Cast" and node.attributes["to"].as_int() == _FLOAT:
            node.attributes["to"] = ir.AttrInt64("to", _HALF.value)
        elif node.op_type == "ConstantOfShape":
            self._halve_filling(node)
        for index, value in enumerate(node.inputs):
            if value is not None and value.dtype == _FLOAT:
                node.replace_input_with(index, self._half(value, node))
        for output in node.outputs:
            if output.dtype == _FLOAT:
                output.type = ir.TensorType(_HALF)

    def restore_outputs(self) -> None:
        """Give the logits their type back, and the next caches that of the caches."""
        for index, value in enumerate(self.graph.outputs):
            if value.dtype == (_FLOAT if index else _HALF):
                name = value.name
                value.name = f"{name}.{'float' if index else 'half'}"
                kind, known = (_HALF, self.halves) if index else (_FLOAT, self.floats)
                restored = self._as(value, kind, known, None)
                restored.name = name
                self.graph.outputs[index] = restored

    def _half(self, value: ir.Value, node: ir.Node) -> ir.Value:
        tensor = ir.convenience.get_const_tensor(value)
        if tensor is None:
            return self._as(value, _HALF, self.halves, node)
        if value not in self.halves:
            numbers = tensor.numpy()
            peak = float(np.abs(numbers).max(initial=0.0))
            if not peak <= LARGEST:
                raise GraphError(
                    f"{value.name} holds {peak:g}, and float16 ends at {LARGEST:g}",
                    where=node.name,
                    fix="compile it in fp32",
                )
            name = f"{value.name}.half"
            halves = numbers.astype(np.float16)
            if node.op_type in _PAIRS:
                halves = np.maximum(halves, SMALLEST)  # a scale of 0 is none
            half = ir.tensor(halves, name=name)
            self.halves[value] = ir.Value(
                name=name, const_value=half, type=ir.TensorType(_HALF), shape=value.shape
            )
            self.graph.register_initializer(self.halves[value])
        return self.halves[value]

    def _as(
        self, value: ir.Value, kind: ir.DataType, known: dict[ir.Value, ir.Value], node: ir.Node | None
    ) -> ir.Value:
        """``value`` behind a Cast, written once and next to where it arises."""
        if value not in known:
            steps = tape.Tape()
            suffix = "half" if kind == _HALF else "float"
            name = f"{value.name}.as_{suffix}"
            cast = steps.op("Cast", [value], {"to": kind.value}, name=name)
            cast.name, cast.type, cast.shape = name, ir.TensorType(kind), value.shape
            producer = value.producer()
            if producer is not None:
                self.graph.insert_after(producer, steps.nodes)
            elif node is not None:
                self.graph.insert_before(self.graph[0], steps.nodes)
            known[value] = cast
        return known[value]

    def _halve_filling(self, node: ir.Node) -> None:
        """The type of a ConstantOfShape is that of the value that it repeats."""
        filling = node.attributes.get("value")
        number = np.zeros(1, np.float32) if filling is None else filling.as_tensor().numpy()
        if number.dtype == np.float32:
            node.attributes["value"] = ir.AttrTensor("value", ir.tensor(number.astype(np.float16)))


def _refuse_graphs(model: ir.Model) -> None:
    for node in model.graph:
        kinds = {attribute.type for attribute in node.attributes.values()}
        if kinds & {ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS}:
            raise GraphError(
                f"{node.op_type} holds a graph of its own, which is not rewritten in float16",
                where=node.name,
                fix="compile it in fp32",
            )


def _writes_no_float(node: ir.Node) -> bool:
    return all(output.dtype is not None and output.dtype != _FLOAT for output in node.outputs)


def _outside_of_layers(graph: ir.Model) -> tuple[set[ir.Node], set[ir.Node]]:
    """Operations with no convolution or dense layer before them, and those with none behind."""
    nodes = list(graph.graph)
    pairs = caches_of(graph)
    caches, following = {cache for cache, _ in pairs}, {after for _, after in pairs}
    before, behind = set(), set()
    for node in nodes:
        if caches.intersection(node.inputs):
            continue
        made = [None if value is None else value.producer() for value in node.inputs]
        fed = [each for each in made if each is not None]
        reads = fed or any(value in graph.graph.inputs for value in node.inputs)
        if node.op_type not in _LAYERS | _PAIRS and reads and all(each in before for each in fed):
            before.add(node)
    for node in reversed(nodes):
        if node.op_type in _LAYERS | _PAIRS or following.intersection(node.outputs):
            continue
        uses = [use.node for output in node.outputs for use in output.uses()]
        if all(each in behind for each in uses):
            behind.add(node)
    return before, behind


def _window(node: ir.Node) -> int:
    """Elements that each result is the mean of; 0 where shapes do not say it."""
    before, after = _elements(node.inputs[0]), _elements(node.outputs[0])
    if node.op_type == "AveragePool":
        return 0 if before is None else math.prod(node.attributes.get_ints("kernel_shape", ()))
    return 0 if before is None or after is None else before // max(1, after)


def _elements(value: ir.Value | None) -> int | None:
    """Of a tensor, a symbolic first axis not counted; None where the shape does not say it."""
    if value is None or value.shape is None:
        return None
    sizes = [size for size in value.shape if isinstance(size, int)]
    unknown = [axis for axis, size in enumerate(value.shape) if not isinstance(size, int)]
    return math.prod(sizes) if unknown in ([], [0]) else None
