"""What exporters get wrong in silence: activations that became constants.

Tracing keeps what is assigned in place only in part, so that a shift, or all that follows it, may
be recorded as the numbers of the example that was traced.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgevid.errors import GraphError
from edgevid.graph.check_tensors import WEIGHTS_AT
from edgevid.graph.place import place

__all__ = ["diagnose"]

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


def diagnose(model: ir.Model) -> None:
    """Raise if a network in standard form has lost its input, in whole or in part.

    Blocks of zeros, as of a shift, masks, weights and embeddings are constants by right.

    Raises:
        GraphError: an output does not depend on its input, or an activation was folded to a
            constant; the message names the node.
    """
    dependent = _dependent(model.graph)
    for output in model.graph.outputs:
        if output not in dependent:
            raise GraphError(
                f"the output {output.name} does not depend on its input: it is a constant",
                where=place(model, output.producer()),
                fix=_FIX,
            )
    for node in model.graph:
        folded = _constant_layer(node, dependent) or _constant_part(node, dependent)
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
        if any(value in found for value in node.inputs):
            found.update(node.outputs)
    return found


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


def _constant_part(node: ir.Node, dependent: set[ir.Value]) -> ir.Value | None:
    """A constant that is put among activations, and looks like some itself."""
    slots = range(len(node.inputs)) if node.op_type == "Concat" else _MIXED_AT.get(node.op_type, ())
    values = [node.inputs[slot] for slot in slots if slot < len(node.inputs)]
    if node.outputs[0] not in dependent:
        return None
    for value in values:
        if value is not None and value not in dependent and _looks_activated(value):
            return value
    return None


def _looks_activated(value: ir.Value) -> bool:
    """Whether it varies within its planes and between them, as neither fillings nor coordinates do."""
    if value.shape is None or len(value.shape) < _MIN_RANK:
        return False
    source: ir.Value | None = value
    while source is not None and source.const_value is None:
        producer = source.producer()
        source = producer.inputs[0] if producer is not None and producer.op_type in _MOVES else None
    if source is None or source.const_value is None:
        return False
    array = source.const_value.numpy()
    # A token of a transformer is one row.
    if array.ndim < _MIN_RANK or min(array.shape[-2:]) < 2 or not np.any(array):
        return False
    same_planes = bool(np.all(array == array[..., :1, :1]))
    same_frames = array.shape[0] > 1 and bool(np.all(array == array[:1]))
    return not same_planes and not same_frames
