"""What streaming took, up to now: times, rates and counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from edgevid.live.frame import Counts, TimedFrame

__all__ = ["Tally"]

_RECENT = 50


@dataclass
class Tally:
    """Sums, so that a stream of weeks holds no more memory than one of minutes.

    Attributes:
        counts: of the source.
        clock: seconds.
        taken: frames that the network was given.
        answers: that it gave.
        video_seconds: from each frame taken to the next of its sequence, dropped ones included.
        resizing, network: seconds of computing.
        interrupted: there would have been more.
    """

    counts: Counts
    clock: Callable[[], float] = perf_counter
    taken: int = 0
    answers: int = 0
    video_seconds: float = 0.0
    resizing: float = 0.0
    network: float = 0.0
    interrupted: bool = False
    _began: float = field(init=False)
    _before: float | None = None
    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT))

    def __post_init__(self) -> None:
        self._began = self.clock()

    def took(self, frame: TimedFrame, resizing: float, network: float) -> None:
        """Count a frame that the network was given."""
        if self._before is not None and not frame.resumed:
            self.video_seconds += frame.time - self._before
        self._before = frame.time
        self.taken += 1
        self.resizing += resizing
        self.network += network
        self._recent.append(self.clock())

    @property
    def seconds(self) -> float:
        """Wall time."""
        return self.clock() - self._began

    @property
    def recent_rate(self) -> float:
        """Frames a second over the last ones."""
        span = self._recent[-1] - self._recent[0] if self._recent else 0.0
        return (len(self._recent) - 1) / span if span else 0.0

    @property
    def milliseconds(self) -> tuple[float, float]:
        """Resizing and network, a frame taken."""
        frames = max(self.taken, 1)
        return self.resizing / frames * 1e3, self.network / frames * 1e3

    @property
    def cost(self) -> float | None:
        """Seconds of resizing and network a second of video; None before the second frame."""
        if not self.video_seconds:
            return None
        # As many intervals as frames, not one fewer.
        video = self.video_seconds * self.taken / (self.taken - 1)
        return (self.resizing + self.network) / video

    def record(self) -> dict[str, Any]:
        """All of it as plain data."""
        resizing, network = self.milliseconds
        return {
            "interrupted": self.interrupted,
            "frames": self.counts.frames,
            "skipped": self.counts.skipped,
            "dropped": self.counts.dropped,
            "reopened": self.counts.reopened,
            "taken": self.taken,
            "answers": self.answers,
            "seconds": self.seconds,
            "video_seconds": self.video_seconds,
            "frames_per_second": self.taken / self.seconds if self.seconds else 0.0,
            "ms_a_frame": {"resize": resizing, "network": network},
            "ms_a_second_of_video": None if self.cost is None else self.cost * 1e3,
            "share_of_real_time": self.cost,
            "warnings": list(self.counts.warnings),
        }
