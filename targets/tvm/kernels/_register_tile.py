"""The heart of every dense kernel: accumulators that stay in registers.

``positions`` x ``blocks`` vectors, one output channel a lane. Each step multiplies a broadcast
input value with a vector of weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._write import Expr, clamp, ramp, real, spread
from edgevid.targets.tvm.network import Bounds

__all__ = ["RegisterTile"]


class RegisterTile:
    """Accumulators in float32; written where the loop nest stands when they are made."""

    def __init__(self, positions: int, blocks: int, lanes: int, bias: Callable[[int], Expr]) -> None:
        """``bias(q)`` is the vector that the accumulators of output block q start from."""
        self.positions, self.blocks, self.lanes = positions, blocks, lanes
        self._sums = T.alloc_buffer((positions * blocks * lanes,), "float32", scope="local")
        for q in range(blocks):
            for p in range(positions):
                T.buffer_store(self._sums, bias(q), [self._place(p, q)])

    def add(self, values: Sequence[Expr], weights: Sequence[Expr]) -> None:
        """``sums[p, q] += values[p] * weights[q]``: a scalar a position, a vector a block."""
        weights = [real(weight, self.lanes) for weight in weights]
        # Positions outside: one broadcast is alive at a time, and the weights stay in registers.
        for p in range(self.positions):
            one = spread(values[p], self.lanes)
            for q in range(self.blocks):
                place = self._place(p, q)
                T.buffer_store(self._sums, self._sums[place] + one * weights[q], [place])

    def store(
        self,
        write: Callable[[int, int, Expr], None],
        bounds: Bounds,
        residual: Callable[[int, int], Expr] | None,
    ) -> None:
        """Add the residual, apply the bounds, and hand each vector to ``write(p, q, vector)``."""
        for q in range(self.blocks):
            for p in range(self.positions):
                vector = self._sums[self._place(p, q)]
                if residual is not None:
                    vector = vector + residual(p, q)
                write(p, q, clamp(vector, *bounds, self.lanes))

    def _place(self, position: int, block: int) -> Expr:
        return ramp((block * self.positions + position) * self.lanes, self.lanes)
