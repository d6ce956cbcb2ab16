"""From runs to a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from pydantic import JsonValue

from edgevid.bench.load import LoadMeter
from edgevid.bench.own_command import own_command
from edgevid.bench.protocol import Comparison, Progress, measure
from edgevid.bench.results import ProcessRun, Result
from edgevid.bench.settings import Settings
from edgevid.bench.statistics import is_within
from edgevid.bench.validity import judge

__all__ = ["compare", "conclude"]


def compare(
    comparison: Comparison,
    settings: Settings | None = None,
    *,
    title: str,
    device: str = "",
    parameters: Mapping[str, JsonValue] | None = None,
    notes: Sequence[str] = (),
    progress: Progress | None = None,
    load_meter: LoadMeter | None = None,
) -> Result:
    """Measure in this process and judge the result; ``settings.processes`` counts as 1.

    See `edgevid.bench.protocol.measure` for the arguments and errors, and
    `edgevid.bench.processes.compare_in_processes` for several processes.
    """
    settings = (settings or Settings()).model_copy(update={"processes": 1})
    run = measure(comparison, settings, progress=progress, load_meter=load_meter)
    return conclude([run], settings, title=title, device=device, parameters=parameters, notes=notes)


def conclude(
    runs: Sequence[ProcessRun],
    settings: Settings,
    *,
    title: str,
    device: str = "",
    parameters: Mapping[str, JsonValue] | None = None,
    notes: Sequence[str] = (),
) -> Result:
    """Put finished runs, the verdict, the time and the command line together."""
    return Result(
        title=title,
        device=device,
        created=datetime.now(timezone.utc),
        command=own_command(),
        settings=settings,
        parameters=dict(parameters or {}),
        runs=tuple(runs),
        verdict=judge(runs),
        notes=(*notes, *_endings(runs, settings)),
    )


def _endings(runs: Sequence[ProcessRun], settings: Settings) -> list[str]:
    done = sum(run.rounds for run in runs)
    wanted = settings.rounds * settings.processes
    statuses = {run.status for run in runs}
    if "interrupted" in statuses or len(runs) < settings.processes:
        return [f"interrupted after {done} of {wanted} rounds"]
    notes = []
    if "budget" in statuses:
        notes = [f"the time budget of {settings.budget_seconds:g} s ended it after {done} of {wanted} rounds"]
    return notes + _widths(runs, settings)


def _widths(runs: Sequence[ProcessRun], settings: Settings) -> list[str]:
    """Whether the intervals became as narrow as was asked for."""
    if settings.within is None:
        return []
    asked = f"within {100 * settings.within:.3g} % of the median"
    rounds = ", ".join(str(run.rounds) for run in runs)
    wide = {
        name
        for run in runs
        for name, samples in run.samples.items()
        if not is_within(samples.wall_ns, settings.within)
    }
    if not wide:
        return [f"the 95 % intervals of each process are {asked}, after {rounds} rounds"]
    names = ", ".join(sorted(wide))
    return [f"the 95 % intervals are not {asked} after {rounds} rounds, the most that were allowed: {names}"]
