"""Cross-layer equalization: factors move from a layer's output channels to the inputs of the next one.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
section 4.1. The function of the network stays what it is, since what lies between the two layers
keeps positive factors of a channel: a ReLU, a shift and a maximum do, and a clip of 0 to 6 does
when its upper bound becomes one of each channel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir import tape
from onnx_ir.passes import common as passes

from edgevid.calibration.points import is_layer, is_shift
from edgevid.errors import GraphError

__all__ = ["Pair", "equalize", "pairs"]

_ROUNDS = 200
_SETTLED = 1e-3
"""Largest change of a factor in the last round: below a tenth of a percent nothing is to be won."""


@dataclass(frozen=True)
class Pair:
    """Two convolutions of which the second alone reads what the first computes.

    Attributes:
        first: its output channels are divided by the factors.
        second: its input channels are multiplied by them.
        clips: between the two, from 0 to an upper bound that is divided too.
    """

    first: ir.Node
    second: ir.Node
    clips: tuple[ir.Node, ...]


def pairs(graph: ir.Model) -> tuple[Pair, ...]:
    """What can be equalized in a canonical graph, in its order."""
    found = (_pair(node) for node in graph.graph if _is_convolution(node))
    return tuple(pair for pair in found if pair is not None)


def equalize(graph: ir.Model) -> ir.Model:
    """A copy of a canonical float graph whose pairs of layers have channels of like ranges.

    With ranges r1 and r2 of a channel in the first and in the second layer the factor is
    ``sqrt(r1 / r2)`` (equation 11), so that both become ``sqrt(r1 r2)``; pairs that share a layer take
    turns until nothing changes. Unlike there, r1 counts the bias as one more weight: a channel with
    next to no weights would otherwise be multiplied until its bias fills the range of all the others.
    Only weights decide, so that the graphs of all batches stay alike.

    Raises:
        GraphError: nothing can be equalized.
    """
    copy = graph.clone()
    found = pairs(copy)
    if not found:
        raise GraphError(
            "no convolution is followed by another one alone",
            where=graph.graph.name,
            fix="leave equalization out: it is for networks with depthwise convolutions",
        )
    layers = dict.fromkeys(layer for pair in found for layer in (pair.first, pair.second))
    weights = {layer: _constant(layer.inputs[1]).astype(np.float64) for layer in layers}
    biases = {pair.first: _bias(pair.first) for pair in found}
    factors = [np.ones(len(biases[pair.first])) for pair in found]
    for _ in range(_ROUNDS):
        settled = True
        for number, pair in enumerate(found):
            first, second = weights[pair.first], weights[pair.second]
            columns = _by_input(second, pair.second)
            one = np.maximum(np.abs(first).max(axis=(1, 2, 3)), np.abs(biases[pair.first]))
            other = np.abs(columns).max(axis=(1, 3)).reshape(-1)
            used = (one > 0) & (other > 0)
            factor = np.sqrt(np.divide(one, other, out=np.ones_like(one), where=used))
            factors[number] *= factor
            biases[pair.first] = biases[pair.first] / factor
            weights[pair.first] = first / factor[:, None, None, None]
            scaled = columns * factor.reshape(columns.shape[0], 1, -1, 1)
            weights[pair.second] = scaled.reshape(second.shape)
            settled &= bool(np.abs(np.log(factor)).max() < _SETTLED)
        if settled:
            break
    for layer, weight in weights.items():
        _replace(copy.graph, layer, 1, weight)
    for pair, factor in zip(found, factors, strict=True):
        if len(pair.first.inputs) > 2 and pair.first.inputs[2] is not None:
            _replace(copy.graph, pair.first, 2, biases[pair.first])
        for clip in pair.clips:
            _bound_channels(copy.graph, clip, factor)
    passes.RemoveUnusedNodesPass()(copy)
    return copy


def _pair(first: ir.Node) -> Pair | None:
    """``first`` and the only layer that reads it, or None."""
    value = first.outputs[0]
    clips: list[ir.Node] = []
    while len(value.uses()) == 1 and not value.is_graph_output():
        ((node, index),) = value.uses()
        if _is_convolution(node):
            return Pair(first, node, tuple(clips)) if index == 0 else None
        if node.op_type == "Clip" and _upper_bound(node) is not None:
            clips.append(node)
        elif not (is_shift(node) or (not node.domain and node.op_type in ("MaxPool", "Relu"))):
            return None
        value = node.outputs[0]
    return None


def _is_convolution(node: ir.Node) -> bool:
    """Of images, with constant weights."""
    shape = node.inputs[1].shape if len(node.inputs) > 1 and node.inputs[1] is not None else None
    return node.op_type == "Conv" and is_layer(node) and shape is not None and len(shape) == 4


def _upper_bound(clip: ir.Node) -> float | None:
    """Of a clip whose lower bound is 0."""
    bounds = [None if value is None else ir.convenience.get_const_tensor(value) for value in clip.inputs[1:3]]
    if len(bounds) != 2 or bounds[0] is None or bounds[1] is None or bounds[0].numpy() != 0:
        return None
    upper = float(bounds[1].numpy())
    return upper if upper > 0 else None


def _by_input(weight: NDArray[np.float64], layer: ir.Node) -> NDArray[np.float64]:
    """Weights ``[groups, outputs of a group, inputs of a group, positions]``."""
    groups = layer.attributes.get_int("group", 1)
    return weight.reshape(groups, weight.shape[0] // groups, weight.shape[1], -1)


def _bound_channels(graph: ir.Graph, clip: ir.Node, factor: NDArray[np.float64]) -> None:
    """Make a clip ``Relu(Min(x, bounds))``: with the ReLU last, its result is known to have no sign."""
    old, upper = clip.outputs[0], _upper_bound(clip)
    assert upper is not None
    bounds = _initializer(graph, f"{old.name}.bounds", (upper / factor).reshape(1, -1, 1, 1))
    steps = tape.Tape()
    bounded = steps.op("Min", [clip.inputs[0], bounds], name=f"{clip.name}.Min")
    result = steps.op("Relu", [bounded], name=f"{clip.name}.Relu")
    bounded.name = f"{old.name}.bounded"
    for value in (bounded, result):
        value.type, value.shape = old.type, old.shape
    name, old.name = old.name, f"{old.name}.clipped"
    result.name = name
    graph.insert_before(clip, steps.nodes)
    ir.convenience.replace_all_uses_with(old, result)
    graph.remove(clip, safe=True)


def _bias(layer: ir.Node) -> NDArray[np.float64]:
    if len(layer.inputs) > 2 and layer.inputs[2] is not None:
        return _constant(layer.inputs[2]).astype(np.float64)
    return np.zeros(_constant(layer.inputs[1]).shape[0])


def _replace(graph: ir.Graph, layer: ir.Node, index: int, values: NDArray[np.float64]) -> None:
    """A layer's own weights or bias: another layer that shares them keeps the old ones."""
    layer.replace_input_with(index, _initializer(graph, f"{layer.name}.equalized.{index}", values))


def _initializer(graph: ir.Graph, name: str, values: NDArray[np.float64]) -> ir.Value:
    tensor = ir.tensor(np.ascontiguousarray(values, np.float32), name=name)
    value = ir.Value(
        name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(values.shape)
    )
    graph.register_initializer(value)
    return value


def _constant(value: ir.Value | None) -> NDArray[np.float32]:
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    assert tensor is not None
    return tensor.numpy()
