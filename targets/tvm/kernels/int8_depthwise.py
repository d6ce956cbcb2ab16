"""Depthwise convolutions in int8: 3x3, 5x5, and with taps along time.

Layouts: source bytes ``[frames, ceil(C / b), H * W, b]``; weights int8 ``[ceil(C / b), steps, b * 4]`` with
a step for each tap along time, row and four columns of the window; bias int32 and scales float32
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
from edgevid.targets.tvm.kernels._requantize import Epilogue, constants
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
    held = [(h, w) for h, w in shapes if h * w <= max(left, 4) and h <= target.height and w <= target.width]
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
    """The function ``name(source, weights, bias, scales, limits[, residual], target)``."""
    target = operation.target
    # The last group of a row may reach beyond the window.
    more = (_steps(operation) * GROUP - operation.kernel[2]) * operation.dilations[2]
    with function(name) as written:
        writer = _Writer.with_parameters(operation, tile, dot)
        with T.parallel(0, target.frames * target.blocks) as task:
            n, b = task // target.blocks, task % target.blocks
            padded = Padded.allocate(operation, blocks=1, more_columns=more)
            for tap in range(operation.kernel[0]):
                padded.fill_block(writer.data, tap, n, b)
            with (
                T.serial(0, -(-target.height // tile.rows)) as r,
                T.serial(0, -(-target.width // tile.columns)) as c,
            ):
                writer.tile_at(padded, n, b, r, c)
    return written.get()


@dataclass(frozen=True)
class _Writer:
    """The parameters of the function, and what is computed for one tile."""

    operation: Convolution
    tile: Tile
    product: DotProduct
    data: Any
    weights: Any
    epilogue: Epilogue

    @classmethod
    def with_parameters(cls, operation: Convolution, tile: Tile, dot: Dot) -> _Writer:
        source, target, (taps, height, _) = operation.source, operation.target, operation.kernel
        steps = taps * height * _steps(operation)
        product = DotProduct(dot, operation.target.block)
        return cls(
            operation,
            tile,
            product,
            buffer("source", source.shape, source.dtype),
            buffer("weights", (target.blocks, steps, target.block * GROUP), "int8"),
            Epilogue.parameters(operation, product),
        )

    def tile_at(self, padded: Padded, n: Expr, b: Expr, r: Expr, c: Expr) -> None:
        """The tile of row ``r`` and column ``c`` of block ``b`` of frame ``n``."""
        target, tile = self.operation.target, self.tile
        over_tiles(
            r,
            target.height,
            tile.rows,
            lambda rows: over_tiles(
                c, target.width, tile.columns, lambda columns: self._one(padded, n, b, r, c, rows, columns)
            ),
        )

    def _one(self, padded: Padded, n: Expr, b: Expr, r: Expr, c: Expr, rows: int, columns: int) -> None:
        v, (taps, height, _) = self.product.lanes, self.operation.kernel
        down, apart = self.operation.strides[1], self.operation.dilations[1]
        top, left, steps = r * self.tile.rows, c * self.tile.columns, _steps(self.operation)
        spots = {spot: ramp(p * v, v) for p, spot in enumerate(pairs(range(rows), range(columns)))}
        sums = T.alloc_buffer((len(spots) * v,), "int32", scope="local")
        for place in spots.values():
            T.buffer_store(sums, self.epilogue.bias(b), [place])
        weights = [
            _bound(self.product.weights(self.weights[b, step, ramp(0, v * GROUP)]))
            for step in range(taps * height * steps)
        ]
        read = sorted({i * down + y * apart for i in range(rows) for y in range(height)})
        for tap, row, j, g in pairs(range(taps), read, range(columns), range(steps)):
            values = _bound(self._group(padded, tap, top * down + row, left + j, g))
            for i in range(rows):
                y, rest = divmod(row - i * down, apart)
                if rest == 0 and 0 <= y < height:
                    weight = weights[(tap * height + y) * steps + g]
                    place = spots[i, j]
                    T.buffer_store(sums, self.product.add(sums[place], values, weight), [place])
        for (i, j), place in spots.items():
            self.epilogue.store([sums[place]], n, b, (top + i) * self.operation.target.width + left + j)

    def _group(self, padded: Padded, tap: int, row: Expr, output: Expr, g: int) -> tuple[Expr, ...]:
        """The ``g``-th four columns of the window of column ``output``, as four bytes of each channel."""
        v, along, beside = self.product.lanes, self.operation.strides[2], self.operation.dilations[2]
        first = output * along + g * GROUP * beside
        if beside == 1:
            columns = [padded.buffer[tap, 0, row, ramp(first * v, v * GROUP)]]
        else:
            columns = [padded.buffer[tap, 0, row, ramp((first + k * beside) * v, v)] for k in range(GROUP)]
        transposed = (np.arange(GROUP) * v + np.arange(v)[:, None]).reshape(-1)[self.product.order]
        return self.product.vector(T.Shuffle(columns, transposed.tolist()))


def _bound(operands: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Made ready once, used in many products."""
    return tuple(T.bind(operand) for operand in operands)
