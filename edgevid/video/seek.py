"""Reaching frames by way of the key frame before."""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from edgevid.video.deadline import Deadline
from edgevid.video.threads import set_threads

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

__all__ = ["FrameRecord", "PacketTimes", "SeekError", "Target", "recorded_targets", "seek_frames"]

# One packet is one frame here, and time stamps and key frames are told by the container.
_TIMED_CONTAINERS = ("mp4", "matroska")
_TIMED_CODECS = frozenset({"h264", "hevc", "vp9", "av1"})


class SeekError(Exception):
    """A frame did not come out as it was announced: frames must be counted from the beginning."""


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


@dataclass(frozen=True)
class Target:
    """A frame to reach.

    Attributes:
        index: its number.
        pts: its time stamp.
        start: time stamp of the key frame to start from.
        checksum: of its pixels, ``None`` where nothing has decoded it yet.
    """

    index: int
    pts: int
    start: int
    checksum: int | None = None


class PacketTimes:
    """The order of the frames of a file as its packets announce it, eight bytes a frame.

    Args:
        container: its format says whether packets can be trusted to be frames.
        stream: of the container.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        names = container.format.name
        self._usable = stream.codec_context.name in _TIMED_CODECS and any(
            name in names for name in _TIMED_CONTAINERS
        )
        self._shown = array("q")
        self._keys = array("q")

    def add(self, packet: Packet[VideoStream]) -> None:
        """Take note of one packet, in any order."""
        if not self._usable:
            return
        if packet.pts is None or packet.is_corrupt:
            self._usable = False
            return
        if not packet.is_discard:
            self._shown.append(packet.pts)
        if packet.is_keyframe:
            self._keys.append(packet.pts)

    def targets(self, wanted: Collection[int]) -> list[Target]:
        """Where the wanted frames are.

        Raises:
            SeekError: the packets do not tell.
        """
        shown = np.sort(np.frombuffer(self._shown, np.int64)) if self._shown else np.empty(0, np.int64)
        keys = np.sort(np.frombuffer(self._keys, np.int64)) if self._keys else np.empty(0, np.int64)
        if not self._usable or (np.diff(shown) == 0).any():
            raise SeekError
        found = []
        for index in wanted:
            before = int(np.searchsorted(keys, shown[index], side="right")) - 1
            if before < 0:
                raise SeekError
            found.append(Target(index, int(shown[index]), int(keys[before])))
        return found


def recorded_targets(records: Sequence[FrameRecord], wanted: Collection[int]) -> list[Target]:
    """Where the wanted frames are, by what a full decoding told.

    Raises:
        SeekError: a time stamp is missing, or names two frames.
    """
    if len({record.pts for record in records} - {None}) != len(records):
        raise SeekError
    found, start = [], 0
    for index, record in enumerate(records):
        pts = record.pts or 0
        start = pts if record.key or index == 0 else start
        if index in wanted:
            found.append(Target(index, pts, start, record.checksum))
    return found


def seek_frames(
    container: InputContainer, stream: VideoStream, targets: Collection[Target], deadline: Deadline
) -> Iterator[tuple[int, VideoFrame]]:
    """Number and frame of every target, as they are reached.

    A frame is taken only if its time stamp names it and its pixels have the checksum of the first
    decoding; without a checksum decoding must start at the very key frame and meet no damage.

    Raises:
        SeekError: a target does not come out so.
        SkippedVideoError: the deadline has passed.
    """
    import av

    set_threads(stream, threaded=True)
    ordered = sorted(targets, key=lambda target: (target.start, target.pts))
    try:
        for start, group in groupby(ordered, key=lambda target: target.start):
            missing: dict[int | None, Target] = {target.pts: target for target in group}
            last = max(target.pts for target in missing.values())
            container.seek(start, stream=stream, backward=True)
            for number, frame in enumerate(container.decode(stream)):
                deadline.check()
                if number == 0 and frame.pts != start and missing[last].checksum is None:
                    raise SeekError
                target = missing.pop(frame.pts, None)
                if target is not None:
                    _compare(frame, target)
                    yield target.index, frame
                if not missing or (frame.pts is not None and frame.pts > last):
                    break
            if missing:
                raise SeekError
    except av.error.ExitError as error:
        raise deadline.error() from error
    except av.FFmpegError as error:
        raise SeekError from error


def _compare(frame: VideoFrame, target: Target) -> None:
    if target.checksum is None:
        if frame.is_corrupt:
            raise SeekError
    elif FrameRecord.of(frame).checksum != target.checksum:
        raise SeekError
