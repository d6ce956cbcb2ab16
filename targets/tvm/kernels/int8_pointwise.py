"""1x1 and kx1x1 convolutions in int8, with strides; a shift along time is read, never copied.

Layouts: source bytes ``[frames, ceil(C / b), H * W, b]``; weights int8 ``[ceil(O / v), steps, v * 4]``
with a step for each tap along time and group of four channels;
absent int32 ``[runs, ceil(O / v), v]``; bias int32 and scales float32 ``[ceil(O / v), v]``; target
``[frames, ceil(O / v), OH * OW, v]``, v lanes a vector.

The sum over channels is cut into runs, each read from its own frame: t + dt for channels that a
shift moves, and another frame for each tap of a temporal kernel. A run whose frame lies outside
the clip is skipped; what the bias holds for its zero point is then added back, from ``absent``.
A group of channels that a run shares with another is put together from both frames. Frame by frame the
run that moves is read from the cache.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product as pairs
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.cpus import Dot
from edgevid.targets.tvm.kernels import _cache
from edgevid.targets.tvm.kernels._dot import GROUP, DotProduct
from edgevid.targets.tvm.kernels._frame import source_frame
from edgevid.targets.tvm.kernels._groups import group_count, groups, of_run, packed, rows
from edgevid.targets.tvm.kernels._integer_tile import IntegerTile
from edgevid.targets.tvm.kernels._position_tile import PositionTile
from edgevid.targets.tvm.kernels._requantize import Epilogue, constants
from edgevid.targets.tvm.kernels._segments import segments
from edgevid.targets.tvm.kernels._write import (
    Expr,
    buffer,
    function,
    over_tiles,
    ramp,
    spread,
    typed,
    unless,
    when,
)
from edgevid.targets.tvm.network import Convolution, Move

__all__ = ["Tile", "build", "fits", "pack", "tiles"]

Tile = PositionTile


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
    each, rest = DotProduct(dot, operation.target.block).kept
    shapes = [(7, 2), (14, 1), (7, 3), (8, 2), (8, 3), (14, 2), (28, 1), (7, 4), (4, 4), (4, 2), (3, 2)]
    shapes += [(16, 1), (7, 1), (1, 8), (1, 4), (2, 4), (1, 2), (1, 1)]
    return Tile.candidates(operation.target, shapes, lambda p, q: p * q + q * each + rest, registers + 1)


@dataclass(frozen=True)
class _Run:
    """Whole groups of channels ``start`` to ``stop`` as one tap reads them: from the one place that
    ``pieces`` names, or a single group from several."""

    tap: int
    start: int
    stop: int
    pieces: tuple[Move, ...]


def _runs(operation: Convolution) -> list[_Run]:
    """All of a kernel, in the order of taps and channels."""
    source, found = operation.source, list[_Run]()
    for tap, group in pairs(range(operation.kernel[0]), range(group_count(0, source.channels))):
        start, stop = group * GROUP, min((group + 1) * GROUP, source.channels)
        moves = segments(source.channels, operation.moves)
        pieces = tuple(move for move in moves if move.start < stop and start < move.stop)
        if len(pieces) == 1 and found and (found[-1].tap, found[-1].pieces) == (tap, pieces):
            found[-1] = replace(found[-1], stop=stop)
        else:
            found.append(_Run(tap, start, stop, pieces))
    return found


def _skipped(operation: Convolution, run: _Run) -> bool:
    """Whether the frame of a run may lie outside the clip."""
    alone = len(run.pieces) == 1
    return alone and bool(source_frame(operation, T.int32(0), run.tap, run.pieces[0].dt)[1])


def _corrected(operation: Convolution) -> bool:
    """Whether a run may be skipped whose zeros are not integers of 0."""
    assert operation.source.quantization is not None
    return operation.source.quantization.zero != 0 and any(
        _skipped(operation, run) for run in _runs(operation)
    )


def pack(operation: Convolution, weights: Mapping[str, NDArray[Any]], dot: Dot) -> list[NDArray[Any]]:
    """``weight`` int8 [O, C, kt, 1, 1], its ``scale`` [O] and ``bias`` [O] as the kernel reads them."""
    blocks, product = operation.target.blocks, DotProduct(dot, operation.target.block)
    assert operation.source.quantization is not None
    kernel, zero = weights["weight"][..., 0, 0], operation.source.quantization.zero
    whole = of_run(kernel, 0, operation.source.channels).transpose(0, 2, 1)
    steps = rows(whole.reshape(len(kernel), -1, GROUP), blocks, product)
    absent = []
    if _corrected(operation):
        sums = [
            zero * kernel[:, run.start : run.stop, run.tap].sum(axis=1, dtype=np.int32)
            for run in _runs(operation)
        ]
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
    """The function ``name(source[, cache], weights[, absent], bias, scales, limits[, residual], target)``."""
    with function(name) as written:
        writer = _Writer.with_parameters(operation, tile, dot)
        tile.loops(operation.target, writer.tile_at)
        _cache.leave(operation, writer.kept, writer.data)
    return written.get()


@dataclass(frozen=True)
class _Writer:
    """The parameters of the function, and what is computed for one tile."""

    operation: Convolution
    tile: Tile
    product: DotProduct
    data: Any
    kept: Any
    weights: Any
    absent: Any
    epilogue: Epilogue

    @classmethod
    def with_parameters(cls, operation: Convolution, tile: Tile, dot: Dot) -> _Writer:
        source, target, runs = operation.source, operation.target, _runs(operation)
        steps = operation.kernel[0] * group_count(0, source.channels)
        product = DotProduct(dot, operation.target.block)
        return cls(
            operation,
            tile,
            product,
            buffer("source", source.shape, source.dtype),
            _cache.parameter(operation),
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
        for index, run in enumerate(_runs(self.operation)):
            if len(run.pieces) > 1:
                self._add_shared(sums, run, n, first)
                continue
            move, memory, width = run.pieces[0], self.data, self.operation.source.block
            frame, exists = source_frame(self.operation, n, run.tap, move.dt)
            if self.operation.cache is not None and move.dt:
                memory, width = self.kept, self.operation.cache.block
            with when(*exists):
                read = lambda at, memory=memory, frame=frame: memory[(frame, *at)]  # noqa: E731
                self._add(sums, run, first, width, read)
            if self.absent is not None and exists:
                with unless(*exists):
                    sums.add_constants(self.absent, index)
        sums.store([(n, first + k) for k in range(positions)], positions)

    def _add(
        self,
        sums: IntegerTile,
        run: _Run,
        first: Expr,
        width: int,
        read: Callable[[tuple[Expr, ...]], Expr],
        *,
        apart: bool = False,
    ) -> None:
        """Add the channels of a run, in blocks of ``width``; ``read`` gives the bytes at (block, position,
        lanes), with ``apart`` of one position a time."""
        wide = self.product.lanes * GROUP
        place = _place(self.operation, self.tile, first)
        neighbours = self.product.neighbours(sums.positions, width * self.operation.strides[2])
        if apart:
            neighbours = [1] * sums.positions
        step = run.tap * group_count(0, self.operation.source.channels) + run.start // GROUP
        for part in groups(run.start, run.stop, width):
            each = part.width // GROUP
            with T.serial(0, part.count) as i, T.serial(0, each) as j:
                block, lane, at = part.block + i, part.first + j * GROUP, step + i * each + j

                def values(k: int, count: int, block: Expr = block, lane: Expr = lane) -> Expr:
                    return read((block, place(k), ramp(lane, count * GROUP)))

                sums.add(values, neighbours, lambda o, at=at: self.weights[o, at, ramp(0, wide)])  # type: ignore[misc]
            step += part.count * each

    def _add_shared(self, sums: IntegerTile, run: _Run, n: Expr, first: Expr) -> None:
        """Add a group whose channels come from several frames: its bytes are put together by masks.

        Where a frame does not exist, any other one is read, and its bytes become the zero point.
        """
        source, target = self.operation.source, self.operation.target
        assert source.quantization is not None
        zero, missing = (source.quantization.zero % 256) * 0x01010101, T.int32(0)
        parts: list[tuple[Expr, Expr]] = []
        moved = [move for move in run.pieces if _cache.cached(self.operation, move)]
        for move in run.pieces:
            if move in moved:
                continue
            mask = sum(0xFF << 8 * k for k in range(GROUP) if move.start <= run.start + k < move.stop)
            frame, exists = source_frame(self.operation, n, run.tap, move.dt)
            chosen = _word(mask)
            for condition in exists:
                frame = T.Select(condition, frame, n // target.segments * source.segments)
                chosen = T.Select(condition, chosen, T.int32(0))
            chosen = T.bind(chosen)
            outside = T.bitwise_and(T.bitwise_not(chosen), _word(mask & zero))
            missing = T.bitwise_or(missing, outside) if exists else missing
            parts.append((T.bind(frame), chosen))
        missing = T.bind(missing)

        def read(at: tuple[Expr, ...]) -> Expr:
            block, place, lanes = at
            count = 1 if isinstance(lanes, int) else int(lanes.lanes) // GROUP
            kind = typed("int32", count)
            whole = spread(missing, count)
            for frame, chosen in parts:
                group = T.reinterpret(kind, self.data[frame, block, place, lanes])
                whole = T.bitwise_or(whole, T.bitwise_and(group, spread(chosen, count)))
            if moved:
                whole = T.bitwise_or(whole, _cache.last_bytes(self.operation, self.kept, run.start, place))
            return T.reinterpret(f"{source.dtype}x{count * GROUP}", whole)

        self._add(sums, run, first, source.block, read, apart=bool(moved))


def _word(number: int) -> Expr:
    """The int32 of these 32 bits."""
    return T.int32(number - 2**32 if number >= 2**31 else number)
