"""Answers for people where there is no terminal: a line whenever the label changes."""

from __future__ import annotations

from types import TracebackType

from typing_extensions import Self

from edgevid.live.display import Shown
from edgevid.live.follow import Moment
from edgevid.live.summary import remark_lines, summary_lines

__all__ = ["Lines"]


class Lines:
    """Time, label, share; each line is written at once."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._label: int | None = None
        self._away = ""

    def show(self, moment: Moment) -> None:
        """A line if the label is a new one."""
        self._away = ""
        if moment.label == self._label:
            return
        self._label = moment.label
        time = "      before" if moment.time is None else f"{moment.time:10.3f} s"
        smoothing = f"  ({moment.smoothing})" if moment.smoothing else ""
        share = moment.probabilities[moment.label]
        print(f"{time}  {share:6.1%}  {self._shown.name(moment.label)}{smoothing}", flush=True)

    def wait(self) -> None:
        """A line if the source went away."""
        away = self._shown.tally.counts.away
        if away and not self._away:
            print(f"the source is away: {away}", flush=True)
        self._away = away

    def summary(self) -> None:
        """Counts and times."""
        print("\n".join(summary_lines(self._shown)), flush=True)

    def __enter__(self) -> Self:
        for line in remark_lines(self._shown):
            print(line, flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""
