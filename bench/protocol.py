"""The timing protocol: variants run in turn, in alternating order, beside an A/A pair.

Speed drifts with temperature, frequency and neighbours, so figures taken one after the other cannot be
compared. Here every round runs every variant once, close together in time, and a comparison is made of the
ratios within rounds. The order is rotated and reversed from round to round, so that each variant stands
equally often at each place and before and after each other one. The baseline takes part twice: how much it
differs from itself is what the measurement cannot see.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from edgevid.bench.environment import look_around
from edgevid.bench.load import LoadMeter
from edgevid.bench.results import BundleIdentity, Label, ProcessRun, Samples, Status, VariantRecord
from edgevid.bench.settings import MINIMUM_ROUNDS, Settings
from edgevid.bench.statistics import is_within, median
from edgevid.bench.timing import Elapsed, idle_share, no_garbage_collection, timed
from edgevid.errors import BenchmarkError, ConfigError

__all__ = [
    "MOST_WARMUPS",
    "Comparison",
    "Elapsed",
    "Progress",
    "ProgressEvent",
    "Variant",
    "measure",
    "order_of_round",
]

MOST_WARMUPS = 30
"""Warm-up runs after which ``stable`` gives up waiting."""

_RECORDED = ("name", "label", "note", "bundle", "clips")
_STABLE_RUNS = 3
_STABLE_CHANGE = 0.01
_LOOK_EVERY = 5  # rounds; to look costs milliseconds, and whoever looks often sees what he wants by chance


@dataclass(frozen=True)
class Variant:
    """Something to be timed: one call of ``run`` is one sample, and computes ``clips``."""

    name: str
    run: Callable[[], object]
    label: Label = "measured"
    note: str = ""
    bundle: BundleIdentity | None = None
    clips: int | None = None


@dataclass(frozen=True)
class Comparison:
    """A baseline and what is compared with it.

    Attributes:
        baseline: what the others are divided by.
        candidates: the others; none is allowed.
        twin: the baseline, opened independently a second time, for the A/A pair. Without it the baseline's
            own callable is measured twice, which does not see differences between two openings.
    """

    baseline: Variant
    candidates: Sequence[Variant] = ()
    twin: Callable[[], object] | None = None

    def records(self) -> tuple[VariantRecord, ...]:
        """Baseline, twin, candidates."""
        twin = replace(self.baseline, name=f"{self.baseline.name} (A/A)", note="")
        roles = [("baseline", self.baseline), ("twin", twin), *(("candidate", v) for v in self.candidates)]
        return tuple(
            VariantRecord.model_validate({**{key: getattr(v, key) for key in _RECORDED}, "role": role})
            for role, v in roles
        )

    def callables(self) -> tuple[Callable[[], object], ...]:
        """What is called, in the order of `records`."""
        return (self.baseline.run, self.twin or self.baseline.run, *(v.run for v in self.candidates))


@dataclass(frozen=True)
class ProgressEvent:
    """How far a measurement is.

    Attributes:
        stage: ``warm-up`` or ``rounds``.
        done: finished rounds of that stage.
        total: of them; an upper bound where warm-up ends by itself.
        process: 0-based.
        processes: of them.
    """

    stage: str
    done: int
    total: int
    process: int = 0
    processes: int = 1


Progress = Callable[[ProgressEvent], None]


@dataclass
class _Recorder:
    names: Sequence[str]
    wall: list[list[int]] = field(default_factory=list)
    cpu: list[list[int]] = field(default_factory=list)

    def add(self, row: Sequence[tuple[int, int]]) -> None:
        self.wall.append([wall for wall, _ in row])
        self.cpu.append([cpu for _, cpu in row])

    def samples(self, rounds: int | None = None) -> dict[str, Samples]:
        # Ctrl-C may fall between the two lists.
        rounds = len(self.cpu) if rounds is None else rounds
        return {
            name: Samples(
                wall_ns=tuple(row[index] for row in self.wall[:rounds]),
                cpu_ns=tuple(row[index] for row in self.cpu[:rounds]),
            )
            for index, name in enumerate(self.names)
        }


def order_of_round(index: int, count: int) -> tuple[int, ...]:
    """Order in which ``count`` variants run in round ``index``: rotated every second round, then reversed.

    Over ``2 * count`` rounds each variant stands twice at each place.
    """
    start = (index // 2) % count
    order = tuple((start + place) % count for place in range(count))
    return order[::-1] if index % 2 else order


def measure(
    comparison: Comparison,
    settings: Settings,
    *,
    progress: Progress | None = None,
    load_meter: LoadMeter | None = None,
) -> ProcessRun:
    """Measure in this process. ``settings.processes`` is not looked at.

    Ends early, keeping every finished round, when the intervals are as narrow as was asked for, when the time
    budget is used up, or on Ctrl-C; ``status`` says so.

    Args:
        comparison: what to measure.
        settings: rounds, warm-up and time budget.
        progress: called between rounds, outside what is timed.
        load_meter: measures what other processes do meanwhile.

    Raises:
        BenchmarkError: a variant raised an error.
        ConfigError: two variants have one name.
    """
    records = comparison.records()
    names = [record.name for record in records]
    if len(set(names)) != len(names):
        raise ConfigError(
            "two variants have the same name", where=", ".join(names), fix="give each a name of its own"
        )
    session = _Measurement(names, comparison.callables(), settings, progress or _silent)
    environment = look_around()
    meter = load_meter or LoadMeter()
    status: Status = "interrupted"
    load = None
    try:
        with no_garbage_collection():
            session.warm_up()
            meter.start()
            status = session.run_rounds()
        load = meter.stop()
    except KeyboardInterrupt:  # what is finished is worth keeping; `status` tells
        load = meter.stop() if session.orders else None
    return ProcessRun(
        variants=records,
        orders=tuple(session.orders),
        samples=session.rounds.samples(len(session.orders)),
        warmup=session.warmup.samples(),
        idle=session.idle,
        load=load,
        status=status,
        environment=environment,
    )


class _Measurement:
    """The running state of `measure`."""

    def __init__(
        self,
        names: Sequence[str],
        calls: Sequence[Callable[[], object]],
        settings: Settings,
        progress: Progress,
    ) -> None:
        self.names = names
        self.calls = calls
        self.settings = settings
        self.progress = progress
        self.warmup = _Recorder(names)
        self.rounds = _Recorder(names)
        self.orders: list[tuple[int, ...]] = []
        self.idle: dict[str, float] = {}
        self.began = time.perf_counter()

    def warm_up(self) -> None:
        wanted = self.settings.warmup
        most = MOST_WARMUPS if wanted == "stable" else wanted
        for index in range(most):
            if index and (self._budget_is_used() or (wanted == "stable" and self._is_stable())):
                break
            self.progress(ProgressEvent("warm-up", index, most))
            self.warmup.add(self._one_round(order_of_round(index, len(self.calls)), watch_idle=True))

    def run_rounds(self) -> Status:
        total = self.settings.rounds
        for index in range(total):
            if self._is_narrow(index):
                return "within"
            if index and self._budget_is_used():
                return "budget"
            self.progress(ProgressEvent("rounds", index, total))
            order = order_of_round(index, len(self.calls))
            row = self._one_round(order)
            self.rounds.add(row)
            self.orders.append(order)
        self.progress(ProgressEvent("rounds", total, total))
        return "within" if self._is_narrow(total) else "complete"

    def _one_round(self, order: Sequence[int], watch_idle: bool = False) -> list[tuple[int, int]]:
        row = [(0, 0)] * len(self.calls)
        for index in order:
            try:
                row[index] = timed(self.calls[index])
            except Exception as error:
                raise BenchmarkError(
                    f"the variant failed while it was measured: {error}",
                    where=self.names[index],
                    fix="run it alone first, with `edgevid verify` for a bundle",
                ) from error
            if watch_idle:
                name = self.names[index]
                # The least of several looks: a pool that spins does so each time.
                self.idle[name] = min(idle_share(), self.idle.get(name, 1e9))
        return row

    def _budget_is_used(self) -> bool:
        budget = self.settings.budget_seconds
        return budget is not None and time.perf_counter() - self.began >= budget

    def _is_narrow(self, rounds: int) -> bool:
        within = self.settings.within
        if within is None or rounds < MINIMUM_ROUNDS:
            return False
        if rounds % _LOOK_EVERY and rounds < self.settings.rounds:
            return False
        return all(
            is_within([row[place] for row in self.rounds.wall], within) for place in range(len(self.calls))
        )

    def _is_stable(self) -> bool:
        walls = self.warmup.wall
        if len(walls) < 2 * _STABLE_RUNS:
            return False
        for index in range(len(self.calls)):
            before = median([row[index] for row in walls[-2 * _STABLE_RUNS : -_STABLE_RUNS]])
            after = median([row[index] for row in walls[-_STABLE_RUNS:]])
            if abs(after - before) > _STABLE_CHANGE * before:
                return False
        return True


def _silent(_: ProgressEvent) -> None:
    """Without a listener nobody is told."""
