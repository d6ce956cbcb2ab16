"""The videos that places on disk hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid.errors import VideoError

if TYPE_CHECKING:
    from edgevid.video.datasets import Item

__all__ = ["find_items"]

_LISTS = {".txt", ".list"}


def find_items(
    places: Sequence[str | Path],
    *,
    frame_template: str | None = None,
    labels: Sequence[str] | None = None,
    classes: int | None = None,
) -> list[Item]:
    """Videos, annotation lists (``.txt``, ``.list``), folders of classes, of videos or of frames.

    Nothing here stops the rest. A place that does not exist is kept as an item, whose reading gives
    the error; a list, a line of one, or a folder that cannot be understood is an item with an
    `edgevid.video.Item.error`. Hidden files and folders are passed over.

    Args:
        places: on disk.
        frame_template: names of the frames, where videos are folders of frames.
        labels: the network's class names; folders of classes must then be named after them,
            and are numbered by the alphabet otherwise.
        classes: how many the network has; a larger label in a list is wrong.

    Raises:
        ConfigError: the frame template does not number files.
    """
    return [item for place in places for item in _found(Path(place), frame_template, labels, classes)]


def _found(
    place: Path, frame_template: str | None, labels: Sequence[str] | None, classes: int | None
) -> list[Item]:
    from edgevid.video.datasets import Item

    try:
        return _items_of(place, frame_template, labels, classes)
    except VideoError as error:
        return [Item(place, None, error=error)]
    except (OSError, ValueError) as error:
        return [Item(place, None, error=_unreadable(place, error))]


def _unreadable(place: Path, error: OSError | ValueError) -> VideoError:
    from edgevid.video.skipped import SkippedVideoError

    return SkippedVideoError(
        f"it cannot be looked at ({error})",
        reason="no permission" if isinstance(error, PermissionError) else "other",
        where=place,
        fix="check its path and permissions",
    )


def _items_of(
    place: Path, frame_template: str | None, labels: Sequence[str] | None, classes: int | None
) -> list[Item]:
    from edgevid.video.datasets import VIDEO_SUFFIXES, Item, read_class_folders
    from edgevid.video.lists import scan_list

    entries = sorted(place.iterdir()) if place.is_dir() else []
    entries = [entry for entry in entries if not entry.name.startswith(".")]
    videos = [entry for entry in entries if entry.suffix.lower() in VIDEO_SUFFIXES]
    if any(entry.is_dir() for entry in entries):
        return read_class_folders(place, classes=labels, frame_template=frame_template)[0]
    if videos and frame_template is None:
        return [Item(video, None) for video in videos]
    if place.suffix.lower() in _LISTS and not place.is_dir():
        return scan_list(place, frame_template=frame_template, classes=classes, labels_required=False)
    return [Item(place, None, frame_template=frame_template)]
