"""Resize and crop as the publishers do, with the libraries that they use.

``pil``: MIT's TSM, by torchvision's rules and Pillow's antialiased bilinear filter.
``opencv``: mmaction2, by mmcv's rules and OpenCV's ``INTER_LINEAR``, which does not
antialias. Frames are ``uint8`` RGB ``[H, W, 3]`` before and after.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgevid.contract import Sampling
from edgevid.errors import VideoError
from edgevid.video.limits import check_size

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Library", "crop_offsets", "crops_of", "resize_short_side", "resized_size", "transform_frame"]

Library = Literal["pil", "opencv"]


def transform_frame(frame: NDArray[Any], sampling: Sampling) -> NDArray[np.uint8]:
    """Resize the short side to ``sampling.resize`` and cut out the crops.

    Returns:
        ``uint8`` ``[crops, crop, crop, 3]``, in the order of `crop_offsets`.

    Raises:
        VideoError: the frame is not ``uint8`` ``[H, W, 3]``, or smaller than the crop.
    """
    resized = resize_short_side(frame, sampling.resize, sampling.library)
    return crops_of(resized, sampling.crop, sampling.crops, sampling.library)


def resized_size(width: int, height: int, short: int, library: Library = "pil") -> tuple[int, int]:
    """Width and height after the short side became ``short`` pixels.

    ``pil``: the long side is ``int(short * long / short_before)`` (torchvision's ``Resize``).
    ``opencv``: both sides are ``int(side * short / short_before + 0.5)`` (mmcv's
    ``rescale_size``, from mmaction2's ``Resize(scale=(-1, short))``).
    """
    if library == "opencv":
        factor = short / min(width, height)
        return int(width * factor + 0.5), int(height * factor + 0.5)
    if width < height:
        return short, int(short * height / width)
    return int(short * width / height), short


def resize_short_side(
    frame: NDArray[Any], short: int, library: Library = "pil", channels: int = 3
) -> NDArray[np.uint8]:
    """The frame with a short side of ``short`` pixels, untouched if it already has that.

    A field of flow has 2 channels, each resized by itself as a grey picture; its values stay what they are.

    Raises:
        VideoError: the frame is not ``uint8`` ``[H, W, 3]``, or so narrow that its long side
            would become too long.
    """
    pixels = _checked(frame, channels)
    height, width = pixels.shape[:2]
    if min(width, height) == short:
        return pixels
    size = resized_size(width, height, short, library)
    check_size(*size)
    if library == "opencv":
        import cv2

        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    from PIL import Image

    if channels == 3:
        return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR), np.uint8)
    planes = (Image.fromarray(np.ascontiguousarray(pixels[..., i])) for i in range(channels))
    return np.stack([np.array(each.resize(size, Image.Resampling.BILINEAR), np.uint8) for each in planes], -1)


def crop_offsets(
    width: int, height: int, crop: int, crops: int = 1, library: Library = "pil"
) -> list[tuple[int, int]]:
    """Left and top of each crop.

    One crop is central: ``int(round((side - crop) / 2))``, halves to even, for ``pil``
    (torchvision), ``(side - crop) // 2`` for ``opencv`` (mmaction2's ``CenterCrop``). Three lie
    along the long side in the publishers' order: its beginning, its end, its middle. ``pil``
    has MIT's ``GroupFullResSample``: steps of a quarter of what is left over. ``opencv`` has
    mmaction2's ``ThreeCrop``: steps of a half, and the middle of the short side where
    mmaction2 wants it equal to the crop.

    On a frame higher than wide MIT's own code would cut three times the same piece; here
    the three lie along the height, as mmaction2's do.

    Raises:
        VideoError: the frame is smaller than the crop.
    """
    if min(width, height) < crop:
        raise VideoError(
            f"a frame of {width}x{height} pixels is smaller than the crop of {crop}x{crop}",
            fix=f"resize the short side to at least {crop} pixels",
        )
    over_width, over_height = width - crop, height - crop
    if crops == 1:
        if library == "opencv":
            return [(over_width // 2, over_height // 2)]
        return [(round(over_width / 2.0), round(over_height / 2.0))]
    if library == "opencv":
        step = max(over_width, over_height) // 2
        along = [0, 2 * step, step]
        across = min(over_width, over_height) // 2
    else:
        step = max(over_width, over_height) // 4
        along = [0, 4 * step, 2 * step]
        across = 2 * (min(over_width, over_height) // 4)
    if height > width:
        return [(across, top) for top in along]
    return [(left, across) for left in along]


def crops_of(
    frame: NDArray[Any], crop: int, crops: int = 1, library: Library = "pil", channels: int = 3
) -> NDArray[np.uint8]:
    """The crops of a frame, ``uint8`` ``[crops, crop, crop, channels]``; see `crop_offsets`."""
    pixels = _checked(frame, channels)
    height, width = pixels.shape[:2]
    offsets = crop_offsets(width, height, crop, crops, library)
    return np.stack([pixels[top : top + crop, left : left + crop] for left, top in offsets])


def _checked(frame: NDArray[Any], channels: int) -> NDArray[np.uint8]:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != channels or 0 in frame.shape:
        raise VideoError(
            f"a frame of type {frame.dtype} and shape {list(frame.shape)} is not uint8 [H, W, {channels}]",
            fix="give RGB frames with values from 0 to 255",
        )
    return np.ascontiguousarray(frame)
