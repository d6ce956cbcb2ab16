"""Opening cameras of this machine and RTSP streams by FFmpeg."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from edgevid.errors import VideoError
from edgevid.live.decoding import decoded
from edgevid.live.frame import Decoded
from edgevid.video.limits import check_size
from edgevid.video.threads import set_threads

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

__all__ = ["open_camera", "open_rtsp", "without_password"]

PATIENCE_SECONDS = 5.0
"""For opening, and for each packet."""


@contextmanager
def open_camera(device: str) -> Iterator[Iterator[Decoded]]:
    """A camera by Video4Linux, such as ``/dev/video0``, at its own size and rate.

    Raises:
        VideoError: there is none, or it goes away.
    """
    with _opened(device, "v4l2", {}, device, "list cameras with: v4l2-ctl --list-devices") as frames:
        yield frames


@contextmanager
def open_rtsp(address: str) -> Iterator[Iterator[Decoded]]:
    """The video of an RTSP stream, over TCP: what UDP loses damages all frames up to the next key frame.

    Raises:
        VideoError: nobody answers, or the stream goes away.
    """
    options = {
        "rtsp_transport": "tcp",
        "allowed_media_types": "video",
        # An answer may name no file and no other address.
        "protocol_whitelist": "rtsp,rtsps,rtp,tcp,tls",
    }
    fix = "check the address, the password and that the camera is on"
    with _opened(address, "rtsp", options, without_password(address), fix) as frames:
        yield frames


def without_password(address: str) -> str:
    """The address as it may be shown."""
    parts = urlsplit(address)
    name, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{name.partition(':')[0]}{at}{host}"))


@contextmanager
def _opened(
    address: str, kind: str, options: dict[str, str], shown: str, fix: str
) -> Iterator[Iterator[Decoded]]:
    import av

    try:
        container = av.open(
            address, mode="r", format=kind, container_options=options, timeout=PATIENCE_SECONDS
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"the source cannot be opened ({_words(error)})", where=shown, fix=fix) from error
    with container:
        stream = next(iter(container.streams.video), None)
        if stream is None or getattr(stream, "codec_context", None) is None:
            raise VideoError("the source has no video that FFmpeg decodes", where=shown, fix=fix)
        check_size(stream.codec_context.width, stream.codec_context.height, shown)
        set_threads(stream, threaded=False)
        yield decoded(_packets(container, stream, shown), stream)


def _packets(container: InputContainer, stream: VideoStream, shown: str) -> Iterator[Packet[VideoStream]]:
    import av

    try:
        yield from container.demux(stream)
    except (av.FFmpegError, OSError) as error:
        raise VideoError(f"the source went away ({_words(error)})", where=shown) from error


def _words(error: BaseException) -> str:
    import av

    if isinstance(error, av.error.ExitError):
        return f"no answer for {PATIENCE_SECONDS:g} seconds"
    # Not the whole message: it repeats the address with its password.
    return getattr(error, "strerror", None) or type(error).__name__
