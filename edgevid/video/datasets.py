"""Which videos to look at, and what they show: items, and folders of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevid.errors import VideoError
from edgevid.video.frames import check_template
from edgevid.video.skipped import SkippedVideoError

__all__ = ["VIDEO_SUFFIXES", "Item", "read_class_folders"]

VIDEO_SUFFIXES = frozenset(
    {
        ".3gp",
        ".avi",
        ".flv",
        ".gif",
        ".m2ts",
        ".m4v",
        ".mjpeg",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".ogv",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
    }
)


@dataclass(frozen=True)
class Item:
    """One video of a data set.

    Attributes:
        path: the video file, or the folder of frames.
        label: number of the class from 0, ``None`` where the list gives none.
        frames: how many frames the list says, for folders of frames.
        source_line: line of the list, from 1; ``None`` for folders of classes.
        frame_template: names of the frames in a folder; ``None`` for video files.
        error: why the list does not tell which video this is. Such an item is skipped, and
            ``path`` names the list.
    """

    path: Path
    label: int | None
    frames: int | None = None
    source_line: int | None = None
    frame_template: str | None = None
    error: VideoError | None = None


def read_class_folders(
    root: str | Path, *, classes: Sequence[str] | None = None, frame_template: str | None = None
) -> tuple[list[Item], list[str]]:
    """Read ``root/class_name/video``: a class is a folder, and its label its place in the alphabet.

    Args:
        root: the folder of the classes. Hidden files and folders are passed over.
        classes: names in the order of the network's labels. Folders then get these labels,
            so that a part of the classes is enough.
        frame_template: the videos are folders of frames with these names, not files.

    Returns:
        The items, by class and then by name, and the names of the classes.

    Raises:
        VideoError: the root is missing, holds no class or no video, or a folder is no class
            of ``classes``.
        ConfigError: the frame template does not number files.
    """
    folder = Path(root)
    if frame_template is not None:
        check_template(frame_template)
    if not folder.is_dir():
        raise SkippedVideoError(
            "there is no such folder of classes", reason="missing", where=folder, fix="check the path"
        )
    found = sorted(entry.name for entry in _entries(folder) if entry.is_dir())
    if not found:
        raise SkippedVideoError(
            "the folder holds no class folders",
            reason="folder",
            where=folder,
            fix="lay videos out as class_name/video.mp4",
        )
    names = found if classes is None else list(classes)
    unknown = [name for name in found if name not in names]
    if unknown:
        raise SkippedVideoError(
            f"the folder {unknown[0]!r} is none of the {len(names)} classes",
            reason="folder",
            where=folder,
            fix="rename it after a class, or give the labels file that it belongs to",
        )
    items = [
        Item(video, names.index(name), frame_template=frame_template)
        for name in found
        for video in _entries(folder / name)
        if _is_video(video, frame_template)
    ]
    if not items:
        kind = "folder of frames" if frame_template else "video file"
        raise SkippedVideoError(
            f"no class folder holds a {kind}",
            reason="folder",
            where=folder,
            fix=f"lay them out as class_name/video; endings read are {' '.join(sorted(VIDEO_SUFFIXES))}",
        )
    return items, names


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _is_video(path: Path, frame_template: str | None) -> bool:
    if frame_template is not None:
        return path.is_dir()
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES
