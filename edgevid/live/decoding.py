"""Packets to frames, one by one; damage costs the frames that it meets and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from edgevid.live.frame import Decoded
from edgevid.live.vpx import damage_check
from edgevid.video.color import RgbConverter

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

__all__ = ["decoded"]

_MOST_HELD = 32
"""Packets that a decoder takes before it gives the frame of the first."""


def decoded(packets: Iterable[Packet[VideoStream] | None], stream: VideoStream) -> Iterator[Decoded]:
    """Decode as packets come; pixels of None stand for a frame that is damaged or lost, in its place.

    Decoders that would conceal damage are told not to, and of VP8 and VP9 another one is asked. Frames that
    are made from a lost one, up to the next key frame, may look wrong; those of VP8 and VP9 are None.

    Raises:
        SkippedVideoError: the pixel format cannot be converted, or the frames are too large.
    """
    import av

    convert, unit, owed = RgbConverter(), stream.time_base, _Owed()
    stream.codec_context.options = {**stream.codec_context.options, "err_detect": "explode"}
    with damage_check(stream) as is_damaged:
        for packet in packets:
            stamp = packet.pts if packet is not None and packet.size and not packet.is_discard else None
            lost = owed.add(stamp)
            if packet is not None and packet.size and is_damaged(bytes(packet)):
                owed.damaged(stamp)
            try:
                frames = stream.codec_context.decode(packet)
            except av.error.EOFError:
                break
            except av.FFmpegError:
                frames = []
                lost += owed.failed(stamp)
            yield from [(None, None)] * lost
            for frame in frames:
                lost, whole = owed.given(frame.pts)
                yield from [(None, None)] * lost
                # Not frame.time: PyAV forgets the unit of frames that come after the last packet.
                time = None if frame.pts is None or unit is None else float(frame.pts * unit)
                yield time, convert(frame) if whole and not frame.is_corrupt else None
    yield from [(None, None)] * owed.end()


class _Owed:
    """Packets whose frames are still to come, by time stamp, and how many of them never will.

    Frames are counted as lost only after a decoder complained: not every packet holds a frame of its own.
    """

    def __init__(self) -> None:
        self._stamps: dict[int, bool] = {}
        self._watched = 0

    def add(self, stamp: int | None) -> int:
        """A packet without complaint so far; returns how many frames were waited for too long."""
        if stamp is not None:
            self._stamps[stamp] = True
        if len(self._stamps) <= _MOST_HELD:
            return 0
        del self._stamps[min(self._stamps)]
        return int(self._watched > 0)

    def failed(self, stamp: int | None) -> int:
        """A decoder complains of the packet; returns how many frames can be told to be lost at once."""
        self._watched = _MOST_HELD
        if stamp is None:
            return 1
        self._stamps[stamp] = False
        return 0

    def damaged(self, stamp: int | None) -> None:
        """The frame of a packet is not whole, whatever its decoder makes of it."""
        if stamp in self._stamps:
            self._stamps[stamp] = False

    def given(self, stamp: int | None) -> tuple[int, bool]:
        """A frame came: how many before it never will, and whether nobody complained of its packet."""
        if stamp is None:
            return 0, True
        lost = [one for one in self._stamps if one < stamp]
        for one in lost:
            del self._stamps[one]
        count = len(lost) if self._watched else 0
        self._watched = max(self._watched - 1, 0)
        return count, self._stamps.pop(stamp, True)

    def end(self) -> int:
        """No frame comes any more; returns how many are lost."""
        return len(self._stamps) if self._watched else 0
