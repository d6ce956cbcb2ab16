"""Batch normalizations as part of the convolution before them, or as a multiplication and an addition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir import tape

from edgevid.errors import GraphError
from edgevid.graph.place import place

__all__ = ["fold_batch_norms"]

_EPSILON = 1e-5


@dataclass(frozen=True)
class _Affine:
    """``y = scale * x + offset`` for each channel, in double precision."""

    scale: NDArray[np.float64]
    offset: NDArray[np.float64]


def fold_batch_norms(model: ir.Model) -> None:
    """Replace every BatchNormalization of ``model`` in place.

    Raises:
        GraphError: one normalizes by its batch, or by statistics that are no constants.
    """
    for node in list(model.graph):
        if node.op_type == "BatchNormalization":
            affine = _affine(model, node)
            if not _into_convolution(model.graph, node, affine):
                _as_arithmetic(model.graph, node, affine)


def _affine(model: ir.Model, node: ir.Node) -> _Affine:
    training = node.attributes.get("training_mode")
    if training is not None and training.as_int():
        raise GraphError(
            "a batch normalization in training mode: its result depends on the batch",
            where=place(model, node),
            fix="export the network in evaluation mode: model.eval()",
        )
    tensors = [None if value is None else value.const_value for value in node.inputs[1:5]]
    arrays = [tensor.numpy().astype(np.float64) for tensor in tensors if tensor is not None]
    if len(arrays) != 4 or len({array.shape for array in arrays}) != 1 or arrays[0].ndim != 1:
        raise GraphError(
            "a batch normalization whose statistics are no constants",
            where=place(model, node),
            fix="export the network in evaluation mode: model.eval()",
        )
    gamma, beta, mean, variance = arrays
    epsilon = node.attributes["epsilon"].as_float() if "epsilon" in node.attributes else _EPSILON
    if np.any(variance + epsilon <= 0):
        raise GraphError(
            "a batch normalization with a variance that is not above 0",
            where=place(model, node),
            fix="take another checkpoint: this one is damaged",
        )
    scale = gamma / np.sqrt(variance + epsilon)
    return _Affine(scale, beta - mean * scale)


def _into_convolution(graph: ir.Graph, node: ir.Node, affine: _Affine) -> bool:
    """Fold into the Conv before ``node``; False where there is none, or where it serves others."""
    between = node.inputs[0]
    conv = between.producer() if between is not None else None
    if between is None or conv is None or conv.op_type != "Conv":
        return False
    if len(between.uses()) > 1 or between.is_graph_output():
        return False
    tensors = [None if value is None else value.const_value for value in conv.inputs[1:]]
    if not tensors or any(tensor is None for tensor in tensors):
        return False
    weight, *rest = (tensor.numpy().astype(np.float64) for tensor in tensors if tensor is not None)
    if weight.shape[0] != affine.scale.size:
        return False
    bias = rest[0] if rest else np.zeros(weight.shape[0])
    scaled = weight * affine.scale.reshape(-1, *[1] * (weight.ndim - 1))
    inputs = [conv.inputs[0], _weight(graph, node, "weight", scaled)]
    inputs.append(_weight(graph, node, "bias", bias * affine.scale + affine.offset))
    steps = tape.Tape()
    fused = steps.op("Conv", inputs, dict(conv.attributes), name=conv.name)
    _replace(graph, node, fused, steps)
    graph.remove(conv, safe=True)
    return True


def _as_arithmetic(graph: ir.Graph, node: ir.Node, affine: _Affine) -> None:
    data = node.inputs[0]
    assert data is not None
    rank = len(data.shape) if data.shape is not None else 4
    shape = [-1, *[1] * (rank - 2)]
    steps = tape.Tape()
    scaled = steps.op(
        "Mul", [data, _weight(graph, node, "scale", affine.scale.reshape(shape))], name=f"{node.name}.scale"
    )
    scaled.name = f"{node.outputs[0].name}.scaled"
    scaled.type, scaled.shape = data.type, data.shape
    offset = _weight(graph, node, "offset", affine.offset.reshape(shape))
    moved = steps.op("Add", [scaled, offset], name=f"{node.name}.offset")
    _replace(graph, node, moved, steps)


def _weight(graph: ir.Graph, node: ir.Node, name: str, array: NDArray[np.float64]) -> ir.Value:
    number, title = 1, f"{node.outputs[0].name}.{name}"
    while title in graph.initializers:
        number += 1
        title = f"{node.outputs[0].name}.{name}{number}"
    with np.errstate(over="ignore"):
        tensor = ir.tensor(array.astype(np.float32), name=title)
    value = ir.Value(
        name=title, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape)
    )
    graph.register_initializer(value)
    return value


def _replace(graph: ir.Graph, node: ir.Node, new: ir.Value, steps: tape.Tape) -> None:
    old = node.outputs[0]
    new.type, new.shape, new.name = old.type, old.shape, old.name
    ir.convenience.replace_nodes_and_values(graph, node, [node], steps.nodes, [old], [new])
