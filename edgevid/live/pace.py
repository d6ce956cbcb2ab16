"""A file at its own speed, as if it came from a camera."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Event
from time import monotonic

from edgevid.live.frame import TimedFrame

__all__ = ["paced"]


def paced(
    frames: Iterable[TimedFrame],
    stopped: Event,
    *,
    clock: Callable[[], float] = monotonic,
    wait: Callable[[float], bool] | None = None,
) -> Iterator[TimedFrame]:
    """Each frame at its time, counted from the first, until ``stopped`` is set.

    Args:
        frames: of a file.
        stopped: ends it, while it waits too.
        clock: seconds.
        wait: waits for so many seconds, and tells whether to stop; ``stopped.wait`` if not given.
    """
    wait = wait or stopped.wait
    start: float | None = None
    for frame in frames:
        if start is None:
            start = clock() - frame.time
        early = start + frame.time - clock()
        if early > 0 and wait(early):
            return
        yield frame
