"""Depthwise convolutions in float32: 3x3, 5x5, and with taps along time.

Layouts: source ``[frames, ceil(C / b), H * W, b]``, weights ``[ceil(C / b), kt * KH * KW, b]``, bias
``[ceil(C / b), b]``, target ``[frames, ceil(C / b), OH * OW, b]``. A lane is a channel, so there is
no sum over lanes; each vector of the padded frame is multiplied with the weights of its window place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._padded import Padded
from edgevid.targets.tvm.kernels._write import Expr, buffer, clamp, function, over_tiles, ramp
from edgevid.targets.tvm.network import Convolution

__all__ = ["Tile", "build", "fits", "pack", "tiles"]


@dataclass(frozen=True)
class Tile:
    """``rows`` x ``columns`` accumulators."""

    rows: int
    columns: int


def fits(operation: Convolution) -> bool:
    """Whether this family computes it."""
    source, target = operation.source, operation.target
    return (
        operation.groups == source.channels == target.channels
        and source.dtype == "float32"
        and source.block == target.block
        and not operation.moves
    )


def tiles(operation: Convolution, registers: int) -> tuple[Tile, ...]:
    """Candidates, the best guess first."""
    target = operation.target
    shapes = [(1, 14), (2, 7), (1, 7), (2, 14), (4, 7), (1, 28), (1, 8), (1, 4), (2, 4), (1, 1)]
    held = [
        (h, w) for h, w in shapes if h * w + 2 <= registers and h <= target.height and w <= target.width
    ]
    held.sort(key=lambda shape: (target.height % shape[0] != 0) + (target.width % shape[1] != 0))
    return tuple(Tile(*shape) for shape in held[:6])


def pack(operation: Convolution, weights: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """``weight`` [C, 1, kt, KH, KW] and ``bias`` [C] as the kernel reads them."""
    v, blocks = operation.target.block, operation.target.blocks
    kernel = weights["weight"]
    rows = kernel.reshape(kernel.shape[0], -1).T
    padded = np.zeros((rows.shape[0], blocks * v), np.float32)
    padded[:, : rows.shape[1]] = rows
    bias = np.zeros(blocks * v, np.float32)
    bias[: rows.shape[1]] = weights["bias"]
    packed = np.ascontiguousarray(padded.reshape(-1, blocks, v).transpose(1, 0, 2))
    return [packed, bias.reshape(blocks, v)]


def build(operation: Convolution, tile: Tile, name: str) -> Any:
    """The function ``name(source, weights, bias[, residual], target)``."""
    source, target = operation.source, operation.target
    v, (taps, height, width) = target.block, operation.kernel
    (_, down, along), (_, apart, beside) = operation.strides, operation.dilations
    with function(name) as written:
        data = buffer("source", source.shape)
        weights = buffer("weights", (target.blocks, taps * height * width, v))
        bias = buffer("bias", (target.blocks, v))
        skip = buffer("residual", target.shape) if operation.residual else None
        out = buffer("target", target.shape)

        def one(padded: Padded, n: Expr, b: Expr, r: Expr, c: Expr, rows: int, columns: int) -> None:
            top, left = r * tile.rows, c * tile.columns
            spots = list(product(range(rows), range(columns)))
            sums = T.alloc_buffer((len(spots) * v,), "float32", scope="local")
            for p in range(len(spots)):
                T.buffer_store(sums, bias[b, ramp(0, v)], [ramp(p * v, v)])
            for tap, y, x in product(range(taps), range(height), range(width)):
                weight = weights[b, (tap * height + y) * width + x, ramp(0, v)]
                for p, (i, j) in enumerate(spots):
                    column = ((left + j) * along + x * beside) * v
                    value = padded.buffer[tap, 0, (top + i) * down + y * apart, ramp(column, v)]
                    T.buffer_store(sums, sums[ramp(p * v, v)] + value * weight, [ramp(p * v, v)])
            for p, (i, j) in enumerate(spots):
                at = (n, b, (top + i) * target.width + left + j, ramp(0, v))
                vector = sums[ramp(p * v, v)]
                if skip is not None:
                    vector = vector + skip[at]
                T.buffer_store(out, clamp(vector, *operation.bounds, v), list(at))

        with T.parallel(0, target.frames * target.blocks) as task:
            n, b = task // target.blocks, task % target.blocks
            padded = Padded.allocate(operation, 1)
            for tap in range(taps):
                padded.fill_block(data, tap, n, b)
            with T.serial(0, -(-target.height // tile.rows)) as r, T.serial(0, -(-target.width // tile.columns)) as c:
                over_tiles(
                    r,
                    target.height,
                    tile.rows,
                    lambda rows: over_tiles(
                        c, target.width, tile.columns, lambda columns: one(padded, n, b, r, c, rows, columns)
                    ),
                )
    return written.get()
