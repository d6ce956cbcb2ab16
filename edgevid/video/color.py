"""From a decoded frame to ``uint8`` RGB, upright."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgevid.video.limits import check_size
from edgevid.video.orientation import UPRIGHT, orientation_of
from edgevid.video.skipped import SkippedVideoError

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

__all__ = ["RgbConverter"]

_UNSPECIFIED = 2
"""``AVCOL_SPC_UNSPECIFIED`` of FFmpeg: swscale then takes BT.601."""


class RgbConverter:
    """Converts frames with the matrix and range that they carry; keeps swscale's context.

    Attributes:
        warnings: what could not be honoured, in words.
    """

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()
        self.warnings: list[str] = []

    def __call__(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """``uint8`` RGB ``[H, W, 3]`` of one frame, rotated and mirrored as it asks for.

        Raises:
            SkippedVideoError: swscale cannot convert the pixel format, or the frame is too large.
        """
        check_size(frame.width, frame.height)
        if frame.interlaced_frame:
            self._warn("the video is interlaced; its frames are kept as they decode, without deinterlacing")
        pixels = self._pixels(frame)
        orientation = orientation_of(frame)
        if orientation is None:
            self._warn("the display matrix is no quarter turn; the frames are left as stored")
        elif orientation != UPRIGHT:
            pixels = orientation.apply(pixels)
        return pixels

    def _pixels(self, frame: VideoFrame) -> NDArray[np.uint8]:
        try:
            return self._reformat(frame)
        except (OSError, ValueError):
            self._warn(f"color matrix {int(frame.colorspace)} is not one swscale knows; BT.601 is taken")
            frame.colorspace = _UNSPECIFIED
        try:
            return self._reformat(frame)
        except (OSError, ValueError) as error:
            raise SkippedVideoError(
                f"frames of pixel format {frame.format.name} cannot be converted to RGB ({error})",
                reason="no decoder",
                fix="convert it, for example with: ffmpeg -i INPUT -pix_fmt yuv420p OUTPUT.mp4",
            ) from error

    def _reformat(self, frame: VideoFrame) -> NDArray[np.uint8]:
        return np.ascontiguousarray(self._reformatter.reformat(frame, format="rgb24").to_ndarray(), np.uint8)

    def _warn(self, warning: str) -> None:
        if warning not in self.warnings:
            self.warnings.append(warning)
