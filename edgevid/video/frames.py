"""Sources of frames that are no video file: a folder of pictures, an array in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from edgevid.errors import VideoError
from edgevid.video.pictures import read_picture, rgb_of
from edgevid.video.skipped import SkippedVideoError
from edgevid.video.templates import check_template

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ArrayFrames", "FrameFolder"]

_T = TypeVar("_T")


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
        file = self.path / self.template.format(self.first + index)
        return read_picture(file, f"frame {index}", str(self.frames), rgb_of)

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
