"""Smoothing that was asked for: an average of the last answers, and labels that do not flicker."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgevid.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Smoothed", "Smoothing"]

MOST_FRAMES = 10_000

_SMOOTHING = re.compile(
    r"average:(?P<average>\d{1,5})|hysteresis:(?P<margin>0?\.\d+|0)(?::(?P<frames>\d{1,5}))?", re.ASCII
)


@dataclass(frozen=True, eq=False)
class Smoothed:
    """An answer after smoothing.

    Attributes:
        probabilities: ``[classes]``, averaged if so asked.
        label: the class that is shown; the most probable one unless hysteresis holds another.
        state: what smoothing does at present, in words; empty without.
    """

    probabilities: NDArray[np.float64]
    label: int
    state: str


class Smoothing:
    """None by default.

    Args:
        average: how many of the last probabilities are averaged; fewer at the beginning.
        margin: hysteresis: another label is shown only if it is more probable than the shown one by more
            than this share; None without.
        frames: answers in a row for which it must be.
    """

    def __init__(self, average: int = 1, margin: float | None = None, frames: int = 1) -> None:
        self._last: deque[NDArray[np.float64]] = deque(maxlen=average)
        self._margin = margin
        self._frames = frames
        self.reset()

    @classmethod
    def parse(cls, texts: Sequence[str]) -> Smoothing:
        """From ``average:N``, ``hysteresis:P`` or ``hysteresis:P:N``, each once; averaging comes first.

        Raises:
            ConfigError: something else.
        """
        found: dict[str, str] = {}
        for text in texts:
            match = _SMOOTHING.fullmatch(text)
            new = {name: value for name, value in match.groupdict().items() if value} if match else {}
            numbers = [int(new[name]) for name in ("average", "frames") if name in new]
            if not new or new.keys() & found.keys() or not all(1 <= n <= MOST_FRAMES for n in numbers):
                raise ConfigError(
                    f"{text!r} is no smoothing, or given twice",
                    where="--smooth",
                    fix=f"average:N, hysteresis:P or hysteresis:P:N; N from 1 to {MOST_FRAMES}, P below 1",
                )
            found.update(new)
        margin = float(found["margin"]) if "margin" in found else None
        return cls(int(found.get("average", 1)), margin, int(found.get("frames", 1)))

    def add(self, probabilities: NDArray[np.float64]) -> Smoothed:
        """Smooth the next answer."""
        self._last.append(probabilities)
        mean: NDArray[np.float64] = np.mean(self._last, axis=0)
        self._choose(mean)
        assert self._label is not None
        return Smoothed(mean, self._label, self._state())

    def reset(self) -> None:
        """Forget all answers."""
        self._last.clear()
        self._label: int | None = None
        self._rival = -1
        self._ahead = 0

    def _choose(self, probabilities: NDArray[np.float64]) -> None:
        best = int(probabilities.argmax())
        if self._label is None or self._margin is None:
            self._label = best
            return
        if probabilities[best] - probabilities[self._label] <= self._margin:
            self._ahead = 0
            return
        self._ahead = self._ahead + 1 if best == self._rival and self._ahead else 1
        self._rival = best
        if self._ahead >= self._frames:
            self._label, self._ahead = best, 0

    def _state(self) -> str:
        parts = []
        if self._last.maxlen != 1:
            parts.append(f"average of {len(self._last)}/{self._last.maxlen}")
        if self._margin is not None:
            parts.append(f"hysteresis {self._margin:g}, change {self._ahead}/{self._frames}")
        return "; ".join(parts)
