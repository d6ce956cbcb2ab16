"""What exporters get wrong in silence: activations that became constants.

Tracing keeps what is assigned in place only in part, so that a shift, or all that follows it, may
be recorded as the numbers of the example that was traced.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid.errors import GraphError
from edgevid.graph.check_tensors import WEIGHTS_AT
from edgevid.graph.place import place

__all__ = ["check_dependence", "constant_output", "diagnose"]

Array = NDArray[Any]

_FIX = (
    "export the network again without assignments in place (use torch.cat, or export with dynamo=True), "
    "or give edgevid the checkpoint itself"
)
_LAYERS = frozenset(
    (
        *("Conv", "ConvTranspose", "MatMul", "Gemm", "MaxPool", "AveragePool", "LpPool", "LRN"),
        *("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool", "ReduceMean", "BatchNormalization"),
        *("InstanceNormalization", "LayerNormalization", "GroupNormalization"),
    )
)
_MIXED_AT = {"Where": (1, 2), "ScatterND": (0, 2), "ScatterElements": (0, 2)}
"""Operation to the inputs at which activations stand; of a Concat it is all."""

_MOVES = frozenset(
    (
        *("Reshape", "Expand", "Slice", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Tile", "Pad"),
        *("Flatten", "Gather", "Cast"),
    )
)
_MIN_RANK = 4


def check_dependence(model: ir.Model) -> None:
    """Raise if an output of ``model`` depends on none of its inputs, by its graph alone.

    Raises:
        GraphError: naming the output.
    """
    dependent = _dependent(model.graph)
    for output in model.graph.outputs:
        if output not in dependent:
            raise constant_output(model, output)


def constant_output(model: ir.Model, output: ir.Value) -> GraphError:
    """What is said of an output that is the same for every input."""
    return GraphError(
        f"the output {output.name} does not depend on its input: it was folded to a constant",
        where=place(model, output.producer()),
        fix=_FIX,
    )


def diagnose(model: ir.Model, segments: int | None = None) -> None:
    """Raise if a network in standard form has lost its input, in whole or in part.

    Blocks of zeros, as of a shift, masks, weights and embeddings are constants by right.

    Args:
        model: in standard form.
        segments: T, where it is known: constants whose frames differ are activations.

    Raises:
        GraphError: an output does not depend on its input, or an activation was folded to a
            constant; the message names the node.
    """
    check_dependence(model)
    dependent = _dependent(model.graph)
    for node in model.graph:
        folded = _constant_layer(node, dependent) or _constant_part(node, dependent, segments)
        if folded is not None:
            raise GraphError(
                f"an activation was folded to a constant: {folded.name} is the same for every input",
                where=place(model, node),
                fix=_FIX,
            )


def _dependent(graph: ir.Graph) -> set[ir.Value]:
    """All values that the graph's inputs go into."""
    found = set(graph.inputs)
    for node in graph:
        if any(value in found for value in _read(node)):
            found.update(node.outputs)
    return found


def _read(node: ir.Node) -> Iterator[ir.Value | None]:
    """The inputs of ``node`` and of all operations in its subgraphs."""
    yield from node.inputs
    for attribute in node.attributes.values():
        if attribute.type is ir.AttributeType.GRAPH:
            graph = attribute.as_graph()
            yield from graph.outputs
            for inner in graph:
                yield from _read(inner)


def _constant_layer(node: ir.Node, dependent: set[ir.Value]) -> ir.Value | None:
    """The data of a layer if they are a constant, and its result is no weight of another one."""
    if node.op_type not in _LAYERS or any(value in dependent for value in node.inputs):
        data = node.inputs[0] if node.inputs else None
        is_layer = node.op_type in _LAYERS - {"MatMul", "Gemm"}
        return data if is_layer and data is not None and data not in dependent else None
    return None if _only_weights(node.outputs[0], dependent) else node.inputs[0]


def _only_weights(value: ir.Value, dependent: set[ir.Value]) -> bool:
    """Whether a constant ends at the weights of layers, wherever it goes."""
    pending, seen = [value], {value}
    while pending:
        for node, index in pending.pop().uses():
            if not any(other in dependent for other in node.inputs):
                new = [output for output in node.outputs if output not in seen]
                seen.update(new)
                pending += new
            elif index not in WEIGHTS_AT.get(node.op_type, ()):
                return False
    return True


def _constant_part(node: ir.Node, dependent: set[ir.Value], segments: int | None) -> ir.Value | None:
    """A constant that is put among activations or added to them, and looks like some itself."""
    if node.outputs[0] not in dependent:
        return None
    for value in _mixed(node):
        arrays = _activations(value) if value not in dependent else ()
        if any(_varies(array) or _frames_differ(array, segments) for array in arrays):
            return value
    for added in node.inputs if node.op_type in ("Add", "Sub") else ():
        if added is not None and added not in dependent and _is_added(added, node, segments):
            return added
    return None


def _mixed(node: ir.Node) -> list[ir.Value]:
    """The inputs of ``node`` that stand side by side in its result."""
    slots = range(len(node.inputs)) if node.op_type == "Concat" else _MIXED_AT.get(node.op_type, ())
    values = (node.inputs[slot] for slot in slots if slot < len(node.inputs))
    return [value for value in values if value is not None]


def _made_of(node: ir.Node) -> list[ir.Value]:
    """The inputs whose elements are those of a constant."""
    first = node.inputs[0] if node.op_type in _MOVES else None
    return _mixed(node) if first is None else [first]


def _activations(value: ir.Value) -> Iterator[Array]:
    """Of the numbers that a constant is made of, those that are not zero and have the rank of frames."""
    rank = 0 if value.shape is None else len(value.shape)
    pending: list[ir.Value] = [value] if rank >= _MIN_RANK else []
    seen = set(pending)
    while pending:
        source = pending.pop()
        producer = source.producer()
        if source.const_value is not None:
            array = source.const_value.numpy()
            # A token of a transformer is one row.
            if array.ndim >= _MIN_RANK and min(array.shape[-2:]) >= 2 and np.any(array):
                yield array
        elif producer is not None:
            new = [each for each in _made_of(producer) if each not in seen]
            seen.update(new)
            pending += new


def _varies(array: Array) -> bool:
    """Within its planes and between them, as neither fillings nor coordinates do."""
    same_planes = bool(np.all(array == array[..., :1, :1]))
    same_frames = array.shape[0] > 1 and bool(np.all(array == array[:1]))
    return not same_planes and not same_frames


def _frames_differ(array: Array, segments: int | None) -> bool:
    """Along the axis that holds frames: N*T of them first, or T behind N or behind N and C."""
    if segments is None or segments < 2:
        return False
    sizes = array.shape[:-2]
    behind = [axis for axis, size in enumerate(sizes) if axis and size == segments]
    axis = 0 if sizes[0] % segments == 0 else behind[0] if behind else None
    return axis is not None and bool(np.any(array != array.take([0], axis)))


def _is_added(value: ir.Value, node: ir.Node, segments: int | None) -> bool:
    """Whether each frame has its own numbers, in full size: an embedding is one for all clips, or small."""
    if value.shape != node.outputs[0].shape or value.shape is None or value.shape[0] == 1:
        return False
    return any(
        array.shape == tuple(value.shape.numpy()) and _frames_differ(array, segments)
        for array in _activations(value)
    )
