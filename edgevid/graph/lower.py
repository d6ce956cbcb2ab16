"""Lowerings: equal ways to write a shift in plain ONNX operations.

Every runtime likes another one, and the difference is most of the shift's cost, so each is a
named entry of `LOWERINGS` and the choice is made per device. All of them are proved equal to
`edgevid.shift.shift_numpy`; one that holds only for some batches says so and is refused for
the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import onnx_ir as ir
from onnx_ir import tape
from onnx_ir.passes import common as passes

from edgevid.errors import LoweringError
from edgevid.graph.shift_op import DOMAIN, SHIFT, shift_nodes, spec_of
from edgevid.shift import Layout, ShiftSpec

__all__ = ["KEEP", "LOWERINGS", "Lowering", "lower"]

KEEP = "function"
"""Not a lowering: the canonical graph as it is, for runtimes that read local functions."""


@dataclass(frozen=True)
class Lowering:
    """One way to write a shift.

    Attributes:
        name: by which targets and users choose it.
        summary: one line for help and reports.
        one_clip_only: wrong as soon as a batch holds two clips, so refused there.
        static_batch: needs to know N.
        write: adds the operations to a builder and returns the shifted value.
    """

    name: str
    summary: str
    write: Callable[[_Writer, ir.Value, ShiftSpec], ir.Value]
    static_batch: bool = True
    one_clip_only: bool = False


def lower(model: ir.Model, name: str) -> ir.Model:
    """A copy of a canonical graph in which the lowering ``name`` replaces every shift.

    Raises:
        LoweringError: unknown name, or the lowering does not hold for this graph's batch.
    """
    lowered = model.clone()
    if name == KEEP:
        return lowered
    if name not in LOWERINGS:
        raise LoweringError(f"unknown lowering {name!r}", fix=f"one of {', '.join([KEEP, *LOWERINGS])}")
    for number, node in enumerate(shift_nodes(lowered)):
        _replace(lowered, node, LOWERINGS[name], f"shift{number}")
    for identifier in [key for key in lowered.functions if key[:2] == (DOMAIN, SHIFT)]:
        del lowered.functions[identifier]
    lowered.opset_imports.pop(DOMAIN, None)
    passes.ShapeInferencePass()(lowered)
    return lowered


def _replace(model: ir.Model, node: ir.Node, lowering: Lowering, prefix: str) -> None:
    value, spec = node.inputs[0], spec_of(node)
    assert value is not None
    shape = _shape(value, node)
    spec.check(shape if shape[0] >= 0 else [spec.segments, *shape[1:]])
    clips = shape[0] // spec.segments if spec.layout is Layout.FRAMES and shape[0] >= 0 else shape[0]
    mixes_frames = spec.layout is Layout.FRAMES and any(move.dt for move in spec.moves)
    if mixes_frames and lowering.static_batch and clips < 0:
        raise LoweringError(
            f"lowering {lowering.name!r} needs a fixed batch",
            where=node.name,
            fix="use slice_concat, or give --batch",
        )
    if mixes_frames and lowering.one_clip_only and clips != 1:
        raise LoweringError(
            f"lowering {lowering.name!r} holds for one clip; in a batch of {clips} frames of one clip "
            "would leak into the next",
            where=node.name,
            fix="use slice_concat or fused_slice_concat, or compile batch 1",
        )
    writer = _Writer(model.graph, prefix, shape, value.dtype or ir.DataType.FLOAT)
    shifted = value if spec.is_identity else lowering.write(writer, value, spec)
    old = node.outputs[0]
    if shifted is value:
        ir.convenience.replace_all_uses_with(old, value, replace_graph_outputs=True)
        model.graph.remove(node, safe=True)
        return
    shifted.type, shifted.shape = old.type, old.shape
    ir.convenience.replace_nodes_and_values(model.graph, node, [node], writer.steps.nodes, [old], [shifted])


def _shape(value: ir.Value, node: ir.Node) -> list[int]:
    """Static sizes; -1 for a symbolic first axis.

    Raises:
        LoweringError: another axis is unknown.
    """
    if value.shape is None or any(not isinstance(size, int) for size in value.shape[1:]):
        raise LoweringError(
            f"the shifted tensor has shape {value.shape}",
            where=node.name,
            fix="export with static channels, rows and columns; only the batch may be symbolic",
        )
    first, *rest = value.shape
    return [first if isinstance(first, int) else -1, *(size for size in rest if isinstance(size, int))]


class _Writer:
    """Adds operations with readable names; knows the sizes of what it writes."""

    def __init__(self, graph: ir.Graph, prefix: str, shape: list[int], dtype: ir.DataType) -> None:
        self.graph, self.prefix, self.shape, self.dtype = graph, prefix, shape, dtype
        self.steps = tape.Tape()
        self._count = 0

    def op(self, kind: str, inputs: Sequence[ir.Value], **attributes: int | ir.TensorProtocol) -> ir.Value:
        self._count += 1
        value = self.steps.op(kind, inputs, attributes, name=f"{self.prefix}.{kind}{self._count}")
        value.name = f"{self.prefix}.{kind}{self._count}.out"
        return value

    def ints(self, values: Sequence[int]) -> ir.Value:
        """An int64 initializer, shared within the graph by its values."""
        name = "shift.ints." + "_".join(map(str, values)).replace("-", "m")
        if name not in self.graph.initializers:
            tensor = ir.tensor(np.array(values, np.int64), name=name)
            value = ir.Value(
                name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape([len(values)])
            )
            self.graph.register_initializer(value)
        return self.graph.initializers[name]

    def reshape(self, value: ir.Value, sizes: Sequence[int]) -> ir.Value:
        return self.op("Reshape", [value, self.ints(sizes)])

    def slice(self, value: ir.Value, ranges: Mapping[int, tuple[int, int]]) -> ir.Value:
        """``ranges``: axis to ``(start, stop)``."""
        starts, stops = zip(*ranges.values(), strict=True)
        return self.op("Slice", [value, self.ints(starts), self.ints(stops), self.ints(list(ranges))])

    def concat(self, values: Sequence[ir.Value], axis: int) -> ir.Value:
        return values[0] if len(values) == 1 else self.op("Concat", values, axis=axis)

    def pad(self, value: ir.Value, begins: Sequence[int], ends: Sequence[int]) -> ir.Value:
        return self.op("Pad", [value, self.ints([*begins, *ends])])

    def zeros(self, sizes: Sequence[int], like: ir.Value) -> ir.Value:
        """Zeros of ``sizes``; a first size of -1 is taken from ``like``, which has all the others."""
        shape = self.op("Shape", [like]) if sizes[0] < 0 else self.ints(sizes)
        return self.op("ConstantOfShape", [shape], value=ir.tensor(np.zeros(1, self.dtype.numpy())))


def _moved_by_concat(write: _Writer, part: ir.Value, axis: int, step: int, sizes: list[int]) -> ir.Value:
    """``part`` of ``sizes`` moved along one axis: what stays, and a block of zeros."""
    size, gap = sizes[axis], min(abs(step), sizes[axis])
    block_sizes = [*sizes[:axis], gap, *sizes[axis + 1 :]]
    like = part if sizes[0] >= 0 else write.slice(part, {axis: (0, gap)})
    zeros = write.zeros(block_sizes, like)
    if gap == size:
        return zeros
    kept = write.slice(part, {axis: (0, size - gap) if step > 0 else (gap, size)})
    return write.concat([zeros, kept] if step > 0 else [kept, zeros], axis)


def _slice_concat(write: _Writer, value: ir.Value, spec: ShiftSpec) -> ir.Value:
    """With time as an axis of its own; holds for every batch, known or not."""
    first, channels, *rest = write.shape
    axes, channel_axis, sizes = (2, 3, 4), 1, write.shape
    if spec.layout is Layout.FRAMES:
        clips = first // spec.segments if first >= 0 else -1
        sizes = [clips, spec.segments, channels, *rest]
        axes, channel_axis = (1, 3, 4), 2
        value = write.reshape(value, sizes)
    parts = []
    for start, stop, displacement in spec.pieces(channels):
        part = write.slice(value, {channel_axis: (start, stop)})
        part_sizes = [*sizes]
        part_sizes[channel_axis] = stop - start
        for axis, step in zip(axes, displacement, strict=True):
            if step:
                part = _moved_by_concat(write, part, axis, step, part_sizes)
        parts.append(part)
    moved = write.concat(parts, channel_axis)
    return write.reshape(moved, write.shape) if spec.layout is Layout.FRAMES else moved


def _fused_slice_concat(write: _Writer, value: ir.Value, spec: ShiftSpec) -> ir.Value:
    """On the fused N*T axis, without a fifth axis: clip by clip, zeros between the clips."""
    if spec.layout is Layout.VOLUME:
        return _slice_concat(write, value, spec)
    frames, channels, *rest = write.shape
    segments = spec.segments
    parts = []
    for start, stop, (dt, dh, dw) in spec.pieces(channels):
        sizes = [frames, stop - start, *rest]
        if dt and abs(dt) < segments:
            zeros = write.zeros([abs(dt), *sizes[1:]], value)
            clips = []
            for first in range(0, frames, segments):
                kept = (first, first + segments - dt) if dt > 0 else (first - dt, first + segments)
                content = write.slice(value, {0: kept, 1: (start, stop)})
                clips += [zeros, content] if dt > 0 else [content, zeros]
            part = write.concat(clips, 0)
        elif dt:
            part = write.zeros(sizes, value)
        else:
            part = write.slice(value, {1: (start, stop)})
        for axis, step in ((2, dh), (3, dw)):
            if step:
                part = _moved_by_concat(write, part, axis, step, sizes)
        parts.append(part)
    return write.concat(parts, 1)


def _fused_pad(write: _Writer, value: ir.Value, spec: ShiftSpec) -> ir.Value:
    """On the fused axis: one Slice and one Pad a group of channels and clip."""
    sizes = write.shape
    axes = (0, 2, 3) if spec.layout is Layout.FRAMES else (2, 3, 4)
    lengths = [spec.segments, *sizes[2:]] if spec.layout is Layout.FRAMES else sizes[2:]
    parts = []
    for start, stop, displacement in spec.pieces(sizes[1]):
        if not any(displacement):
            parts.append(write.slice(value, {1: (start, stop)}))
            continue
        gaps = [min(abs(step), length) for step, length in zip(displacement, lengths, strict=True)]
        if any(gap == length for gap, length in zip(gaps, lengths, strict=True)):
            block = [sizes[0], stop - start, *sizes[2:]]
            like = write.slice(value, {1: (start, stop)}) if sizes[0] < 0 else value
            parts.append(write.zeros(block, like))
            continue
        begins, ends, ranges = [0] * len(sizes), [0] * len(sizes), {1: (start, stop)}
        for axis, step, gap, length in zip(axes, displacement, gaps, lengths, strict=True):
            if step:
                begins[axis], ends[axis] = (gap, 0) if step > 0 else (0, gap)
                ranges[axis] = (0, length - gap) if step > 0 else (gap, length)
        clips = []
        for first in range(0, sizes[0], spec.segments) if 0 in ranges else [0]:
            here = {axis: (a + first, b + first) if axis == 0 else (a, b) for axis, (a, b) in ranges.items()}
            clips.append(write.pad(write.slice(value, here), begins, ends))
        parts.append(write.concat(clips, 0))
    return write.concat(parts, 1)


def _negative_pad(write: _Writer, value: ir.Value, spec: ShiftSpec) -> ir.Value:
    """One Pad a group of channels, which cuts at one end what it adds at the other."""
    sizes = write.shape
    axes = (0, 2, 3) if spec.layout is Layout.FRAMES else (2, 3, 4)
    parts = []
    for start, stop, displacement in spec.pieces(sizes[1]):
        part = write.slice(value, {1: (start, stop)})
        steps = dict(zip(axes, displacement, strict=True))
        if any(step and abs(step) >= sizes[axis] for axis, step in steps.items()):
            part = write.zeros([sizes[0], stop - start, *sizes[2:]], part)
        elif any(displacement):
            begins = [steps.get(axis, 0) for axis in range(len(sizes))]
            part = write.pad(part, begins, [-step for step in begins])
        parts.append(part)
    return write.concat(parts, 1)


LOWERINGS: Mapping[str, Lowering] = MappingProxyType(
    {
        entry.name: entry
        for entry in (
            Lowering(
                "slice_concat",
                "slices and concats on [N,T,C,H,W]; any batch",
                _slice_concat,
                static_batch=False,
            ),
            Lowering(
                "fused_slice_concat",
                "slices and concats on the fused N*T axis; fixed batch",
                _fused_slice_concat,
            ),
            Lowering("fused_pad", "slice and pad on the fused N*T axis; fixed batch", _fused_pad),
            Lowering(
                "negative_pad",
                "one pad with a negative begin or end a channel group; one clip",
                _negative_pad,
                one_clip_only=True,
            ),
        )
    }
)
