"""A picture from a file of a folder of frames: whatever lies there is read, or refused in words."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgevid.video.limits import check_size
from edgevid.video.skipped import SkippedVideoError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

__all__ = ["grey_of", "read_picture", "rgb_of"]

_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
"""Pillow goes by contents, not by names: its rarer readers would be tried on a broken JPEG too."""

_BROKEN_PICTURE = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RuntimeError),
    *(SyntaxError, TypeError, ValueError, struct.error, zlib.error),
)
"""What Pillow's readers raise."""

_NO_COLOR = 8
"""Most grey levels between the colours of a grey picture that a lossy format keeps in colour."""


def read_picture(
    file: Path, what: str, known: str, convert: Callable[[Image.Image], NDArray[np.uint8]]
) -> NDArray[np.uint8]:
    """The pixels of a picture.

    Args:
        file: of the picture.
        what: it shows, as ``frame 3``.
        known: how many of these there should be, in words; for a missing one.
        convert: makes pixels of it.

    Raises:
        SkippedVideoError: the picture is missing or broken, or ``convert`` refuses it.
    """
    from PIL import Image

    _refuse_what_is_no_file(file, what, known)
    try:
        with Image.open(file, formats=_FORMATS) as picture:
            check_size(*picture.size, where=file)
            return convert(picture)
    except PermissionError as error:
        raise SkippedVideoError(
            f"the picture of {what} may not be read",
            reason="no permission",
            where=file,
            fix="check its permissions",
        ) from error
    except (*_BROKEN_PICTURE, Image.DecompressionBombError) as error:
        raise SkippedVideoError(
            f"the picture of {what} cannot be read ({error})",
            reason="too large" if isinstance(error, Image.DecompressionBombError) else "damaged",
            where=file,
            fix="extract the frames again",
        ) from error


def rgb_of(picture: Image.Image) -> NDArray[np.uint8]:
    """``uint8`` RGB ``[H, W, 3]``."""
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format in ("PNG", "PPM")):
        # 16 bits of grey, which Pillow would clip at 255; of colours it takes the upper 8 itself.
        grey = (np.asarray(picture) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(picture.convert("RGB"), np.uint8)


def grey_of(picture: Image.Image) -> NDArray[np.uint8]:
    """``uint8`` ``[H, W]`` of a grey picture, whatever its format keeps it as.

    Raises:
        SkippedVideoError: it has colours.
    """
    if picture.mode == "L":
        return np.array(picture, np.uint8)
    colors = rgb_of(picture)
    if int((colors.max(axis=2) - colors.min(axis=2)).max()) > _NO_COLOR:
        raise SkippedVideoError(
            "a picture in colour, where an image of optical flow is expected, which is grey",
            reason="damaged",
            where=getattr(picture, "filename", None),
            fix="name flow images by --frame-template, as flow_{}_{:05d}.jpg; or the pictures, as "
            "img_{:05d}.jpg, of which flow is computed then",
        )
    return np.ascontiguousarray(colors[..., 1])


def _refuse_what_is_no_file(file: Path, what: str, known: str) -> None:
    if not file.exists():
        raise SkippedVideoError(
            f"{what} of {known} is missing",
            reason="missing",
            where=file,
            fix="correct the number of frames in the list, or extract the frames again",
        )
    if not file.is_file():
        raise SkippedVideoError(
            f"{what} is not a regular file",
            reason="no regular file",
            where=file,
            fix="extract the frames again",
        )
