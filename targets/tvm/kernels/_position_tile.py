"""Tiles of kernels that read one position of the source for each of the target, and the loops over them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from tvm.tirx.script import builder as T  # noqa: N812

from edgevid.targets.tvm.kernels._write import Expr
from edgevid.targets.tvm.network import Frames

__all__ = ["PositionTile"]


@dataclass(frozen=True)
class PositionTile:
    """``positions`` x ``blocks`` accumulators; ``order`` of the loops over frames (n), output blocks (o)
    and positions (p), the outermost first."""

    positions: int
    blocks: int
    order: Literal["nop", "npo", "onp"] = "nop"

    @classmethod
    def candidates(
        cls,
        target: Frames,
        shapes: Sequence[tuple[int, int]],
        registers: Callable[[int, int], int],
        most: int,
    ) -> tuple[PositionTile, ...]:
        """Those of the ``shapes`` whose vectors fit into ``most`` registers, the best guess first."""
        positions, blocks = target.positions, target.blocks
        held = [(p, q) for p, q in shapes if registers(p, q) <= most and p <= positions and q <= blocks]
        # A remainder is computed with fewer accumulators, at a lower rate.
        held.sort(key=lambda shape: (positions % shape[0] != 0) + (blocks % shape[1] != 0))
        return tuple(cls(p, q, order) for p, q in held[:5] for order in ("nop", "npo", "onp"))

    @property
    def ends_positions(self) -> bool:
        """Whether all blocks of a tile's positions are computed one after the other."""
        return self.order == "npo"

    def loops(
        self,
        target: Frames,
        body: Callable[[Expr, Expr, Expr], None],
        after: Callable[[Expr], None] | None = None,
    ) -> None:
        """Write ``body(n, o, p)`` for every frame and every tile of blocks and of positions.

        ``after(p)`` is written behind all blocks of a tile's positions, where the order `ends_positions`.
        """
        counts = {
            "n": target.frames,
            "o": -(-target.blocks // self.blocks),
            "p": -(-target.positions // self.positions),
        }
        outer, middle, inner = self.order
        with T.parallel(0, counts[outer] * counts[middle]) as task:
            index = {outer: task // counts[middle], middle: task % counts[middle]}
            with T.serial(0, counts[inner]) as last:
                index[inner] = last
                body(index["n"], index["o"], index["p"])
            if after is not None and self.ends_positions:
                after(index["p"])
