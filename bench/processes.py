"""Measurements repeated in fresh processes.

A process keeps its memory layout, its page alignment and its threads for life, so its samples share one
accident; only new processes show how much that accident is worth. A fresh process is also the only place
where the environment can still tell the runtimes' idle threads to sleep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from edgevid.bench.compare import conclude
from edgevid.bench.environment import huge_pages
from edgevid.bench.factory import Factory
from edgevid.bench.fresh_process import Keep, Told, call_apart
from edgevid.bench.protocol import Progress, ProgressEvent, measure
from edgevid.bench.results import ProcessRun, Result
from edgevid.bench.settings import Settings

__all__ = ["compare_in_processes", "measure_comparison", "measure_in_process"]


def compare_in_processes(
    factory: Factory,
    settings: Settings,
    *,
    title: str,
    device: str = "",
    parameters: Mapping[str, JsonValue] | None = None,
    notes: Sequence[str] = (),
    progress: Progress | None = None,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """Measure in ``settings.processes`` fresh processes, one after the other.

    Each gets `quiet_thread_pools`, `huge_pages` and an equal part of the time budget. On Ctrl-C the running
    process hands over the rounds it finished, and the result says that it was interrupted.

    Args:
        factory: opens, in each process, what is to be measured.
        settings: of the protocol.
        title: one line for people.
        device: name of the device that is measured.
        parameters: of what is measured, for the record.
        notes: for the record.
        progress: called for each step.
        environment: variables that replace the inherited ones, and those of `quiet_thread_pools`
            and `huge_pages`.

    Raises:
        EdgevidError: of the type that was raised in the process.
        BenchmarkError: a process crashed.
        KeyboardInterrupt: Ctrl-C before anything was measured.
    """
    runs: list[ProcessRun] = []
    remarks = list(notes)
    for index in range(settings.processes):
        try:
            run, remark = measure_in_process(
                factory, settings, index, progress=progress, environment=environment
            )
        except KeyboardInterrupt:
            if not runs:
                raise
            break
        runs.append(run)
        remarks += [remark] if remark else []
        if run.status == "interrupted":
            break
    return conclude(runs, settings, title=title, device=device, parameters=parameters, notes=remarks)


def measure_in_process(
    factory: Factory,
    settings: Settings,
    index: int = 0,
    *,
    progress: Progress | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[ProcessRun, str]:
    """The measurement of one fresh process, and a remark, mostly empty.

    Args:
        factory: opens what is to be measured.
        settings: of the protocol; the process gets one part in ``settings.processes`` of the time budget.
        index: which of the processes it is, from 0, for those who watch.
        progress: called for each step.
        environment: variables that replace the inherited ones, and those of `quiet_thread_pools`
            and `huge_pages`.

    Raises:
        EdgevidError: of the type that was raised in the process.
        BenchmarkError: the process crashed.
        KeyboardInterrupt: Ctrl-C before anything was measured.
    """
    budget = settings.budget_seconds
    share = None if budget is None else budget / settings.processes
    own = settings.model_copy(update={"budget_seconds": share, "processes": 1})

    def told(step: dict[str, Any]) -> None:
        if progress is not None:
            progress(ProgressEvent(**step, process=index, processes=settings.processes))

    answer = call_apart(
        f"{__name__}:measure_comparison",
        {"factory": factory.job(), "settings": own.model_dump(mode="json")},
        label=f"process {index + 1} of {settings.processes}, {factory.target}",
        told=told,
        environment={**huge_pages(), **(environment or {})},
    )
    run = ProcessRun.model_validate_json(answer.text)
    if answer.interrupted:
        run = run.model_copy(update={"status": "interrupted"})
    return run, answer.remark


def measure_comparison(
    factory: Mapping[str, Any], settings: Mapping[str, Any], *, keep: Keep, tell: Told
) -> None:
    """What the fresh process calls."""

    def progress(event: ProgressEvent) -> None:
        tell({"stage": event.stage, "done": event.done, "total": event.total})

    with Factory.model_validate(factory).open() as comparison:
        keep(measure(comparison, Settings.model_validate(settings), progress=progress).model_dump_json())
