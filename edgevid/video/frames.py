"""Sources of frames that are no video file: a folder of pictures, an array in memory."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from edgevid.errors import ConfigError, VideoError
from edgevid.video.limits import check_size
from edgevid.video.skipped import SkippedVideoError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["ArrayFrames", "FrameFolder", "check_template"]

_T = TypeVar("_T")

_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""Pillow goes by contents, not by names: its rarer readers would be tried on a broken JPEG too."""

_BROKEN_PICTURE = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, struct.error, zlib.error),
)
"""What Pillow's readers raise."""


@dataclass(frozen=True)
class FrameFolder:
    """A folder with one picture a frame.

    Attributes:
        path: the folder.
        template: file name of a frame, such as ``img_{:05d}.jpg``.
        first: number in the name of the first frame, 0 or 1.
        frames: how many frames there are, or how many the annotation list says.
    """

    path: Path
    template: str
    first: int
    frames: int

    @classmethod
    def open(cls, path: str | Path, template: str, frames: int | None = None) -> FrameFolder:
        """Look at a folder; its numbers start from 0 if file 0 exists, else from 1 as in TSM's lists.

        Args:
            path: the folder.
            template: file name of a frame, such as ``img_{:05d}.jpg``.
            frames: their number; counted up to the first gap if not given.

        Raises:
            VideoError: the folder is missing or holds no frame of that name.
            ConfigError: see `check_template`.
        """
        folder = Path(path)
        check_template(template)
        try:
            return cls._counted(folder, template, frames)
        except (OSError, ValueError) as error:
            raise SkippedVideoError(
                f"the folder of frames cannot be read ({error})",
                reason="no permission" if isinstance(error, PermissionError) else "other",
                where=folder,
                fix="check its path and permissions",
            ) from error

    @classmethod
    def _counted(cls, folder: Path, template: str, frames: int | None) -> FrameFolder:
        if not folder.is_dir():
            raise SkippedVideoError(
                "there is no such folder of frames", reason="missing", where=folder, fix="check root and list"
            )
        first = 0 if (folder / template.format(0)).exists() else 1
        found = 0
        while found != frames and (folder / template.format(first + found)).exists():
            found += 1
        if not found:
            raise SkippedVideoError(
                f"the folder has no frame {template.format(first)}",
                reason="missing",
                where=folder,
                fix="check --frame-template against the names of its files",
            )
        if frames is None and (folder / template.format(first + found + 1)).exists():
            raise SkippedVideoError(
                f"frame {template.format(first + found)} is missing, the ones after it are there",
                reason="missing",
                where=folder,
                fix="restore it, or number the frames without a gap",
            )
        return cls(folder, template, first, found if frames is None else frames)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Nothing: what is missing is an error here."""
        return ()

    def read(self, index: int) -> NDArray[np.uint8]:
        """Frame ``index``, counted from 0, as ``uint8`` RGB ``[H, W, 3]``.

        Raises:
            VideoError: the picture is missing or broken.
        """
        from PIL import Image

        file = self.path / self.template.format(self.first + index)
        self._refuse_what_is_no_file(file, index)
        try:
            with Image.open(file, formats=_FORMATS) as picture:
                check_size(*picture.size, where=file)
                return _rgb(picture)
        except PermissionError as error:
            raise SkippedVideoError(
                f"the picture of frame {index} may not be read",
                reason="no permission",
                where=file,
                fix="check its permissions",
            ) from error
        except (*_BROKEN_PICTURE, Image.DecompressionBombError) as error:
            raise SkippedVideoError(
                f"the picture of frame {index} cannot be read ({error})",
                reason="too large" if isinstance(error, Image.DecompressionBombError) else "damaged",
                where=file,
                fix="extract the frames again",
            ) from error

    def _refuse_what_is_no_file(self, file: Path, index: int) -> None:
        if not file.exists():
            raise SkippedVideoError(
                f"frame {index} of {self.frames} is missing",
                reason="missing",
                where=file,
                fix="correct the number of frames in the list, or extract the frames again",
            )
        if not file.is_file():
            raise SkippedVideoError(
                f"frame {index} is not a regular file",
                reason="no regular file",
                where=file,
                fix="extract the frames again",
            )

    def select(
        self, choose: Callable[[int], Iterable[int]], convert: Callable[[NDArray[np.uint8]], _T]
    ) -> tuple[int, dict[int, _T]]:
        """As `Video.select`, and only the wanted pictures are opened."""
        return self.frames, {index: convert(self.read(index)) for index in sorted(set(choose(self.frames)))}


@dataclass(frozen=True)
class ArrayFrames:
    """Frames in memory, ``uint8`` RGB ``[N, H, W, 3]``.

    Raises:
        VideoError: another type or shape.
    """

    pixels: NDArray[Any]

    def __post_init__(self) -> None:
        if self.pixels.dtype != np.uint8 or self.pixels.ndim != 4 or self.pixels.shape[3] != 3:
            raise VideoError(
                f"frames of type {self.pixels.dtype} and shape {list(self.pixels.shape)} are not "
                "uint8 [N, H, W, 3]",
                fix="give RGB frames with values from 0 to 255",
            )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def select(
        self, choose: Callable[[int], Iterable[int]], convert: Callable[[NDArray[np.uint8]], _T]
    ) -> tuple[int, dict[int, _T]]:
        """As `Video.select`."""
        count = len(self.pixels)
        return count, {index: convert(self.pixels[index]) for index in sorted(set(choose(count)))}


def _rgb(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        # 16 bits of grey, which Pillow would clip at 255; of colours it takes the upper 8 itself.
        grey = (np.asarray(picture) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(picture.convert("RGB"), np.uint8)


def check_template(template: str) -> None:
    """Refuse a frame template that does not number files.

    Raises:
        ConfigError: no replacement field, more than one, or one that takes no whole number.
    """
    try:
        numbered = template.format(1) != template.format(2)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        numbered = False
    if not numbered:
        raise ConfigError(
            f"the frame template {template!r} does not number files",
            where="--frame-template",
            fix="write one field for the number, as in img_{:05d}.jpg",
        )
