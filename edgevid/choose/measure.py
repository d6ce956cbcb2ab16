"""Candidates compiled, verified, looked into and timed as whole networks on this machine."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from edgevid.bench.artifacts import factory_of
from edgevid.bench.claims import paired_ratio
from edgevid.bench.processes import compare_in_processes
from edgevid.bench.results import Result
from edgevid.bench.settings import Settings
from edgevid.bench.statistics import median
from edgevid.bench.summary import wall_ratio
from edgevid.choose.candidates import Candidates, slow_layers, unexpected_layers
from edgevid.contract import Artifact, Session
from edgevid.errors import EdgevidError, LoweringError
from edgevid.manifest import ChoiceRecord, TriedRecord

__all__ = ["FINALISTS", "measure"]

FINALISTS = 4
"""Of the candidates, besides the default, that are timed in the last heat."""

_HEAT_RUNS, _HEAT_SECONDS = 3, 0.05
_HEAT_MARGIN = 1.2
"""What takes longer than this by the fastest is not timed again."""

_HOPELESS = 5.0
"""What takes longer than this by the fastest so far is run once: in bf16 some forms take half a minute."""

_PROCESSES = 2
"""Of the last heat: copies of one network differ by half a percent within a process."""

_FEWEST_ROUNDS, _MOST_ROUNDS = 10, 100
_LAST_HEAT_SECONDS = 1.0
"""Small networks, whose times differ more, are run in more rounds until this is used up."""

_BUDGET_SECONDS = 120.0


@dataclass(frozen=True)
class _Entrant:
    """A candidate that holds.

    Attributes:
        artifact: compiled.
        seconds: the least of a few runs.
        slow: its slow kernels.
        unexpected: layers of an int8 network that it computes in float.
    """

    artifact: Artifact
    seconds: float
    slow: Counter[str]
    unexpected: tuple[str, ...]

    @property
    def faults(self) -> str:
        """What speaks against it, in words."""
        parts = [f"{count} x {kernel}" for kernel, count in self.slow.items()]
        told = [f"slow kernels: {', '.join(parts)}"] if parts else []
        if self.unexpected:
            told.append(f"not in int8: {_listed(self.unexpected)}")
        return "; ".join(told)


def measure(candidates: Candidates, machine: str, say: Callable[[str], None]) -> ChoiceRecord:
    """Try every candidate, and time those that come into question interleaved, in fresh processes.

    Raises:
        LoweringError: none holds.
    """
    with TemporaryDirectory(prefix="edgevid-choose-") as place:
        tried: dict[str, TriedRecord] = {}
        entrants: dict[str, _Entrant] = {}
        for number, name in enumerate(candidates.names):
            say(f"trying lowering {name} ({number + 1} of {len(candidates.names)})")
            try:
                fastest = min((entrant.seconds for entrant in entrants.values()), default=math.inf)
                entrants[name] = _enter(candidates, name, Path(place) / str(number), fastest)
            except EdgevidError as error:
                tried[name] = TriedRecord(name=name, state="rejected", reason=error.what)
        rejected = _without_faults(entrants)
        tried.update(rejected)
        if not entrants:
            reasons = "; ".join(f"{name}: {record.reason}" for name, record in tried.items())
            raise LoweringError(f"no lowering holds: {reasons}", fix="report the case")
        finalists = _finalists(entrants)
        say(f"timing {', '.join(finalists)}")
        result = _timed(candidates, {name: entrants[name] for name in finalists})
        return _record(candidates, machine, tried, entrants, result)


def _enter(candidates: Candidates, name: str, folder: Path, fastest: float) -> _Entrant:
    """Compile, verify and run one; ``fastest`` are the seconds of the fastest so far."""
    folder.mkdir()
    artifact = candidates.build(name, folder)
    with candidates.open(artifact) as session:
        layers = session.layers()
        unexpected = unexpected_layers(layers, candidates.precision, candidates.float_layers)
        enough = max(_HOPELESS * fastest, _HEAT_SECONDS)
        entrant = _Entrant(artifact, _least_seconds(session, enough), slow_layers(layers), tuple(unexpected))
        if entrant.seconds > enough:
            faults = f"; {entrant.faults}" if entrant.faults else ""
            raise LoweringError(
                f"a run takes {1e3 * entrant.seconds:.4g} ms, {entrant.seconds / fastest:.0f} times that of "
                f"the fastest before it{faults}",
                where=name,
            )
        if wrong := candidates.check(session):
            raise LoweringError(wrong, where=name)
        return entrant


def _least_seconds(session: Session, enough: float) -> float:
    """The least of a few runs; of the first alone, if that takes longer than ``enough``."""
    clip = np.zeros(session.input.shape, session.input.dtype)
    found: list[float] = []
    while len(found) < _HEAT_RUNS or sum(found) < _HEAT_SECONDS:
        began = time.perf_counter()
        session.run(clip)
        found.append(time.perf_counter() - began)
        if found[0] > enough:
            break
    return min(found)


def _without_faults(entrants: dict[str, _Entrant]) -> dict[str, TriedRecord]:
    """Take out those with more slow kernels, or more unexpected float layers, than the network can do with.

    Tiny or grouped convolutions may have nothing better in any form.
    """
    slow = min((entrant.slow.total() for entrant in entrants.values()), default=0)
    unexpected = min((len(entrant.unexpected) for entrant in entrants.values()), default=0)
    rejected = {}
    for name, entrant in list(entrants.items()):
        if entrant.slow.total() > slow or len(entrant.unexpected) > unexpected:
            rejected[name] = TriedRecord(
                name=name, state="rejected", milliseconds=1e3 * entrant.seconds, reason=entrant.faults
            )
            del entrants[name]
    return rejected


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _finalists(entrants: dict[str, _Entrant]) -> list[str]:
    """The first, which is the default if that holds, and the fastest of the others."""
    first, *others = entrants
    fastest = min(entrant.seconds for entrant in entrants.values())
    near = [name for name in others if entrants[name].seconds <= _HEAT_MARGIN * fastest]
    return [first, *sorted(near, key=lambda name: entrants[name].seconds)[:FINALISTS]]


def _timed(candidates: Candidates, entrants: dict[str, _Entrant]) -> Result:
    a_round = sum(entrant.seconds for entrant in entrants.values())
    rounds = min(max(round(_LAST_HEAT_SECONDS / a_round), _FEWEST_ROUNDS), _MOST_ROUNDS)
    result = compare_in_processes(
        factory_of({name: entrant.artifact for name, entrant in entrants.items()}),
        Settings(rounds=rounds, warmup=2, processes=_PROCESSES, budget_seconds=_BUDGET_SECONDS),
        title="lowerings of the shift",
        device=candidates.device.title,
        parameters={"precision": candidates.precision, "batch": candidates.batch},
    )
    if result.status == "interrupted":
        raise KeyboardInterrupt
    return result


def _record(
    candidates: Candidates,
    machine: str,
    tried: dict[str, TriedRecord],
    entrants: dict[str, _Entrant],
    result: Result,
) -> ChoiceRecord:
    names = [variant.name for variant in result.variants if variant.role != "twin"]
    default = names[0]
    ratios = {name: paired_ratio(result, name, default) for name in names[1:]}
    best = min(ratios, key=lambda name: ratios[name].median, default=default)
    chosen = best if best != default and _is_faster(result, best, default) else default
    for name, entrant in entrants.items():
        record = TriedRecord(name=name, state="chosen" if name == chosen else "slower")
        if name not in names:
            tried[name] = record.model_copy(
                update={"milliseconds": 1e3 * entrant.seconds, "reason": "the least of a few runs"}
            )
            continue
        estimate = ratios.get(name)
        interval = estimate.interval if estimate else None
        tried[name] = record.model_copy(
            update={
                "milliseconds": _milliseconds(result, name),
                "ratio": estimate.median if estimate else 1.0,
                "interval": (interval.low, interval.high) if interval else None,
            }
        )
    return ChoiceRecord(
        source="measured now",
        chosen=chosen,
        machine=machine,
        runtime=candidates.runtime,
        rounds=sum(run.rounds for run in result.runs),
        verdict=str(result.verdict),
        tried=[tried[name] for name in candidates.names],
    )


def _is_faster(result: Result, name: str, default: str) -> bool:
    """In every process, and by more than the noise: less is not worth another form."""
    apart = [wall_ratio([run], name, default) for run in result.runs]
    everywhere = all(ratio is not None and ratio.median < 1 for ratio in apart)
    return everywhere and paired_ratio(result, name, default).median < 1 - _noise(result)


def _noise(result: Result) -> float:
    """How much the default differs from itself."""
    baseline, twin = (variant.name for variant in result.variants[:2])
    return abs(paired_ratio(result, twin, baseline).median - 1)


def _milliseconds(result: Result, name: str) -> float:
    samples: Sequence[int] = [wall for run in result.runs for wall in run.samples[name].wall_ns]
    return median([wall / 1e6 for wall in samples])
