"""Folders of classes: ``class_name/video``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgevid.video.datasets import Item
from edgevid.video.entries import VIDEO_SUFFIXES, is_folder, leads_nowhere, names_a_video, visible_entries
from edgevid.video.skipped import SkippedVideoError
from edgevid.video.templates import frame_names

__all__ = ["read_class_folders"]


def read_class_folders(
    root: str | Path, *, classes: Sequence[str] | None = None, frame_template: str | None = None
) -> tuple[list[Item], list[str]]:
    """Read ``root/class_name/video``: a class is a folder, and its label its place in the alphabet.

    A folder that cannot be read, leads back to the root or is no class of ``classes`` is an item with
    an `Item.error`, and stops no other one. Video files beside the folders are items without a label.

    Args:
        root: the folder of the classes. Hidden files and folders are passed over.
        classes: names in the order of the network's labels. Folders then get these labels, so that
            a part of the classes is enough; other folders without videos are passed over.
        frame_template: the videos are folders of frames with these names, not files.

    Returns:
        The items, by class and then by name, and the names of the classes.

    Raises:
        VideoError: the root is missing, or holds no folder, no class or no video.
        ConfigError: the frame template does not number files.
        OSError: the root cannot be read.
    """
    folder = Path(root)
    if frame_template is not None:
        frame_names(frame_template)  # refuses what numbers no files
    if not folder.is_dir():
        raise SkippedVideoError(
            "there is no such folder of classes", reason="missing", where=folder, fix="check the path"
        )
    entries = visible_entries(folder)
    found = [entry for entry in entries if is_folder(entry) or (not entry.suffix and leads_nowhere(entry))]
    if not found:
        raise SkippedVideoError(
            "the folder holds no class folders",
            reason="folder",
            where=folder,
            fix="lay videos out as class_name/video.mp4",
        )
    names = [entry.name for entry in found] if classes is None else list(classes)
    items, strangers = _sorted_out(found, names, folder, frame_template)
    files = [entry for entry in entries if entry not in found and names_a_video(entry)]
    beside = [] if frame_template else [Item(file, None) for file in files]
    if strangers and not any(entry.name in names for entry in found):
        error = _no_class(strangers, names, folder)
        if not beside:
            raise error
        return [*beside, *items, Item(folder, None, error=error)], names
    items += [Item(entry, None, error=_no_class([entry], names, folder)) for entry in strangers]
    if not items and not beside:
        kind = "folder of frames" if frame_template else "video file"
        raise SkippedVideoError(
            f"no class folder holds a {kind}",
            reason="folder",
            where=folder,
            fix=f"lay them out as class_name/video; endings read are {' '.join(sorted(VIDEO_SUFFIXES))}",
        )
    return items + beside, names


def _sorted_out(
    folders: list[Path], names: list[str], root: Path, frame_template: str | None
) -> tuple[list[Item], list[Path]]:
    """The items of classes and of folders that cannot be read; the folders of videos that are no class."""
    items: list[Item] = []
    strangers = []
    for folder in folders:
        try:
            videos = _videos_of(folder, root, frame_template)
        except SkippedVideoError as error:
            items.append(Item(folder, None, error=error))
            continue
        if folder.name in names:
            label = names.index(folder.name)
            items += [Item(video, label, frame_template=frame_template) for video in videos]
        elif videos:
            strangers.append(folder)
    return items, strangers


def _videos_of(folder: Path, root: Path, frame_template: str | None) -> list[Path]:
    try:
        entries = visible_entries(folder)
        loops = root.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError) as error:
        raise SkippedVideoError(
            f"the class folder cannot be read ({error})",
            reason="no permission" if isinstance(error, PermissionError) else "folder",
            where=folder,
            fix="check where it leads and its permissions",
        ) from error
    if loops:
        raise SkippedVideoError(
            "the class folder is a link to a folder that holds it",
            reason="folder",
            where=folder,
            fix="remove the link",
        )
    if frame_template is None:
        return [entry for entry in entries if names_a_video(entry)]
    return [entry for entry in entries if is_folder(entry) or leads_nowhere(entry)]


def _no_class(folders: list[Path], names: list[str], root: Path) -> SkippedVideoError:
    one = f"the folder {folders[0].name!r} is none"
    several = f"not one of {len(folders)} folders ({folders[0].name!r}, ...) is one"
    return SkippedVideoError(
        f"{one if len(folders) == 1 else several} of the {len(names)} classes",
        reason="folder",
        where=root,
        fix="rename it after a class, or give the labels file that it belongs to",
    )
