"""Turning a decoded frame the way its display matrix says."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

__all__ = ["UPRIGHT", "Orientation", "from_display_matrix", "orientation_of"]


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to lay a frame: transpose first, then mirror.

    Attributes:
        transpose: rows become columns.
        mirror: left and right change places afterwards.
        flip: top and bottom change places afterwards.
    """

    transpose: bool = False
    mirror: bool = False
    flip: bool = False

    def apply(self, frame: NDArray[Any]) -> NDArray[Any]:
        """The frame ``[H, W, ...]`` as it is meant to be seen, contiguous."""
        if self.transpose:
            frame = frame.swapaxes(0, 1)
        if self.flip:
            frame = frame[::-1]
        if self.mirror:
            frame = frame[:, ::-1]
        return np.ascontiguousarray(frame)

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after `apply`."""
        return (height, width) if self.transpose else (width, height)


UPRIGHT = Orientation()


def from_display_matrix(matrix: tuple[int, ...]) -> Orientation | None:
    """The orientation of a display matrix, or ``None`` for an angle that is no quarter turn.

    The nine numbers are ``a b u / c d v / x y w``: a pixel at ``(p, q)`` is shown at
    ``(a p + c q + x, b p + d q + y)`` (ISO/IEC 14496-12, 6.2.2, track header matrix).
    """
    a, b, _, c, d = matrix[:5]
    straight, turned = abs(a) + abs(d), abs(b) + abs(c)
    # A matrix written from an angle leaves small remainders of sines: allow half a degree.
    if turned * 100 < straight and a and d:
        return Orientation(mirror=a < 0, flip=d < 0)
    if straight * 100 < turned and b and c:
        return Orientation(transpose=True, mirror=c < 0, flip=b < 0)
    return None


def orientation_of(frame: VideoFrame) -> Orientation | None:
    """The orientation that a decoded frame carries; ``None`` when it is no quarter turn."""
    try:
        side_data: Any = frame.side_data
        data = side_data["DISPLAYMATRIX"]
    except KeyError:
        return UPRIGHT
    except ValueError:
        # Side data that this PyAV does not know by name hides the rest; the angle is still told.
        return _from_angle(getattr(frame, "rotation", 0))
    return from_display_matrix(struct.unpack("=9i", bytes(data)[:36]))


def _from_angle(counterclockwise: int) -> Orientation | None:
    quarter = {
        0: UPRIGHT,
        90: Orientation(transpose=True, flip=True),
        180: Orientation(mirror=True, flip=True),
        270: Orientation(transpose=True, mirror=True),
    }
    return quarter.get(counterclockwise % 360)
