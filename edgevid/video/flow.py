"""Optical flow from one frame to the next, in the bytes that networks of flow are trained on.

The published networks were trained on TV-L1 with a bound of 20 pixels, computed at a short side of 256
(Wang et al., ECCV 2016; open-mmlab/denseflow). Here frames are resized first, as those of a network of RGB,
then made grey, and then compared.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from edgevid.contract import Flow
from edgevid.errors import MissingDependencyError, VideoError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FlowMeter", "as_bytes", "grey_frame"]


class FlowMeter:
    """Computes fields of flow, each by itself: the same frames always give the same bytes.

    OpenCV's DIS looks back at the fields before, if it is the same object, and small frames then come out
    otherwise (5.0.0); so each field has an object of its own, which costs nothing that could be measured.

    Args:
        flow: which algorithm, and its bound.

    Raises:
        MissingDependencyError: OpenCV is here without the algorithm.
    """

    def __init__(self, flow: Flow) -> None:
        self._bound = flow.bound
        self._make = _maker(flow)

    def __call__(self, before: NDArray[np.uint8], after: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The field from one frame ``uint8`` ``[H, W]`` to the next, as ``uint8`` ``[H, W, 2]`` of x and y.

        Raises:
            VideoError: the frames differ in size, or are too small to be compared.
        """
        import cv2

        if before.shape != after.shape:
            raise VideoError(
                f"the size changes within the video: from {before.shape[1]}x{before.shape[0]} pixels to "
                f"{after.shape[1]}x{after.shape[0]}",
                fix="re-encode it in one size",
            )
        try:
            field = self._make().calc(before, after, None)
        except cv2.error as error:
            raise VideoError(
                f"no optical flow of frames of {before.shape[1]}x{before.shape[0]} pixels: {error.err}",
                fix="give larger frames",
            ) from error
        return as_bytes(field, self._bound)


def as_bytes(field: NDArray[np.float32], bound: float) -> NDArray[np.uint8]:
    """Pixels as bytes: 0 is 128, ``bound`` and more are 255, ``-bound`` and less are 0.

    As denseflow rounds them (``convertFlowToImage`` in ``src/common.cpp``): halves to even.
    """
    scaled = (field.astype(np.float64) + bound) * (255 / (2 * bound))
    return np.clip(np.rint(scaled), 0, 255).astype(np.uint8)


def grey_frame(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``uint8`` ``[H, W]`` of an RGB frame, weighted as by ITU-R BT.601."""
    import cv2

    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def _maker(flow: Flow) -> Callable[[], Any]:
    import cv2

    if flow.algorithm == "dis":
        return partial(cv2.DISOpticalFlow.create, cv2.DISOpticalFlow_PRESET_MEDIUM)
    optflow = getattr(cv2, "optflow", None)
    if optflow is None:
        raise MissingDependencyError(
            "OpenCV is here without TV-L1, which is one of its further modules",
            where=f"opencv-python-headless {cv2.__version__}",
            fix="pip uninstall opencv-python-headless, then pip install opencv-contrib-python-headless; or "
            "compile with --flow dis",
        )
    maker: Callable[[], Any] = optflow.DualTVL1OpticalFlow_create
    return maker
