"""What the entries of a folder are; one that cannot be looked at is no folder, and no error."""

from __future__ import annotations

from pathlib import Path

__all__ = ["VIDEO_SUFFIXES", "is_folder", "leads_nowhere", "names_a_video", "visible_entries"]

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


def visible_entries(folder: Path) -> list[Path]:
    """All but hidden files and folders, by name; `OSError` if the folder cannot be read."""
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def names_a_video(path: Path) -> bool:
    """Whether a name ends as those of video files do, whatever is there."""
    return path.suffix.lower() in VIDEO_SUFFIXES


def is_folder(path: Path) -> bool:
    """Whether it is a folder, or a link to one."""
    try:
        return path.is_dir()
    except OSError:
        return False


def leads_nowhere(path: Path) -> bool:
    """Whether it is a link to nothing, to itself, or to where nobody may look."""
    try:
        path.stat()
    except (OSError, ValueError):
        return True
    return False
