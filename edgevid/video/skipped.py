"""Why one video of many is skipped, in the few kinds that a summary counts."""

from __future__ import annotations

from typing import Literal

from edgevid.errors import VideoError

__all__ = ["SkipReason", "SkippedVideoError", "reason_of"]

SkipReason = Literal[
    "missing",
    "folder",
    "no regular file",
    "no permission",
    "empty",
    "not a video",
    "audio only",
    "no video stream",
    "no decoder",
    "cut off",
    "damaged",
    "too large",
    "too slow",
    "list line",
    "list",
    "other",
]


class SkippedVideoError(VideoError):
    """A video that cannot be used, with the kind of reason.

    Args:
        what, where, fix: as for every `EdgevidError`.
        reason: what a summary counts it as.
    """

    def __init__(
        self, what: str, *, reason: SkipReason, where: object = None, fix: str | None = None
    ) -> None:
        super().__init__(what, where=where, fix=fix)
        self.reason: SkipReason = reason


def reason_of(error: VideoError) -> SkipReason:
    """The kind of reason that an error carries, ``other`` if none."""
    return error.reason if isinstance(error, SkippedVideoError) else "other"
