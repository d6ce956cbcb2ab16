"""Depthwise convolutions in float32: 3x3, 5x5, and with taps along time.

Layouts: source ``[frames, ceil(C / b), H * W, b]``, weights ``[ceil(C / b), kt * KH * KW, b]``, bias
``[ceil(C / b), b]``, target ``[frames, ceil(C / b), OH * OW, b]``. A lane is a channel, so there is
no sum over lanes. Rows and columns at the borders have code of their own, for the part of their windows
that is inside: nothing is padded or copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._frame import source_frame
from edgevid.targets.tvm.kernels._windows import Group, groups
from edgevid.targets.tvm.kernels._write import Expr, buffer, clamp, function, ramp, real, when
from edgevid.targets.tvm.network import Convolution

__all__ = ["Tile", "build", "fits", "pack", "tiles"]


@dataclass(frozen=True)
class Tile:
    """Accumulators: columns of a row."""

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
    width = operation.target.width
    # Windows of neighbouring columns overlap, so that wide tiles read less.
    sizes = [size for size in (14, 7, 28, 16, 8, 10, 4, 1) if size + 2 <= registers and size <= width]
    sizes.sort(key=lambda size: width % size != 0)
    return tuple(Tile(size) for size in sizes[:5])


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
        weights = buffer("weights", (target.blocks, taps * height * width, v), operation.weight_type)
        bias = buffer("bias", (target.blocks, v))
        skip = buffer("residual", target.shape) if operation.residual else None
        out = buffer("target", target.shape)

        def one(n: Expr, b: Expr, r: Expr, top: Group, left: Expr, columns: list[Group]) -> None:
            """One row of ``columns``, each with the part of its window that is inside."""
            places = [ramp(p * v, v) for p in range(len(columns))]
            sums = T.alloc_buffer((len(columns) * v,), "float32", scope="local")
            for place in places:
                T.buffer_store(sums, bias[b, ramp(0, v)], [place])

            def add(frame: Expr, tap: int, y: int, x: int) -> None:
                weight = real(weights[b, (tap * height + y) * width + x, ramp(0, v)], v)
                row = (r * down - operation.pads[1] + y * apart) * source.width
                for p, (place, column) in enumerate(zip(places, columns, strict=True)):
                    if column.start <= x < column.stop:
                        at = row + (left + p) * along - operation.pads[2] + x * beside
                        value = data[frame, b, at, ramp(0, v)]
                        T.buffer_store(sums, sums[place] + value * weight, [place])

            for tap in range(taps):
                frame, exists = source_frame(operation, n, tap, 0)
                with when(*exists):
                    for y, x in product(range(top.start, top.stop), range(width)):
                        add(frame, tap, y, x)
            for p, place in enumerate(places):
                at = (n, b, r * target.width + left + p, ramp(0, v))
                vector = sums[place] if skip is None else sums[place] + skip[at]
                T.buffer_store(out, clamp(vector, *operation.bounds, v), list(at))

        with T.parallel(0, target.frames * target.blocks) as task:
            n, b = task // target.blocks, task % target.blocks
            for top, (start, count, columns) in product(
                _along(operation, 1), _columns(operation, tile.columns)
            ):
                with T.serial(0, top.count) as i, T.serial(0, count) as j:
                    one(n, b, top.first + i, top, start + j * len(columns), columns)
    return written.get()


def _along(operation: Convolution, axis: int) -> tuple[Group, ...]:
    source, target = operation.source, operation.target
    return groups(
        (target.height, target.width)[axis - 1],
        (source.height, source.width)[axis - 1],
        operation.kernel[axis],
        operation.strides[axis],
        operation.pads[axis],
        operation.dilations[axis],
    )


def _columns(operation: Convolution, tile: int) -> list[tuple[int, int, list[Group]]]:
    """Tiles of columns as (first column, how many equal tiles follow, the windows of each column)."""
    windows = [group for group in _along(operation, 2) for _ in range(group.count)]
    found: list[tuple[int, int, list[Group]]] = []
    for start in range(0, len(windows), tile):
        columns = windows[start : start + tile]
        if found and [(c.start, c.stop) for c in found[-1][2]] == [(c.start, c.stop) for c in columns]:
            first, count, _ = found[-1]
            found[-1] = (first, count + 1, columns)
        else:
            found.append((start, 1, columns))
    return found
