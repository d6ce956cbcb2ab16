"""What every way of recognizing a video that goes on has in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgevid.live.frame import TimedFrame

__all__ = ["Prediction", "Recognizer"]


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the network says of one frame.

    Attributes:
        time: of the frame; None if it came before a state was restored.
        number: of the frame; from -1 backwards if it came before a state was restored.
        probabilities: ``[classes]``.
    """

    time: float | None
    number: int
    probabilities: NDArray[np.float64]


class Recognizer(Protocol):
    """Takes frames as the network wants them, and answers when it can."""

    def take(self, frame: TimedFrame) -> list[Prediction]:
        """The answers that became known with this frame."""

    def finish(self) -> list[Prediction]:
        """The answers that are left; ends the sequence."""

    def restart(self) -> None:
        """Forget all frames, and begin a new sequence."""
