"""How many threads decode a video: as many as its frames leave memory for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevid.video.limits import MOST_PIXELS, MOST_PIXELS_OF_FRAME_THREADS

if TYPE_CHECKING:
    from av.video.stream import VideoStream

__all__ = ["set_threads"]


def set_threads(stream: VideoStream, *, threaded: bool) -> None:
    """Choose threads before the first packet is decoded, and the largest frame that the decoder takes.

    Each of FFmpeg's frame threads holds frames of its own, so that large frames are decoded by
    slices only. A stream whose frames outgrow what its header says fails with threads, and has to
    be decoded without.
    """
    context = stream.codec_context
    large = context.width * context.height > MOST_PIXELS_OF_FRAME_THREADS
    stream.thread_type = ("SLICE" if large else "AUTO") if threaded else "NONE"
    if not threaded:
        context.thread_count = 1
    most = MOST_PIXELS_OF_FRAME_THREADS if threaded and not large else MOST_PIXELS
    context.options = {"max_pixels": str(most)}
