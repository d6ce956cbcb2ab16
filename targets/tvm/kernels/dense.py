"""Dense layers in float32: rows of channels times weights.

Layouts: source ``[rows, ceil(C / b), 1, b]``, weights ``[ceil(O / v), C, v]``, bias ``[ceil(O / v), v]``,
target ``[rows, ceil(O / v), 1, v]``. All rows of a batch share each vector of weights, which are read
once: a dense layer is bound by memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._register_tile import RegisterTile
from edgevid.targets.tvm.kernels._segments import lanes
from edgevid.targets.tvm.kernels._write import Expr, buffer, function, over_tiles, ramp
from edgevid.targets.tvm.network import Dense

__all__ = ["build", "pack"]

_ROWS = 8


def pack(operation: Dense, weights: Mapping[str, NDArray[Any]]) -> list[NDArray[np.float32]]:
    """``weight`` [O, C] and ``bias`` [O] as the kernel reads them."""
    v, blocks = operation.target.block, operation.target.blocks
    rows = weights["weight"].T
    padded = np.zeros((rows.shape[0], blocks * v), np.float32)
    padded[:, : rows.shape[1]] = rows
    bias = np.zeros(blocks * v, np.float32)
    bias[: rows.shape[1]] = weights["bias"]
    packed = np.ascontiguousarray(padded.reshape(-1, blocks, v).transpose(1, 0, 2))
    return [packed, bias.reshape(blocks, v)]


def build(operation: Dense, name: str) -> Any:
    """The function ``name(source, weights, bias, target)``."""
    source, target = operation.source, operation.target
    v = target.block
    with function(name) as written:
        data = buffer("source", source.shape)
        weights = buffer("weights", (target.blocks, source.channels, v), operation.weight_type)
        bias = buffer("bias", (target.blocks, v))
        out = buffer("target", target.shape)
        with T.parallel(0, target.blocks) as o, T.serial(0, -(-target.frames // _ROWS)) as r:

            def one(rows: int) -> None:
                first = r * _ROWS
                sums = RegisterTile(rows, 1, v, lambda _: bias[o, ramp(0, v)])
                done = 0
                for part in lanes(0, source.channels, source.block):
                    with T.serial(0, part.count) as i, T.serial(0, part.width) as j:
                        at = done + i * part.width + j
                        sums.add(
                            [data[first + k, part.block + i, 0, part.first + j] for k in range(rows)],
                            [weights[o, at, ramp(0, v)]],
                        )
                    done += part.channels

                def write(k: int, _: int, vector: Expr) -> None:
                    T.buffer_store(out, vector, [first + k, o, 0, ramp(0, v)])

                sums.store(write, operation.bounds, None)

            over_tiles(r, target.frames, _ROWS, one)
    return written.get()
