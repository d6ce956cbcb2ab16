"""What a word on the command line names: a file, a folder of frames, a camera, a stream."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from math import inf
from pathlib import Path
from threading import Event

from edgevid.errors import ConfigError
from edgevid.live.files import USUAL_RATE, folder_frames, video_frames
from edgevid.live.frame import Counts, TimedFrame
from edgevid.live.live_source import Opener, live_frames
from edgevid.live.newest import PATIENCE, newest
from edgevid.live.openers import open_camera, open_rtsp, without_password
from edgevid.live.pace import paced
from edgevid.live.resample import LONGEST_GAP, resampled
from edgevid.video.entries import is_folder
from edgevid.video.frames import FrameFolder

__all__ = ["Source", "find_source"]

_CAMERA = re.compile(r"camera(?::(.*))?|(/dev/video\d+)")
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


@dataclass(frozen=True)
class Source:
    """Where frames come from.

    Attributes:
        name: as it may be shown.
        live: they come whether or not they are wanted.
        read: begins to read them.
        counts: what became of them.
        stopped: ends reading when it is set.
        longest_gap: seconds from frame to frame of one sequence.
    """

    name: str
    live: bool
    read: Callable[[], Iterator[TimedFrame]]
    counts: Counts
    stopped: Event
    longest_gap: float = LONGEST_GAP

    def frames(
        self,
        interval: float | None = None,
        *,
        realtime: bool = False,
        waiting: Callable[[], None] | None = None,
    ) -> Iterator[TimedFrame]:
        """The frames that a network is to see.

        Args:
            interval: seconds between them; every frame of the source if None.
            realtime: a file too goes on whether or not the network keeps up.
            waiting: is called now and then while a source that does not wait itself gives no frame.

        Raises:
            VideoError: the source cannot be read.
        """
        frames = self.read()
        if realtime and not self.live:
            frames = paced(frames, self.stopped)
        groups = resampled(frames, interval, self.longest_gap)
        if self.live or realtime:
            return newest(groups, self.counts, self.stopped, waiting, patience=PATIENCE if self.live else inf)
        return chain.from_iterable(groups)


def find_source(
    word: str,
    stopped: Event,
    *,
    frame_template: str | None = None,
    rate: float | None = None,
) -> Source:
    """A video file, a folder of frames, ``camera``, ``camera:1``, ``/dev/video1`` or ``rtsp://...``.

    Nothing but a folder is opened yet.

    Args:
        word: which of them.
        stopped: ends reading when it is set.
        frame_template: names of the frames in a folder, such as ``img_{:05d}.jpg``.
        rate: frames a second of a folder, which has no time stamps.

    Raises:
        ConfigError: a camera without a number, or an address of another kind.
        VideoError: no such folder of frames.
    """
    counts = Counts()
    if camera := _CAMERA.fullmatch(word):
        device = camera[2] or f"/dev/video{_number(camera[1], word)}"
        return _live(device, partial(open_camera, device), counts, stopped)
    if address := _ADDRESS.match(word):
        if address[1].lower() not in ("rtsp", "rtsps"):
            raise ConfigError(
                f"{address[1]}:// cannot be streamed",
                where=without_password(word),
                fix="give rtsp://..., camera, camera:1, a video file or a folder of frames",
            )
        return _live(without_password(word), partial(open_rtsp, word), counts, stopped)
    path = Path(word)
    if frame_template is not None and is_folder(path):
        folder = FrameFolder.open(path, frame_template)
        rate = rate or USUAL_RATE
        read = partial(folder_frames, folder, rate, counts)
        return Source(word, False, read, counts, stopped, max(LONGEST_GAP, 2 / rate))
    return Source(word, False, partial(video_frames, path, counts), counts, stopped)


def _live(name: str, open_source: Opener, counts: Counts, stopped: Event) -> Source:
    return Source(name, True, partial(live_frames, open_source, counts, stopped), counts, stopped)


def _number(text: str | None, word: str) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(
            f"{word!r} names no camera", where="SOURCE", fix="camera for the first, camera:1 for the next"
        )
    return int(text)
