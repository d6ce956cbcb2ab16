"""Which videos to look at, and what they show: annotation lists and folders of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgevid.errors import VideoError
from edgevid.video.frames import check_template

__all__ = ["VIDEO_SUFFIXES", "Item", "read_class_folders", "read_list"]

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
    """

    path: Path
    label: int | None
    frames: int | None = None
    source_line: int | None = None
    frame_template: str | None = None


def read_list(
    path: str | Path,
    root: str | Path | None = None,
    *,
    frame_template: str | None = None,
    classes: int | None = None,
    labels_required: bool = True,
) -> list[Item]:
    """Read an annotation list, one video a line; empty lines are passed over.

    Without a frame template a line is ``video label``, with one it is ``path frames label``
    (TSN's and TSM's lists). Lines are split from the right, so paths may hold spaces.

    Args:
        path: the list, UTF-8.
        root: folder that the paths start from; the folder of the list if not given.
        frame_template: names of the frames, such as ``img_{:05d}.jpg``.
        classes: how many classes there are; larger labels are then refused.
        labels_required: refuse lines without a label. Otherwise a line may be a path alone
            (or ``path frames``); a line that as a whole names a file is a path.

    Raises:
        VideoError: the list or the root is missing, the list is empty or not UTF-8, or a
            line cannot be understood; the message names the list and the line.
        ConfigError: the frame template does not number files.
    """
    file = Path(path)
    if frame_template is not None:
        check_template(frame_template)
    text = _text(file)
    folder = file.parent if root is None else Path(root)
    if not folder.is_dir():
        raise VideoError(
            "the root folder of the list does not exist",
            where=folder,
            fix="give the folder its paths start from",
        )
    line_reader = _Lines(file, folder, frame_template, classes, labels_required)
    items = [
        line_reader.item(line.strip(), number)
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    ]
    if not items:
        raise VideoError("the annotation list is empty", where=file, fix="write one video a line")
    return items


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
        raise VideoError("there is no such folder of classes", where=folder, fix="check the path")
    found = sorted(entry.name for entry in _entries(folder) if entry.is_dir())
    if not found:
        raise VideoError(
            "the folder holds no class folders", where=folder, fix="lay videos out as class_name/video.mp4"
        )
    names = found if classes is None else list(classes)
    unknown = [name for name in found if name not in names]
    if unknown:
        raise VideoError(
            f"the folder {unknown[0]!r} is none of the {len(names)} classes",
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
        raise VideoError(
            f"no class folder holds a {kind}",
            where=folder,
            fix=f"lay them out as class_name/video; endings read are {' '.join(sorted(VIDEO_SUFFIXES))}",
        )
    return items, names


@dataclass(frozen=True)
class _Lines:
    """What the lines of one list have in common."""

    file: Path
    root: Path
    frame_template: str | None
    classes: int | None
    labels_required: bool

    def item(self, line: str, number: int) -> Item:
        path, numbers = self._split(line, number)
        wants_frames = self.frame_template is not None
        frames = numbers[0] if wants_frames and numbers else None
        label = numbers[-1] if len(numbers) == 1 + wants_frames else None
        if frames is not None and frames < 1:
            raise self._error(f"the number of frames is {frames}", number, "leave out videos without frames")
        if label is not None and (label < 0 or (self.classes is not None and label >= self.classes)):
            highest = "" if self.classes is None else f" to {self.classes - 1}"
            raise self._error(f"label {label} is out of range", number, f"labels go from 0{highest}")
        return Item(self.root / path, label, frames, number, self.frame_template)

    def _split(self, line: str, number: int) -> tuple[str, list[int]]:
        fields = 1 if self.frame_template is None else 2
        pieces = line.rsplit(None, fields)
        if not self.labels_required:
            # A name may end in a number: what exists as it stands is a path.
            if (self.root / line).exists():
                return line, []
            while len(pieces) > 1 and not all(_is_integer(piece) for piece in pieces[1:]):
                pieces = line.rsplit(None, len(pieces) - 2) if len(pieces) > 2 else [line]
            return pieces[0], [int(piece) for piece in pieces[1:]]
        form = "video label" if fields == 1 else "path frames label"
        if len(pieces) != fields + 1:
            raise self._error(f"the line {line!r} is not `{form}`", number, f"write each line as `{form}`")
        for name, piece in zip(form.split()[1:], pieces[1:], strict=True):
            if not _is_integer(piece):
                raise self._error(
                    f"{name} {piece!r} is not a whole number",
                    number,
                    f"write each line as `{form}`, with labels as numbers from 0"
                    + ("" if fields == 2 else "; lists of frame folders need --frame-template"),
                )
        return pieces[0], [int(piece) for piece in pieces[1:]]

    def _error(self, what: str, number: int, fix: str) -> VideoError:
        return VideoError(what, where=f"{self.file}, line {number}", fix=fix)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise VideoError(
            "the annotation list is not UTF-8 text",
            where=f"{file}, line {line}",
            fix="save it as UTF-8; give a single video as a video, not as a list",
        ) from error
    except OSError as error:
        raise VideoError(
            f"the annotation list cannot be read ({error.strerror})", where=file, fix="check the path"
        ) from error


def _entries(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _is_video(path: Path, frame_template: str | None) -> bool:
    if frame_template is not None:
        return path.is_dir()
    return path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES


def _is_integer(text: str) -> bool:
    digits = text[1:] if text[:1] in ("-", "+") else text
    return digits.isascii() and digits.isdigit()
