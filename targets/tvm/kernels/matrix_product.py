"""Products of two batches of matrices, both activations, in float32.

Layouts: left ``[batch, m, k]``, right ``[batch, k, n]``, target ``[batch, m, n]``, row-major. A tile of rows
and of vectors of columns stays in registers; what is left of the columns is one narrower vector.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._register_tile import RegisterTile
from edgevid.targets.tvm.kernels._write import Expr, buffer, function, number, over_tiles, ramp
from edgevid.targets.tvm.network import MatrixProduct

__all__ = ["Tile", "build", "tiles"]


@dataclass(frozen=True)
class Tile:
    """``rows`` x ``vectors`` accumulators of ``lanes`` columns."""

    rows: int
    vectors: int
    lanes: int


def tiles(operation: MatrixProduct, registers: int, lanes: int) -> tuple[Tile, ...]:
    """Candidates, the best guess first; ``registers`` vector registers of ``lanes`` numbers."""
    _, rows, columns = operation.target.shape
    shapes = [(7, 2), (14, 1), (6, 4), (4, 4), (4, 2), (4, 1), (1, 4), (1, 1)]
    held = [
        (p, q)
        for p, q in shapes
        if p * q + q + 1 <= registers and p <= rows and (q == 1 or q * lanes <= columns)
    ]
    held.sort(key=lambda shape: (rows % shape[0] != 0) + (columns % (shape[1] * lanes) != 0))
    return tuple(Tile(p, q, lanes) for p, q in held[:4])


def build(operation: MatrixProduct, tile: Tile, name: str) -> Any:
    """The function ``name(left, right, target)``."""
    batch, rows, columns = operation.target.shape
    depth = operation.left.shape[2]
    with function(name) as written:
        left = buffer("left", operation.left.shape)
        right = buffer("right", operation.right.shape)
        out = buffer("target", operation.target.shape)

        def one(b: Expr, first: Expr, column: Expr, height: int, vectors: int, lanes: int) -> None:
            sums = RegisterTile(height, vectors, lanes, lambda _: number(0, lanes))
            at_left = b if operation.left.shape[0] > 1 else 0
            at_right = b if operation.right.shape[0] > 1 else 0
            with T.serial(0, depth) as k:
                sums.add(
                    [left[at_left, first + i, k] for i in range(height)],
                    [right[at_right, k, ramp(column + q * lanes, lanes)] for q in range(vectors)],
                )
            sums.store(
                lambda i, q, value: T.buffer_store(
                    out, value, [b, first + i, ramp(column + q * lanes, lanes)]
                ),
                (None, None),
                None,
            )

        whole, rest = divmod(columns, tile.lanes)

        def row_tile(b: Expr, r: Expr, height: int) -> None:
            first = r * tile.rows
            if whole:
                with T.serial(0, -(-whole // tile.vectors)) as c:
                    column = c * tile.vectors * tile.lanes
                    over_tiles(
                        c,
                        whole,
                        tile.vectors,
                        lambda vectors: one(b, first, column, height, vectors, tile.lanes),
                    )
            if rest:
                one(b, first, whole * tile.lanes, height, 1, rest)

        count = -(-rows // tile.rows)
        with T.parallel(0, batch * count) as task:
            b, r = task // count, task % count
            over_tiles(r, rows, tile.rows, lambda height: row_tile(b, r, height))
    return written.get()
