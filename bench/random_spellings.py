"""One shift, written in plain ONNX operations in random ways.

The ways are those that exporters and people use: channels cut apart, moved and put together again;
writes into a buffer; masks; index maps; convolutions with one-hot kernels. Between them stand
operations that cancel out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgevid.bench.random_axis_moves import displaced, zeros_like
from edgevid.bench.random_blocks import Block, Pen, cancelled, concat, cut, permuted, reshaped
from edgevid.shift import Layout, ShiftSpec, shift_numpy

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["sources", "spell", "spell_map"]

_Spelling = Callable[[Pen, Block, ShiftSpec], Block]


def spell(pen: Pen, value: ir.Value, sizes: Sequence[int], spec: ShiftSpec) -> tuple[ir.Value, str]:
    """The shifted ``value`` and the name of the spelling.

    Args:
        pen: writes operations and draws the random numbers.
        value: ``[N*T,C,H,W]`` or, for `Layout.FRAMES`, ``[N,T,C,H,W]``, or ``[N,C,T,H,W]``.
        sizes: of ``value``.
        spec: without moves by a whole clip, height or width.
    """
    name = pen.pick(_MAP, *(name for name in _SPELLINGS if name != _IN_TIME or _temporal(spec)))
    if name == _MAP:
        return spell_map(pen, value, sizes, sources(sizes, spec)), name
    stacked = len(sizes) == 4
    block = Block(value, "FCHW" if stacked else "NCTHW" if spec.layout is Layout.VOLUME else "NTCHW", sizes)
    if stacked:
        block = reshaped(pen, block, "NTCHW", [sizes[0] // spec.segments, spec.segments, *sizes[1:]])
    axes = block.axes
    if name in (_CONVOLUTION, _IN_TIME):
        block = permuted(pen, block, "NCTHW")
    elif pen.chance(0.4):
        block = permuted(pen, block, "".join(pen.shuffled(axes)))
    block = _SPELLINGS[name](pen, cancelled(pen, block), spec)
    block = permuted(pen, cancelled(pen, block), axes)
    return (reshaped(pen, block, "FCHW", sizes) if stacked else block).value, name


def sources(sizes: Sequence[int], spec: ShiftSpec) -> NDArray[np.int64]:
    """The number, from 1, of the element that comes to each place; 0 where a zero does."""
    numbers = np.arange(1, 1 + int(np.prod(sizes)), dtype=np.int64).reshape(sizes)
    if len(sizes) == 5 and spec.layout is Layout.FRAMES:
        return shift_numpy(numbers.reshape(-1, *sizes[2:]), spec).reshape(sizes)
    return shift_numpy(numbers, spec)


def spell_map(pen: Pen, value: ir.Value, sizes: Sequence[int], came: NDArray[np.int64]) -> ir.Value:
    """Any movement, as an index map.

    Args:
        pen: as in `spell`.
        value: of ``sizes``.
        sizes: of ``value``.
        came: `sources` of the result, which may have another shape.
    """
    way = pen.pick("gather", "gather elements", "gather nd", "scatter nd", "scatter elements")
    if way == "gather nd":
        grid = np.stack(np.unravel_index(np.maximum(came, 1) - 1, sizes), axis=-1)
        gathered = pen.op("GatherND", [value, pen.array(grid)])
        return pen.op("Where", [pen.array(came > 0), gathered, pen.array(np.float32(0))])
    flat = pen.op("Reshape", [value, pen.ints(-1)])
    if way == "gather":
        padded = pen.op("Pad", [flat, pen.ints(1, 0)])
        if pen.chance(0.5):
            return pen.op("Gather", [padded, pen.array(came)], axis=0)
        gathered = pen.op("Gather", [padded, pen.array(came.ravel())], axis=0)
    elif way == "gather elements":
        gathered = pen.op("GatherElements", [flat, pen.array(np.maximum(came.ravel(), 1) - 1)], axis=0)
        gathered = pen.op("Mul", [gathered, pen.array((came.ravel() > 0).astype(np.float32))])
    else:
        (to,) = np.nonzero(came.ravel())
        updates = pen.op("Gather", [flat, pen.array(came.ravel()[to] - 1)], axis=0)
        zeros = pen.array(np.zeros(came.size, np.float32))
        if way == "scatter nd":
            gathered = pen.op("ScatterND", [zeros, pen.array(to[:, None]), updates])
        else:
            gathered = pen.op("ScatterElements", [zeros, pen.array(to), updates], axis=0)
    return pen.op("Reshape", [gathered, pen.ints(*came.shape)])


@dataclass(frozen=True)
class _Part:
    """Channels ``[start, stop)`` of a block, and where they go."""

    start: int
    stop: int
    steps: Mapping[str, int]


def _parts(pen: Pen, block: Block, spec: ShiftSpec) -> list[_Part]:
    """All channels in order, groups sometimes cut in two."""
    parts = []
    for start, stop, displacement in spec.pieces(block.size("C")):
        steps = {axis: step for axis, step in zip("THW", displacement, strict=True) if step}
        middle = start + 1 + pen.below(stop - start) if pen.chance(0.2) else stop
        parts += [_Part(a, b, steps) for a, b in ((start, middle), (middle, stop)) if a < b]
    return parts


def _by_concat(pen: Pen, block: Block, spec: ShiftSpec) -> Block:
    """Groups of channels cut apart, moved in any order, and concatenated."""
    parts = _parts(pen, block, spec)
    moved = cut(pen, block, "C", [(part.start, part.stop) for part in parts])
    for index in pen.shuffled(range(len(parts))):
        moved[index] = displaced(pen, moved[index], parts[index].steps)
    if len(moved) > 2 and pen.chance(0.3):
        moved = [concat(pen, moved[:2], "C"), *moved[2:]]
    elif len(moved) > 1 and pen.chance(0.3):
        return _put_in_order(pen, moved)
    return concat(pen, moved, "C")


def _put_in_order(pen: Pen, blocks: Sequence[Block]) -> Block:
    """Concatenated in a wrong order, which a Gather of the channels mends."""
    starts = np.cumsum([0, *(block.size("C") for block in blocks)])
    order = pen.shuffled(range(len(blocks)))
    channels = np.concatenate([np.arange(starts[index], starts[index + 1]) for index in order])
    mixed = concat(pen, [blocks[index] for index in order], "C")
    value = pen.op("Gather", [mixed.value, pen.array(np.argsort(channels))], axis=mixed.axis("C"))
    return replace(mixed, value=value)


def _by_writes(pen: Pen, block: Block, spec: ShiftSpec) -> Block:
    """In-place assignments: ScatterND into a buffer, in any order; some write twice."""
    parts = _parts(pen, block, spec)
    copies = pen.chance(0.4)
    buffer = block if copies else zeros_like(pen, block)
    for index in pen.shuffled(range(len(parts))):
        part = parts[index]
        if copies and part.steps:
            channels = {"C": (part.start, part.stop)}
            empty = zeros_like(pen, cut(pen, block, "C", [(part.start, part.stop)])[0])
            buffer = _write(pen, buffer, empty, channels)
        if part.steps or not copies or pen.chance(0.2):
            taken = cut(pen, block, "C", [(part.start, part.stop)])[0]
            spans = {"C": (part.start, part.stop)}
            for axis, step in part.steps.items():
                size = block.size(axis)
                taken = cut(pen, taken, axis, [(max(-step, 0), size - max(step, 0))])[0]
                spans[axis] = (max(step, 0), size - max(-step, 0))
            buffer = _write(pen, buffer, taken, spans)
    return buffer


def _write(pen: Pen, buffer: Block, update: Block, spans: Mapping[str, tuple[int, int]]) -> Block:
    """``buffer`` with ``update`` at ``spans``; the indices are a full grid, or of the leading axes."""
    ranges = [np.arange(*spans.get(axis, (0, buffer.size(axis)))) for axis in buffer.axes]
    last = max(buffer.axis(axis) for axis in spans)
    known = last + 1 if pen.chance(0.5) else len(ranges)
    grid = np.stack(np.meshgrid(*ranges[:known], indexing="ij"), axis=-1)
    return replace(buffer, value=pen.op("ScatterND", [buffer.value, pen.array(grid), update.value]))


def _by_masks(pen: Pen, block: Block, spec: ShiftSpec) -> Block:
    """The whole tensor moved once a displacement, and chosen from by channel masks."""
    result = block
    channel = block.axis("C")
    for move in spec.moves:
        steps = {axis: step for axis, step in zip("THW", move.displacement, strict=True) if step}
        moved = displaced(pen, block, steps)
        mask = np.zeros(block.size("C"), bool)
        mask[move.start : move.stop] = True
        shaped = mask.reshape([-1 if axis == channel else 1 for axis in range(len(block.sizes))])
        if pen.chance(0.3):
            shaped = np.broadcast_to(shaped, block.sizes)
        result = replace(block, value=pen.op("Where", [pen.array(shaped), moved.value, result.value]))
    return result


def _by_masked_sum(pen: Pen, block: Block, spec: ShiftSpec) -> Block:
    """The same with masks of zeros and ones, multiplied and added up."""
    terms = []
    for part in _parts(pen, block, spec):
        moved = displaced(pen, block, part.steps)
        mask = np.zeros(block.size("C"), np.float32)
        mask[part.start : part.stop] = 1
        shaped = mask.reshape([-1 if axis == "C" else 1 for axis in block.axes])
        terms.append(pen.op("Mul", [moved.value, pen.array(shaped)]))
    total = terms[0]
    for term in terms[1:]:
        total = pen.op("Add", [total, term])
    return replace(block, value=total)


def _by_convolution(pen: Pen, block: Block, spec: ShiftSpec) -> Block:
    """Depthwise, one 1 a kernel: over time, rows and columns at once. Needs [N,C,T,H,W]."""
    reach = [max(abs(move.displacement[axis]) for move in spec.moves) for axis in range(3)]
    kernel = np.zeros((block.size("C"), 1, *(2 * size + 1 for size in reach)), np.float32)
    for start, stop, displacement in spec.pieces(block.size("C")):
        t, h, w = (size - step for size, step in zip(reach, displacement, strict=True))
        kernel[start:stop, 0, t, h, w] = 1
    value = pen.op("Conv", [block.value, pen.array(kernel)], pads=[*reach, *reach], group=block.size("C"))
    return replace(block, value=value)


def _by_convolution_in_time(pen: Pen, block: Block, spec: ShiftSpec) -> Block:
    """The 1-D form: places in the batch, frames along the axis. Needs [N,C,T,H,W]."""
    lines = permuted(pen, block, "NHWCT")
    clips, rows, columns, channels, frames = lines.sizes
    flat = pen.op("Reshape", [lines.value, pen.ints(clips * rows * columns, channels, frames)])
    reach = max(abs(move.dt) for move in spec.moves)
    kernel = np.zeros((channels, 1, 2 * reach + 1), np.float32)
    for start, stop, (step, _, _) in spec.pieces(channels):
        kernel[start:stop, 0, reach - step] = 1
    moved = pen.op("Conv", [flat, pen.array(kernel)], pads=[reach, reach], group=channels)
    return permuted(pen, reshaped(pen, replace(lines, value=moved), "NHWCT", lines.sizes), "NCTHW")


def _temporal(spec: ShiftSpec) -> bool:
    return not any(move.dh or move.dw for move in spec.moves)


_MAP, _CONVOLUTION, _IN_TIME = "index map", "convolution", "convolution in time"

_SPELLINGS: Mapping[str, _Spelling] = {
    "concat": _by_concat,
    "writes": _by_writes,
    "masks": _by_masks,
    "masked sum": _by_masked_sum,
    _CONVOLUTION: _by_convolution,
    _IN_TIME: _by_convolution_in_time,
}
"""By name: of a block whose axes have any order, convolutions aside."""
