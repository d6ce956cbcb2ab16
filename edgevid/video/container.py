"""Opening a video file, and telling in words why one cannot be opened.

Only local files are read: a playlist that poses as a video cannot make FFmpeg fetch
anything from a network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.errors import VideoError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

__all__ = ["Demuxer", "open_video"]

# FFmpeg draws text files as ANSI art; nobody means that by a video.
_NOT_VIDEO = frozenset({"tty"})


@contextmanager
def open_video(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and choose its main video stream; cover pictures do not count as one.

    Raises:
        VideoError: the file is missing, unreadable, not a video, or holds no video stream.
    """
    import av

    _refuse_what_is_no_file(path)
    try:
        container = av.open(
            str(path.absolute()),
            mode="r",
            # Not `options`: PyAV up to 17 then crashes on formats that find their streams late (MPEG).
            container_options={"protocol_whitelist": "file"},
            metadata_errors="replace",
        )
    except (av.FFmpegError, OSError, ValueError) as error:
        raise VideoError(
            f"this is not a video, or one whose index is cut off: FFmpeg cannot open it ({_reason(error)})",
            where=path,
            fix="try another player; if the file was cut short while copying or downloading, fetch it again",
        ) from error
    with container:
        if container.format.name in _NOT_VIDEO:
            raise VideoError("this is a text file, not a video", where=path, fix="name a video file")
        yield container, _main_stream(container, path)


class Demuxer:
    """The packets of one stream, up to the end or to where the file breaks off.

    Attributes:
        announced: packets that the file's header or index promises; 0 when it does not say.
        total: packets with data, so far.
        shown: those of them that an edit list does not hide.
        failure: why reading stopped early, in words; empty when it reached the end.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._container = container
        self._stream = stream
        self.announced = _announced(container, stream)
        self.total = 0
        self.shown = 0
        self.failure = ""

    @property
    def cut_short(self) -> bool:
        """After the last packet: fewer were there than announced."""
        return self.total < self.announced

    def __iter__(self) -> Iterator[Packet[VideoStream] | None]:
        """The packets, and ``None`` at the end, which asks the decoder for what it still holds."""
        import av

        try:
            for packet in self._container.demux(self._stream):
                if not packet.size:
                    break
                self.total += 1
                self.shown += not packet.is_discard
                yield packet
        except av.FFmpegError as error:
            self.failure = _reason(error)
        yield None


def _refuse_what_is_no_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise VideoError(
                "this is a folder, not a video file",
                where=path,
                fix="for a folder of frames give --frame-template, such as img_{:05d}.jpg",
            )
        if not path.exists():
            raise VideoError("there is no such video", where=path, fix="check the path")
        if not path.is_file():
            raise VideoError(
                "this is not a regular file",
                where=path,
                fix="frames are read more than once, so save the stream to a file first",
            )
        if path.stat().st_size == 0:
            raise VideoError("the video file is empty (0 bytes)", where=path, fix="fetch it again")
        with path.open("rb"):
            return
    except (OSError, ValueError) as error:
        raise VideoError(
            f"the video file cannot be read ({error})", where=path, fix="check its path and permissions"
        ) from error


def _announced(container: InputContainer, stream: VideoStream) -> int:
    # In the MP4 family the index knows of edit lists and the header does not; elsewhere the
    # index may hold key frames only.
    if "mp4" in container.format.name and hasattr(stream, "index_entries"):
        return len(stream.index_entries)
    return stream.frames


def _main_stream(container: InputContainer, path: Path) -> VideoStream:
    from av.stream import Disposition

    streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
    if not streams:
        held = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        if container.streams.video:
            held = "audio with a cover picture"
        raise VideoError(
            f"the file has no video stream; it holds {held}",
            where=path,
            fix="name a file that holds moving pictures",
        )
    best = container.streams.best("video")
    stream = next((s for s in streams if best is not None and s.index == best.index), streams[0])
    if getattr(stream, "codec_context", None) is None:
        raise VideoError(
            "the installed FFmpeg has no decoder for the video stream",
            where=path,
            fix="convert it, for example with: ffmpeg -i INPUT -c:v libx264 -pix_fmt yuv420p OUTPUT.mp4",
        )
    return stream


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
