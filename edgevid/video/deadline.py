"""The end of patience with one video."""

from __future__ import annotations

import math
from threading import Event
from time import monotonic

from edgevid.video.skipped import SkippedVideoError

__all__ = ["Deadline"]


class Deadline:
    """Ends a reading that takes too long, or that nobody waits for any more.

    A thread cannot be stopped from outside, so whoever reads asks `check` between packets.

    Args:
        where: the video, for the message.
        seconds: from now on; no limit if not given.
        cancelled: set when nobody waits any more.
    """

    def __init__(
        self, where: object = None, seconds: float = math.inf, cancelled: Event | None = None
    ) -> None:
        self._where = where
        self._seconds = seconds
        self._end = monotonic() + seconds
        self._cancelled = cancelled or Event()

    @property
    def remaining(self) -> float | None:
        """Seconds left, never quite 0; ``None`` without a limit."""
        return None if math.isinf(self._end) else max(self._end - monotonic(), 0.001)

    def check(self) -> None:
        """Go on, or not.

        Raises:
            SkippedVideoError: the time is up, or reading was cancelled.
        """
        if self._cancelled.is_set() or monotonic() > self._end:
            raise self.error()

    def error(self) -> SkippedVideoError:
        """What `check` raises."""
        if self._cancelled.is_set():
            return SkippedVideoError("reading was cancelled", reason="other", where=self._where)
        return SkippedVideoError(
            f"reading the video takes longer than {self._seconds:g} seconds",
            reason="too slow",
            where=self._where,
            fix="allow more with --timeout, or re-encode the video with key frames more often",
        )
