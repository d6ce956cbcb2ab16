"""What every way of showing answers has in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

import numpy as np

from edgevid.live.follow import Moment
from edgevid.live.tally import Tally
from edgevid.recognition.outcomes import Answer

__all__ = ["Display", "Shown"]


@dataclass(frozen=True)
class Shown:
    """What all displays are told before the first answer.

    Attributes:
        names: of the classes; without names they are numbered.
        top: how many answers are shown of each frame.
        tally: the present counts and times.
        simulated: the runtime whose arithmetic is imitated, if one is.
        remarks: what else a reader should know, in words.
    """

    names: Sequence[str] | None
    top: int
    tally: Tally
    simulated: str = ""
    remarks: tuple[str, ...] = ()

    def name(self, label: int) -> str:
        """Of a class."""
        return self.names[label] if self.names else f"class {label}"

    def answers(self, moment: Moment) -> list[Answer]:
        """The most probable classes, the most probable first."""
        order = np.argsort(-moment.probabilities, kind="stable")[: self.top]
        return [Answer(int(i), self.name(int(i)), float(moment.probabilities[i])) for i in order]


class Display(Protocol):
    """Shows answers as they come; a context manager."""

    def show(self, moment: Moment) -> None:
        """One more answer."""

    def wait(self) -> None:
        """No frame came for a moment; `Counts.away` says if the source is away."""

    def summary(self) -> None:
        """The end, after the block."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
