"""Answers for programs: one JSON object a line, and the summary as the last."""

from __future__ import annotations

import json
from types import TracebackType
from typing import Any

from typing_extensions import Self

from edgevid.live.display import Shown
from edgevid.live.follow import Moment

__all__ = ["JsonLines"]


class JsonLines:
    """Each line is written at once, so that a program that reads them does not lag."""

    def __init__(self, shown: Shown) -> None:
        self._shown = shown
        self._away = ""

    def show(self, moment: Moment) -> None:
        """One answer; counts are those up to now."""
        counts, self._away = self._shown.tally.counts, ""
        self._print(
            {
                "time": moment.time,
                "frame": moment.number,
                "label": self._shown.name(moment.label),
                "top": [
                    {"class": answer.index, "name": answer.name, "probability": answer.probability}
                    for answer in self._shown.answers(moment)
                ],
                "ms": moment.seconds * 1e3,
                "frames_per_second": self._shown.tally.recent_rate,
                "dropped": counts.dropped,
                "skipped": counts.skipped,
                "reopened": counts.reopened,
                "resumed": moment.resumed,
                "smoothing": moment.smoothing or None,
                "simulated": self._shown.simulated,
            }
        )

    def wait(self) -> None:
        """An event if the source went away; the first answer of what comes then says ``resumed``."""
        away = self._shown.tally.counts.away
        if away and not self._away:
            self._print({"event": "away", "why": away})
        self._away = away

    def summary(self) -> None:
        """An object with the single key ``summary``."""
        record = self._shown.tally.record()
        remarks = list(self._shown.remarks)
        self._print({"summary": {**record, "remarks": remarks, "simulated": self._shown.simulated}})

    def _print(self, record: dict[str, Any]) -> None:
        print(json.dumps(record), flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is held."""
