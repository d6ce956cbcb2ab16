"""1x1 and kx1x1 convolutions in float32; a shift along time is read, never copied.

Layouts: source ``[frames, ceil(C / b), H * W, b]``, weights ``[ceil(O / v), rows, v]`` with one row
for each pair of a tap along time and an input channel, in the order in which they are summed;
bias ``[ceil(O / v), v]``; target ``[frames, ceil(O / v), H * W, v]``, v lanes a vector.

The sum over channels is cut into runs, each read from its own frame: t + dt for channels that a
shift moves, and another frame for each tap of a temporal kernel. A run whose frame lies outside
the clip adds zeros, so it is skipped. Frame by frame the run that moves is read from the cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels import _cache
from edgevid.targets.tvm.kernels._frame import source_frame
from edgevid.targets.tvm.kernels._position_tile import PositionTile
from edgevid.targets.tvm.kernels._register_tile import RegisterTile
from edgevid.targets.tvm.kernels._segments import segments
from edgevid.targets.tvm.kernels._write import Expr, buffer, function, over_tiles, ramp, when
from edgevid.targets.tvm.network import Convolution

__all__ = ["Tile", "build", "fits", "pack", "tiles"]

Tile = PositionTile


def fits(operation: Convolution) -> bool:
    """Whether this family computes it."""
    return (
        operation.source.dtype == "float32"
        and operation.groups == 1
        and operation.kernel[1:] == operation.strides[1:] == (1, 1)
        and operation.pads[1:] == (0, 0)
        and all(move.dh == move.dw == 0 for move in operation.moves)
    )


def tiles(operation: Convolution, registers: int) -> tuple[Tile, ...]:
    """Candidates, the best guess first; ``registers`` vector registers hold the accumulators."""
    shapes = [(7, 2), (14, 1), (14, 2), (28, 1), (8, 2), (6, 2), (7, 3), (4, 4), (4, 2), (16, 1), (7, 1)]
    shapes += [(1, 8), (1, 4), (2, 4), (1, 2), (1, 1)]
    return Tile.candidates(operation.target, shapes, lambda p, q: p * q + q + 1, registers)


def pack(operation: Convolution, weights: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """``weight`` [O, C, kt, 1, 1] and ``bias`` [O] as the kernel reads them."""
    v, blocks = operation.target.block, operation.target.blocks
    kernel = weights["weight"][..., 0, 0]
    # Runs follow each other as taps and channels do.
    rows = kernel.transpose(2, 1, 0).reshape(-1, kernel.shape[0])
    padded = np.zeros((rows.shape[0], blocks * v), np.float32)
    padded[:, : rows.shape[1]] = rows
    bias = np.zeros(blocks * v, np.float32)
    bias[: rows.shape[1]] = weights["bias"]
    packed = padded.reshape(-1, blocks, v).transpose(1, 0, 2)
    return [np.ascontiguousarray(packed), bias.reshape(blocks, v)]


def build(operation: Convolution, tile: Tile, name: str) -> Any:
    """The function ``name(source[, cache], weights, bias[, residual], target)``."""
    source, target = operation.source, operation.target
    v, rows = target.block, operation.kernel[0] * source.channels
    with function(name) as written:
        data = buffer("source", source.shape)
        kept = _cache.parameter(operation)
        weights = buffer("weights", (target.blocks, rows, v), operation.weight_type)
        bias = buffer("bias", (target.blocks, v))
        skip = buffer("residual", target.shape) if operation.residual else None
        out = buffer("target", target.shape)

        def at(n: Expr, o: Expr, p: Expr) -> None:
            over_tiles(
                o,
                target.blocks,
                tile.blocks,
                lambda blocks: over_tiles(
                    p, target.positions, tile.positions, lambda positions: one(n, o, p, positions, blocks)
                ),
            )

        def one(n: Expr, o: Expr, p: Expr, positions: int, blocks: int) -> None:
            block, first = o * tile.blocks, p * tile.positions
            sums = RegisterTile(positions, blocks, v, lambda q: bias[block + q, ramp(0, v)])
            row = 0
            for tap, move in product(range(operation.kernel[0]), segments(source.channels, operation.moves)):
                frame, exists = source_frame(operation, n, tap, move.dt)
                memory, parts = _cache.channels_of(operation, move, data, kept)
                with when(*exists):
                    for part in parts:
                        with T.serial(0, part.count) as i, T.serial(0, part.width) as j:
                            place, at_row = part.block + i, row + i * part.width + j
                            sums.add(
                                [memory[frame, place, first + k, part.first + j] for k in range(positions)],
                                [weights[block + q, at_row, ramp(0, v)] for q in range(blocks)],
                            )
                        row += part.channels
            sums.store(
                lambda k, q, vector: T.buffer_store(out, vector, [n, block + q, first + k, ramp(0, v)]),
                operation.bounds,
                None if skip is None else lambda k, q: skip[n, block + q, first + k, ramp(0, v)],
            )

        def keep(p: Expr) -> None:
            over_tiles(
                p,
                target.positions,
                tile.positions,
                lambda positions: _cache.keep_tile(operation, kept, data, p * tile.positions, positions),
            )

        if tile.ends_positions and _cache.keeps_tiles(operation):
            tile.loops(target, at, keep)
        else:
            tile.loops(target, at)
            _cache.leave(operation, kept, data)
    return written.get()
