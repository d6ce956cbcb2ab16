"""Packets to frames, one by one; damage costs the frames that it meets and no more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from edgevid.live.frame import Decoded
from edgevid.video.color import RgbConverter

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.stream import VideoStream

__all__ = ["decoded"]


def decoded(packets: Iterable[Packet[VideoStream] | None], stream: VideoStream) -> Iterator[Decoded]:
    """Decode as packets come; ``(None, None)`` stands for a packet that does not decode.

    Raises:
        SkippedVideoError: the pixel format cannot be converted, or the frames are too large.
    """
    import av

    convert, unit = RgbConverter(), stream.time_base
    for packet in packets:
        try:
            frames = stream.codec_context.decode(packet)
        except av.error.EOFError:
            return
        except av.FFmpegError:
            yield None, None
            continue
        for frame in frames:
            # Not frame.time: PyAV forgets the unit of frames that come after the last packet.
            time = None if frame.pts is None or unit is None else float(frame.pts * unit)
            yield time, None if frame.is_corrupt else convert(frame)
