"""Video files and folders of frames, every frame once and in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from edgevid.errors import VideoError
from edgevid.live.decoding import decoded
from edgevid.live.frame import Counts, Decoded, TimedFrame
from edgevid.video.container import Demuxer, open_video
from edgevid.video.deadline import Deadline
from edgevid.video.frames import FrameFolder
from edgevid.video.skipped import SkippedVideoError
from edgevid.video.threads import set_threads

__all__ = ["folder_frames", "timed", "video_frames"]

USUAL_RATE = 25.0
"""Frames a second where nothing tells."""


def video_frames(path: Path, counts: Counts) -> Iterator[TimedFrame]:
    """The frames of a video file by their own time stamps.

    Decoded in one thread: the others are the network's, and damage is then concealed the same way each time.

    Raises:
        SkippedVideoError: see `open_video`; or not one frame decodes.
    """
    deadline = Deadline(path)
    with open_video(path, deadline) as (container, stream):
        set_threads(stream, threaded=False)
        packets = Demuxer(container, stream, deadline)
        rate = float(stream.average_rate or USUAL_RATE)
        yield from timed(decoded(packets, stream), rate, counts)
        if packets.failure or packets.cut_short:
            counts.warnings.append(f"the file ends early ({packets.failure or 'its end is missing'})")
    if not counts.frames:
        raise SkippedVideoError(
            "not one frame of the video decodes", reason="damaged", where=path, fix="fetch it again"
        )


def folder_frames(folder: FrameFolder, rate: float, counts: Counts) -> Iterator[TimedFrame]:
    """The pictures of a folder, ``rate`` a second.

    Raises:
        SkippedVideoError: not one picture can be read.
    """
    yield from timed(_pictures(folder, rate), rate, counts)
    if not counts.frames:
        raise SkippedVideoError(
            "not one picture can be read",
            reason="damaged",
            where=folder.path,
            fix="extract the frames again",
        )


def timed(frames: Iterable[Decoded], rate: float, counts: Counts) -> Iterator[TimedFrame]:
    """Number and time the frames, the first at 0; damaged ones are counted and left out.

    A time stamp that is missing, or not after the one before, becomes that one plus ``1 / rate``.
    """
    start, last = None, None
    for number, (stamp, pixels) in enumerate(frames):
        if pixels is None:
            counts.skipped += 1
            continue
        if stamp is not None and start is None:
            start = stamp - (0.0 if last is None else last + 1 / rate)
        time = None if stamp is None or start is None else stamp - start
        if last is None:
            time = 0.0
        elif time is None or time <= last:
            time = last + 1 / rate
        last = time
        counts.frames += 1
        yield TimedFrame(time, number, pixels)


def _pictures(folder: FrameFolder, rate: float) -> Iterator[Decoded]:
    for index in range(folder.frames):
        try:
            pixels = folder.read(index)
        except VideoError:  # noqa: PERF203 - each picture may be broken
            yield None, None
        else:
            yield index / rate, pixels
