"""How large a frame may be: a header can announce more pixels than there is memory."""

from __future__ import annotations

from edgevid.video.skipped import SkippedVideoError

__all__ = ["MOST_PIXELS", "MOST_PIXELS_OF_FRAME_THREADS", "MOST_SIDE", "check_size"]

MOST_SIDE = 16384
MOST_PIXELS = 2**26

MOST_PIXELS_OF_FRAME_THREADS = 2**24
"""Larger frames are too many in memory at once when each thread decodes a frame."""


def check_size(width: int, height: int, where: object = None) -> None:
    """Refuse frames whose pixels would fill the memory.

    Raises:
        SkippedVideoError: a side of more than ``MOST_SIDE`` pixels, or more than ``MOST_PIXELS``.
    """
    if max(width, height) > MOST_SIDE or width * height > MOST_PIXELS:
        raise SkippedVideoError(
            f"frames of {width}x{height} pixels are larger than {MOST_SIDE} a side or {MOST_PIXELS} in all",
            reason="too large",
            where=where,
            fix="scale it down, for example with: ffmpeg -i INPUT -vf scale=1280:-2 OUTPUT",
        )
