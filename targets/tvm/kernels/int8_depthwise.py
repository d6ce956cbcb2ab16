"""Depthwise convolutions in int8: 3x3, 5x5, and with taps along time.

Layouts: source bytes ``[frames, ceil(C / b), H * W, b]``; weights int8 ``[ceil(C / b), steps, b * 4]`` with a step
for each tap along time, row and four columns of the window; bias int32 and scales float32
``[ceil(C / b), b]``; target ``[frames, ceil(C / b), OH * OW, b]``.

A lane is a channel. Four neighbouring columns of the frame, copied into scratch memory with a border of the
zero point, are turned into a group of four bytes a lane, so that one step sums four products: a
row of a 3x3 window takes one. A group serves all rows of the tile whose windows hold it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product as pairs
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.cpus import Dot
from edgevid.targets.tvm.kernels._dot import GROUP, DotProduct
from edgevid.targets.tvm.kernels._groups import rows
from edgevid.targets.tvm.kernels._padded import Padded
from edgevid.targets.tvm.kernels._requantize import Requantize, constants
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
    source, target = operation.source, operation.target
    return (
        operation.groups == source.channels == target.channels
        and source.quantization is not None
        and source.block == target.block
        and not operation.moves
    )


def tiles(operation: Convolution, registers: int, dot: Dot) -> tuple[Tile, ...]:
    """Candidates, the best guess first; ``registers`` vector registers hold accumulators and weights."""
    target = operation.target
    each, rest = DotProduct(dot, target.block).kept
    shapes = [(4, 2), (2, 4), (2, 7), (4, 4), (1, 7), (1, 14), (2, 2), (1, 4), (2, 14), (1, 1)]
    left = registers - rest - 1 - each * operation.kernel[1] * _steps(operation)
    held = [
        (h, w)
        for h, w in shapes
        if h * w <= max(left, 4) and h <= target.height and w <= target.width
    ]
    held.sort(key=lambda shape: (target.height % shape[0] != 0) + (target.width % shape[1] != 0))
    return tuple(Tile(*shape) for shape in held[:6])


def _steps(operation: Convolution) -> int:
    """Groups of four columns of a window's row."""
    return -(-operation.kernel[2] // GROUP)


def pack(operation: Convolution, weights: Mapping[str, NDArray[Any]], dot: Dot) -> list[NDArray[Any]]:
    """``weight`` int8 [C, 1, kt, KH, KW], its ``scale`` [C] and ``bias`` [C] as the kernel reads them."""
    blocks, product = operation.target.blocks, DotProduct(dot, operation.target.block)
    kernel = weights["weight"][:, 0]
    missing = _steps(operation) * GROUP - operation.kernel[2]
    whole = np.pad(kernel, [(0, 0), (0, 0), (0, 0), (0, missing)]).reshape(len(kernel), -1, GROUP)
    return [rows(whole, blocks, product), *constants(operation, weights, product)]


def build(operation: Convolution, tile: Tile, dot: Dot, name: str) -> Any:
    """The function ``name(source, weights, bias, scales[, residual], target)``."""
    source, target = operation.source, operation.target
    v, product, (taps, height, width) = target.block, DotProduct(dot, target.block), operation.kernel
    (_, down, along), (_, apart, beside) = operation.strides, operation.dilations
    steps = _steps(operation)
    # The last group of a row may reach beyond the window.
    more = (steps * GROUP - width) * beside
    transposed = (np.arange(GROUP) * v + np.arange(v)[:, None]).reshape(-1)[product.order].tolist()
    epilogue = Requantize(operation, v)
    with function(name) as written:
        data = buffer("source", source.shape, source.dtype)
        weights = buffer("weights", (target.blocks, taps * height * steps, v * GROUP), "int8")
        bias = buffer("bias", (target.blocks, v), "int32")
        scales = buffer("scales", (target.blocks, v))
        skip = buffer("residual", target.shape, operation.residual.dtype) if operation.residual else None
        out = buffer("target", target.shape, target.dtype)

        def group(padded: Padded, tap: int, row: Expr, column: Expr) -> tuple[Expr, ...]:
            """Four columns from ``column`` on, as four bytes of each channel."""
            if beside == 1:
                columns = [padded.buffer[tap, 0, row, ramp(column * v, v * GROUP)]]
            else:
                columns = [padded.buffer[tap, 0, row, ramp((column + k * beside) * v, v)] for k in range(GROUP)]
            return product.vector(T.Shuffle(columns, transposed))

        def one(padded: Padded, n: Expr, b: Expr, r: Expr, c: Expr, rows: int, columns: int) -> None:
            top, left = r * tile.rows, c * tile.columns
            sums = T.alloc_buffer((rows * columns * v,), "int32", scope="local")

            def place(i: int, j: int) -> Expr:
                return ramp((i * columns + j) * v, v)

            for i, j in pairs(range(rows), range(columns)):
                T.buffer_store(sums, bias[b, ramp(0, v)], [place(i, j)])
            ready = [
                [T.bind(part) for part in product.weights(weights[b, step, ramp(0, v * GROUP)])]
                for step in range(taps * height * steps)
            ]
            read = sorted({i * down + y * apart for i in range(rows) for y in range(height)})
            for tap, row, j, g in pairs(range(taps), read, range(columns), range(steps)):
                column = (left + j) * along + g * GROUP * beside
                values = [T.bind(part) for part in group(padded, tap, top * down + row, column)]
                for i in range(rows):
                    y, rest = divmod(row - i * down, apart)
                    if rest == 0 and 0 <= y < height:
                        weight = ready[(tap * height + y) * steps + g]
                        T.buffer_store(sums, product.add(sums[place(i, j)], values, weight), [place(i, j)])
            for i, j in pairs(range(rows), range(columns)):
                at = (n, b, (top + i) * target.width + left + j, ramp(0, v))
                vector = epilogue.apply(
                    sums[place(i, j)], scales[b, ramp(0, v)], None if skip is None else skip[at]
                )
                T.buffer_store(out, vector, list(at))

        with T.parallel(0, target.frames * target.blocks) as task:
            n, b = task // target.blocks, task % target.blocks
            padded = Padded.allocate(operation, blocks=1, more_columns=more)
            for tap in range(taps):
                padded.fill_block(data, tap, n, b)
            with (
                T.serial(0, -(-target.height // tile.rows)) as r,
                T.serial(0, -(-target.width // tile.columns)) as c,
            ):
                over_tiles(
                    r,
                    target.height,
                    tile.rows,
                    lambda rows: over_tiles(
                        c, target.width, tile.columns, lambda columns: one(padded, n, b, r, c, rows, columns)
                    ),
                )
    return written.get()
