"""1x1 and kx1x1 convolutions in int8, with strides; a shift along time is read, never copied.

Layouts: source bytes ``[frames, ceil(C / b), H * W, b]``; weights int8 ``[ceil(O / v), steps, v * 4]``
with a step for each group of four channels of each run, in the order in which they are summed;
absent int32 ``[runs, ceil(O / v), v]``; bias int32 and scales float32 ``[ceil(O / v), v]``; target
``[frames, ceil(O / v), OH * OW, v]``, v lanes a vector.

The sum over channels is cut into runs, each read from its own frame: t + dt for channels that a
shift moves, and another frame for each tap of a temporal kernel. A run whose frame lies outside
the clip is skipped; what the bias holds for its zero point is then added back, from ``absent``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product as pairs
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.cpus import Dot
from edgevid.targets.tvm.kernels._dot import GROUP, DotProduct
from edgevid.targets.tvm.kernels._frame import source_frame
from edgevid.targets.tvm.kernels._groups import group_count, groups, of_run, packed, rows
from edgevid.targets.tvm.kernels._integer_tile import IntegerTile
from edgevid.targets.tvm.kernels._requantize import Epilogue, constants
from edgevid.targets.tvm.kernels._segments import segments
from edgevid.targets.tvm.kernels._write import Expr, buffer, function, over_tiles, ramp, unless, when
from edgevid.targets.tvm.network import Convolution, Move

__all__ = ["Tile", "build", "fits", "pack", "tiles"]

Order = Literal["nop", "npo", "onp"]


@dataclass(frozen=True)
class Tile:
    """``positions`` x ``blocks`` accumulators; ``order`` of the loops over frames (n), output blocks (o)
    and positions (p), the outermost first."""

    positions: int
    blocks: int
    order: Order = "nop"


def fits(operation: Convolution) -> bool:
    """Whether this family computes it."""
    return (
        operation.source.quantization is not None
        and operation.groups == 1
        and operation.kernel[1:] == (1, 1)
        and operation.pads[1:] == (0, 0)
        and all(move.dh == move.dw == 0 for move in operation.moves)
        and _inside(operation)
    )


def _inside(operation: Convolution) -> bool:
    """Whether every position that is read exists."""
    source, target = operation.source, operation.target
    _, down, along = operation.strides
    return (target.height - 1) * down < source.height and (target.width - 1) * along < source.width


def tiles(operation: Convolution, registers: int, dot: Dot) -> tuple[Tile, ...]:
    """Candidates, the best guess first; ``registers`` vector registers hold the accumulators."""
    positions, blocks = operation.target.positions, operation.target.blocks
    each, rest = DotProduct(dot, operation.target.block).kept
    shapes = [
        (7, 2),
        (14, 1),
        (7, 3),
        (8, 2),
        (14, 2),
        (28, 1),
        (7, 4),
        (4, 4),
        (4, 2),
        (3, 2),
        (16, 1),
        (7, 1),
    ]
    shapes += [(1, 8), (1, 4), (2, 4), (1, 2), (1, 1)]
    held = [
        (p, q)
        for p, q in shapes
        if p * q + q * each + rest <= registers + 1 and p <= positions and q <= blocks
    ]
    # A remainder is computed with fewer accumulators, at a lower rate.
    held.sort(key=lambda shape: (positions % shape[0] != 0) + (blocks % shape[1] != 0))
    return tuple(Tile(p, q, order) for p, q in held[:5] for order in ("nop", "npo", "onp"))


def _runs(operation: Convolution) -> Iterator[tuple[int, Move]]:
    """Each tap along time with each run of channels."""
    return pairs(range(operation.kernel[0]), segments(operation.source.channels, operation.moves))


def _corrected(operation: Convolution) -> bool:
    """Whether a run may be skipped whose zeros are not integers of 0."""
    assert operation.source.quantization is not None
    skipped = any(source_frame(operation, T.int32(0), tap, move.dt)[1] for tap, move in _runs(operation))
    return skipped and operation.source.quantization.zero != 0


def pack(operation: Convolution, weights: Mapping[str, NDArray[Any]], dot: Dot) -> list[NDArray[Any]]:
    """``weight`` int8 [O, C, kt, 1, 1], its ``scale`` [O] and ``bias`` [O] as the kernel reads them."""
    blocks, product = operation.target.blocks, DotProduct(dot, operation.target.block)
    assert operation.source.quantization is not None
    kernel, zero = weights["weight"][..., 0, 0], operation.source.quantization.zero
    runs = [of_run(kernel[..., tap], move.start, move.stop) for tap, move in _runs(operation)]
    summed = np.concatenate(runs, axis=1)
    steps = rows(summed.reshape(len(kernel), -1, GROUP), blocks, product)
    absent = []
    if _corrected(operation):
        sums = [zero * run.sum(axis=1, dtype=np.int32) for run in runs]
        absent.append(np.stack([packed(each, blocks, product, np.int32) for each in sums]))
    return [steps, *absent, *constants(operation, weights, product)]


def _place(operation: Convolution, tile: Tile, first: Expr) -> Callable[[int], Expr]:
    """Where in the source the k-th of the positions from ``first`` on is read."""
    source, width = operation.source, operation.target.width
    _, down, along = operation.strides
    if down == along == 1 and source.width == width:
        return lambda k: first + k
    if width % tile.positions == 0:
        start = first // width * (down * source.width) + first % width * along
        return lambda k: start + k * along
    return lambda k: (first + k) // width * (down * source.width) + (first + k) % width * along


def build(operation: Convolution, tile: Tile, dot: Dot, name: str) -> Any:
    """The function ``name(source, weights[, absent], bias, scales, limits[, residual], target)``."""
    target = operation.target
    counts = {
        "n": target.frames,
        "o": -(-target.blocks // tile.blocks),
        "p": -(-target.positions // tile.positions),
    }
    with function(name) as written:
        writer = _Writer.with_parameters(operation, tile, dot)
        outer, middle, inner = tile.order
        with (
            T.parallel(0, counts[outer] * counts[middle]) as task,
            T.serial(0, counts[inner]) as last,
        ):
            index = {outer: task // counts[middle], middle: task % counts[middle], inner: last}
            writer.tile_at(index["n"], index["o"], index["p"])
    return written.get()


@dataclass(frozen=True)
class _Writer:
    """The parameters of the function, and what is computed for one tile."""

    operation: Convolution
    tile: Tile
    product: DotProduct
    data: Any
    weights: Any
    absent: Any
    epilogue: Epilogue

    @classmethod
    def with_parameters(cls, operation: Convolution, tile: Tile, dot: Dot) -> _Writer:
        source, target, runs = operation.source, operation.target, list(_runs(operation))
        steps = sum(group_count(move.start, move.stop) for _, move in runs)
        product = DotProduct(dot, operation.target.block)
        return cls(
            operation,
            tile,
            product,
            buffer("source", source.shape, source.dtype),
            buffer("weights", (target.blocks, steps, target.block * GROUP), "int8"),
            buffer("absent", (len(runs), *target.shape[1::2]), "int32") if _corrected(operation) else None,
            Epilogue.parameters(operation, product),
        )

    def tile_at(self, n: Expr, o: Expr, p: Expr) -> None:
        """Tile ``p`` of the positions of frame ``n``, tile ``o`` of its output blocks."""
        target, tile = self.operation.target, self.tile
        over_tiles(
            o,
            target.blocks,
            tile.blocks,
            lambda blocks: over_tiles(
                p, target.positions, tile.positions, lambda positions: self._one(n, o, p, positions, blocks)
            ),
        )

    def _one(self, n: Expr, o: Expr, p: Expr, positions: int, blocks: int) -> None:
        block, first = o * self.tile.blocks, p * self.tile.positions
        sums = IntegerTile(self.epilogue, positions, [block + q for q in range(blocks)])
        step = 0
        for index, (tap, move) in enumerate(_runs(self.operation)):
            frame, exists = source_frame(self.operation, n, tap, move.dt)
            with when(*exists):
                self._add_run(sums, move, frame, first, step)
            step += group_count(move.start, move.stop)
            if self.absent is not None and exists:
                with unless(*exists):
                    sums.add_constants(self.absent, index)
        sums.store([(n, first + k) for k in range(positions)], positions)

    def _add_run(self, sums: IntegerTile, move: Move, frame: Expr, first: Expr, step: int) -> None:
        """Add the channels of a run, whose weights begin at ``step``."""
        source, wide = self.operation.source, self.product.lanes * GROUP
        place = _place(self.operation, self.tile, first)
        neighbours = self.product.neighbours(sums.positions, source.block * self.operation.strides[2])
        for part in groups(move.start, move.stop, source.block):
            each = part.width // GROUP
            with T.serial(0, part.count) as i, T.serial(0, each) as j:
                block, lane, at = part.block + i, part.first + j * GROUP, step + i * each + j

                def values(k: int, count: int, block: Expr = block, lane: Expr = lane) -> Expr:
                    return self.data[frame, block, place(k), ramp(lane, count * GROUP)]

                sums.add(values, neighbours, lambda o, at=at: self.weights[o, at, ramp(0, wide)])  # type: ignore[misc]
            step += part.count * each
