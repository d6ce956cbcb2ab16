"""What goes back into the layer that made a value: bounds, a residual, constants, quantization.

Only where nobody else reads the value in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid.targets.tvm.network import Bounds, Convolution, Copy, Dense, Elementwise, Layer, Quantization
from edgevid.targets.tvm.reading.state import State
from edgevid.targets.tvm.reading.values import Value, View

__all__ = ["bounds", "bounds_of", "offset", "quantize", "residual"]

Product = Convolution | Dense


def _product(state: State, node: ir.Node, index: int) -> tuple[Layer, Product] | None:
    """The convolution or dense layer that input ``index`` is the result of, its epilogue still open."""
    layer = state.own(node, index)
    if layer is None or not isinstance(layer.operation, Convolution | Dense):
        return None
    operation = layer.operation
    if operation.bounds != (None, None) or operation.target.dtype != "float32":
        return None
    return layer, operation


def bounds(state: State, node: ir.Node) -> Value | None:
    """Relu and Clip after a convolution or a dense layer."""
    limits, product = bounds_of(state, node), _product(state, node, 0)
    if limits is None or product is None:
        return None
    layer, operation = product
    state.change(layer, replace(layer, operation=replace(operation, bounds=limits)))
    return state.value(node)


def bounds_of(state: State, node: ir.Node) -> Bounds | None:
    """Of Relu and Clip; None where they depend on the input."""
    if node.op_type == "Relu":
        return (0.0, None)
    found: list[float | None] = []
    for index, name in ((1, "min"), (2, "max")):
        number = state.constant(node, index)
        given = index < len(node.inputs) and node.inputs[index] is not None
        if given and number is None:
            return None
        if number is not None:
            found.append(float(number.reshape(-1)[0]))
        else:
            found.append(node.attributes.get_float(name) if name in node.attributes else None)
    return found[0], found[1]


def residual(state: State, node: ir.Node) -> Value | None:
    """An addition, taken into the later one of the convolutions that make its two sides."""
    found = [(index, product) for index in (0, 1) if (product := _product(state, node, index)) is not None]
    found.sort(key=lambda item: state.layers.index(item[1][0]), reverse=True)
    for index, (layer, operation) in found:
        view, other = state.view(node, index), state.value(node, 1 - index)
        if not isinstance(operation, Convolution) or operation.residual is not None:
            continue
        if operation.source.quantization is None and isinstance(other, View) and other.frames.quantization:
            continue
        if not isinstance(view, View) or not isinstance(other, View) or other.moves or other.pixels:
            continue
        real = replace(other.frames, dtype="float32", quantization=None)
        if other.axes != view.axes or other.order or real != operation.target:
            continue
        if not state.computed_before(other.name, layer):
            continue
        changed = replace(operation, residual=other.frames)
        state.change(layer, replace(layer, operation=changed, inputs=(*layer.inputs, other.name)))
        return view
    return None


def offset(state: State, node: ir.Node) -> Value | None:
    """A constant a channel, added to the bias."""
    index = 0 if state.value(node, 0) is not None else 1
    product, view = _product(state, node, index), state.value(node, index)
    numbers = state.constant(node, 1 - index)
    if product is None or numbers is None or not isinstance(view, View):
        return None
    layer, _ = product
    if layer.weights["bias"].dtype != np.float32 or state.shape(node) != view.shape:
        return None
    channels = _by_channel(view, numbers)
    if channels is None:
        return None
    bias: NDArray[np.float32] = layer.weights["bias"].astype(np.float32) + channels
    weights: Mapping[str, NDArray[Any]] = {**layer.weights, "bias": bias}
    state.change(layer, replace(layer, weights=weights))
    return view


def _by_channel(view: View, numbers: NDArray[Any]) -> NDArray[np.float32] | None:
    """A constant that depends on the channel alone."""
    shape = (1,) * (len(view.axes) - numbers.ndim) + numbers.shape
    if any(size != 1 and axis != ("c",) for size, axis in zip(shape, view.axes, strict=True)):
        return None
    return np.broadcast_to(numbers.reshape(-1), view.frames.channels).astype(np.float32)


def quantize(state: State, node: ir.Node) -> Value | None:
    """What made the value writes integers, if all that read it read those."""
    view, scale, zero = state.view(node), state.constant(node, 1), state.constant(node, 2)
    if view is None or scale is None or zero is None or scale.size != 1:
        return None
    kind: Any = str(zero.dtype)
    meaning = Quantization(float(scale.reshape(-1)[0]), int(zero.reshape(-1)[0]))
    target = replace(view.frames, block=state.block, dtype=kind, quantization=meaning)
    layer = state.own(node)
    operation = None if layer is None else layer.operation
    if (
        layer is not None
        and isinstance(operation, Convolution | Dense | Elementwise)
        and operation.target.dtype == "float32"
        and (isinstance(operation, Elementwise) or operation.source.quantization is not None)
    ):
        state.change(layer, replace(layer, operation=replace(operation, target=target)))
        return replace(view, frames=target)
    if view.pixels:
        # Integer kernels read groups of four channels.
        target = replace(target, block=-(-view.frames.block // 4) * 4)
    copy = Copy(view.frames, target, view.moves, view.pixels, state.cache(view))
    return replace(state.frames(copy, view.inputs, str(node.name), view.axes), order=view.order)
