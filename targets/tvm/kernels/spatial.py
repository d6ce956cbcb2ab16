"""KxK and KxKxK convolutions in float32, with any shift on the input, strides and dilation.

Layouts: source ``[frames, ceil(C / b), H * W, b]``, weights ``[ceil(O / v), kt * KH * KW * C, v]``,
within a tap along time by block of input channels, row, column and lane; bias ``[ceil(O / v), v]``;
target ``[frames, ceil(O / v), OH * OW, v]``.

For each output frame the frames that it reads are copied into scratch memory with their border of
zeros, then tiles of rows x columns x output blocks are summed over channels and windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels import _cache
from edgevid.targets.tvm.kernels._padded import Padded
from edgevid.targets.tvm.kernels._register_tile import RegisterTile
from edgevid.targets.tvm.kernels._segments import Lanes, lanes
from edgevid.targets.tvm.kernels._write import Expr, buffer, function, over_tiles, ramp
from edgevid.targets.tvm.network import Convolution

__all__ = ["Tile", "build", "fits", "pack", "tiles"]


@dataclass(frozen=True)
class Tile:
    """``rows`` x ``columns`` x ``blocks`` accumulators."""

    rows: int
    columns: int
    blocks: int


def fits(operation: Convolution) -> bool:
    """Whether this family computes it."""
    return operation.groups == 1 and (operation.source.dtype == "float32" or bool(operation.pixels))


def tiles(operation: Convolution, registers: int) -> tuple[Tile, ...]:
    """Candidates, the best guess first; ``registers`` vector registers hold the accumulators."""
    target = operation.target
    shapes = [(1, 14, 2), (1, 28, 1), (2, 14, 1), (2, 7, 2), (4, 7, 1), (1, 14, 1), (1, 7, 2), (1, 8, 2)]
    shapes += [(2, 7, 1), (1, 8, 1), (1, 7, 3), (1, 4, 4), (1, 4, 2), (1, 1, 4), (1, 1, 1)]
    held = [
        (h, w, q)
        for h, w, q in shapes
        if h * w * q + q + 1 <= registers and h <= target.height and w <= target.width and q <= target.blocks
    ]
    held.sort(
        key=lambda s: (target.height % s[0] != 0) + (target.width % s[1] != 0) + (target.blocks % s[2] != 0)
    )
    return tuple(Tile(*shape) for shape in held[:6])


def _blocks_of(operation: Convolution) -> tuple[Lanes, ...]:
    return tuple(lanes(0, operation.source.channels, operation.source.block))


def pack(operation: Convolution, weights: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """``weight`` [O, C, kt, KH, KW], ``bias`` [O] and, for pixels, their scales and offsets."""
    v, blocks, size = operation.target.block, operation.target.blocks, operation.source.block
    kernel = weights["weight"]
    outputs = kernel.shape[0]
    parts = []
    for tap in range(operation.kernel[0]):
        for part in _blocks_of(operation):
            first = part.block * size + part.first
            of_part = kernel[:, first : first + part.channels, tap]
            shape = (outputs, part.count, part.width, *of_part.shape[2:])
            parts.append(of_part.reshape(shape).transpose(1, 3, 4, 2, 0).reshape(-1, outputs))
    rows = np.concatenate(parts)
    padded = np.zeros((rows.shape[0], blocks * v), np.float32)
    padded[:, :outputs] = rows
    bias = np.zeros(blocks * v, np.float32)
    bias[:outputs] = weights["bias"]
    packed = np.ascontiguousarray(padded.reshape(-1, blocks, v).transpose(1, 0, 2))
    pixels = [np.array(operation.pixels, np.float32).T.copy()] if operation.pixels else []
    return [packed, bias.reshape(blocks, v), *pixels]


def build(operation: Convolution, tile: Tile, name: str) -> Any:
    """The function ``name(source[, cache], weights, bias[, pixels][, residual], target)``."""
    source, target = operation.source, operation.target
    v, (taps, height, width) = target.block, operation.kernel
    (_, down, along), (_, apart, beside) = operation.strides, operation.dilations
    with function(name) as written:
        data = buffer("source", source.shape, source.dtype)
        kept = _cache.parameter(operation)
        rows_of_weights = taps * height * width * source.channels
        weights = buffer("weights", (target.blocks, rows_of_weights, v), operation.weight_type)
        bias = buffer("bias", (target.blocks, v))
        pixels = buffer("pixels", (2, source.block)) if operation.pixels else None
        skip = buffer("residual", target.shape) if operation.residual else None
        out = buffer("target", target.shape)

        def one(
            padded: Padded, n: Expr, o: Expr, r: Expr, c: Expr, rows: int, columns: int, blocks: int
        ) -> None:
            block, top, left = o * tile.blocks, r * tile.rows, c * tile.columns
            spots = [(i, j) for i in range(rows) for j in range(columns)]
            sums = RegisterTile(len(spots), blocks, v, lambda q: bias[block + q, ramp(0, v)])
            row = 0
            for tap in range(taps):
                for part in _blocks_of(operation):
                    with (
                        T.serial(0, part.count) as b,
                        T.serial(0, height) as y,
                        T.serial(0, width) as x,
                        T.serial(0, part.width) as k,
                    ):
                        at_row = row + ((b * height + y) * width + x) * part.width + k
                        sums.add(
                            [
                                padded.buffer[
                                    tap,
                                    part.block + b,
                                    (top + i) * down + y * apart,
                                    ((left + j) * along + x * beside) * source.block + part.first + k,
                                ]
                                for i, j in spots
                            ],
                            [weights[block + q, at_row, ramp(0, v)] for q in range(blocks)],
                        )
                    row += part.channels * height * width

            def place(p: int, q: int) -> list[Expr]:
                i, j = spots[p]
                return [n, block + q, (top + i) * target.width + left + j, ramp(0, v)]

            sums.store(
                lambda p, q, vector: T.buffer_store(out, vector, place(p, q)),
                operation.bounds,
                None if skip is None else lambda p, q: skip[tuple(place(p, q))],
            )

        def tiled(padded: Padded, n: Expr, o: Expr, r: Expr) -> None:
            def wide(rows: int, blocks: int) -> None:
                with T.serial(0, -(-target.width // tile.columns)) as c:
                    over_tiles(
                        c,
                        target.width,
                        tile.columns,
                        lambda columns: one(padded, n, o, r, c, rows, columns, blocks),
                    )

            over_tiles(
                o,
                target.blocks,
                tile.blocks,
                lambda blocks: over_tiles(r, target.height, tile.rows, lambda rows: wide(rows, blocks)),
            )

        outer, inner = -(-target.blocks // tile.blocks), -(-target.height // tile.rows)
        if target.frames > 1:
            with T.parallel(0, target.frames) as n:
                padded = Padded.allocate(operation)
                for tap in range(taps):
                    padded.fill(data, pixels, tap, n, kept=kept)
                with T.serial(0, outer) as o, T.serial(0, inner) as r:
                    tiled(padded, n, o, r)
        else:
            # One frame: the threads share it.
            padded = Padded.allocate(operation)
            for tap in range(taps):
                padded.fill(data, pixels, tap, 0, kept=kept)
            with T.parallel(0, outer * inner) as task:
                tiled(padded, 0, task // inner, task % inner)
        _cache.leave(operation, kept, data)
    return written.get()
