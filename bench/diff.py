"""Two results of the same networks, an older and a newer one: what became slower, beyond noise.

They were measured at different times, so nothing is paired: the ratio of the medians has an interval from
those of both medians, and a change counts only if that lies outside of what each result's baseline differs
from itself.

Of a sweep the fastest lowerings of each proportion are held against each other too, where they are not the
same: a variant is named after its lowering, and the choice is remade with every version.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from edgevid.bench.report.measured import Measured
from edgevid.bench.report.overhead import Sweep, sweep_of
from edgevid.bench.results import Label, Result, VariantRecord
from edgevid.bench.statistics import interval_over_processes, median, median_interval
from edgevid.bench.summary import summarize
from edgevid.bench.validity import PAIR_LIMIT

__all__ = ["Change", "Difference", "Outcome", "Ratio", "diff"]

Outcome = Literal["improved", "same", "worse", "not comparable"]

_FOUND = ("points", "default", "best", "rejected", "sweep")
"""Parameters that tell what was found, not what was asked for."""


@dataclass(frozen=True)
class Ratio:
    """New over old median wall time, with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Change:
    """What became of one variant.

    Attributes:
        name: in the results.
        label: of the newer one.
        old_ms: median of the older result; ``None`` where it has no samples.
        new_ms: median of the newer one.
        ratio: ``None`` where it cannot be told.
        outcome: ``worse`` and ``improved`` if the whole interval of the ratio is beyond the noise.
        reason: why it is not comparable; empty otherwise.
        in_both: do both results have it?
    """

    name: str
    label: Label
    old_ms: float | None
    new_ms: float | None
    ratio: Ratio | None
    outcome: Outcome
    reason: str = ""
    in_both: bool = True

    def exceeds(self, limit: float) -> bool:
        """Is it surely slower by more than this share: is the whole interval above?"""
        return self.outcome == "worse" and self.ratio is not None and self.ratio.low > 1 + limit


@dataclass(frozen=True)
class Difference:
    """A newer result against an older one.

    Attributes:
        changes: one a variant, the twins aside: of the newer result, then what only the older has, then
            ``p = 1/4, as chosen`` for each proportion whose fastest lowering is another one.
        noise: share by which the baselines may differ from themselves: no smaller change counts.
        notes: what else is different between the two, and their verdicts where they are INVALID.
        missing: names that only the older has, lowerings aside for which the newer has a fastest one.
    """

    changes: tuple[Change, ...]
    noise: float
    notes: tuple[str, ...]
    missing: tuple[str, ...] = ()

    @property
    def comparable(self) -> bool:
        """Is there any variant that could be compared?"""
        return any(change.outcome != "not comparable" for change in self.changes)


def diff(old: Result, new: Result) -> Difference:
    """Compare results, variants by their names.

    Raises:
        BenchmarkError: the points of a sweep are damaged.
    """
    noise = max(_noise(old), _noise(new))
    obstacle = _obstacle(old, new)
    names = dict.fromkeys(v.name for result in (new, old) for v in result.variants if v.role != "twin")
    pairs = [(name, name, name) for name in names]
    before = sweep_of(Measured(old, "the old result"))
    after = sweep_of(Measured(new, "the new result"))
    compared: set[str] = set()
    if before and after:
        pairs += _as_chosen(before, after)
        compared = {
            cost.variant for cost in before.costs if cost.role == "shift" and after.cheapest(cost.proportion)
        }
    changes = tuple(_change(old, new, pair, noise, obstacle) for pair in pairs)
    missing = [name for name in names if _record(new, name) is None and name not in compared]
    return Difference(changes, noise, tuple(_notes(old, new, changes)), tuple(missing))


def _as_chosen(old: Sweep, new: Sweep) -> Iterator[tuple[str, str, str]]:
    """What it is called, and the fastest of each where they are not of one name."""
    for proportion in new.proportions:
        before, after = old.cheapest(proportion), new.cheapest(proportion)
        if before and after and before.variant != after.variant:
            yield f"p = {proportion}, as chosen", before.variant, after.variant


def _noise(result: Result) -> float:
    """The farthest end of the interval of the baseline over itself, or what the protocol allows it."""
    ratio = summarize(result)[1].wall_ratio
    if ratio is None:
        return PAIR_LIMIT
    ends = (ratio.interval.low, ratio.interval.high) if ratio.interval else (ratio.median, ratio.median)
    return max(PAIR_LIMIT, *(abs(end - 1) for end in ends))


@dataclass(frozen=True)
class _Median:
    """Logarithm of a median wall time in milliseconds, and the ends of its interval."""

    middle: float
    low: float
    high: float


def _change(old: Result, new: Result, names: tuple[str, str, str], noise: float, obstacle: str) -> Change:
    name, old_name, new_name = names
    before, after = _record(old, old_name), _record(new, new_name)
    ratio = None
    reason = obstacle
    if before is None or after is None:
        reason = f"only in the {'new' if before is None else 'old'} result"
    elif before.label != after.label:
        reason = reason or f"the old one is {before.label}, the new one {after.label}"
    if not reason:
        ratio = _ratio(_median(old, old_name), _median(new, new_name))
        reason = "" if ratio else "too few rounds for an interval"
    label = (after or before or new.variants[0]).label
    outcome = "not comparable" if ratio is None else _outcome(ratio, noise)
    in_both = before is not None and after is not None
    times = _median_ms(old, old_name), _median_ms(new, new_name)
    return Change(name, label, *times, ratio, outcome, reason, in_both)


def _outcome(ratio: Ratio, noise: float) -> Outcome:
    if ratio.low > 1 + noise:
        return "worse"
    return "improved" if ratio.high < 1 / (1 + noise) else "same"


def _record(result: Result, name: str) -> VariantRecord | None:
    return next((v for v in result.variants if v.name == name and v.role != "twin"), None)


def _times(result: Result, name: str) -> list[list[float]]:
    """Milliseconds, one list a process; a clock too coarse gives zeros, which say nothing."""
    groups = [
        [time / 1e6 for time in run.samples[name].wall_ns if time > 0]
        for run in result.runs
        if name in run.samples
    ]
    return [group for group in groups if group]


def _median_ms(result: Result, name: str) -> float | None:
    groups = _times(result, name)
    return median([time for group in groups for time in group]) if groups else None


def _median(result: Result, name: str) -> _Median | None:
    groups = [[math.log(time) for time in group] for group in _times(result, name)]
    pooled = [value for group in groups for value in group]
    several = len(groups) > 1
    interval = (
        interval_over_processes([median(group) for group in groups]) if several else median_interval(pooled)
    )
    if interval is None:
        return None
    middle = median(pooled)
    return _Median(middle, min(interval.low, middle), max(interval.high, middle))


def _ratio(old: _Median | None, new: _Median | None) -> Ratio | None:
    """Interval of the difference of the logarithms from both of theirs.

    The distances of the ends add as independent errors do (Zou and Donner, Construction of confidence limits
    about effect measures: a general approach, Statistics in Medicine 27, 2008).
    """
    if old is None or new is None:
        return None
    difference = new.middle - old.middle
    below = math.hypot(new.middle - new.low, old.high - old.middle)
    above = math.hypot(new.high - new.middle, old.middle - old.low)
    return Ratio(math.exp(difference), math.exp(difference - below), math.exp(difference + above))


def _obstacle(old: Result, new: Result) -> str:
    """Why no figure of one can be held against the other's; empty where there is no reason."""
    before, after = _circumstances(old), _circumstances(new)
    different = [
        f"{name} {before.get(name, 'unknown')} is now {after.get(name, 'unknown')}"
        for name in {**before, **after}
        if before.get(name) != after.get(name)
    ]
    return "; ".join(different)


def _circumstances(result: Result) -> dict[str, str]:
    machine = result.environment
    asked = {name: value for name, value in result.parameters.items() if name not in _FOUND}
    return {
        "device": result.device or "unnamed",
        "processor": machine.cpu or "unknown",
        "architecture": machine.architecture,
        "instruction sets": " ".join(machine.isa),
        "processors that may be used": str(
            machine.cpus if machine.affinity is None else len(machine.affinity)
        ),
        "governor": machine.governor or "unknown",
        "variables": " ".join(f"{name}={value}" for name, value in sorted(machine.variables.items()))
        or "none",
        **{name: json.dumps(value) for name, value in asked.items()},
    }


def _notes(old: Result, new: Result, changes: Sequence[Change]) -> Iterator[str]:
    for word, result in (("old", old), ("new", new)):
        if not result.verdict.valid:
            yield f"the {word} result is {result.verdict}"
    before, after = _software(old), _software(new)
    for name in sorted({**before, **after}):
        if before.get(name) != after.get(name):
            yield f"{name} {before.get(name, 'absent')} is now {after.get(name, 'absent')}"
    if min(len(old.runs), len(new.runs)) == 1:
        yield "one process alone: how much processes differ is in no interval; measure with --processes 3"
    outcomes = {change.outcome for change in changes if change.outcome != "not comparable"}
    if len(changes) > 1 and outcomes in ({"worse"}, {"improved"}):
        yield f"every network is {outcomes.pop()}, the baseline too: it may be the machine"


def _software(result: Result) -> dict[str, str]:
    machine = result.environment
    return {
        "edgevid": machine.edgevid,
        "python": machine.python,
        "kernel": machine.kernel,
        **machine.packages,
    }
