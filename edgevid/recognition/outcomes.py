"""What becomes of one video: it is recognized, or skipped for a reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from edgevid.errors import VideoError
from edgevid.video.datasets import Item

__all__ = ["Answer", "Failure", "Recognition"]


@dataclass(frozen=True)
class Answer:
    """One class and its probability."""

    index: int
    name: str
    probability: float


@dataclass(frozen=True)
class Recognition:
    """What a network, or an ensemble, sees in one video.

    Attributes:
        path: of the video.
        top: answers, the most probable first.
        label: the class that the list or folder says, if any.
        rank: the place of that class among all answers, from 1; ``None`` without one.
        frames: of the video.
        views: clips times crops that were averaged; of an ensemble those of all members together.
        seconds: spent on decoding and resizing, and on the network.
        warnings: about the video, in words.
        members: seconds of each network of an ensemble, by its title; empty for one network.
        flow: seconds of computing optical flow, a part of those before the network; None without it.
    """

    path: Path
    top: tuple[Answer, ...]
    label: int | None
    rank: int | None
    frames: int
    views: int
    seconds: tuple[float, float]
    warnings: tuple[str, ...]
    members: dict[str, float] = field(default_factory=dict)
    flow: float | None = None


@dataclass(frozen=True)
class Failure:
    """A video, or a line of a list, that was skipped.

    Attributes:
        item: the video; its path is that of the list for a line that names none.
        error: why; `edgevid.video.reason_of` tells the kind of reason.
        seconds: spent on reading it.
    """

    item: Item
    error: VideoError
    seconds: float = 0.0
