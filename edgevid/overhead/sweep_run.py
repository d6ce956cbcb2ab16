"""Measure all curves of a sweep; one that fails leaves a hole that is shown, and the others go on."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edgevid.bench.own_command import own_command
from edgevid.bench.protocol import Progress
from edgevid.bench.report.overhead import points_of
from edgevid.bench.results import Result
from edgevid.errors import EdgevidError
from edgevid.overhead.curve_run import ended_by, finished_runs, measure_curve, require_known_lowering
from edgevid.overhead.folder import SweepFolder, Tell
from edgevid.overhead.record import CurveId, PointState, SweepRecord
from edgevid.overhead.sweep import Sweep

__all__ = ["measure_sweep"]


def measure_sweep(
    sweep: Sweep, path: Path, *, tell: Tell = lambda _: None, progress: Progress | None = None
) -> SweepRecord:
    """Measure what is missing in a folder, curve by curve.

    Killed at any point, it goes on with the processes that it finished when it is called again. Sweeps
    that share the folder take turns.

    Args:
        sweep: what is asked.
        path: of the folder; made if it is not there.
        tell: is told what the user should know: failures, turns, what an earlier run left.
        progress: called for each step.

    Returns:
        What became of every point of the folder; its files hold the samples.

    Raises:
        ConfigError: the folder cannot be written, or holds the sweep of another network.
        LoweringError: no device of the sweep has a lowering of the name that is asked for.
        KeyboardInterrupt: what is finished is in the folder.
    """
    require_known_lowering(sweep)
    folder, wanted = SweepFolder(path, tell), _wanted(sweep)
    with folder.turn():
        record = folder.update(wanted)
    for curve in sweep.curves:
        with folder.turn():

            def keep(result: Result, curve: CurveId = curve) -> None:
                folder.save(curve, result)
                folder.update(wanted, list(_states(curve, result, folder)))

            try:
                result = measure_curve(sweep, curve, folder, keep=keep, tell=tell, progress=progress)
                states = list(_states(curve, result, folder))
            except EdgevidError as error:
                tell(f"{curve} is not measured: {error}")
                states = _failed(sweep, curve, error.what, folder)
            record = folder.update(wanted, states)
    return record


def _failed(sweep: Sweep, curve: CurveId, reason: str, folder: SweepFolder) -> list[PointState]:
    """What was asked for as failed, beside what its file still holds of finished processes."""
    earlier = folder.load(curve)
    held = _states(curve, earlier, folder) if earlier is not None and finished_runs(earlier, sweep) else ()
    states = {state.proportion: state for state in held}
    for state in _states_wanted(sweep, curve):
        known = states.get(state.proportion, state)
        states[state.proportion] = known.model_copy(update={"state": "failed", "reason": reason})
    return list(states.values())


def _states(curve: CurveId, result: Result, folder: SweepFolder) -> Iterable[PointState]:
    """What a result says of the proportions that it was asked for."""
    rejected = result.parameters.get("rejected")
    reasons: dict[str, list[str]] = {}
    for entry in rejected if isinstance(rejected, list) else []:
        if isinstance(entry, dict):
            reasons.setdefault(str(entry["proportion"]), []).append(f"{entry['variant']}: {entry['reason']}")
    timed = {point.proportion: point for point in points_of(result) if point.role != "plain export"}
    whole = bool(ended_by(result))
    for proportion in dict.fromkeys((*timed, *reasons)):
        state = PointState(
            device=curve.device, precision=curve.precision, batch=curve.batch, proportion=proportion
        )
        changes: dict[str, object] = {"state": "failed", "reason": "; ".join(reasons.get(proportion, ()))}
        if proportion in timed:
            changes = {
                "state": "done" if whole else "missing",
                "reason": "" if whole else f"not ended after {len(result.runs)} process(es)",
                "used": timed[proportion].used,
                "result": folder.result_file(curve).name,
                "verdict": str(result.verdict),
            }
        yield state.model_copy(update=changes)


def _states_wanted(sweep: Sweep, curve: CurveId) -> list[PointState]:
    return [
        PointState(
            device=curve.device, precision=curve.precision, batch=curve.batch, proportion=str(proportion)
        )
        for proportion in dict.fromkeys((0, *sweep.proportions))
    ]


def _wanted(sweep: Sweep) -> SweepRecord:
    return SweepRecord(
        model=sweep.model,
        segments=sweep.config.segments,
        size=sweep.config.size,
        threads=sweep.threads,
        command=own_command(),
        points=tuple(state for curve in sweep.curves for state in _states_wanted(sweep, curve)),
    )
