"""Decoding a whole file from its beginning."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.video.container import Demuxer, open_video
from edgevid.video.deadline import Deadline
from edgevid.video.threads import set_threads

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

__all__ = ["DamageError", "SequentialDecoder"]


class DamageError(Exception):
    """Damage met while decoding in several threads, where its concealment is not repeatable."""


class SequentialDecoder:
    """Every frame that decodes, with its number from 0; broken packets are passed over.

    What a decoder puts in place of damaged pixels depends on the timing of its threads.
    With ``threaded`` the first sign of damage therefore raises `DamageError`, and the
    caller begins again without threads, where decoding is repeatable. PyAV keeps some errors
    of threads to itself: another number of frames than of packets is a sign, too. Which
    frames there are is then always the same; pixels that the decoder made up can still hold
    what lay in its memory before.

    Attributes:
        warnings: what is wrong with the file, in words; complete after the last frame.
    """

    def __init__(self, path: Path, *, threaded: bool, deadline: Deadline) -> None:
        self._path = path
        self._deadline = deadline
        self._threaded = threaded
        self.warnings: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[tuple[int, VideoFrame]]:
        import av

        count = broken = concealed = 0
        with open_video(self._path, self._deadline) as (container, stream):
            set_threads(stream, threaded=self._threaded)
            packets = Demuxer(container, stream, self._deadline)
            for packet in packets:
                frames: list[VideoFrame] = []
                try:
                    frames = stream.codec_context.decode(packet)
                except av.error.EOFError:
                    break
                except av.FFmpegError:
                    broken += 1
                corrupt = sum(frame.is_corrupt for frame in frames)
                concealed += corrupt
                if self._threaded and (broken or corrupt):
                    raise DamageError
                for frame in frames:
                    yield count, frame
                    count += 1
        if self._threaded and (packets.failure or packets.cut_short or count != packets.shown):
            raise DamageError
        self.warnings = _warnings(packets, count, broken, concealed)


def _warnings(packets: Demuxer, count: int, broken: int, concealed: int) -> tuple[str, ...]:
    found = []
    if packets.failure:
        found.append(f"reading stopped before the end ({packets.failure}); {count} frames decode")
    elif packets.total < packets.announced:
        found.append(
            f"the file is cut short: its header announces {packets.announced} frames, "
            f"{packets.total} are there and {count} decode"
        )
    elif packets.cut_short:
        found.append(f"the file is cut short: its end is missing; {count} frames decode")
    if broken:
        found.append(f"{broken} damaged packets were passed over; {count} frames decode")
    if concealed:
        found.append(f"{concealed} of {count} frames are damaged and were filled in by the decoder")
    return tuple(found)
