"""Dense layers in int8: rows of channels times weights.

Layouts: source bytes ``[rows, ceil(C / b), 1, b]``; weights int8 ``[ceil(O / v), ceil(C / 4), v * 4]``; bias
int32 and scales float32 ``[ceil(O / v), v]``; target ``[rows, ceil(O / v), 1, v]``. All rows of a batch share
each vector of weights, which are read once: a dense layer is bound by memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.cpus import Dot
from edgevid.targets.tvm.kernels._dot import GROUP, DotProduct
from edgevid.targets.tvm.kernels._groups import group_count, groups, of_run, rows
from edgevid.targets.tvm.kernels._integer_tile import IntegerTile
from edgevid.targets.tvm.kernels._requantize import Epilogue, constants
from edgevid.targets.tvm.kernels._write import buffer, function, over_tiles, ramp
from edgevid.targets.tvm.network import Dense

__all__ = ["build", "pack"]

_ROWS = 8


def pack(operation: Dense, weights: Mapping[str, NDArray[Any]], dot: Dot) -> list[NDArray[Any]]:
    """``weight`` int8 [O, C], its ``scale`` [O] and ``bias`` [O] as the kernel reads them."""
    blocks, product = operation.target.blocks, DotProduct(dot, operation.target.block)
    kernel = of_run(weights["weight"], 0, operation.source.channels)
    return [
        rows(kernel.reshape(len(kernel), -1, GROUP), blocks, product),
        *constants(operation, weights, product),
    ]


def build(operation: Dense, dot: Dot, name: str) -> Any:
    """The function ``name(source, weights, bias, scales, limits, target)``."""
    source, target = operation.source, operation.target
    v, product = target.block, DotProduct(dot, target.block)
    with function(name) as written:
        data = buffer("source", source.shape, source.dtype)
        weights = buffer("weights", (target.blocks, group_count(0, source.channels), v * GROUP), "int8")
        epilogue = Epilogue.parameters(operation, product)
        with T.parallel(0, target.blocks) as o, T.serial(0, -(-target.frames // _ROWS)) as r:

            def some(count: int) -> None:
                rows_of = [r * _ROWS + k for k in range(count)]
                sums = IntegerTile(epilogue, count, [o])
                step = 0
                for part in groups(0, source.channels, source.block):
                    each = part.width // GROUP
                    with T.serial(0, part.count) as i, T.serial(0, each) as j:
                        block, lane = part.block + i, ramp(part.first + j * GROUP, GROUP)
                        vector = weights[o, step + i * each + j, ramp(0, v * GROUP)]
                        sums.add(
                            lambda k, _, block=block, lane=lane: data[rows_of[k], block, 0, lane],  # type: ignore[misc]
                            [1] * count,
                            lambda _, vector=vector: vector,  # type: ignore[misc]
                        )
                    step += part.count * each
                sums.store([(row, 0) for row in rows_of], 1)

            over_tiles(r, target.frames, _ROWS, some)
    return written.get()
