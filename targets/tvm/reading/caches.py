"""The caches of a graph that takes frame by frame: how they are read, and what is left in them.

A shift stands there as a Concat of a cache and of a Slice of the present frame
(`edgevid.graph.streaming`). That is one view, and the convolution behind it reads the channels where they
lie. All else is copied: delays, gates, and shifts of several lags.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import onnx_ir as ir

from edgevid.errors import TargetError
from edgevid.targets.tvm.axes import FRAMES, Axes
from edgevid.targets.tvm.network import (
    Activation,
    Copy,
    DType,
    Frames,
    Gate,
    Keep,
    Layer,
    Move,
    Plain,
)
from edgevid.targets.tvm.reading.cache_outputs import integers_of, joined, newest
from edgevid.targets.tvm.reading.state import State
from edgevid.targets.tvm.reading.values import Tensor, Value, View

__all__ = ["declare", "gated", "keeps", "moving_up", "oldest", "shifted"]

_AXES: Mapping[int, Axes] = {
    2: (("n", "t"), ("c",)),
    4: FRAMES,
    5: (("n", "t"), ("c",), (), ("h",), ("w",)),
}
"""Of caches by their rank: frames, channels, and one moment of volumes."""
_DTYPES: Mapping[ir.DataType | None, DType] = {
    ir.DataType.FLOAT: "float32",
    ir.DataType.UINT8: "uint8",
    ir.DataType.INT8: "int8",
}


def declare(state: State, inputs: Sequence[ir.Value]) -> tuple[str, ...]:
    """Make gates ``[gates]`` and caches ``[lag, channels, ...]`` known; their names.

    Raises:
        TargetError: a cache holds no frames, or integers whose scale is unknown.
    """
    for value in inputs:
        shape = [] if value.shape is None else [int(size) for size in value.shape.numpy()]
        name, dtype = str(value.name), _DTYPES.get(value.dtype)
        if dtype == "uint8" and len(shape) == 1:
            state.activations[name] = Plain(tuple(shape), dtype)
            continue
        if dtype is None or len(shape) not in _AXES:
            raise TargetError(f"a cache of {value.dtype} {shape}", where=name, fix="stream it by --window")
        lag, channels, *_ = shape
        height, width = shape[-2:] if len(shape) > 2 else (1, 1)
        block = channels if channels % state.block else state.block
        integers = integers_of(state, value, {})
        if integers is None and dtype != "float32":
            raise TargetError("the scale of the cache is unknown", where=name)
        frames = Frames(1, lag, channels, height, width, block, *(integers or (dtype, None)))
        state.activations[name] = frames
        view = View(name, frames, _AXES[len(shape)])
        # Of several frames nobody reads any but the oldest.
        state.values[value] = state.ready(view) if lag == 1 else view
    return tuple(str(value.name) for value in inputs)


def moving_up(model: ir.Model) -> set[ir.Node]:
    """The operations by which the frames of a cache of several become older."""
    found: set[ir.Node] = set()
    for output in list(model.graph.outputs)[1:]:
        node = joined(output)
        older = None if node is None or node.inputs[0] is None else node.inputs[0].producer()
        if node is not None and older is not None:
            found |= {node, older}
    return found


def shifted(state: State, node: ir.Node) -> Value | None:
    """Concat of a cache's oldest frame and of what stays of the present one: a view of both."""
    if node.attributes.get_int("axis", 0) != 1:
        return None
    found: tuple[str, Frames, Move] | None = None
    source, place = None, 0
    for value in node.inputs:
        cache = _oldest_of(state, value)
        if cache is not None and found is None:
            name, frames = cache
            found = name, frames, Move(place, place + frames.channels, -frames.segments)
            place += frames.channels
            continue
        part = _part_of(state, value)
        if part is None or part.start != place or source not in (None, part.source):
            return None
        source, place = part.source, part.stop
    view = None if source is None else state.values.get(source)
    if found is None or not isinstance(view, View) or view.axes[1] != ("c",):
        return None
    name, frames, move = found
    view = state.ready(view)
    if place != view.frames.channels or not _holds(frames, view.frames, move.start):
        return None
    return View(view.name, view.frames, view.axes, (move,), cache=name)


def oldest(state: State, node: ir.Node) -> Value | None:
    """The first frame of a cache of several, copied."""
    cache = _oldest_of(state, node.outputs[0])
    if cache is None:
        return None
    name, frames = cache
    target = Frames(
        1, 1, frames.channels, frames.height, frames.width, state.block, frames.dtype, frames.quantization
    )
    axes = _AXES[len(state.shape(node))]
    return state.frames(Copy(frames, target), [name], f"{name}.oldest", axes)


def gated(state: State, node: ir.Node) -> Value | None:
    """Where with a gate: frames of the sequence, zeros outside of it."""
    gate, view, fill = _gate_of(state, node.inputs[0]), state.view(node, 1), state.constant(node, 2)
    if gate is None or view is None or fill is None or fill.size != 1:
        return None
    view = state.ready(view)
    quantization = view.frames.quantization
    zero = 0 if quantization is None or fill.dtype.kind == "f" else quantization.zero
    if fill.reshape(-1)[0] != zero:
        return None
    name, gates, place = gate
    operation = Gate(view.frames, gates, place, view.frames)
    return state.frames(operation, [view.name, name], str(node.name), view.axes)


def keeps(state: State, names: Sequence[str]) -> tuple[Layer, ...]:
    """What is left in each of the caches ``names``, by the outputs of the graph behind the logits.

    Raises:
        TargetError: one is returned in another form than it is taken in.
    """
    found = []
    for name, output in zip(names, list(state.model.graph.outputs)[1:], strict=True):
        now = newest(output)
        part = _part_of(state, now)
        source, start = (now, 0) if part is None else (part.source, part.start)
        value, cache = state.values.get(source), state.activations[name]
        view = state.framed(value) if isinstance(value, Tensor) else value
        assert isinstance(cache, Frames)
        if view is not None:
            view = state.ready(view, real=cache.quantization is None)
            view = _in_integers(state, view, cache)
        if view is None or not _holds(cache, view.frames, start):
            raise TargetError(
                f"what is returned as {output.name} is not what {name} takes: {cache}", where=output.name
            )
        layer = Layer(f"{name}.keep", Keep(view.frames, start, cache), (view.name,), name)
        found.append(layer)
    return tuple(found)


def _in_integers(state: State, view: View, cache: Frames) -> View:
    """A view whose real numbers all stand for integers of the cache as these."""
    if cache.quantization is None or view.frames.quantization is not None:
        return view
    target = replace(view.frames, dtype=cache.dtype, quantization=cache.quantization)
    return state.frames(Copy(view.frames, target), view.inputs, f"{view.name}.integers", view.axes)


def _holds(cache: Frames, source: Frames, start: int) -> bool:
    """Whether channels from ``start`` on of the source's only frame are what a cache keeps."""
    return (
        source.frames == 1
        and (source.dtype, source.quantization) == (cache.dtype, cache.quantization)
        and (source.height, source.width) == (cache.height, cache.width)
        and start + cache.channels <= source.channels
    )


@dataclass(frozen=True)
class _ChannelsOf:
    source: ir.Value
    start: int
    stop: int


def _part_of(state: State, value: ir.Value | None) -> _ChannelsOf | None:
    """The neighbouring channels that a value is of another one."""
    sliced = _slice_of(state, value, axis=1)
    if sliced is None or sliced.source.shape is None:
        return None
    start, stop, _ = slice(sliced.start, sliced.stop).indices(int(sliced.source.shape.numpy()[1]))
    return _ChannelsOf(sliced.source, start, stop)


def _slice_of(state: State, value: ir.Value | None, axis: int) -> _ChannelsOf | None:
    """The bounds of a Slice along one axis, as they are given."""
    node = None if value is None else value.producer()
    if node is None or node.op_type != "Slice" or node.inputs[0] is None:
        return None
    starts, stops, axes, steps = (state.constant(node, index) for index in range(1, 5))
    if starts is None or stops is None or axes is None or axes.reshape(-1).tolist() != [axis]:
        return None
    if steps is not None and steps.reshape(-1).tolist() != [1]:
        return None
    return _ChannelsOf(node.inputs[0], int(starts.reshape(-1)[0]), int(stops.reshape(-1)[0]))


def _oldest_of(state: State, value: ir.Value | None) -> tuple[str, Frames] | None:
    """The cache whose oldest frame a value is."""
    cache = _cache(state, value)
    if cache is not None:
        return cache if cache[1].segments == 1 else None
    sliced = _slice_of(state, value, axis=0)
    return None if sliced is None or (sliced.start, sliced.stop) != (0, 1) else _cache(state, sliced.source)


def _cache(state: State, value: ir.Value | None) -> tuple[str, Frames] | None:
    """The cache that an input of the graph is."""
    if value is None or value not in list(state.model.graph.inputs)[1:]:
        return None
    found: Activation = state.activations[str(value.name)]
    return (str(value.name), found) if isinstance(found, Frames) else None


def _gate_of(state: State, value: ir.Value | None) -> tuple[str, Plain, int] | None:
    """The input of gates, and the place there, that a condition is cast from."""
    node = None if value is None else value.producer()
    if node is None or node.op_type != "Cast":
        return None
    sliced = _slice_of(state, node.inputs[0], axis=0)
    if sliced is None or sliced.stop != sliced.start + 1 or not sliced.source.is_graph_input():
        return None
    name = str(sliced.source.name)
    gates = state.activations.get(name)
    return (name, gates, sliced.start) if isinstance(gates, Plain) else None
