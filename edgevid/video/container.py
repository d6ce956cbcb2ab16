"""Opening a video file, and telling in words why one cannot be opened.

Nothing but the file itself is read: a playlist that poses as a video cannot make FFmpeg fetch
anything from a network, or open other files, which may be pipes that never end.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.video.deadline import Deadline
from edgevid.video.limits import check_size
from edgevid.video.skipped import SkippedVideoError, SkipReason
from edgevid.video.truncation import is_cut_off

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

__all__ = ["Demuxer", "open_video"]

_REFUSED = frozenset(
    {
        # Playlists and scripts: reading them means opening what they name.
        *("applehttp", "avisynth", "concat", "dash", "dvdvideo", "hls", "imf", "rtp", "rtsp", "sap", "sdp"),
        *("lavfi", "mlv", "vapoursynth", "vobsub", "webm_dash_manifest"),
        # Pictures, whose names may be patterns, and texts, which are drawn as ANSI art.
        *("image2", "image2pipe", "tty"),
    }
)
"""FFmpeg's names of formats that are no single video file; those of pictures end in ``_pipe``."""

_VIDEOS = (b"RIFF", b"\x1aE\xdf\xa3", b"OggS", b"FLV", b"\0\0\1\xba", b"GIF8")
"""How files of the common containers begin, besides MP4's."""

_PICTURES = (b"\xff\xd8\xff", b"\x89PNG", b"BM", b"II*\0", b"MM\0*")
_PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"v=0")
_SPACE = b"\xef\xbb\xbf \t\r\n"


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
            container_options={"protocol_whitelist": "file", "format_whitelist": _formats()},
            metadata_errors="replace",
            timeout=deadline.remaining,
        )
    except av.error.ExitError as error:
        raise deadline.error() from error
    except (av.FFmpegError, OSError, ValueError) as error:
        raise _not_opened(path, _words(error)) from error
    with container:
        stream = _main_stream(container, path)
        check_size(stream.codec_context.width, stream.codec_context.height, path)
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
        """After the last packet: fewer were there than announced, or the end of the file is missing."""
        # MP4's index announces every frame; behind its last box there may be anything.
        by_structure = "mp4" not in self._container.format.name and is_cut_off(Path(self._container.name))
        return self.total < self.announced or by_structure

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
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise SkippedVideoError(
                "this is a folder, not a video file",
                reason="folder",
                where=path,
                fix="for a folder of frames give --frame-template, such as img_{:05d}.jpg",
            )
        if not stat.S_ISREG(found.st_mode):
            raise SkippedVideoError(
                "this is not a regular file",
                reason="no regular file",
                where=path,
                fix="frames are read more than once, so save the stream to a file first",
            )
        if found.st_size == 0:
            raise SkippedVideoError(
                "the video file is empty (0 bytes)", reason="empty", where=path, fix="fetch it again"
            )
        with path.open("rb"):
            return
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SkippedVideoError(
            "there is no such video", reason="missing", where=path, fix="check the path"
        ) from error
    except (OSError, ValueError) as error:
        raise SkippedVideoError(
            f"the video file cannot be read ({error})",
            reason="no permission" if isinstance(error, PermissionError) else "other",
            where=path,
            fix="check its path and permissions",
        ) from error


def _not_opened(path: Path, why: str) -> SkippedVideoError:
    head = _head(path)
    what, fix = "this is not a video", "name a video file, or try another player"
    reason: SkipReason = "not a video"
    if head.startswith(_PICTURES):
        what = "this is a picture, not a video"
        fix = "for a folder of frames name the folder and give --frame-template, such as img_{:05d}.jpg"
    elif head.lstrip(_SPACE).startswith(_PLAYLISTS) or b"<MPD" in head:
        what = "this is a playlist, not a video"
        fix = "name the videos themselves, or a list with one of them a line that ends in .txt"
    elif is_cut_off(path):
        what, reason, fix = "the video file is cut off, and its index is lost", "cut off", "fetch it again"
    elif head[4:8] == b"ftyp" or head.startswith(_VIDEOS):
        what, reason, fix = "the video file is damaged", "damaged", "fetch it again"
    return SkippedVideoError(f"{what}: FFmpeg cannot open it ({why})", reason=reason, where=path, fix=fix)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(1024)
    except OSError:
        return b""


@cache
def _formats() -> str:
    """What FFmpeg may take a file for: a whitelist, since it has no option for the contrary."""
    import av

    names = {name for names in av.formats_available for name in names.split(",")}
    return ",".join(sorted(name for name in names - _REFUSED if not name.endswith("_pipe")))


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
