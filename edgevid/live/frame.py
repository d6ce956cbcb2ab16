"""A frame of a video that goes on, and what is counted of its source."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Counts", "Decoded", "TimedFrame"]

Decoded = tuple["float | None", "NDArray[np.uint8] | None"]
"""What decoding gives: the frame's own time stamp in seconds, if any, and its pixels unless it is damaged."""


@dataclass(frozen=True, eq=False)
class TimedFrame:
    """One frame of a source.

    Attributes:
        time: seconds since the source's first frame.
        number: in the source, from 0; damaged frames have numbers too.
        pixels: ``uint8`` RGB ``[H, W, 3]``.
        resumed: the source was away before it, so that a new sequence begins.
    """

    time: float
    number: int
    pixels: NDArray[np.uint8]
    resumed: bool = False


@dataclass
class Counts:
    """What became of a source's frames so far.

    Attributes:
        frames: came whole.
        skipped: were damaged.
        dropped: were to go into the network, which was still busy.
        reopened: times that the source went away and came back.
        away: why the source is away at present; empty when it is not.
        warnings: about the source, in words.
    """

    frames: int = 0
    skipped: int = 0
    dropped: int = 0
    reopened: int = 0
    away: str = ""
    warnings: list[str] = field(default_factory=list)
