"""KxK and KxKxK convolutions in int8, with any shift on the input, strides and dilation.

Layouts: source bytes ``[frames, ceil(C / b), H * W, b]``; weights int8 ``[ceil(O / v), steps, v * 4]`` with a
step for each tap along time, block of input channels, row, column and group of four channels;
bias int32 and scales float32 ``[ceil(O / v), v]``; target ``[frames, ceil(O / v), OH * OW, v]``.

The frames that output frames read are copied into scratch memory with a border of the zero point,
then tiles of rows x columns x output blocks are summed over channels and windows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.cpus import Dot
from edgevid.targets.tvm.kernels._dot import GROUP, DotProduct
from edgevid.targets.tvm.kernels._groups import group_count, groups, of_run, rows
from edgevid.targets.tvm.kernels._integer_tile import IntegerTile
from edgevid.targets.tvm.kernels._padded import Padded
from edgevid.targets.tvm.kernels._requantize import Requantize, constants
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
    shapes += [(1, 7, 3), (1, 8, 2), (2, 7, 1), (1, 8, 1), (1, 4, 4), (1, 4, 2), (1, 3, 2), (1, 1, 4), (1, 1, 1)]
    held = [
        (h, w, q)
        for h, w, q in shapes
        if h * w * q + q * each + rest <= registers + 1
        and (h <= target.height and w <= target.width and q <= target.blocks)
    ]
    held.sort(key=lambda s: (target.height % s[0] != 0) + (target.width % s[1] != 0) + (target.blocks % s[2] != 0))
    large = target.channels * source.channels * int(np.prod(operation.kernel)) > _CACHE
    orders: tuple[Literal["on", "no"], ...] = ("no",) if target.frames == 1 else ("on", "no") if large else ("no", "on")
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
    """The function ``name(source, weights, bias, scales[, residual], target)``."""
    source, target = operation.source, operation.target
    v, product, (taps, height, width) = target.block, DotProduct(dot, target.block), operation.kernel
    (_, down, along), (_, apart, beside) = operation.strides, operation.dilations
    steps = taps * height * width * group_count(0, source.channels)
    with function(name) as written:
        data = buffer("source", source.shape, source.dtype)
        weights = buffer("weights", (target.blocks, steps, v * GROUP), "int8")
        bias = buffer("bias", (target.blocks, v), "int32")
        scales = buffer("scales", (target.blocks, v))
        skip = buffer("residual", target.shape, operation.residual.dtype) if operation.residual else None
        out = buffer("target", target.shape, target.dtype)

        def one(
            padded: Padded, n: Expr, at: Expr, o: Expr, r: Expr, c: Expr, rows: int, columns: int, blocks: int
        ) -> None:
            block, top, left = o * tile.blocks, r * tile.rows, c * tile.columns
            spots = [(i, j) for i in range(rows) for j in range(columns)]
            neighbours = product.neighbours(columns, source.block * along) * rows
            sums = IntegerTile(product, len(spots), blocks, lambda q: bias[block + q, ramp(0, v)])
            step = 0
            for tap in range(taps):
                for part in _parts(operation):
                    each = part.width // GROUP
                    with (
                        T.serial(0, part.count) as b,
                        T.serial(0, height) as y,
                        T.serial(0, width) as x,
                        T.serial(0, each) as k,
                    ):
                        here = step + ((b * height + y) * width + x) * each + k

                        def values(p: int, count: int, frame=at + tap, b=part.block + b, y=y, x=x, k=k) -> Expr:
                            i, j = spots[p]
                            lane = ((left + j) * along + x * beside) * source.block + k * GROUP
                            return padded.buffer[frame, b, (top + i) * down + y * apart, ramp(lane, count * GROUP)]

                        sums.add(
                            values,
                            neighbours,
                            [weights[block + q, here, ramp(0, v * GROUP)] for q in range(blocks)],
                        )
                    step += part.count * each * height * width

            def place(p: int, q: int) -> list[Expr]:
                i, j = spots[p]
                return [n, block + q, (top + i) * target.width + left + j, ramp(0, v)]

            sums.store(
                lambda p, q, vector: T.buffer_store(out, vector, place(p, q)),
                Requantize(operation, v),
                lambda q: scales[block + q, ramp(0, v)],
                None if skip is None else lambda p, q: skip[tuple(place(p, q))],
            )

        def tiled(padded: Padded, n: Expr, at: Expr, o: Expr, r: Expr) -> None:
            def wide(rows: int, blocks: int) -> None:
                with T.serial(0, -(-target.width // tile.columns)) as c:
                    over_tiles(
                        c,
                        target.width,
                        tile.columns,
                        lambda columns: one(padded, n, at, o, r, c, rows, columns, blocks),
                    )

            over_tiles(
                o,
                target.blocks,
                tile.blocks,
                lambda blocks: over_tiles(r, target.height, tile.rows, lambda rows: wide(rows, blocks)),
            )

        outer, inner = -(-target.blocks // tile.blocks), -(-target.height // tile.rows)
        if tile.order == "no" and target.frames > 1:
            with T.parallel(0, target.frames) as n:
                padded = Padded.allocate(operation)
                for tap in range(taps):
                    padded.fill(data, None, tap, n)
                with T.serial(0, outer) as o, T.serial(0, inner) as r:
                    tiled(padded, n, 0, o, r)
        else:
            padded = Padded.allocate(operation, frames=target.frames)
            with T.parallel(0, target.frames) as n:
                for tap in range(taps):
                    padded.fill(data, None, tap, n, n * taps)
            with T.parallel(0, outer * target.frames) as task, T.serial(0, inner) as r:
                n = task % target.frames
                tiled(padded, n, n * taps, task // target.frames, r)
    return written.get()
