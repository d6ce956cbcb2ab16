"""A variant run without a pause for minutes: does it stay as fast, and what does it cost?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from edgevid.bench.factory import Factory
from edgevid.bench.fresh_process import Keep, Told, call_apart
from edgevid.bench.protocol import Progress, ProgressEvent
from edgevid.bench.results import Status, Sustained, SustainedPoint
from edgevid.bench.sensors import Sensors
from edgevid.bench.statistics import median
from edgevid.bench.timing import no_garbage_collection, timed

__all__ = ["run_on", "sustain"]

POINT_SECONDS = 1.0
"""At most one point in so many seconds: counters that are read too often say nothing, and disturb."""

KEEP_SECONDS = 60.0
"""What a process that dies has measured is lost back to the last time that it was kept."""

STAGE = "sustained"


def sustain(
    variant: Factory, name: str, seconds: float, *, on_board: bool, progress: Progress | None = None
) -> tuple[Sustained, bool]:
    """Run a variant for so many seconds in a fresh process.

    Args:
        variant: opens it as the baseline, alone.
        name: of it.
        seconds: at least.
        on_board: it runs elsewhere, so that sensors here say nothing of it.
        progress: called for each step.

    Returns:
        The run, and whether Ctrl-C ended it with what was finished.

    Raises:
        EdgevidError: the bundle cannot be opened or run.
        KeyboardInterrupt: Ctrl-C before the first run was finished.
    """

    def told(step: dict[str, Any]) -> None:
        if progress is not None:
            progress(ProgressEvent(**step))

    answer = call_apart(
        f"{__name__}:run_on",
        {"variant": variant.job(), "name": name, "seconds": seconds, "on_board": on_board},
        label=f"sustained run of {name}",
        told=told,
    )
    found = Sustained.model_validate_json(answer.text)
    if answer.remark:
        found = found.model_copy(update={"notes": (*found.notes, answer.remark)})
    return found, answer.interrupted


def run_on(
    variant: Mapping[str, Any], name: str, seconds: float, on_board: bool, *, keep: Keep, tell: Told
) -> None:
    """What the fresh process calls."""
    points: list[SustainedPoint] = []
    sensors = None if on_board else Sensors()
    away = ("clocks, temperature and energy are the board's: they are not read",)
    notes = away if sensors is None else sensors.missing()

    def kept(status: Status) -> None:
        run = Sustained(
            variant=name, wanted_seconds=seconds, status=status, points=tuple(points), notes=notes
        )
        keep(run.model_dump_json())

    with Factory.model_validate(variant).open() as opened, no_garbage_collection():
        run, clips = opened.baseline.run, opened.baseline.clips or 0
        run()
        if sensors is not None:
            sensors.joules()
        last = began = time.perf_counter()
        try:
            while (elapsed := time.perf_counter() - began) < seconds:
                tell({"stage": STAGE, "done": int(elapsed), "total": int(seconds)})
                walls = [timed(run)[0]]
                # Until the time is up, so that the last point is no shorter than the others.
                while time.perf_counter() - began - elapsed < POINT_SECONDS:
                    walls.append(timed(run)[0])
                points.append(
                    SustainedPoint(
                        seconds=elapsed,
                        wall_ns=round(median(walls)),
                        clips=len(walls) * clips,
                        **(sensors.read() if sensors else {}),
                    )
                )
                if time.perf_counter() - last >= KEEP_SECONDS:
                    kept("interrupted")
                    last = time.perf_counter()
            kept("complete")
        except KeyboardInterrupt:
            if not points:
                raise
            kept("interrupted")
