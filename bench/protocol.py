"""The timing protocol: variants run in turn, in alternating order, beside an A/A pair.

Speed drifts with temperature, frequency and neighbours, so figures taken one after the other cannot be
compared. Here every round runs every variant once, close together in time, and a comparison is made of the
ratios within rounds. The order is rotated and reversed from round to round, so that each variant stands
equally often at each place and before and after each other one. The baseline takes part twice: how much it
differs from itself is what the measurement cannot see.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from edgevid.bench.environment import look_around
from edgevid.bench.load import LoadMeter
from edgevid.bench.results import BundleIdentity, Label, ProcessRun, Samples, Status, VariantRecord
from edgevid.bench.settings import Settings
from edgevid.bench.statistics import median
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

_STABLE_RUNS = 3
_STABLE_CHANGE = 0.01
_IDLE_SECONDS = 0.02
_GRACE_SECONDS = 0.003  # threads may take this long to fall asleep, as TBB's do


@dataclass(frozen=True)
class Elapsed:
    """What a call returns that was timed elsewhere, by the clock of the device it ran on."""

    wall_ns: int


@dataclass(frozen=True)
class Variant:
    """Something to be timed: one call of ``run`` is one sample."""

    name: str
    run: Callable[[], object]
    label: Label = "measured"
    note: str = ""
    bundle: BundleIdentity | None = None


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
        twin = Variant(
            f"{self.baseline.name} (A/A)", self.baseline.run, self.baseline.label, bundle=self.baseline.bundle
        )
        roles = [("baseline", self.baseline), ("twin", twin), *(("candidate", v) for v in self.candidates)]
        return tuple(
            VariantRecord.model_validate(
                {"name": v.name, "role": role, "label": v.label, "note": v.note, "bundle": v.bundle}
            )
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

    Ends early, keeping every finished round, when the time budget is used up or on Ctrl-C; ``status`` says
    so.

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
        with _no_garbage_collection():
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
            if index and self._budget_is_used():
                return "budget"
            self.progress(ProgressEvent("rounds", index, total))
            order = order_of_round(index, len(self.calls))
            row = self._one_round(order)
            self.rounds.add(row)
            self.orders.append(order)
        self.progress(ProgressEvent("rounds", total, total))
        return "complete"

    def _one_round(self, order: Sequence[int], watch_idle: bool = False) -> list[tuple[int, int]]:
        row = [(0, 0)] * len(self.calls)
        for index in order:
            try:
                row[index] = _time(self.calls[index])
            except Exception as error:
                raise BenchmarkError(
                    f"the variant failed while it was measured: {error}",
                    where=self.names[index],
                    fix="run it alone first, with `edgevid verify` for a bundle",
                ) from error
            if watch_idle:
                name = self.names[index]
                # The least of several looks: a pool that spins does so each time.
                self.idle[name] = min(_idle_share(), self.idle.get(name, 1e9))
        return row

    def _budget_is_used(self) -> bool:
        budget = self.settings.budget_seconds
        return budget is not None and time.perf_counter() - self.began >= budget

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


def _time(call: Callable[[], object]) -> tuple[int, int]:
    cpu = time.process_time_ns()
    wall = time.perf_counter_ns()
    result = call()
    wall_end = time.perf_counter_ns()
    if isinstance(result, Elapsed):
        return result.wall_ns, result.wall_ns
    return wall_end - wall, time.process_time_ns() - cpu


def _idle_share() -> float:
    time.sleep(_GRACE_SECONDS)
    wall, cpu = _time(lambda: time.sleep(_IDLE_SECONDS))
    return cpu / wall


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    # A collection would land in whichever variant happens to run.
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _silent(_: ProgressEvent) -> None:
    """Without a listener nobody is told."""
