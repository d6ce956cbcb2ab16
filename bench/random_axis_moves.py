"""Moving a whole tensor along one axis, zeros where nothing comes to, in the ways people write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from edgevid.bench.random_blocks import Block, Pen, cancelled, concat, cut

__all__ = ["displaced", "zeros_like"]


def displaced(pen: Pen, block: Block, steps: Mapping[str, int]) -> Block:
    """``block`` moved by ``steps`` along its axes, each smaller than the axis is long."""
    if len(steps) > 1 and pen.chance(0.4):
        return pen.pick(_pad_then_cut_all, _cut_then_pad_all)(pen, block, steps)
    for axis in pen.shuffled(steps):
        block = cancelled(pen, pen.pick(*_WAYS)(pen, block, axis, steps[axis]))
    return block


def zeros_like(pen: Pen, block: Block) -> Block:
    """Zeros of the same sizes: constant, or computed from ``block`` as some code does."""
    way = pen.pick("constant", "of shape", "difference", "product", "expand")
    if way == "difference":
        value = pen.op("Sub", [block.value, block.value])
    elif way == "product":
        value = pen.op("Mul", [block.value, pen.array(np.float32(0))])
    elif way == "of shape":
        value = pen.op("ConstantOfShape", [pen.op("Shape", [block.value])])
    elif way == "expand":
        value = pen.op("Expand", [pen.array(np.float32(0)), pen.ints(*block.sizes)])
    else:
        value = pen.array(np.zeros(block.sizes, np.float32))
    return replace(block, value=value)


def _kept(block: Block, axis: str, step: int) -> tuple[int, int]:
    """The range along ``axis`` that does not leave the tensor."""
    return max(-step, 0), block.size(axis) - max(step, 0)


def _zeros_beside(pen: Pen, block: Block, axis: str, step: int) -> Block:
    kept = cut(pen, block, axis, [_kept(block, axis, step)])[0]
    zeros = zeros_like(pen, cut(pen, block, axis, [(0, abs(step))])[0])
    return concat(pen, [zeros, kept] if step > 0 else [kept, zeros], axis)


def _pad_then_cut(pen: Pen, block: Block, axis: str, step: int) -> Block:
    return _pad_then_cut_all(pen, block, {axis: step})


def _pad_then_cut_all(pen: Pen, block: Block, steps: Mapping[str, int]) -> Block:
    begins = [max(steps.get(axis, 0), 0) for axis in block.axes]
    ends = [max(-steps.get(axis, 0), 0) for axis in block.axes]
    wider = Block(
        pen.op("Pad", [block.value, pen.ints(*begins, *ends)]),
        block.axes,
        [begin + size + end for begin, size, end in zip(begins, block.sizes, ends, strict=True)],
    )
    for axis, step in steps.items():
        start = max(-step, 0)
        wider = cut(pen, wider, axis, [(start, start + block.size(axis))])[0]
    return wider


def _cut_then_pad(pen: Pen, block: Block, axis: str, step: int) -> Block:
    return _cut_then_pad_all(pen, block, {axis: step})


def _cut_then_pad_all(pen: Pen, block: Block, steps: Mapping[str, int]) -> Block:
    kept = block
    for axis, step in steps.items():
        kept = cut(pen, kept, axis, [_kept(block, axis, step)])[0]
    begins = [max(steps.get(axis, 0), 0) for axis in block.axes]
    ends = [max(-steps.get(axis, 0), 0) for axis in block.axes]
    return replace(block, value=pen.op("Pad", [kept.value, pen.ints(*begins, *ends)]))


def _negative_pad(pen: Pen, block: Block, axis: str, step: int) -> Block:
    begins = [step if letter == axis else 0 for letter in block.axes]
    return replace(block, value=pen.op("Pad", [block.value, pen.ints(*begins, *(-size for size in begins))]))


def _gather_with_a_zero(pen: Pen, block: Block, axis: str, step: int) -> Block:
    """One zero frame (row, column) is padded, and the places that stay empty index it."""
    size, place = block.size(axis), block.axis(axis)
    ends = [int(letter == axis) for letter in block.axes]
    padded = pen.op("Pad", [block.value, pen.ints(*[0] * len(ends), *ends)])
    index = np.arange(size) - step
    index[(index < 0) | (index >= size)] = pen.pick(size, -1)
    return replace(block, value=pen.op("Gather", [padded, pen.array(index)], axis=place))


def _masked_roll(pen: Pen, block: Block, axis: str, step: int) -> Block:
    size = block.size(axis)
    turn = size - step % size
    rolled = concat(pen, cut(pen, block, axis, [(turn, size), (0, turn)]), axis)
    start, stop = _kept(block, axis, -step)
    mask = np.zeros([size if letter == axis else 1 for letter in block.axes], bool)
    np.moveaxis(mask, block.axis(axis), 0)[start:stop] = True
    if pen.chance(0.5):
        value = pen.op("Mul", [rolled.value, pen.array(mask.astype(np.float32))])
    elif pen.chance(0.5):
        value = pen.op("Where", [pen.array(mask), rolled.value, pen.array(np.float32(0))])
    else:
        value = pen.op("Where", [pen.array(~mask), zeros_like(pen, rolled).value, rolled.value])
    return replace(block, value=value)


def _scatter_elements(pen: Pen, block: Block, axis: str, step: int) -> Block:
    kept = cut(pen, block, axis, [_kept(block, axis, step)])[0]
    to = np.arange(*_kept(block, axis, -step))
    shaped = to.reshape([-1 if letter == axis else 1 for letter in block.axes])
    index = pen.array(np.broadcast_to(shaped, kept.sizes))
    zeros = zeros_like(pen, block)
    value = pen.op("ScatterElements", [zeros.value, index, kept.value], axis=block.axis(axis))
    return replace(block, value=value)


_WAYS: tuple[Callable[[Pen, Block, str, int], Block], ...] = (
    _zeros_beside,
    _pad_then_cut,
    _cut_then_pad,
    _negative_pad,
    _gather_with_a_zero,
    _masked_roll,
    _scatter_elements,
)
