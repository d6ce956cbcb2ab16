"""A camera or a stream that is opened again when it goes away."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from threading import Event
from time import monotonic

from edgevid.errors import VideoError
from edgevid.live.frame import Counts, Decoded, TimedFrame

__all__ = ["LONGEST_PAUSE", "SHORTEST_PAUSE", "Opener", "live_frames"]

Opener = Callable[[], AbstractContextManager[Iterable[Decoded]]]
"""Opens the source; raises `VideoError` when it cannot, and the frames do when it goes away."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 8.0
"""Seconds until a source is opened again; they double with every failure."""

MOST_BACK = 1.0
"""Seconds by which time stamps go back for other reasons than a clock that is set."""


def live_frames(
    open_source: Opener,
    counts: Counts,
    stopped: Event,
    *,
    clock: Callable[[], float] = monotonic,
    wait: Callable[[float], bool] | None = None,
) -> Iterator[TimedFrame]:
    """The frames of a source that goes on, until ``stopped`` is set.

    Times are the source's own within one opening, put where its first frame arrived. A source that gives no
    frame at the first opening is an error; one that went away later is opened again for ever.

    Args:
        open_source: each time.
        counts: kept up to date.
        stopped: ends it, in a pause too.
        clock: seconds.
        wait: pauses for so many seconds, and tells whether to stop; ``stopped.wait`` if not given.

    Raises:
        VideoError: the source cannot be opened at first, or ends before its first frame.
    """
    wait = wait or stopped.wait
    times = _Times(clock, counts.warnings)
    number, pause = 0, SHORTEST_PAUSE
    while True:
        away = counts.frames > 0
        why = "it ended"
        try:
            with open_source() as frames:
                times.reopened()
                for stamp, pixels in frames:
                    if stopped.is_set():
                        return
                    number += 1
                    if pixels is None:
                        counts.skipped += 1
                        continue
                    counts.frames += 1
                    counts.reopened += away
                    counts.away, pause = "", SHORTEST_PAUSE
                    yield TimedFrame(times.of(stamp), number - 1, pixels, resumed=away)
                    away = False
        except VideoError as error:
            if not counts.frames:
                raise
            why = error.what
        if stopped.is_set():
            return
        if not counts.frames:
            raise VideoError("the source ended before its first frame", fix="check that it is sending")
        counts.away = why
        if wait(pause):
            return
        pause = min(2 * pause, LONGEST_PAUSE)


class _Times:
    """Seconds since the first frame of all, never going back; a clock that was set back is told once."""

    def __init__(self, clock: Callable[[], float], warnings: list[str]) -> None:
        self._clock = clock
        self._warnings = warnings
        self._told = False
        self._start: float | None = None
        self._offset: float | None = None
        self._last = 0.0

    def reopened(self) -> None:
        """Time stamps start anew."""
        self._offset = None

    def of(self, stamp: float | None) -> float:
        """The time of a frame that arrives now."""
        now = self._clock()
        if self._start is None:
            self._start = now
        now -= self._start
        if stamp is not None and self._offset is not None and stamp + self._offset < self._last - MOST_BACK:
            # Time would stand still until the clock is there again.
            self._offset = None
            if not self._told:
                self._warnings.append("the source's clock was set back; times go on from where they were")
            self._told = True
        if stamp is not None and self._offset is None:
            self._offset = max(now, self._last) - stamp
        time = now if stamp is None or self._offset is None else stamp + self._offset
        self._last = max(time, self._last)
        return self._last
