"""What random graphs are written with: a pen that draws lots, and tensors with named axes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["Block", "Pen", "cancelled", "concat", "cut", "permuted", "reshaped"]

_Item = TypeVar("_Item")
_END = np.iinfo(np.int64).max


class Pen:
    """Writes operations into one graph, and draws the random numbers that it is made by."""

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random
        self.nodes: list[ir.Node] = []
        self.initializers: list[ir.Value] = []

    def op(self, kind: str, inputs: Sequence[ir.Value], **attributes: Any) -> ir.Value:
        """The only output of a new operation."""
        return self.ops(kind, inputs, 1, **attributes)[0]

    def ops(self, kind: str, inputs: Sequence[ir.Value], outputs: int, **attributes: Any) -> list[ir.Value]:
        """All outputs of a new operation."""
        import onnx_ir as ir

        name = f"{kind.lower()}{len(self.nodes)}"
        node = ir.node(kind, list(inputs), attributes, num_outputs=outputs, name=name)
        for number, value in enumerate(node.outputs):
            value.name = f"{name}_{number}"
        self.nodes.append(node)
        return list(node.outputs)

    def array(self, array: NDArray[Any] | np.generic) -> ir.Value:
        """A constant."""
        import onnx_ir as ir

        name = f"constant{len(self.initializers)}"
        tensor = ir.tensor(np.ascontiguousarray(array).reshape(array.shape), name=name)
        value = ir.Value(
            name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape)
        )
        self.initializers.append(value)
        return value

    def ints(self, *values: int) -> ir.Value:
        """A constant row of int64."""
        return self.array(np.array(values, np.int64))

    def chance(self, share: float) -> bool:
        """True in ``share`` of all cases."""
        return bool(self.random.random() < share)

    def below(self, bound: int) -> int:
        """A whole number from 0."""
        return int(self.random.integers(bound))

    def pick(self, *items: _Item) -> _Item:
        """One of them."""
        return items[self.below(len(items))]

    def shuffled(self, items: Iterable[_Item]) -> list[_Item]:
        """All of them in a random order."""
        row = list(items)
        return [row[index] for index in self.random.permutation(len(row))]


@dataclass(frozen=True)
class Block:
    """A value whose axes have letters: N clips, T frames, C channels, H rows, W columns, F = N*T."""

    value: ir.Value
    axes: str
    sizes: Sequence[int]

    def axis(self, letter: str) -> int:
        """The place of an axis."""
        return self.axes.index(letter)

    def size(self, letter: str) -> int:
        """The length of an axis."""
        return self.sizes[self.axis(letter)]

    def resized(self, letter: str, size: int) -> list[int]:
        """The sizes with another one along ``letter``."""
        return [size if axis == letter else old for axis, old in zip(self.axes, self.sizes, strict=True)]


def permuted(pen: Pen, block: Block, axes: str) -> Block:
    """With its axes in the order ``axes``."""
    if axes == block.axes:
        return block
    order = [block.axis(letter) for letter in axes]
    return Block(
        pen.op("Transpose", [block.value], perm=order), axes, [block.sizes[index] for index in order]
    )


def reshaped(pen: Pen, block: Block, axes: str, sizes: Sequence[int]) -> Block:
    """The same elements in the same order, with other axes."""
    return Block(pen.op("Reshape", [block.value, pen.ints(*sizes)]), axes, list(sizes))


def concat(pen: Pen, blocks: Sequence[Block], letter: str) -> Block:
    """One after the other along ``letter``."""
    first = blocks[0]
    if len(blocks) == 1:
        return first
    value = pen.op("Concat", [block.value for block in blocks], axis=first.axis(letter))
    return Block(value, first.axes, first.resized(letter, sum(block.size(letter) for block in blocks)))


def cut(pen: Pen, block: Block, letter: str, ranges: Sequence[tuple[int, int]]) -> list[Block]:
    """The parts of ``block`` in ``ranges`` along ``letter``, cut out in one of several ways."""
    size, axis = block.size(letter), block.axis(letter)
    lengths = [stop - start for start, stop in ranges]
    whole = len(ranges) > 1 and np.array_equal(np.cumsum([0, *lengths[:-1]]), [start for start, _ in ranges])
    if whole and sum(lengths) == size and pen.chance(0.6):
        values = _split(pen, block.value, lengths, axis)
    else:
        values = [_cut_one(pen, block.value, axis, size, start, stop) for start, stop in ranges]
    return [
        replace(block, value=value, sizes=block.resized(letter, length))
        for value, length in zip(values, lengths, strict=True)
    ]


def _split(pen: Pen, value: ir.Value, lengths: Sequence[int], axis: int) -> list[ir.Value]:
    """By one Split, or by nested ones."""
    if len(lengths) == 1:
        return [value]
    if len(lengths) > 2 and pen.chance(0.5):
        left, right = pen.ops("Split", [value, pen.ints(lengths[0], sum(lengths[1:]))], 2, axis=axis)
        return [left, *_split(pen, right, lengths[1:], axis)]
    return pen.ops("Split", [value, pen.ints(*lengths)], len(lengths), axis=axis)


def _cut_one(pen: Pen, value: ir.Value, axis: int, size: int, start: int, stop: int) -> ir.Value:
    way = pen.pick("slice", "negative slice", "gather")
    if way == "gather":
        return pen.op("Gather", [value, pen.array(np.arange(start, stop))], axis=axis)
    first, last = start, _END if stop == size and pen.chance(0.5) else stop
    if way == "negative slice":
        first, last = start - size, stop - size if stop < size else _END
    return pen.op("Slice", [value, pen.ints(first), pen.ints(last), pen.ints(axis)])


def cancelled(pen: Pen, block: Block) -> Block:
    """The same block, perhaps after operations that cancel out."""
    if not pen.chance(0.3):
        return block
    value, sizes = block.value, block.sizes
    way = pen.pick("identity", "transpose", "reshape", "unsqueeze", "pad", "split", "expand", "slice", "tile")
    if way == "transpose":
        order = pen.shuffled(range(len(sizes)))
        turned = pen.op("Transpose", [value], perm=order)
        return replace(block, value=pen.op("Transpose", [turned], perm=[int(i) for i in np.argsort(order)]))
    if way == "reshape":
        at = pen.below(len(sizes) - 1)
        merged = [*sizes[:at], sizes[at] * sizes[at + 1], *sizes[at + 2 :]]
        return reshaped(pen, reshaped(pen, block, block.axes, merged), block.axes, sizes)
    if way == "unsqueeze":
        place = pen.ints(pen.below(len(sizes) + 1))
        return replace(block, value=pen.op("Squeeze", [pen.op("Unsqueeze", [value, place]), place]))
    if way == "pad":
        letter, gap = pen.pick(*block.axes), 1 + pen.below(2)
        ends = [gap if axis == letter else 0 for axis in block.axes]
        padded = pen.op("Pad", [value, pen.ints(*[0] * len(sizes), *ends)])
        wider = Block(padded, block.axes, block.resized(letter, block.size(letter) + gap))
        return cut(pen, wider, letter, [(0, block.size(letter))])[0]
    if way == "split":
        letter = pen.pick(*block.axes)
        size = block.size(letter)
        middle = pen.below(size + 1)
        ranges = [part for part in ((0, middle), (middle, size)) if part[0] < part[1]]
        return concat(pen, cut(pen, block, letter, ranges), letter)
    if way == "expand":
        return replace(block, value=pen.op("Expand", [value, pen.ints(*sizes)]))
    if way == "slice":
        return cut(pen, block, letter := pen.pick(*block.axes), [(0, block.size(letter))])[0]
    if way == "tile":
        return replace(block, value=pen.op("Tile", [value, pen.ints(*[1] * len(sizes))]))
    return replace(block, value=pen.op("Identity", [value]))
