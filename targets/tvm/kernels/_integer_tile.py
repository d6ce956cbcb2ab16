"""The heart of every integer kernel: accumulators of 32 bits that stay in registers.

``positions`` x ``blocks`` vectors, one output channel a lane. Each step multiplies a group of four
input channels, the same for all lanes, with a vector of weights of four bytes a lane.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._dot import DotProduct
from edgevid.targets.tvm.kernels._requantize import Requantize
from edgevid.targets.tvm.kernels._write import Expr, ramp

__all__ = ["IntegerTile"]


class IntegerTile:
    """Accumulators in int32; written where the loop nest stands when they are made."""

    def __init__(
        self, product: DotProduct, positions: int, blocks: int, bias: Callable[[int], Expr]
    ) -> None:
        """``bias(q)`` is the vector that the accumulators of output block q start from."""
        self.product, self.positions, self.blocks = product, positions, blocks
        size = positions * blocks * product.lanes
        self._sums = T.alloc_buffer((size,), "int32", scope="local")
        for q in range(blocks):
            for p in range(positions):
                T.buffer_store(self._sums, bias(q), [self._place(p, q)])

    def add(self, values: Callable[[int, int], Expr], neighbours: Sequence[int], weights: Sequence[Expr]) -> None:
        """``sums[p, q] += values[p] * weights[q]``.

        Args:
            values: ``values(p, count)`` loads the groups of ``count`` positions from p on, as bytes.
            neighbours: how many positions each load takes.
            weights: a vector of bytes a block.
        """
        product, p = self.product, 0
        ready = [_bound(product.weights(weight)) for weight in weights]
        for count in neighbours:
            loaded = T.bind(values(p, count))
            for index in range(count):
                value = _bound(product.broadcast(loaded, index, count))
                for q in range(self.blocks):
                    place = self._place(p, q)
                    T.buffer_store(self._sums, product.add(self._sums[place], value, ready[q]), [place])
                p += 1

    def add_constant(self, constant: Callable[[int], Expr]) -> None:
        """``sums[p, q] += constant(q)``."""
        for q in range(self.blocks):
            for p in range(self.positions):
                place = self._place(p, q)
                T.buffer_store(self._sums, self._sums[place] + constant(q), [place])

    def store(
        self,
        write: Callable[[int, int, Expr], None],
        epilogue: Requantize,
        scales: Callable[[int], Expr],
        residual: Callable[[int, int], Expr] | None,
    ) -> None:
        """Hand each vector, as the target holds it, to ``write(p, q, vector)``."""
        for q in range(self.blocks):
            for p in range(self.positions):
                skip = None if residual is None else residual(p, q)
                write(p, q, epilogue.apply(self._sums[self._place(p, q)], scales(q), skip))

    def _place(self, position: int, block: int) -> Expr:
        v = self.product.lanes
        return ramp((block * self.positions + position) * v, v)


def _bound(operands: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Made ready once, used in many products."""
    return tuple(T.bind(operand) for operand in operands)
