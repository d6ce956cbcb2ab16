"""Measure one curve, process by process, each kept as soon as it is finished."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from edgevid import targets
from edgevid.bench.artifacts import factory_of
from edgevid.bench.compare import conclude
from edgevid.bench.factory import Factory
from edgevid.bench.processes import measure_in_process
from edgevid.bench.protocol import Progress
from edgevid.bench.report.overhead import fastest_plain
from edgevid.bench.results import Label, ProcessRun, Result
from edgevid.bench.summary import summarize
from edgevid.contract import Capability, Device
from edgevid.errors import EdgevidError, LoweringError, TargetError
from edgevid.overhead.candidates import DEFAULT, Candidates, compile_candidates, require_lowering
from edgevid.overhead.folder import SweepFolder, Tell
from edgevid.overhead.identity import TUNED, changes, identity, tuned_kernels
from edgevid.overhead.record import CurveId
from edgevid.overhead.sweep import Sweep
from edgevid.targets._profiles import device as find_device
from edgevid.targets._profiles import require_precision

__all__ = ["MOST_PROCESSES", "ended_by", "finished_runs", "measure_curve", "require_known_lowering"]

MOST_PROCESSES = 9
"""After which a sweep gives up waiting for narrow intervals."""


def require_known_lowering(sweep: Sweep) -> None:
    """Refuse a lowering that none of the devices that can be measured from here offers.

    Raises:
        LoweringError: with what the last of them offers.
    """
    if sweep.lowering in ("auto", "all"):
        return
    refusals = [_refusal(sweep, curve) for curve in sweep.curves]
    unknown = [refusal for refusal in refusals if isinstance(refusal, LoweringError)]
    if unknown and None not in refusals:
        raise unknown[-1]


def _refusal(sweep: Sweep, curve: CurveId) -> EdgevidError | None:
    try:
        require_lowering(sweep, curve, *_reachable(curve))
    except (TargetError, LoweringError) as error:
        return error
    return None


def measure_curve(
    sweep: Sweep,
    curve: CurveId,
    folder: SweepFolder,
    *,
    keep: Callable[[Result], None],
    tell: Tell,
    progress: Progress | None = None,
) -> Result:
    """Measure what is missing of a curve. It must be this sweep's turn.

    An earlier result that cannot be gone on with is set aside as soon as there is something in its place.

    Args:
        sweep: what is asked.
        curve: of it.
        folder: that holds what an earlier run finished.
        keep: is given the result after each process.
        tell: is told what becomes of an earlier result.
        progress: called for each step.

    Raises:
        TargetError: the device is not this machine, or cannot do what is asked.
        EdgevidError: the network without a shift cannot be compiled, or a process crashed.
        KeyboardInterrupt: what is finished is kept.
    """
    device, capability = _reachable(curve)
    belongs = identity(sweep, curve, f"{device.target} {capability.version}")
    if capability.tunes:
        belongs[TUNED] = tuned_kernels(device, sweep.records)
    asked = _asked(sweep)
    earlier = folder.load(curve)
    kept: list[ProcessRun] = []
    past = _Past({}, None, "")
    if earlier is not None:
        past = _past(earlier)
        if difference := changes(past.belongs, belongs):
            tell(f"{curve}: measured anew, since of what is there {difference}")
        elif past.ended and past.asked == asked:
            tell(f"{curve}: finished by an earlier run")
            return earlier
        else:
            kept = finished_runs(earlier, sweep)
    with folder.workplace() as place:
        timed = [variant.name for run in kept[:1] for variant in run.variants if variant.role != "twin"]
        found = compile_candidates(sweep, curve, device, capability, place, progress, timed)
        if capability.tunes:  # what was not known before is now
            belongs[TUNED] = tuned_kernels(device, sweep.records)
        if kept and timed != list(found.artifacts):
            tell(f"{curve}: measured anew, since other variants passed than before")
            kept = []
        if kept:
            tell(f"{curve}: goes on after {len(kept)} process(es) of an earlier run")
        label: Label = "emulated" if curve.precision in device.emulated else "measured"

        def keep_beside(result: Result) -> None:
            if len(result.runs) == 1:  # never of one that goes on with what is there
                folder.set_aside(curve, finished=bool(past.ended))
            keep(result)

        run = _CurveRun(sweep, curve, device, found, belongs, kept)
        return run.measure(factory_of(found.artifacts, label), keep_beside, progress)


@dataclass
class _CurveRun:
    """The running state of `measure_curve`."""

    sweep: Sweep
    curve: CurveId
    device: Device
    found: Candidates
    belongs: dict[str, JsonValue]
    runs: list[ProcessRun]
    remarks: list[str] = field(default_factory=list)

    def measure(self, factory: Factory, keep: Callable[[Result], None], progress: Progress | None) -> Result:
        settings, began, longest = self.sweep.settings, time.monotonic(), 0.0
        budget = settings.budget_seconds
        share = None if budget is None else budget / settings.processes
        while not (ended := self._ended(time.monotonic() - began + longest)):
            count = max(settings.processes, len(self.runs) + 1)
            part = settings.model_copy(
                update={"processes": count, "budget_seconds": None if share is None else share * count}
            )
            start = time.monotonic()
            run, remark = measure_in_process(factory, part, len(self.runs), progress=progress)
            longest = max(longest, time.monotonic() - start)
            self.runs.append(run)
            self.remarks += [remark] if remark else []
            keep(self._result(""))
            if run.status == "interrupted":
                raise KeyboardInterrupt
        result = self._result(ended)
        keep(result)
        return result

    def _ended(self, expected_seconds: float) -> str:
        """Why no further process is needed; empty while one is."""
        count, within, budget = len(self.runs), self.sweep.within, self.sweep.settings.budget_seconds
        if count < self.sweep.settings.processes:
            return ""
        if within is None:
            return "all processes"
        if not self._wide():
            return "narrow"
        if count >= MOST_PROCESSES:
            return f"{count} processes, the most,"
        return f"the time budget of {budget:g} s" if budget is not None and expected_seconds > budget else ""

    def _wide(self) -> dict[str, float]:
        """Half widths of the intervals that are wider than asked, by variant."""
        wide = {}
        for summary in summarize(self._concluded()):
            ratio = summary.wall_ratio
            if ratio is None:
                continue
            interval = ratio.interval
            half = 1.0
            if interval is not None:
                half = max(ratio.median - interval.low, interval.high - ratio.median) / ratio.median
            if half > (self.sweep.within or 0):
                wide[summary.name] = half
        return wide

    def _result(self, ended: str) -> Result:
        sweep, result = self.sweep, self._concluded()
        points = self.found.points
        parameters: dict[str, JsonValue] = {
            "kind": "overhead",
            "model": sweep.model,
            "device": self.curve.device,
            "target": self.device.target,
            "precision": self.curve.precision,
            "batch": self.curve.batch,
            "segments": sweep.config.segments,
            "size": sweep.config.size,
            "threads": sweep.threads,
            "points": [point.model_dump(mode="json") for point in points],
            "rejected": [entry.model_dump(mode="json") for entry in self.found.rejected],
            "default": DEFAULT,
            "best": fastest_plain(result, points),
            "sweep": {"belongs": self.belongs, "asked": _asked(sweep), "ended": ended},
        }
        notes = (*result.notes, *self._endings(ended))
        return result.model_copy(update={"parameters": parameters, "notes": notes})

    def _concluded(self) -> Result:
        settings = self.sweep.settings
        count = max(settings.processes, len(self.runs))
        return conclude(
            self.runs,
            settings.model_copy(update={"processes": count}),
            title=f"{self.sweep.model} on {self.device.title}: overhead of the shift",
            device=self.device.title,
            notes=(
                "random weights: only time means something",
                *self.found.notes,
                *(f"{entry.variant} was not timed: {entry.reason}" for entry in self.found.rejected),
                *self.remarks,
            ),
        )

    def _endings(self, ended: str) -> Sequence[str]:
        within = self.sweep.within
        if within is None or not ended:
            return ()
        rounds = sum(run.rounds for run in self.runs)
        done = f"{rounds} rounds in {len(self.runs)} processes"
        if ended == "narrow":
            return (
                f"after {done} the 95 % interval of every ratio to {DEFAULT!r} is within {within:.3g} of it",
            )
        wide = ", ".join(f"{name} {half:.2%}" for name, half in self._wide().items())
        return (f"{ended} ended it after {done}: not within {within:.2%} are {wide}",)


@dataclass(frozen=True)
class _Past:
    belongs: dict[str, JsonValue]
    asked: JsonValue
    ended: str


def _past(result: Result) -> _Past:
    """What an earlier result says of itself; nothing for a result of something else."""
    said = result.parameters.get("sweep")
    if not isinstance(said, dict):
        return _Past({}, None, "")
    belongs = said.get("belongs")
    return _Past(
        belongs if isinstance(belongs, dict) else {}, said.get("asked"), str(said.get("ended") or "")
    )


def ended_by(result: Result) -> str:
    """What a curve's measurement ended by; empty for one that was cut off, or is going on."""
    return _past(result).ended


def finished_runs(earlier: Result, sweep: Sweep) -> list[ProcessRun]:
    """Processes of an earlier run that need not be repeated: whole ones, or cut off by the same budget."""
    same = earlier.settings.budget_seconds == sweep.settings.budget_seconds
    return [run for run in earlier.runs if run.status == "complete" or (run.status == "budget" and same)]


def _asked(sweep: Sweep) -> JsonValue:
    settings = sweep.settings
    return {
        "processes": settings.processes,
        "within": sweep.within,
        "budget seconds": settings.budget_seconds,
    }


def _reachable(curve: CurveId) -> tuple[Device, Capability]:
    """The device, if it can be measured from here.

    Raises:
        TargetError: it is unknown, elsewhere, simulated, or lacks the precision.
    """
    device = find_device(curve.device)
    require_precision(curve.precision, device)
    capability = targets.find(device.target).probe(device)
    if not capability.executes or not device.is_this_machine or device.simulates:
        reason = capability.reason or f"{device.title} is not this machine"
        raise TargetError(reason, where=f"--device {device.name}", fix="run the command on that device")
    return device, capability
