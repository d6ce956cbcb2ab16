"""What is known about a video file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.video.stream import VideoStream

__all__ = ["VideoInfo"]


@dataclass(frozen=True)
class VideoInfo:
    """What a video file says about itself, and after a reading what it really holds.

    Attributes:
        path: the file.
        codec: FFmpeg's name of the codec.
        width, height: pixels as stored, before any rotation.
        rate: frames a second, ``None`` when the file does not say.
        frames: frames that decode; ``None`` before the first reading.
        warnings: what is wrong with the file, in words; empty for a sound one.
    """

    path: Path
    codec: str
    width: int
    height: int
    rate: float | None
    frames: int | None = None
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path, stream: VideoStream) -> VideoInfo:
        """What the header of an open file says."""
        rate = stream.average_rate
        return cls(
            path=path,
            codec=stream.codec_context.name,
            width=stream.codec_context.width,
            height=stream.codec_context.height,
            rate=float(rate) if rate else None,
        )
