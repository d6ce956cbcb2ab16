"""The heart of every integer kernel: accumulators of 32 bits that stay in registers.

``positions`` x ``blocks`` vectors, one output channel a lane. Each step multiplies a group of four
input channels, the same for all lanes, with a vector of weights of four bytes a lane.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._requantize import Epilogue
from edgevid.targets.tvm.kernels._write import Expr, ramp

__all__ = ["IntegerTile"]


class IntegerTile:
    """Accumulators in int32; written where the loop nest stands when they are made."""

    def __init__(self, epilogue: Epilogue, positions: int, blocks: Sequence[Expr]) -> None:
        """``blocks`` are the output blocks; their sums start from the bias."""
        self.product, self.epilogue = epilogue.product, epilogue
        self.positions, self.blocks = positions, blocks
        size = positions * len(blocks) * self.product.lanes
        self._sums = T.alloc_buffer((size,), "int32", scope="local")
        for q, block in enumerate(blocks):
            for p in range(positions):
                T.buffer_store(self._sums, epilogue.bias(block), [self._place(p, q)])

    def add(
        self,
        values: Callable[[int, int], Expr],
        neighbours: Sequence[int],
        weights: Callable[[Expr], Expr],
    ) -> None:
        """``sums[p, q] += values[p] * weights[q]``.

        Args:
            values: ``values(p, count)`` loads the groups of ``count`` positions from p on, as bytes.
            neighbours: how many positions each load takes.
            weights: the vector of bytes of an output block.
        """
        product, p = self.product, 0
        ready = [_bound(product.weights(weights(block))) for block in self.blocks]
        for count in neighbours:
            loaded = T.bind(values(p, count))
            for index in range(count):
                value = _bound(product.broadcast(loaded, index, count))
                for q, weight in enumerate(ready):
                    place = self._place(p, q)
                    T.buffer_store(self._sums, product.add(self._sums[place], value, weight), [place])
                p += 1

    def add_constants(self, constants: Any, row: int) -> None:
        """``sums[p, q] += constants[row, block of q]``: vectors of int32."""
        for q, block in enumerate(self.blocks):
            for p in range(self.positions):
                place = self._place(p, q)
                vector = constants[row, block, ramp(0, self.product.lanes)]
                T.buffer_store(self._sums, self._sums[place] + vector, [place])

    def store(self, places: Sequence[tuple[Expr, Expr]], row: int) -> None:
        """Store what the sums become.

        Args:
            places: the frame and the position of each p.
            row: so many are neighbours, then the next so many.
        """
        together = self.product.neighbours(row, self.product.lanes) * (len(places) // row)
        for q, block in enumerate(self.blocks):
            p = 0
            for count in together:
                frame, position = places[p]
                vectors = [self._sums[self._place(p + index, q)] for index in range(count)]
                self.epilogue.store(vectors, frame, block, position)
                p += count

    def _place(self, position: int, block: int) -> Expr:
        v = self.product.lanes
        return ramp((block * self.positions + position) * v, v)


def _bound(operands: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """Made ready once, used in many products."""
    return tuple(T.bind(operand) for operand in operands)
