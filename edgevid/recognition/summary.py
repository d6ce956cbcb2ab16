"""What became of a whole list of videos."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from edgevid.recognition.outcomes import Failure, Recognition
from edgevid.video.skipped import SkipReason, reason_of

__all__ = ["ALL_RECOGNIZED", "INTERRUPTED", "NONE_RECOGNIZED", "SOME_SKIPPED", "Summary"]

ALL_RECOGNIZED = 0
NONE_RECOGNIZED = 1
SOME_SKIPPED = 3  # 2 is wrong usage, as everywhere
INTERRUPTED = 130  # as shells say it of SIGINT


@dataclass
class Summary:
    """Counts and times of the outcomes so far.

    Attributes:
        recognized: videos with answers.
        with_warnings: those of them that were read with a warning.
        skipped: how many were skipped, by kind of reason.
        labelled: recognized videos whose class is known.
        top1, top5: those of them whose class is the most probable, among the five most probable.
        seconds: wall time; set by whoever waits.
        reading_seconds: decoding and resizing, summed over the threads that do it.
        network_seconds: the network.
        interrupted: there would have been more.
    """

    recognized: int = 0
    with_warnings: int = 0
    skipped: Counter[SkipReason] = field(default_factory=Counter)
    labelled: int = 0
    top1: int = 0
    top5: int = 0
    seconds: float = 0.0
    reading_seconds: float = 0.0
    network_seconds: float = 0.0
    interrupted: bool = False

    def add(self, outcome: Recognition | Failure) -> None:
        """Count one video."""
        if isinstance(outcome, Failure):
            self.skipped[reason_of(outcome.error)] += 1
            self.reading_seconds += outcome.seconds
            return
        self.recognized += 1
        self.with_warnings += bool(outcome.warnings)
        self.reading_seconds += outcome.seconds[0]
        self.network_seconds += outcome.seconds[1]
        if outcome.rank is not None:
            self.labelled += 1
            self.top1 += outcome.rank == 1
            self.top5 += outcome.rank <= 5

    @property
    def videos(self) -> int:
        """All of them, skipped ones and lines of lists included."""
        return self.recognized + self.skipped.total()

    @property
    def status(self) -> int:
        """Exit status: ``ALL_RECOGNIZED``, ``SOME_SKIPPED``, ``NONE_RECOGNIZED`` or ``INTERRUPTED``."""
        if self.interrupted:
            return INTERRUPTED
        if not self.recognized:
            return NONE_RECOGNIZED
        return SOME_SKIPPED if self.skipped else ALL_RECOGNIZED

    @property
    def videos_per_second(self) -> float:
        """Recognized videos a second of wall time."""
        return self.recognized / self.seconds if self.seconds else 0.0

    @property
    def shares(self) -> tuple[float, float]:
        """Reading and network as shares of the work of both; they run side by side."""
        work = self.reading_seconds + self.network_seconds
        return (self.reading_seconds / work, self.network_seconds / work) if work else (0.0, 0.0)

    def record(self) -> dict[str, Any]:
        """All of it as plain data; shares and accuracies from 0 to 1, ``None`` without labels."""
        return {
            "interrupted": self.interrupted,
            "videos": self.videos,
            "recognized": self.recognized,
            "with_warnings": self.with_warnings,
            "skipped": dict(self.skipped.most_common()),
            "labelled": self.labelled,
            "top1": self.top1 / self.labelled if self.labelled else None,
            "top5": self.top5 / self.labelled if self.labelled else None,
            "seconds": {
                "wall": self.seconds,
                "read": self.reading_seconds,
                "network": self.network_seconds,
            },
            "videos_per_second": self.videos_per_second,
            "share": dict(zip(("read", "network"), self.shares, strict=True)),
        }
