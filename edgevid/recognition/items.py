"""The videos that places on disk hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
    warn: Callable[[str], None] | None = None,
) -> list[Item]:
    """Videos, annotation lists (``.txt``, ``.list``), folders of classes, of videos or of frames.

    Nothing here stops the rest. A place that does not exist is kept as an item, whose reading gives
    the error; a list, a line of one, or a folder that cannot be understood is an item with an
    `edgevid.video.Item.error`. Hidden files and folders are passed over.

    Args:
        places: on disk.
        frame_template: names of the frames, where videos are folders of frames, or of flow images; see
            `edgevid.video.templates.frame_names`.
        labels: the network's class names; folders of classes must then be named after them.
            Otherwise they are numbered by the alphabet.
        classes: how many the network has. A larger label in a list is wrong, and folders without
            ``labels`` that are not as many are numbered not at all.
        warn: is told that folders are not numbered, in a sentence.

    Raises:
        ConfigError: the frame template does not number files.
    """
    search = _Search(frame_template, labels, classes, warn or (lambda _: None))
    return [item for place in places for item in search.find(Path(place))]


@dataclass(frozen=True)
class _Search:
    """What all places have in common."""

    frame_template: str | None
    labels: Sequence[str] | None
    classes: int | None
    warn: Callable[[str], None]

    def find(self, place: Path) -> list[Item]:
        from edgevid.video.datasets import Item

        try:
            return self._items_of(place)
        except VideoError as error:
            return [Item(place, None, error=error)]
        except (OSError, ValueError) as error:
            return [Item(place, None, error=_unreadable(place, error))]

    def _items_of(self, place: Path) -> list[Item]:
        from edgevid.video.datasets import Item
        from edgevid.video.lists import read_list

        if place.is_dir():
            return self._in_folder(place)
        if place.suffix.lower() in _LISTS:
            return read_list(
                place, frame_template=self.frame_template, classes=self.classes, labels_required=False
            )
        return [Item(place, None, frame_template=self.frame_template)]

    def _in_folder(self, folder: Path) -> list[Item]:
        from edgevid.video.datasets import Item
        from edgevid.video.entries import is_folder, names_a_video, visible_entries

        entries = visible_entries(folder)
        if self._is_flow(folder):  # whose images may be in folders, one a direction
            return [Item(folder, None, frame_template=self.frame_template)]
        if any(is_folder(entry) for entry in entries):
            return self._in_classes(folder)
        if self.frame_template is not None:
            return [Item(folder, None, frame_template=self.frame_template)]
        videos = [Item(entry, None) for entry in entries if names_a_video(entry)]
        if not videos:
            raise _no_videos(folder)
        return videos

    def _is_flow(self, folder: Path) -> bool:
        from edgevid.video.flow_images import FlowFolder
        from edgevid.video.templates import frame_names

        names = None if self.frame_template is None else frame_names(self.frame_template)
        return names is not None and names.flow is not None and FlowFolder.is_one(folder, names.flow)

    def _in_classes(self, folder: Path) -> list[Item]:
        from edgevid.video.class_folders import read_class_folders

        items, names = read_class_folders(folder, classes=self.labels, frame_template=self.frame_template)
        if self.labels is not None or self.classes in (None, len(names)):
            return items
        self.warn(
            f"{folder} has {len(names)} class folders and the network {self.classes} classes without names, "
            "so that its videos count as unlabelled; give the names with --labels"
        )
        return [replace(item, label=None) for item in items]


def _no_videos(folder: Path) -> VideoError:
    from edgevid.video.skipped import SkippedVideoError

    return SkippedVideoError(
        "the folder holds no videos",
        reason="folder",
        where=folder,
        fix="check the path; for a folder of frames give --frame-template, such as img_{:05d}.jpg",
    )


def _unreadable(place: Path, error: OSError | ValueError) -> VideoError:
    from edgevid.video.skipped import SkippedVideoError

    return SkippedVideoError(
        f"it cannot be looked at ({error})",
        reason="no permission" if isinstance(error, PermissionError) else "other",
        where=place,
        fix="check its path and permissions",
    )
