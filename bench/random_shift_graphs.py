"""Random graphs with shifts in them, or with movements that are none, and what is to be found.

A seed makes one graph, the same one every time. Shifts stand in random spellings between harmless
operations; the tests of `find_shift` and the long run draw from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from edgevid.bench.random_blocks import Block, Pen, concat, cut, permuted, reshaped
from edgevid.bench.random_movements import move_otherwise
from edgevid.bench.random_spellings import spell
from edgevid.shift import Layout, Move, ShiftSpec

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["KINDS", "NO_SHIFT", "RandomGraph", "random_graph"]

NO_SHIFT = "movement that is no shift"


@dataclass(frozen=True)
class RandomGraph:
    """A graph from ``x`` to one output or two, and the shifts in it.

    Attributes:
        seed: that makes it again.
        kind: one of `KINDS`.
        spelling: of its movements, in words.
        model: opset 20, static shapes.
        shape: of ``x``.
        specs: all shifts, in any order; None where two shifts follow each other directly and
            more than one reading of them is right.
        others: operations that are no part of a shift.
    """

    seed: int
    kind: str
    spelling: str
    model: ir.Model
    shape: tuple[int, ...]
    specs: tuple[ShiftSpec, ...] | None
    others: frozenset[str]


def random_graph(seed: int, kind: str | None = None) -> RandomGraph:
    """The graph of ``seed``, of ``kind`` or of a random one."""
    pen = Pen(np.random.default_rng(seed))
    kind = kind or pen.pick(*KINDS)
    draft = _Draft(pen, _sizes_without_shift(pen) if kind == NO_SHIFT else _random_sizes(pen))
    model = draft.model(KINDS[kind](draft))
    return RandomGraph(
        seed,
        kind,
        ", ".join(draft.spellings),
        model,
        tuple(draft.input_shape),
        None if draft.ambiguous else tuple(draft.specs),
        frozenset(draft.others),
    )


@dataclass(frozen=True)
class _Sizes:
    """Of the tensor that is shifted, and the letters of its axes."""

    axes: str
    clips: int
    segments: int
    channels: int
    rows: int
    columns: int

    @property
    def layout(self) -> Layout:
        return Layout.VOLUME if self.axes == "NCTHW" else Layout.FRAMES

    def of(self, channels: int) -> list[int]:
        """The sizes of a tensor of so many channels."""
        lengths = {"N": self.clips, "T": self.segments, "F": self.clips * self.segments}
        lengths |= {"C": channels, "H": self.rows, "W": self.columns}
        return [lengths[letter] for letter in self.axes]


def _random_sizes(pen: Pen) -> _Sizes:
    axes = pen.pick("FCHW", "FCHW", "NTCHW", "NCTHW")
    # A single frame shows no movement in time, so it needs rows to move along.
    segments = pen.pick(1, 2, 3, 4, 5) if axes == "FCHW" else 2 + pen.below(4)
    rows = segments if pen.chance(0.2) and segments > 1 else 2 + pen.below(3)
    return _Sizes(axes, 1 + pen.below(2), segments, 1 + pen.below(9), rows, 1 + pen.below(4))


def _sizes_without_shift(pen: Pen) -> _Sizes:
    size = 2 + pen.below(3)
    return _Sizes(pen.pick("FCHW", "NCTHW"), 2, size, 2 + pen.below(4), size, 2 + pen.below(3))


class _Draft:
    """A graph that is being written."""

    def __init__(self, pen: Pen, sizes: _Sizes) -> None:
        import onnx_ir as ir

        self.pen, self.sizes = pen, sizes
        self.shape = self.input_shape = sizes.of(sizes.channels)
        self.x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(self.shape))
        self.specs: list[ShiftSpec] = []
        self.spellings: list[str] = []
        self.others: set[str] = set()
        self.ambiguous = False

    def shift(self, value: ir.Value) -> ir.Value:
        """``value`` after a random shift in a random spelling."""
        self.specs.append(self._random_spec(self.sizes.channels))
        shifted, name = spell(self.pen, value, self.shape, self.specs[-1])
        self.spellings.append(name)
        return shifted

    def _random_spec(self, channels: int) -> ShiftSpec:
        """Random groups of channels; moves shorter than the clip, height and width."""
        pen, sizes = self.pen, self.sizes
        while True:
            reach = [min(2, size - 1) for size in (sizes.segments, sizes.rows, sizes.columns)]
            if sizes.segments > 1 and pen.chance(0.5):
                reach[1:] = [0, 0]
            edges = sorted({0, channels, *(pen.below(channels) for _ in range(pen.below(6)))})
            moves = []
            for start, stop in pairwise(edges):
                steps = [pen.below(2 * most + 1) - most if pen.chance(0.6) else 0 for most in reach]
                if any(steps):
                    moves.append(Move(start, stop, *steps))
            spec = ShiftSpec(sizes.segments, tuple(moves), sizes.layout)
            if moves and not _same_in_both_layouts(spec, channels, len(self.shape)):
                return spec

    def other(self, kind: str, *inputs: ir.Value, **attributes: object) -> ir.Value:
        """An operation that is no part of a shift."""
        self.others.add(kind)
        return self.pen.op(kind, inputs, **attributes)

    def computed(self, value: ir.Value) -> ir.Value:
        """``value`` after something that surely is no movement."""
        pen, channels = self.pen, self.sizes.channels
        if channels > 1 and self.sizes.axes != "NTCHW" and pen.chance(0.4):
            kernel = pen.random.standard_normal([channels] * 2 + [1] * (len(self.shape) - 2))
            return self.other("Conv", value, pen.array(kernel.astype(np.float32)))
        return self.other(pen.pick("Relu", "Sigmoid"), value)

    def harmless(self, value: ir.Value) -> ir.Value:
        """``value`` after something that is no shift, or nothing."""
        pen = self.pen
        way = pen.pick("computed", "computed", "Mul", "Add", "Identity", "nothing", "nothing")
        if way == "computed":
            return self.computed(value)
        if way in ("Mul", "Add"):
            channel_wise = [
                size if letter == "C" else 1 for letter, size in zip(self.sizes.axes, self.shape, strict=True)
            ]
            numbers = pen.random.uniform(0.5, 2, pen.pick(channel_wise, self.shape, [1]))
            return self.other(way, value, pen.array(numbers.astype(np.float32)))
        return value if way == "nothing" else self.other(way, value)

    def widen(self, channels: int) -> None:
        """Give the input so many channels."""
        import onnx_ir as ir

        self.input_shape = self.sizes.of(channels)
        self.x.shape = ir.Shape(self.input_shape)

    def model(self, outputs: Sequence[ir.Value]) -> ir.Model:
        """The finished graph, with shapes inferred."""
        import onnx_ir as ir
        from onnx_ir.passes import common as passes

        for value in outputs:
            value.type = ir.TensorType(ir.DataType.FLOAT)
        graph = ir.Graph(
            [self.x],
            outputs,
            nodes=self.pen.nodes,
            initializers=self.pen.initializers,
            opset_imports={"": 20},
            name="random",
        )
        model = ir.Model(graph, ir_version=10)
        passes.RemoveUnusedNodesPass()(model)
        passes.ShapeInferencePass()(model)
        return model


def _same_in_both_layouts(spec: ShiftSpec, channels: int, rank: int) -> bool:
    """All channels move alike, and not in time: [N,T,C,H,W] and [N,C,T,H,W] cannot be told apart."""
    return rank == 5 and spec.moved_channels == channels and len(spec.moves) == 1 and not spec.moves[0].dt


def _one(draft: _Draft) -> list[ir.Value]:
    return [draft.harmless(draft.shift(draft.harmless(draft.x)))]


def _residual(draft: _Draft) -> list[ir.Value]:
    before = draft.harmless(draft.x)
    return [draft.other("Add", before, draft.harmless(draft.shift(before)))]


def _used_twice(draft: _Draft) -> list[ir.Value]:
    shifted = draft.shift(draft.harmless(draft.x))
    return [draft.other("Sub", draft.computed(shifted), draft.harmless(shifted))]


def _output_too(draft: _Draft) -> list[ir.Value]:
    shifted = draft.shift(draft.harmless(draft.x))
    return [draft.computed(shifted), shifted]


def _two_of_one_tensor(draft: _Draft) -> list[ir.Value]:
    before = draft.harmless(draft.x)
    left = draft.computed(draft.shift(before))
    both = draft.other("Add", left, draft.harmless(draft.shift(before)))
    # One shift that is written twice is one shift.
    draft.specs = list(dict.fromkeys(draft.specs))
    return [both]


def _two_apart(draft: _Draft) -> list[ir.Value]:
    between = draft.computed(draft.shift(draft.harmless(draft.x)))
    return [draft.harmless(draft.shift(between))]


def _two_in_a_row(draft: _Draft) -> list[ir.Value]:
    shifted = draft.shift(draft.shift(draft.harmless(draft.x)))
    joined = _joined(draft.specs, draft.sizes)
    draft.ambiguous = joined is None
    draft.specs = [] if joined is None else [joined]
    return [draft.harmless(shifted)]


def _joined(specs: Sequence[ShiftSpec], sizes: _Sizes) -> ShiftSpec | None:
    """The two shifts as one, where all channels are moved on in one direction and none is lost."""
    steps = np.zeros((2, sizes.channels, 3), int)
    for number, spec in enumerate(specs):
        for move in spec.moves:
            steps[number, move.start : move.stop] = move.displacement
    total = steps.sum(0)
    if (steps[0] * steps[1] < 0).any() or (abs(total) >= (sizes.segments, sizes.rows, sizes.columns)).any():
        return None
    moves = tuple(
        Move(channel, channel + 1, *map(int, step)) for channel, step in enumerate(total) if step.any()
    )
    joined = ShiftSpec(sizes.segments, moves, sizes.layout)
    return None if _same_in_both_layouts(joined, sizes.channels, len(sizes.axes)) else joined


def _beside_a_shuffle(draft: _Draft) -> list[ir.Value]:
    """A shift of the first channels; the others change places."""
    pen, axes = draft.pen, draft.sizes.axes
    moving = draft.sizes.channels
    total = moving + 2 + pen.below(3)
    draft.widen(total)
    draft.others |= {"Slice", "Split", "Gather", "Concat"}
    before = Block(draft.other("Relu", draft.x), axes, draft.sizes.of(total))
    left, right = cut(pen, before, "C", [(0, moving), (moving, total)])
    order = np.arange(total - moving)[::-1]
    shuffled = pen.op("Gather", [right.value, pen.array(order)], axis=right.axis("C"))
    moved = Block(draft.shift(left.value), axes, left.sizes)
    return [concat(pen, [moved, Block(shuffled, axes, right.sizes)], "C").value]


def _no_shift(draft: _Draft) -> list[ir.Value]:
    pen, sizes = draft.pen, draft.sizes
    block = Block(draft.harmless(draft.x), sizes.axes, draft.shape)
    stacked = sizes.axes == "FCHW"
    if stacked:
        apart = [sizes.clips, sizes.segments, *draft.shape[1:]]
        block = permuted(pen, reshaped(pen, block, "NTCHW", apart), "NCTHW")
    moved, name = move_otherwise(pen, block.value, tuple(block.sizes), stacked=stacked)
    draft.spellings.append(name)
    if stacked:
        turned = pen.op("Transpose", [moved], perm=[0, 2, 1, 3, 4])
        moved = pen.op("Reshape", [turned, pen.ints(-1, *draft.shape[1:])])
    return [draft.other(pen.pick("Relu", "Sigmoid", "Identity"), moved)]


KINDS: Mapping[str, Callable[[_Draft], list[ir.Value]]] = {
    "one shift": _one,
    "shift beside a residual": _residual,
    "shift used twice": _used_twice,
    "shift that is an output too": _output_too,
    "two shifts of one tensor": _two_of_one_tensor,
    "two shifts with something between": _two_apart,
    "two shifts in a row": _two_in_a_row,
    "shift beside a shuffle": _beside_a_shuffle,
    NO_SHIFT: _no_shift,
}
"""What a graph may hold."""
