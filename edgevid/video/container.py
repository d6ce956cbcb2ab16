"""Opening a video file, and telling in words why one cannot be opened.

Only local files are read: a playlist that poses as a video cannot make FFmpeg fetch
anything from a network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from edgevid.video.deadline import Deadline
from edgevid.video.limits import MOST_PIXELS, check_size
from edgevid.video.skipped import SkippedVideoError, SkipReason

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

__all__ = ["Demuxer", "open_video"]

_SIGNATURES = (b"RIFF", b"\x1aE\xdf\xa3", b"OggS", b"FLV", b"\0\0\1\xba", b"GIF8")
"""How files of the common containers begin, besides MP4's."""

_MOST_BOXES = 1000


@contextmanager
def open_video(path: Path, deadline: Deadline | None = None) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and choose its main video stream; cover pictures do not count as one.

    Raises:
        SkippedVideoError: the file is missing, unreadable, not a video, holds no video stream or
            too large frames, or ``deadline`` has passed.
    """
    import av

    deadline = deadline or Deadline(path)
    deadline.check()
    _refuse_what_is_no_file(path)
    try:
        container = av.open(
            str(path.absolute()),
            mode="r",
            # Not `options`: PyAV up to 17 then crashes on formats that find their streams late (MPEG).
            container_options={"protocol_whitelist": "file"},
            metadata_errors="replace",
            timeout=deadline.remaining,
        )
    except av.error.ExitError as error:
        raise deadline.error() from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _not_opened(path, _words(error)) from error
    with container:
        _refuse_texts_and_pictures(container.format.name, path)
        stream = _main_stream(container, path)
        check_size(stream.codec_context.width, stream.codec_context.height, path)
        # The header may say less than the stream: the decoder is told as well.
        stream.codec_context.options = {"max_pixels": str(MOST_PIXELS)}
        yield container, stream


class Demuxer:
    """The packets of one stream, up to the end or to where the file breaks off.

    Attributes:
        announced: packets that the file's header or index promises; 0 when it does not say.
        total: packets with data, so far.
        shown: those of them that an edit list does not hide.
        failure: why reading stopped early, in words; empty when it reached the end.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, deadline: Deadline) -> None:
        self._container = container
        self._stream = stream
        self._deadline = deadline
        self.announced = _announced(container, stream)
        self.total = 0
        self.shown = 0
        self.failure = ""

    @property
    def cut_short(self) -> bool:
        """After the last packet: fewer were there than announced."""
        return self.total < self.announced

    def __iter__(self) -> Iterator[Packet[VideoStream] | None]:
        """The packets, and ``None`` at the end, which asks the decoder for what it still holds.

        Raises:
            SkippedVideoError: the deadline has passed.
        """
        import av

        try:
            for packet in self._container.demux(self._stream):
                self._deadline.check()
                if not packet.size:
                    break
                self.total += 1
                self.shown += not packet.is_discard
                yield packet
        except av.error.ExitError as error:
            raise self._deadline.error() from error
        except av.FFmpegError as error:
            self.failure = _words(error)
        yield None


def _refuse_what_is_no_file(path: Path) -> None:
    try:
        if path.is_dir():
            raise SkippedVideoError(
                "this is a folder, not a video file",
                reason="folder",
                where=path,
                fix="for a folder of frames give --frame-template, such as img_{:05d}.jpg",
            )
        if not path.exists():
            raise SkippedVideoError(
                "there is no such video", reason="missing", where=path, fix="check the path"
            )
        if not path.is_file():
            raise SkippedVideoError(
                "this is not a regular file",
                reason="no regular file",
                where=path,
                fix="frames are read more than once, so save the stream to a file first",
            )
        if path.stat().st_size == 0:
            raise SkippedVideoError(
                "the video file is empty (0 bytes)", reason="empty", where=path, fix="fetch it again"
            )
        with path.open("rb"):
            return
    except (OSError, ValueError) as error:
        raise SkippedVideoError(
            f"the video file cannot be read ({error})",
            reason="no permission" if isinstance(error, PermissionError) else "other",
            where=path,
            fix="check its path and permissions",
        ) from error


def _not_opened(path: Path, why: str) -> SkippedVideoError:
    begins_as_video, cut_off = _look_at(path)
    what, fix = "this is not a video", "name a video file, or try another player"
    reason: SkipReason = "not a video"
    if begins_as_video:
        what, reason, fix = "the video file is damaged", "damaged", "fetch it again"
    if cut_off:
        what, reason = "the video file is cut off, and its index is lost", "cut off"
    return SkippedVideoError(f"{what}: FFmpeg cannot open it ({why})", reason=reason, where=path, fix=fix)


def _look_at(path: Path) -> tuple[bool, bool]:
    """Whether a file begins as a video does, and whether it is an MP4 whose boxes end too early."""
    try:
        with path.open("rb") as file:
            head = file.read(12)
            if head[4:8] == b"ftyp":
                return True, _boxes_are_cut_off(file)
    except OSError:
        return False, False
    return head.startswith(_SIGNATURES), False


def _boxes_are_cut_off(file: BinaryIO) -> bool:
    """Whether the last box of an MP4 file is longer than the file, or its index is not there."""
    size, at, indexed = file.seek(0, 2), 0, False
    for _ in range(_MOST_BOXES):
        if at + 8 > size:
            break
        file.seek(at)
        box = file.read(16)
        indexed |= box[4:8] == b"moov"
        length = int.from_bytes(box[:4], "big")
        if length == 1:
            length = int.from_bytes(box[8:16], "big")
        at = size if length == 0 else at + max(length, 8)
    return at > size or not indexed


def _refuse_texts_and_pictures(format_name: str, path: Path) -> None:
    if format_name == "tty":  # FFmpeg draws text files as ANSI art; nobody means that by a video.
        raise SkippedVideoError(
            "this is a text file, not a video", reason="not a video", where=path, fix="name a video file"
        )
    if format_name == "image2" or format_name.endswith("_pipe"):
        raise SkippedVideoError(
            "this is a picture, not a video",
            reason="not a video",
            where=path,
            fix="for a folder of frames name the folder and give --frame-template, such as img_{:05d}.jpg",
        )


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
        kinds = {stream.type for stream in container.streams}
        held = (
            "audio with a cover picture" if container.streams.video else ", ".join(sorted(kinds)) or "nothing"
        )
        raise SkippedVideoError(
            f"the file has no video stream; it holds {held}",
            reason="audio only" if "audio" in kinds else "no video stream",
            where=path,
            fix="name a file that holds moving pictures",
        )
    best = container.streams.best("video")
    stream = next((s for s in streams if best is not None and s.index == best.index), streams[0])
    if getattr(stream, "codec_context", None) is None:
        raise SkippedVideoError(
            "the installed FFmpeg has no decoder for the video stream",
            reason="no decoder",
            where=path,
            fix="convert it, for example with: ffmpeg -i INPUT -c:v libx264 -pix_fmt yuv420p OUTPUT.mp4",
        )
    return stream


def _words(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
