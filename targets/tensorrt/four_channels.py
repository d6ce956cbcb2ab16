"""Give the first int8 convolution four input channels instead of three.

TensorRT's int8 convolutions read channels by four, and pad an image of three in a kernel of its own. Padded
where the frames are cast, the fourth channel costs nothing: its mean, scale and weights are zero.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir.passes import common as passes

from edgevid.graph.plain_shift import Writer

__all__ = ["with_four_channels"]

_CHANNELS = 3
_COLORS_LAST, _PLANES = 4, 2
"""Axes of the colours in [N, T, H, W, 3] and in [N, T, 3, H, W]."""
_ELEMENTWISE = frozenset({"Mul", "Sub"})


def with_four_channels(graph: ir.Model) -> ir.Model:
    """A copy whose first convolution has a fourth input channel of zeros.

    Requires what `edgevid.targets.tensorrt.frames.cast_first` ensures. A network whose frames reach no
    quantized convolution by the normalization of `edgevid.graph.prelude` alone stays as it is.
    """
    changed = graph.clone()
    way = _way_to_convolution(changed)
    if way is None:
        return changed
    cast, *between, convolution = way
    write = Writer(changed.graph, "four_channels", [], ir.DataType.FLOAT)
    colors = cast.outputs[0]
    padded = write.op("Pad", [colors, write.ints([0] * 9 + [1])])
    padded.type, padded.shape = colors.type, _with_size(colors, _COLORS_LAST)
    changed.graph.insert_after(cast, write.steps.nodes)
    between[0].replace_input_with(0, padded)
    for node in between:
        _widen(write, node)
    restored = convolution.inputs[1]
    assert restored is not None
    weights = restored.producer()
    assert weights is not None
    _replace(write, weights, 0, lambda array: _with_zeros(array, 1))
    restored.shape = _with_size(restored, 1)
    passes.RemoveUnusedNodesPass()(changed)
    return changed


def _way_to_convolution(model: ir.Model) -> list[ir.Node] | None:
    """From the Cast of the frames to the first convolution, one after the other; None if they are others."""
    way: list[ir.Node] = []
    value = model.graph.inputs[0]
    while True:
        uses = list(value.uses())
        if len(uses) != 1 or uses[0].idx != 0:
            return None
        node = uses[0].node
        way.append(node)
        if node.op_type == "Conv":
            return way if _is_widenable(way, value) else None
        value = node.outputs[0]


def _is_widenable(way: list[ir.Node], value: ir.Value) -> bool:
    kinds = [node.op_type for node in way]
    if kinds[:2] != ["Cast", "Transpose"] or kinds[-3:] != ["QuantizeLinear", "DequantizeLinear", "Conv"]:
        return False
    if any(node.outputs[0].shape is None for node in way):
        return False
    if list(way[1].attributes["perm"].as_ints()) != [0, 1, 4, 2, 3]:
        return False
    if set(kinds[2:-3]) - {*_ELEMENTWISE, "Gather", "Reshape"} or kinds.count("Reshape") != 1:
        return False
    frames, weight = way[0].outputs[0].shape, way[-1].inputs[1]
    made = None if weight is None else weight.producer()
    if made is None or made.op_type != "DequantizeLinear" or frames is None or frames[-1] != _CHANNELS:
        return False
    scalar = all(_size(node.inputs[1]) == 1 for node in way[-3:-1])
    constant = all(_size(node.inputs[1]) > 0 for node in way[2:-3]) and _size(made.inputs[0]) > 0
    return scalar and constant and value.shape is not None and value.shape[1] == _CHANNELS


def _widen(write: Writer, node: ir.Node) -> None:
    """Let an operation between the frames and the convolution carry the fourth channel."""
    output = node.outputs[0]
    if node.op_type == "Gather":
        _replace(write, node, 1, lambda order: np.append(order, order.dtype.type(_CHANNELS)))
    elif node.op_type in _ELEMENTWISE:
        _replace(
            write, node, 1, lambda array: _with_zeros(array, array.ndim - 3) if array.size > 1 else array
        )
    elif node.op_type == "Reshape":
        _replace(write, node, 1, lambda shape: np.where(np.arange(shape.size) == 1, _CHANNELS + 1, shape))
    output.shape = _with_size(output, _PLANES if len(output.shape or ()) == 5 else 1)


def _replace(
    write: Writer, node: ir.Node, index: int, change: Callable[[NDArray[np.generic]], NDArray[np.generic]]
) -> None:
    value = node.inputs[index]
    assert value is not None
    assert value.const_value is not None
    node.replace_input_with(
        index, write.constant(f"{value.name}.four.{node.name}", change(value.const_value.numpy()))
    )


def _with_zeros(array: NDArray[np.generic], axis: int) -> NDArray[np.generic]:
    widths = [(0, int(place == axis)) for place in range(array.ndim)]
    return np.pad(array, widths)


def _with_size(value: ir.Value, axis: int) -> ir.Shape:
    assert value.shape is not None
    sizes = list(value.shape)
    sizes[axis] = _CHANNELS + 1
    return ir.Shape(sizes)


def _size(value: ir.Value | None) -> int:
    """Elements of a constant, 0 of anything else."""
    return 0 if value is None or value.const_value is None else value.const_value.size
