"""Optical flow that was computed already: a folder with two grey pictures a field."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from edgevid.video.pictures import grey_of, read_picture
from edgevid.video.skipped import SkippedVideoError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FlowFolder"]

_T = TypeVar("_T")

_DIRECTIONS = (("x", "y"), ("u", "v"))
"""Of TSN's and TSM's tools, and of Feichtenhofer's: to the right and downwards."""


@dataclass(frozen=True)
class FlowFolder:
    """A folder of flow images, as denseflow and TSN's tools write them.

    Attributes:
        path: the folder.
        template: file name of an image, such as ``flow_{}_{:05d}.jpg`` or ``{}/frame{:06d}.jpg``.
        directions: what its first field stands for: x and y, or u and v.
        first: number in the name of the first field, 0 or 1.
        fields: how many there are, or how many the annotation list says.
    """

    path: Path
    template: str
    directions: tuple[str, str]
    first: int
    fields: int

    @classmethod
    def open(cls, path: str | Path, template: str, fields: int | None = None) -> FlowFolder:
        """Look at a folder; its numbers start from 0 if file 0 exists, else from 1 as in TSM's lists.

        Args:
            path: the folder.
            template: file name of an image; see `edgevid.video.templates.frame_names`.
            fields: their number; counted up to the first gap if not given.

        Raises:
            SkippedVideoError: the folder is missing, holds no field, or not as many images of each direction.
        """
        folder = Path(path)
        try:
            return cls._counted(folder, template, fields)
        except (OSError, ValueError) as error:
            raise SkippedVideoError(
                f"the folder of flow images cannot be read ({error})",
                reason="no permission" if isinstance(error, PermissionError) else "other",
                where=folder,
                fix="check its path and permissions",
            ) from error

    @classmethod
    def _counted(cls, folder: Path, template: str, fields: int | None) -> FlowFolder:
        if not folder.is_dir():
            raise SkippedVideoError(
                "there is no such folder of flow images",
                reason="missing",
                where=folder,
                fix="check root and list",
            )
        for directions in _DIRECTIONS:
            for first in (0, 1):
                numbers = [_images(folder, template, each, first, fields) for each in directions]
                if any(numbers):
                    _check_alike(folder, template, directions, first, numbers)
                    return cls(folder, template, directions, first, numbers[0] if fields is None else fields)
        raise SkippedVideoError(
            f"the folder has no flow image {template.format('x', 1)}",
            reason="missing",
            where=folder,
            fix="check --frame-template against the names of its files; where there are only pictures, name "
            "these, and flow is computed of them",
        )

    @classmethod
    def is_one(cls, folder: Path, template: str) -> bool:
        """Whether it holds the first flow image; its parts may be folders."""
        return any(
            (folder / template.format(each, first)).is_file()
            for directions in _DIRECTIONS
            for each in directions
            for first in (0, 1)
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """Nothing: what is missing is an error here."""
        return ()

    def read(self, index: int) -> NDArray[np.uint8]:
        """Field ``index``, counted from 0, as ``uint8`` ``[H, W, 2]``.

        Raises:
            SkippedVideoError: an image is missing, broken, in colour, or of another size than its partner.
        """
        planes = []
        for direction in self.directions:
            file = self.path / self.template.format(direction, self.first + index)
            planes.append(read_picture(file, f"flow image {direction} {index}", str(self.fields), grey_of))
        if planes[0].shape != planes[1].shape:
            sizes = " and ".join(f"{plane.shape[1]}x{plane.shape[0]}" for plane in planes)
            raise SkippedVideoError(
                f"the two images of field {index} have {sizes} pixels",
                reason="damaged",
                where=self.path,
                fix="extract the flow again",
            )
        return np.stack(planes, axis=-1)

    def select(
        self, choose: Callable[[int], Iterable[int]], convert: Callable[[NDArray[np.uint8]], _T]
    ) -> tuple[int, dict[int, _T]]:
        """As `edgevid.video.decode.Video.select`, of fields; only the wanted images are opened."""
        return self.fields, {index: convert(self.read(index)) for index in sorted(set(choose(self.fields)))}


def _images(folder: Path, template: str, direction: str, first: int, most: int | None) -> int:
    """How many images of a direction there are up to the first gap."""
    there = partial(_is_there, folder, template, direction)
    return next(found for found in count() if found == most or not there(first + found))


def _is_there(folder: Path, template: str, direction: str, number: int) -> bool:
    return (folder / template.format(direction, number)).exists()


def _check_alike(
    folder: Path, template: str, directions: tuple[str, str], first: int, numbers: list[int]
) -> None:
    """As many images of one direction as of the other, and no gap in both."""
    gap = first + min(numbers)
    missing = [each for each in directions if not _is_there(folder, template, each, gap)]
    behind = [each for each in directions if _is_there(folder, template, each, gap + 1)]
    if numbers[0] == numbers[1] and not (missing and behind):
        return
    there = " and ".join(f"{number} of {each}" for each, number in zip(directions, numbers, strict=True))
    raise SkippedVideoError(
        f"flow image {template.format(missing[0], gap)} is missing beside others: {there} before a gap",
        reason="missing",
        where=folder,
        fix="extract the flow again, so that each field has an image of both directions",
    )
