"""Equal ways to write one shift in plain ONNX operations.

Each is a function from a value and a `ShiftSpec` to the shifted value; all are proved equal to
`edgevid.shift.shift_numpy`. `edgevid.graph.lower` names them and says when they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx_ir as ir
from onnx_ir import tape

from edgevid.shift import Layout, ShiftSpec

__all__ = ["WriteShift", "Writer", "fused_pad", "fused_slice_concat", "negative_pad", "slice_concat"]


class Writer:
    """Adds operations with readable names; knows the sizes of the tensor that is shifted.

    ``zero`` is what stands for zero in it: the zero point of a quantized tensor.
    """

    def __init__(
        self, graph: ir.Graph, prefix: str, shape: list[int], dtype: ir.DataType, zero: int = 0
    ) -> None:
        self.graph, self.prefix, self.shape, self.dtype, self.zero = graph, prefix, shape, dtype, zero
        self.steps = tape.Tape()
        self._count = 0

    def op(
        self,
        kind: str,
        inputs: Sequence[ir.Value],
        **attributes: int | Sequence[int] | ir.TensorProtocol | ir.Attr,
    ) -> ir.Value:
        self._count += 1
        value = self.steps.op(kind, inputs, attributes, name=f"{self.prefix}.{kind}{self._count}")
        value.name = f"{self.prefix}.{kind}{self._count}.out"
        return value

    def constant(self, name: str, array: np.ndarray) -> ir.Value:
        """An initializer, shared within the graph by its name."""
        if name not in self.graph.initializers:
            tensor = ir.tensor(np.asarray(array, order="C"), name=name)
            value = ir.Value(
                name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape)
            )
            self.graph.register_initializer(value)
        return self.graph.initializers[name]

    def ints(self, values: Sequence[int]) -> ir.Value:
        """An int64 initializer, shared within the graph by its values."""
        name = "shift.ints." + "_".join(map(str, values)).replace("-", "m")
        return self.constant(name, np.array(values, np.int64))

    def split(self, value: ir.Value, sizes: Sequence[int], axis: int) -> list[ir.Value]:
        """Consecutive parts of ``sizes`` along ``axis``."""
        if len(sizes) == 1:
            return [value]
        self._count += 1
        name = f"{self.prefix}.Split{self._count}"
        parts = self.steps.op_multi_out(
            "Split", [value, self.ints(sizes)], {"axis": axis}, num_outputs=len(sizes), name=name
        )
        for number, part in enumerate(parts):
            part.name = f"{name}.out{number}"
        return list(parts)

    def reshape(self, value: ir.Value, sizes: Sequence[int]) -> ir.Value:
        return self.op("Reshape", [value, self.ints(sizes)])

    def slice(self, value: ir.Value, ranges: Mapping[int, tuple[int, int]]) -> ir.Value:
        """``ranges``: axis to ``(start, stop)``."""
        starts, stops = zip(*ranges.values(), strict=True)
        return self.op("Slice", [value, self.ints(starts), self.ints(stops), self.ints(list(ranges))])

    def concat(self, values: Sequence[ir.Value], axis: int) -> ir.Value:
        return values[0] if len(values) == 1 else self.op("Concat", values, axis=axis)

    def pad(self, value: ir.Value, begins: Sequence[int], ends: Sequence[int]) -> ir.Value:
        inputs = [value, self.ints([*begins, *ends])]
        if self.zero:
            filled = np.array(self.zero, self.dtype.numpy())
            inputs.append(self.constant(f"shift.zero.{self.dtype}.{self.zero}", filled))
        return self.op("Pad", inputs)

    def zeros(self, sizes: Sequence[int], like: ir.Value) -> ir.Value:
        """Zeros of ``sizes``; a first size of -1 is taken from ``like``, which has all the others."""
        shape = self.op("Shape", [like]) if sizes[0] < 0 else self.ints(sizes)
        return self.op("ConstantOfShape", [shape], value=ir.tensor(np.full(1, self.zero, self.dtype.numpy())))


def _moved_by_concat(write: Writer, part: ir.Value, axis: int, step: int, sizes: list[int]) -> ir.Value:
    """``part`` of ``sizes`` moved along one axis: what stays, and a block of zeros."""
    size, gap = sizes[axis], min(abs(step), sizes[axis])
    block_sizes = [*sizes[:axis], gap, *sizes[axis + 1 :]]
    like = part if sizes[0] >= 0 else write.slice(part, {axis: (0, gap)})
    zeros = write.zeros(block_sizes, like)
    if gap == size:
        return zeros
    kept = write.slice(part, {axis: (0, size - gap) if step > 0 else (gap, size)})
    return write.concat([zeros, kept] if step > 0 else [kept, zeros], axis)


def slice_concat(write: Writer, value: ir.Value, spec: ShiftSpec) -> ir.Value:
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


def fused_slice_concat(write: Writer, value: ir.Value, spec: ShiftSpec) -> ir.Value:
    """On the fused N*T axis, without a fifth axis: clip by clip, zeros between the clips."""
    if spec.layout is Layout.VOLUME:
        return slice_concat(write, value, spec)
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


def fused_pad(write: Writer, value: ir.Value, spec: ShiftSpec) -> ir.Value:
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


def negative_pad(write: Writer, value: ir.Value, spec: ShiftSpec) -> ir.Value:
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


WriteShift = Callable[[Writer, ir.Value, ShiftSpec], ir.Value]
"""Adds the operations of a shift to a writer that knows the value's sizes; returns the shifted value."""
