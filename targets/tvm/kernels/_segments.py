"""Runs of channels that are read from one place: what a shift and a block layout cut channels into."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from edgevid.targets.tvm.network import Move

__all__ = ["Lanes", "lanes", "segments"]


@dataclass(frozen=True)
class Lanes:
    """Lanes ``first`` to ``last`` of ``count`` blocks from ``block`` on; whole blocks or a part of one."""

    block: int
    count: int
    first: int
    last: int

    @property
    def width(self) -> int:
        """Lanes of each block."""
        return self.last - self.first

    @property
    def channels(self) -> int:
        """Of all blocks."""
        return self.count * self.width


def segments(channels: int, moves: Sequence[Move]) -> tuple[Move, ...]:
    """The moves and, between them, what stays: every channel once, in order."""
    found: list[Move] = []
    place = 0
    for move in sorted(moves, key=lambda move: move.start):
        if move.start > place:
            found.append(Move(place, move.start, 0))
        found.append(move)
        place = move.stop
    if place < channels:
        found.append(Move(place, channels, 0))
    return tuple(found)


def lanes(start: int, stop: int, block: int) -> Iterator[Lanes]:
    """Channels ``start`` to ``stop`` as whole blocks and parts of blocks, in order."""
    if start % block and start < stop:
        end = min(stop, (start // block + 1) * block)
        first = start % block
        yield Lanes(start // block, 1, first, first + end - start)
        start = end
    whole = (stop - start) // block
    if whole > 0:
        yield Lanes(start // block, whole, 0, block)
        start += whole * block
    if start < stop:
        yield Lanes(start // block, 1, 0, stop - start)
