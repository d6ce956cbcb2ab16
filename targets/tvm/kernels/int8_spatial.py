"""KxK and KxKxK convolutions in int8, with any shift on the input, strides and dilation.

Layouts: source bytes ``[frames, ceil(C / b), H * W, b]``; weights int8 ``[ceil(O / v), steps, v * 4]`` with a
step for each tap along time, block of input channels, row, column and group of four channels;
bias int32 and scales float32 ``[ceil(O / v), v]``; target ``[frames, ceil(O / v), OH * OW, v]``.

The frames that output frames read are copied into scratch memory with a border of the zero point,
then tiles of rows x columns x output blocks are summed over channels and windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product as pairs
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.cpus import Dot
from edgevid.targets.tvm.kernels import _cache
from edgevid.targets.tvm.kernels._dot import GROUP, DotProduct
from edgevid.targets.tvm.kernels._groups import group_count, groups, of_run, rows
from edgevid.targets.tvm.kernels._integer_tile import IntegerTile
from edgevid.targets.tvm.kernels._padded import Padded
from edgevid.targets.tvm.kernels._requantize import Epilogue, constants
from edgevid.targets.tvm.kernels._segments import Lanes
from edgevid.targets.tvm.kernels._write import Expr, buffer, function, over_tiles, ramp
from edgevid.targets.tvm.network import Convolution

__all__ = ["Tile", "build", "fits", "pack", "tiles"]

_CACHE = 2**19
"""Bytes of weights from which on they are better read once for all frames."""


@dataclass(frozen=True)
class Tile:
    """``rows`` x ``columns`` x ``blocks`` accumulators; ``order`` of the loops over frames (n) and output
    blocks (o), the outer one first: with "on" all frames have their own scratch memory."""

    rows: int
    columns: int
    blocks: int
    order: Literal["no", "on"] = "no"


def fits(operation: Convolution) -> bool:
    """Whether this family computes it."""
    return operation.groups == 1 and operation.source.quantization is not None


def tiles(operation: Convolution, registers: int, dot: Dot) -> tuple[Tile, ...]:
    """Candidates, the best guess first; ``registers`` vector registers hold the accumulators."""
    source, target = operation.source, operation.target
    each, rest = DotProduct(dot, target.block).kept
    shapes = [(1, 14, 2), (1, 28, 1), (2, 14, 1), (2, 7, 2), (1, 7, 4), (4, 7, 1), (1, 14, 1), (1, 7, 2)]
    shapes += [
        (1, 7, 3),
        (1, 8, 2),
        (2, 7, 1),
        (1, 8, 1),
        (1, 4, 4),
        (1, 4, 2),
        (1, 3, 2),
        (1, 1, 4),
        (1, 1, 1),
    ]
    held = [
        (h, w, q)
        for h, w, q in shapes
        if h * w * q + q * each + rest <= registers + 1
        and (h <= target.height and w <= target.width and q <= target.blocks)
    ]
    held.sort(
        key=lambda s: (target.height % s[0] != 0) + (target.width % s[1] != 0) + (target.blocks % s[2] != 0)
    )
    large = target.channels * source.channels * int(np.prod(operation.kernel)) > _CACHE
    orders: tuple[Literal["on", "no"], ...] = ("on", "no") if large else ("no", "on")
    # One frame: the threads share it.
    orders = ("on",) if target.frames == 1 else orders
    return tuple(Tile(*shape, order) for shape in held[:5] for order in orders)


def _parts(operation: Convolution) -> tuple[Lanes, ...]:
    return tuple(groups(0, operation.source.channels, operation.source.block))


def pack(operation: Convolution, weights: Mapping[str, NDArray[Any]], dot: Dot) -> list[NDArray[Any]]:
    """``weight`` int8 [O, C, kt, KH, KW], its ``scale`` [O] and ``bias`` [O] as the kernel reads them."""
    blocks, product = operation.target.blocks, DotProduct(dot, operation.target.block)
    kernel = of_run(weights["weight"], 0, operation.source.channels)
    steps = []
    for tap in range(operation.kernel[0]):
        first = 0
        for part in _parts(operation):
            of_part = kernel[:, first : first + part.channels, tap]
            shape = (len(kernel), part.count, part.width // GROUP, GROUP, *of_part.shape[2:])
            steps.append(of_part.reshape(shape).transpose(0, 1, 4, 5, 2, 3).reshape(len(kernel), -1, GROUP))
            first += part.channels
    return [rows(np.concatenate(steps, axis=1), blocks, product), *constants(operation, weights, product)]


def build(operation: Convolution, tile: Tile, dot: Dot, name: str) -> Any:
    """The function ``name(source[, cache], weights, bias, scales, limits[, residual], target)``."""
    target, taps = operation.target, operation.kernel[0]
    outer, inner = -(-target.blocks // tile.blocks), -(-target.height // tile.rows)
    with function(name) as written:
        writer = _Writer.with_parameters(operation, tile, dot)
        if tile.order == "no":
            with T.parallel(0, target.frames) as n:
                padded = Padded.allocate(operation)
                for tap in range(taps):
                    padded.fill(writer.data, None, tap, n, kept=writer.kept)
                with T.serial(0, outer) as o, T.serial(0, inner) as r:
                    writer.row_of_tiles(padded, 0, n, o, r)
        else:
            padded = Padded.allocate(operation, frames=target.frames)
            with T.parallel(0, target.frames) as n:
                for tap in range(taps):
                    padded.fill(writer.data, None, tap, n, n * taps, writer.kept)
            with T.parallel(0, outer * target.frames) as task, T.serial(0, inner) as r:
                n = task % target.frames
                writer.row_of_tiles(padded, n * taps, n, task // target.frames, r)
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
    epilogue: Epilogue

    @classmethod
    def with_parameters(cls, operation: Convolution, tile: Tile, dot: Dot) -> _Writer:
        source, target = operation.source, operation.target
        steps = int(np.prod(operation.kernel)) * group_count(0, source.channels)
        product = DotProduct(dot, operation.target.block)
        return cls(
            operation,
            tile,
            product,
            buffer("source", source.shape, source.dtype),
            _cache.parameter(operation),
            buffer("weights", (target.blocks, steps, target.block * GROUP), "int8"),
            Epilogue.parameters(operation, product),
        )

    def row_of_tiles(self, padded: Padded, at: Expr, n: Expr, o: Expr, r: Expr) -> None:
        """All tiles of row ``r`` of frame ``n``, whose taps begin at ``at``; ``o`` is a tile of blocks."""
        target, tile = self.operation.target, self.tile

        def along(rows: int, blocks: int) -> None:
            with T.serial(0, -(-target.width // tile.columns)) as c:

                def one(columns: int) -> None:
                    spots = list(pairs(range(rows), range(columns)))
                    top, left = r * tile.rows, c * tile.columns
                    chosen = [o * tile.blocks + q for q in range(blocks)]
                    sums = IntegerTile(self.epilogue, len(spots), chosen)
                    self._add_windows(sums, padded, at, [(top + i, left + j) for i, j in spots], columns)
                    sums.store([(n, (top + i) * target.width + left + j) for i, j in spots], columns)

                over_tiles(c, target.width, tile.columns, one)

        over_tiles(
            o,
            target.blocks,
            tile.blocks,
            lambda blocks: over_tiles(r, target.height, tile.rows, lambda rows: along(rows, blocks)),
        )

    def _add_windows(
        self, sums: IntegerTile, padded: Padded, at: Expr, spots: Sequence[tuple[Expr, Expr]], columns: int
    ) -> None:
        """Add the windows of the output places ``spots``, in rows of ``columns``."""
        source, (taps, height, width) = self.operation.source, self.operation.kernel
        (_, down, along), (_, apart, beside) = self.operation.strides, self.operation.dilations
        neighbours = self.product.neighbours(columns, source.block * along) * (len(spots) // columns)
        step, wide = 0, self.product.lanes * GROUP
        for tap, part in pairs(range(taps), _parts(self.operation)):
            each = part.width // GROUP
            with (
                T.serial(0, part.count) as b,
                T.serial(0, height) as y,
                T.serial(0, width) as x,
                T.serial(0, each) as k,
            ):
                here = step + ((b * height + y) * width + x) * each + k
                frame, block, right, lower = at + tap, part.block + b, x * beside, y * apart
                first = part.first + k * GROUP

                def values(p: int, count: int) -> Expr:
                    row, column = spots[p]
                    lane = (column * along + right) * source.block + first  # noqa: B023 (called at once)
                    return padded.buffer[frame, block, row * down + lower, ramp(lane, count * GROUP)]  # noqa: B023

                sums.add(values, neighbours, lambda o, here=here: self.weights[o, here, ramp(0, wide)])  # type: ignore[misc]
            step += part.count * each * height * width
