"""From a source's own frame rate to the interval between frames that a network was trained at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from edgevid.live.frame import TimedFrame

__all__ = ["LONGEST_GAP", "resampled"]

LONGEST_GAP = 10.0
"""Seconds without a frame after which a new sequence begins, in place of so many repeats."""

ROUNDING = 0.001
"""Seconds; containers round time stamps to that. A frame so little before a multiple is taken at once."""


def resampled(
    frames: Iterable[TimedFrame], interval: float | None, longest_gap: float = LONGEST_GAP
) -> Iterator[list[TimedFrame]]:
    """The frames that are due with each frame of the source: those nearest to each multiple of ``interval``.

    Of two frames equally near it is the earlier. A frame is repeated where the source is slower than the
    network. Multiples count from the first frame of a sequence.

    Args:
        frames: with times that do not go back.
        interval: seconds; every frame counts once if None.
        longest_gap: seconds without a frame after which a new sequence begins; at least two intervals.

    Returns:
        Groups, none of them empty, so that whoever drops frames drops all of one arrival.
    """
    if interval is None:
        yield from ([frame] for frame in frames)
        return
    grid, longest_gap = _Grid(interval), max(longest_gap, 2 * interval)
    for frame in frames:
        gap = grid.since_last(frame) > longest_gap
        if frame.resumed or gap:
            if rest := grid.end():
                yield rest
            grid = _Grid(interval)
        if due := grid.add(replace(frame, resumed=True) if gap else frame):
            yield due
    if rest := grid.end():
        yield rest


class _Grid:
    """The multiples of the interval in one sequence."""

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._rounding = min(ROUNDING, interval / 4)
        self._origin = 0.0
        self._step = 0
        self._last: TimedFrame | None = None
        self._given = True

    def since_last(self, frame: TimedFrame) -> float:
        """Seconds from the frame before; 0 for the first."""
        return 0.0 if self._last is None else frame.time - self._last.time

    def add(self, frame: TimedFrame) -> list[TimedFrame]:
        """What is due now that ``frame`` came."""
        if self._last is None:
            self._origin = frame.time
        last, self._last = self._last, replace(frame, resumed=False)
        self._given = False
        due = []
        while self._next <= frame.time + self._rounding:
            if last is not None and self._next - last.time <= abs(frame.time - self._next):
                due.append(last)
            else:
                due.append(frame)
                self._given = True
            self._step += 1
        return due

    def end(self) -> list[TimedFrame]:
        """The last frame, if it is the nearest to a multiple that is not reached any more."""
        if self._last is None or self._given or self._next - self._last.time > self._interval / 2:
            return []
        self._given = True
        return [self._last]

    @property
    def _next(self) -> float:
        return self._origin + self._step * self._interval
