"""1x1 and kx1x1 convolutions in int8, with strides; a shift along time is read, never copied.

Layouts: source bytes ``[frames, ceil(C / b), H * W, b]``; weights int8 ``[ceil(O / v), steps, v * 4]``
with a step for each group of four channels of each run, in the order in which they are summed;
bias int32 and scales float32 ``[ceil(O / v), v]``; absent int32 ``[runs, ceil(O / v), v]``; target
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
from edgevid.targets.tvm.kernels._requantize import Requantize, constants
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
    shapes = [(14, 2), (7, 4), (7, 3), (14, 1), (8, 2), (28, 1), (7, 2), (4, 4), (4, 2), (3, 2), (16, 1), (7, 1)]
    shapes += [(1, 8), (1, 4), (2, 4), (1, 2), (1, 1)]
    held = [
        (p, q) for p, q in shapes if p * q + q * each + rest <= registers + 1 and p <= positions and q <= blocks
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
    found = [steps, *constants(operation, weights, product)]
    if _corrected(operation):
        sums = [zero * run.sum(axis=1, dtype=np.int32) for run in runs]
        found.append(np.stack([packed(each, blocks, product, np.int32) for each in sums]))
    return found


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
    """The function ``name(source, weights, bias, scales[, absent][, residual], target)``."""
    source, target = operation.source, operation.target
    v, product, runs = target.block, DotProduct(dot, target.block), list(_runs(operation))
    steps = sum(group_count(move.start, move.stop) for _, move in runs)
    counts = {
        "n": target.frames,
        "o": -(-target.blocks // tile.blocks),
        "p": -(-target.positions // tile.positions),
    }
    with function(name) as written:
        data = buffer("source", source.shape, source.dtype)
        weights = buffer("weights", (target.blocks, steps, v * GROUP), "int8")
        bias = buffer("bias", (target.blocks, v), "int32")
        scales = buffer("scales", (target.blocks, v))
        absent = buffer("absent", (len(runs), target.blocks, v), "int32") if _corrected(operation) else None
        skip = buffer("residual", target.shape, operation.residual.dtype) if operation.residual else None
        out = buffer("target", target.shape, target.dtype)

        def one(n: Expr, o: Expr, p: Expr, positions: int, blocks: int) -> None:
            block, first = o * tile.blocks, p * tile.positions
            place = _place(operation, tile, first)
            neighbours = product.neighbours(positions, source.block * operation.strides[2])
            sums = IntegerTile(product, positions, blocks, lambda q: bias[block + q, ramp(0, v)])
            row = 0
            for index, (tap, move) in enumerate(runs):
                frame, exists = source_frame(operation, n, tap, move.dt)
                with when(*exists):
                    for part in groups(move.start, move.stop, source.block):
                        each = part.width // GROUP
                        with T.serial(0, part.count) as i, T.serial(0, each) as j:
                            lane, step = part.first + j * GROUP, row + i * each + j
                            sums.add(
                                lambda k, count, at=part.block + i, frame=frame, lane=lane: data[
                                    frame, at, place(k), ramp(lane, count * GROUP)
                                ],
                                neighbours,
                                [weights[block + q, step, ramp(0, v * GROUP)] for q in range(blocks)],
                            )
                        row += part.count * each
                if absent is not None and exists:
                    with unless(*exists):
                        sums.add_constant(lambda q, index=index: absent[index, block + q, ramp(0, v)])
            sums.store(
                lambda k, q, vector: T.buffer_store(out, vector, [n, block + q, first + k, ramp(0, v)]),
                Requantize(operation, v),
                lambda q: scales[block + q, ramp(0, v)],
                None if skip is None else lambda k, q: skip[n, block + q, first + k, ramp(0, v)],
            )

        def at(n: Expr, o: Expr, p: Expr) -> None:
            over_tiles(
                o,
                target.blocks,
                tile.blocks,
                lambda blocks: over_tiles(
                    p, target.positions, tile.positions, lambda positions: one(n, o, p, positions, blocks)
                ),
            )

        outer, middle, inner = tile.order
        with (
            T.parallel(0, counts[outer] * counts[middle]) as task,
            T.serial(0, counts[inner]) as last,
        ):
            index = {outer: task // counts[middle], middle: task % counts[middle], inner: last}
            at(index["n"], index["o"], index["p"])
    return written.get()
