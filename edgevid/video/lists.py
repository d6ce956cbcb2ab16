"""Annotation lists: one video a line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgevid.video.datasets import Item
from edgevid.video.skipped import SkippedVideoError
from edgevid.video.templates import frame_names

__all__ = ["read_list"]

_MOST_DIGITS = 18
_MOST_BYTES = 256 * 2**20


def read_list(
    path: str | Path,
    root: str | Path | None = None,
    *,
    frame_template: str | None = None,
    classes: int | None = None,
    labels_required: bool = True,
) -> list[Item]:
    """Read an annotation list; a line that cannot be understood is an item with an error.

    Without a frame template a line is ``video label``, with one it is ``path frames label``
    (TSN's and TSM's lists). Lines are split from the right, so paths may hold spaces. Empty
    lines are passed over, and comments: lines that begin with ``#`` and name no file.

    Args:
        path: the list, UTF-8.
        root: folder that the paths start from; the folder of the list if not given.
        frame_template: names of the frames, such as ``img_{:05d}.jpg``.
        classes: how many classes there are; larger labels are then wrong.
        labels_required: lines without a label are wrong. Otherwise a line may be a path alone
            (or ``path frames``); a line that as a whole names a file is a path.

    Raises:
        SkippedVideoError: the list or the root is missing, or the list is empty, no text or no
            regular file, or has more than 256 MiB.
        ConfigError: the frame template does not number files.
    """
    file = Path(path)
    if frame_template is not None:
        frame_names(frame_template)  # refuses what numbers no files
    content = _content(file)
    folder = file.parent if root is None else Path(root)
    if not _exists(folder / "."):
        raise _refused(
            folder, "the root folder of the list does not exist", "give the folder its paths start from"
        )
    lines = _Lines(file, folder, frame_template, classes, labels_required)
    items = [item for number, line in enumerate(content, start=1) if (item := lines.item(line, number))]
    if not items:
        raise _refused(file, "the annotation list is empty", "write one video a line")
    return items


@dataclass(frozen=True)
class _Lines:
    """What the lines of one list have in common."""

    file: Path
    root: Path
    frame_template: str | None
    classes: int | None
    labels_required: bool

    @property
    def form(self) -> str:
        return "video label" if self.frame_template is None else "path frames label"

    def item(self, content: bytes, number: int) -> Item | None:
        """What a line names; ``None`` for one that is empty or a comment."""
        try:
            line = content.decode().strip()
            if not line or (line.startswith("#") and not _exists(self.root / line)):
                return None
            return self._item(line, number)
        except UnicodeDecodeError:
            error = self._error("the line is not UTF-8 text", number, "save the list as UTF-8")
        except SkippedVideoError as wrong:
            error = wrong
        return Item(self.file, None, source=self.file, source_line=number, error=error)

    def _item(self, line: str, number: int) -> Item:
        path, numbers = self._split(line, number)
        wants_frames = self.frame_template is not None
        frames = numbers[0] if wants_frames and numbers else None
        label = numbers[-1] if len(numbers) == 1 + wants_frames else None
        if frames is not None and frames < 1:
            raise self._error(f"the number of frames is {frames}", number, "leave out videos without frames")
        if label is not None and (label < 0 or (self.classes is not None and label >= self.classes)):
            highest = "" if self.classes is None else f" to {self.classes - 1}"
            raise self._error(f"label {label} is out of range", number, f"labels go from 0{highest}")
        return Item(self.root / path, label, frames, self.frame_template, self.file, number)

    def _split(self, line: str, number: int) -> tuple[str, list[int]]:
        # A name may end in a number: what exists as it stands is a path.
        if not self.labels_required and _exists(self.root / line):
            return line, []
        names = self.form.split()[1:]
        pieces = line.rsplit(None, len(names))
        complete = len(pieces) == len(names) + 1
        if complete and all(_is_integer(piece) for piece in pieces[1:]):
            pass
        elif complete and (self.labels_required or _exists(self.root / pieces[0])):
            for name, piece in zip(names, pieces[1:], strict=True):
                self._check_integer(name, piece, number)
        elif self.labels_required:
            raise self._error(
                f"the line {line!r} is not `{self.form}`", number, f"write each line as `{self.form}`"
            )
        while len(pieces) > 1 and not all(_is_integer(piece) for piece in pieces[1:]):
            pieces = line.rsplit(None, len(pieces) - 2) if len(pieces) > 2 else [line]
        self._refuse_frames_without_template(pieces, number)
        return pieces[0], [int(piece) for piece in pieces[1:]]

    def _check_integer(self, name: str, piece: str, number: int) -> None:
        if not _is_integer(piece):
            hint = "; lists of frame folders need --frame-template" if self.frame_template is None else ""
            raise self._error(
                f"{name} {piece!r} is not a whole number",
                number,
                f"write each line as `{self.form}`, with labels as numbers from 0{hint}",
            )

    def _refuse_frames_without_template(self, pieces: list[str], number: int) -> None:
        columns = pieces[0].rsplit(None, 1)
        if self.frame_template is not None or len(pieces) < 2 or len(columns) < 2:
            return
        if _is_integer(columns[1]) and not _exists(self.root / pieces[0]):
            raise self._error(
                f"there is no {pieces[0]!r}, and the line looks like `path frames label`",
                number,
                "lists of frame folders need --frame-template, such as img_{:05d}.jpg; lists of video "
                "files have lines `video label`",
            )

    def _error(self, what: str, number: int, fix: str) -> SkippedVideoError:
        return SkippedVideoError(what, reason="list line", where=f"{self.file}, line {number}", fix=fix)


def _content(file: Path) -> list[bytes]:
    try:
        if not file.exists():
            raise _refused(file, "there is no such annotation list", "check the path")
        if not file.is_file():
            raise _refused(file, "the annotation list is not a regular file", "save it to a file first")
        if file.stat().st_size > _MOST_BYTES:
            raise _refused(file, f"the annotation list has more than {_MOST_BYTES} bytes", "cut it in pieces")
        content = file.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except (OSError, ValueError) as error:
        raise _refused(
            file, f"the annotation list cannot be read ({error})", "check its path and permissions"
        ) from error
    if b"\0" in content:
        raise _refused(
            file,
            "the annotation list is not UTF-8 text",
            "save it as UTF-8; give a single video as a video, not as a list",
        )
    return content.splitlines()


def _refused(file: Path, what: str, fix: str) -> SkippedVideoError:
    return SkippedVideoError(what, reason="list", where=file, fix=fix)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _is_integer(text: str) -> bool:
    digits = text[1:] if text[:1] in ("-", "+") else text
    return digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS
