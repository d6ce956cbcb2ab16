"""Operations that move nothing in memory: reshapes, transpositions, normalization, shifts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx_ir as ir

from edgevid.graph.shift_op import spec_of
from edgevid.shift import Layout
from edgevid.targets.tvm.axes import FRAMES, VOLUME, matches, reshaped
from edgevid.targets.tvm.network import Move, Plain, Transposition
from edgevid.targets.tvm.reading.state import State
from edgevid.targets.tvm.reading.values import Tensor, Value, View

__all__ = ["affine", "colours", "reshape", "same", "shift", "transpose"]


def same(state: State, node: ir.Node) -> Value | None:
    """Nothing happens: Identity, Dropout, a restored integer, a cast to float32."""
    value = state.value(node)
    if node.op_type == "Cast":
        kind = node.attributes.get_int("to", 0)
        if kind != ir.DataType.FLOAT or (isinstance(value, Tensor) and value.dtype != "float32"):
            return None
    return value


def transpose(state: State, node: ir.Node) -> Value | None:
    """Another order of the axes."""
    value = state.value(node)
    if value is None:
        return None
    rank = len(value.shape)
    order = tuple(node.attributes.get_ints("perm", tuple(reversed(range(rank)))))
    if isinstance(value, View):
        return replace(value, axes=tuple(value.axes[axis] for axis in order))
    shape = tuple(value.shape[axis] for axis in order)
    operation = Transposition(Plain(value.shape, value.dtype), order, Plain(shape, value.dtype))
    return replace(value, name=state.emit(operation, [value.name], str(node.name)), shape=shape)


def reshape(state: State, node: ir.Node) -> Value | None:
    """Another grouping of the axes; a tensor in row-major order takes any."""
    value = state.value(node)
    if value is None:
        return None
    shape = state.shape(node)
    if isinstance(value, View):
        axes = reshaped(value.axes, value.sizes, shape)
        if axes is not None:
            return replace(value, axes=axes)
    return replace(state.tensor(value), shape=shape)


def colours(state: State, node: ir.Node) -> Value | None:
    """The order of a camera's colours, which the weights of the first convolution follow."""
    view, order = state.value(node), state.constant(node, 1)
    if not isinstance(view, View) or order is None or not view.pixels or view.order or view.moves:
        return None
    axis = node.attributes.get_int("axis", 0)
    if view.axes[axis] != ("c",) or sorted(order.reshape(-1).tolist()) != list(range(len(view.pixels))):
        return None
    return replace(view, order=tuple(order.tolist()))


def affine(state: State, node: ir.Node) -> Value | None:
    """Normalization of pixels: numbers a channel."""
    view = state.value(node)
    numbers = state.constant(node, 1)
    if not isinstance(view, View) or numbers is None or not view.pixels or view.moves:
        return None
    channels = len(view.pixels)
    place = next((i for i, axis in enumerate(view.axes) if axis == ("c",)), None)
    shape = (1,) * (len(view.axes) - numbers.ndim) + numbers.shape
    if place is None or any(size != 1 for axis, size in enumerate(shape) if axis != place):
        return None
    given = np.broadcast_to(numbers.reshape(-1), channels).astype(np.float64)
    pixels = list(view.pixels)
    for channel, number in enumerate(given):
        at = view.order[channel] if view.order else channel
        scale, offset = pixels[at]
        pixels[at] = {
            "Add": (scale, offset + number),
            "Sub": (scale, offset - number),
            "Mul": (scale * number, offset * number),
            "Div": (scale / number, offset / number),
        }[node.op_type]
    return replace(view, pixels=tuple((float(scale), float(offset)) for scale, offset in pixels))


def shift(state: State, node: ir.Node) -> Value | None:
    """The layer that reads the view takes the shift along."""
    spec = spec_of(node)
    wanted = FRAMES if spec.layout is Layout.FRAMES else VOLUME
    view = state.view(node)
    if view is None or not matches(view.axes, wanted, view.sizes):
        return None
    if spec.segments != view.frames.segments:
        total = view.frames.frames
        if wanted == VOLUME or total % spec.segments:
            return None
        frames = replace(view.frames, clips=total // spec.segments, segments=spec.segments)
        view = replace(view, frames=frames)
    if view.moves:
        view = state.ready(view)
    moves = tuple(Move(m.start, m.stop, -m.dt, -m.dh, -m.dw) for m in spec.moves)
    return replace(view, moves=moves)
