"""Convolutions in any groups, in float32, with any shift on the input, strides and dilation.

Layouts: source ``[frames, ceil(C / b), H * W, b]``, weights ``[ceil(O / v), kt * KH * KW * reach, v]``,
within a tap along time by row, column and input channel; bias ``[ceil(O / v), v]``; target
``[frames, ceil(O / v), OH * OW, v]``.

A vector of outputs reads the ``reach`` input channels of all groups that it has a part in; the weights
between a channel and an output of different groups are zero. Wide groups lose nothing by it, and narrow
ones stay vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._padded import Padded
from edgevid.targets.tvm.kernels._register_tile import RegisterTile
from edgevid.targets.tvm.kernels._write import Expr, buffer, function, over_tiles, ramp
from edgevid.targets.tvm.network import Convolution

__all__ = ["Tile", "build", "fits", "pack", "tiles"]


@dataclass(frozen=True)
class Tile:
    """``rows`` x ``columns`` accumulators."""

    rows: int
    columns: int


def fits(operation: Convolution) -> bool:
    """Whether this family computes it."""
    return operation.groups > 1 and operation.source.dtype == "float32"


def tiles(operation: Convolution, registers: int) -> tuple[Tile, ...]:
    """Candidates, the best guess first; ``registers`` vector registers hold the accumulators."""
    target = operation.target
    shapes = [(1, 28), (1, 14), (2, 14), (2, 7), (4, 7), (1, 7), (1, 8), (2, 4), (1, 4), (1, 1)]
    held = [(h, w) for h, w in shapes if h * w + 2 <= registers and h <= target.height and w <= target.width]
    held.sort(key=lambda shape: (target.height % shape[0] != 0) + (target.width % shape[1] != 0))
    return tuple(Tile(*shape) for shape in held[:6])


def _widths(operation: Convolution) -> tuple[int, int]:
    """Input and output channels of a group."""
    return operation.source.channels // operation.groups, operation.target.channels // operation.groups


def _first(operation: Convolution, block: int) -> int:
    """The first input channel that a block of outputs reads."""
    inputs, outputs = _widths(operation)
    return block * operation.target.block // outputs * inputs


def _reach(operation: Convolution) -> int:
    """The most input channels that a block of outputs reads."""
    inputs, outputs = _widths(operation)
    target = operation.target
    lasts = [min((block + 1) * target.block, target.channels) - 1 for block in range(target.blocks)]
    return max((last // outputs + 1) * inputs - _first(operation, block) for block, last in enumerate(lasts))


def pack(operation: Convolution, weights: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """``weight`` [O, C / groups, kt, KH, KW] and ``bias`` [O] as the kernel reads them."""
    v, blocks, channels = operation.target.block, operation.target.blocks, operation.source.channels
    inputs, outputs = _widths(operation)
    reach = _reach(operation)
    spread = np.zeros((blocks * v, *operation.kernel, reach), np.float32)
    for output, kernel in enumerate(weights["weight"]):
        first = min(_first(operation, output // v), channels - reach)
        start = output // outputs * inputs - first
        spread[output, ..., start : start + inputs] = np.moveaxis(kernel, 0, -1)
    bias = np.zeros(blocks * v, np.float32)
    bias[: operation.target.channels] = weights["bias"]
    packed = spread.reshape(blocks, v, -1).transpose(0, 2, 1)
    return [np.ascontiguousarray(packed), bias.reshape(blocks, v)]


def build(operation: Convolution, tile: Tile, name: str) -> Any:
    """The function ``name(source, weights, bias[, residual], target)``."""
    source, target = operation.source, operation.target
    v, (taps, height, width) = target.block, operation.kernel
    (_, down, along), (_, apart, beside) = operation.strides, operation.dilations
    reach, (inputs, outputs) = _reach(operation), _widths(operation)
    with function(name) as written:
        data = buffer("source", source.shape)
        weights = buffer("weights", (target.blocks, taps * height * width * reach, v), operation.weight_type)
        bias = buffer("bias", (target.blocks, v))
        skip = buffer("residual", target.shape) if operation.residual else None
        out = buffer("target", target.shape)

        def one(padded: Padded, n: Expr, o: Expr, r: Expr, c: Expr, rows: int, columns: int) -> None:
            top, left = r * tile.rows, c * tile.columns
            spots = [(i, j) for i in range(rows) for j in range(columns)]
            first = T.min(o * v // outputs * inputs, source.channels - reach)
            sums = RegisterTile(len(spots), 1, v, lambda _: bias[o, ramp(0, v)])
            with (
                T.serial(0, taps) as tap,
                T.serial(0, height) as y,
                T.serial(0, width) as x,
                T.serial(0, reach) as k,
            ):
                block, lane = (first + k) // source.block, (first + k) % source.block
                sums.add(
                    [
                        padded.buffer[
                            tap,
                            block,
                            (top + i) * down + y * apart,
                            ((left + j) * along + x * beside) * source.block + lane,
                        ]
                        for i, j in spots
                    ],
                    [weights[o, ((tap * height + y) * width + x) * reach + k, ramp(0, v)]],
                )

            def place(p: int) -> tuple[Expr, ...]:
                i, j = spots[p]
                return n, o, (top + i) * target.width + left + j, ramp(0, v)

            sums.store(
                lambda p, _, vector: T.buffer_store(out, vector, list(place(p))),
                operation.bounds,
                None if skip is None else lambda p, _: skip[place(p)],
            )

        def tiled(padded: Padded, n: Expr, o: Expr) -> None:
            with (
                T.serial(0, -(-target.height // tile.rows)) as r,
                T.serial(0, -(-target.width // tile.columns)) as c,
            ):
                over_tiles(
                    r,
                    target.height,
                    tile.rows,
                    lambda rows: over_tiles(
                        c, target.width, tile.columns, lambda columns: one(padded, n, o, r, c, rows, columns)
                    ),
                )

        if target.frames > 1:
            with T.parallel(0, target.frames) as n:
                padded = Padded.allocate(operation)
                for tap in range(taps):
                    padded.fill(data, None, tap, n)
                with T.serial(0, target.blocks) as o:
                    tiled(padded, n, o)
        else:
            # One frame: the threads share it.
            padded = Padded.allocate(operation)
            for tap in range(taps):
                padded.fill(data, None, tap, 0)
            with T.parallel(0, target.blocks) as o:
                tiled(padded, 0, o)
    return written.get()
