"""Reaching frames by way of the key frame before, checked against the first decoding."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["FrameRecord", "seek_frames"]


@dataclass(frozen=True)
class FrameRecord:
    """What a full decoding tells about one frame.

    Attributes:
        pts: presentation time stamp, ``None`` when the file has none.
        key: decoding can start here.
        checksum: CRC-32 of the visible pixels.
    """

    pts: int | None
    key: bool
    checksum: int

    @classmethod
    def of(cls, frame: VideoFrame) -> FrameRecord:
        """The record of a decoded frame."""
        try:
            pixels = frame.to_ndarray()
        except (AssertionError, ValueError):
            # PyAV lays no array out for odd sizes and rarer formats: what RGB shows is compared.
            pixels = frame.to_ndarray(format="rgb24")
        return cls(frame.pts, frame.key_frame, zlib.crc32(np.ascontiguousarray(pixels).data))


def seek_frames(
    container: InputContainer, stream: VideoStream, records: Sequence[FrameRecord], wanted: set[int]
) -> dict[int, VideoFrame] | None:
    """The wanted frames, or ``None`` when one of them does not come out as it first did.

    A frame is taken only if its time stamp names it alone and its pixels have the
    checksum of the first decoding.
    """
    import av

    numbers = {record.pts: index for index, record in enumerate(records)}
    if None in numbers or len(numbers) != len(records):
        return None
    stream.thread_type = "AUTO"
    found: dict[int, VideoFrame] = {}
    try:
        for start, group in _groups(records, sorted(wanted)):
            missing = set(group)
            container.seek(records[start].pts or 0, stream=stream, backward=True)
            for frame in container.decode(stream):
                index = numbers.get(frame.pts, -1)
                if index in missing:
                    if FrameRecord.of(frame).checksum != records[index].checksum:
                        return None
                    found[index] = frame
                    missing.discard(index)
                if not missing or index > group[-1]:
                    break
            if missing:
                return None
    except av.FFmpegError:
        return None
    return found


def _groups(records: Sequence[FrameRecord], wanted: Sequence[int]) -> list[tuple[int, list[int]]]:
    """Wanted frames that share the key frame before them, with that key frame's number."""
    groups: dict[int, list[int]] = {}
    start = 0
    remaining = iter(wanted)
    target = next(remaining, None)
    for index, record in enumerate(records):
        if record.key:
            start = index
        while target == index:
            groups.setdefault(start, []).append(index)
            target = next(remaining, None)
    return list(groups.items())
