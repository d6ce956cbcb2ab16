"""Which videos to look at, and what they show."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgevid.errors import VideoError

__all__ = ["Item"]


@dataclass(frozen=True)
class Item:
    """One video of a data set.

    Attributes:
        path: the video file, or the folder of frames.
        label: number of the class from 0, ``None`` where nothing gives one.
        frames: how many frames the list says, for folders of frames.
        frame_template: names of the frames in a folder; ``None`` for video files.
        source: the list that names the video, ``None`` for videos found otherwise.
        source_line: its line, from 1.
        error: why there is no video to read. Such an item is skipped, and ``path`` names the list
            or the folder.
    """

    path: Path
    label: int | None
    frames: int | None = None
    frame_template: str | None = None
    source: Path | None = None
    source_line: int | None = None
    error: VideoError | None = None
