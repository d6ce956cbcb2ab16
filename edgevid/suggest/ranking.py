"""Presets and precisions in the order in which they come into question on a device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from edgevid.papers import Accuracy, accuracies_of
from edgevid.suggest.known import Measurement

__all__ = ["STATES", "Limits", "State", "Suggestion", "as_json", "rank"]

State = Literal["fits", "too slow", "too large", "memory not measured", "not valid", "not measured"]
STATES: dict[State, str] = {
    "fits": "measured, within all limits",
    "too slow": "measured, above --max-latency",
    "too large": "measured, above --max-memory",
    "memory not measured": "within --max-latency, and nobody measured its memory",
    "not valid": "the machine could not be trusted; --measure measures it anew once its file is removed",
    "not measured": "no result says it; nothing is estimated",
}
"""What each means, in the order of the ranking."""


@dataclass(frozen=True)
class Limits:
    """What a network may take.

    Attributes:
        milliseconds: of a clip, by the median.
        memory: bytes at the peak of a process that runs it alone; None for any.
    """

    milliseconds: float
    memory: int | None = None


@dataclass(frozen=True)
class Suggestion:
    """A preset in one precision.

    Attributes:
        preset: name of the network.
        precision: of the arithmetic.
        state: whether it comes into question.
        measured: where its figures are from; None if it was not measured.
        accuracies: published, of its weights in float.
        best_of: groups of accuracies in which none of this precision that fits is both as fast and as
            accurate. Between precisions that is not known: accuracies were published in float.
        reason: why measuring it failed, or its figures are not valid; mostly empty.
    """

    preset: str
    precision: str
    state: State
    measured: Measurement | None = None
    accuracies: tuple[Accuracy, ...] = ()
    best_of: tuple[str, ...] = ()
    reason: str = ""


def rank(
    networks: Sequence[tuple[str, str]],
    measurements: Iterable[Measurement],
    limits: Limits,
    failures: Mapping[tuple[str, str], str] | None = None,
) -> list[Suggestion]:
    """What fits first, from fast to slow; then what does not, and what was not measured.

    Args:
        networks: preset and precision of each.
        measurements: of them and of others; of several of one network the fastest valid one counts.
        limits: what they may take.
        failures: why measuring some of them failed.
    """
    known = _chosen(measurements, limits)
    found = [_suggestion(name, known.get(name), limits, (failures or {}).get(name, "")) for name in networks]
    order = list(STATES)
    found.sort(key=lambda each: (order.index(each.state), _milliseconds(each)))
    fitting = [each for each in found if each.state == "fits"]
    return [replace(each, best_of=_best_of(each, fitting)) for each in found]


def as_json(found: Sequence[Suggestion]) -> list[dict[str, Any]]:
    """Plain data, in the same order."""
    return [
        {
            "preset": each.preset,
            "precision": each.precision,
            "state": each.state,
            "reason": each.reason,
            "best_of": list(each.best_of),
            "milliseconds": each.measured.milliseconds.model_dump(mode="json") if each.measured else None,
            "peak_memory": each.measured.memory if each.measured else None,
            "threads": each.measured.threads if each.measured else None,
            "lowering": each.measured.lowering if each.measured else None,
            "file": each.measured.file if each.measured else None,
            "accuracies": [
                {"dataset": a.dataset, "top1": a.top1, "views": a.views, "source": a.source}
                for a in each.accuracies
            ],
        }
        for each in found
    ]


def _chosen(measurements: Iterable[Measurement], limits: Limits) -> dict[tuple[str, str], Measurement]:
    """Of each network the fastest that is valid, and whose memory is known if that is limited."""
    chosen: dict[tuple[str, str], Measurement] = {}

    def cost(each: Measurement) -> tuple[bool, bool, float]:
        lacking = limits.memory is not None and each.memory is None
        return bool(each.invalid), lacking, each.milliseconds.median

    for each in measurements:
        name = each.preset, each.precision
        if name not in chosen or cost(each) < cost(chosen[name]):
            chosen[name] = each
    return chosen


def _suggestion(
    name: tuple[str, str], measured: Measurement | None, limits: Limits, failure: str
) -> Suggestion:
    reason = failure if measured is None else measured.invalid
    return Suggestion(*name, _state(measured, limits), measured, accuracies_of(name[0]), reason=reason)


def _state(measured: Measurement | None, limits: Limits) -> State:
    if measured is None:
        return "not measured"
    if measured.invalid:
        return "not valid"
    if measured.milliseconds.median > limits.milliseconds:
        return "too slow"
    if limits.memory is None:
        return "fits"
    if measured.memory is None:
        return "memory not measured"
    return "fits" if measured.memory <= limits.memory else "too large"


def _milliseconds(each: Suggestion) -> float:
    return each.measured.milliseconds.median if each.measured else 0.0


def _best_of(each: Suggestion, fitting: Sequence[Suggestion]) -> tuple[str, ...]:
    if each.state != "fits":
        return ()
    return tuple(
        own.group for own in each.accuracies if not any(_beats(other, each, own) for other in fitting)
    )


def _beats(other: Suggestion, each: Suggestion, own: Accuracy) -> bool:
    """It is as fast and as accurate on these videos, and better in one of both."""
    fast, slow = _milliseconds(other), _milliseconds(each)
    if other.precision != each.precision:
        return False
    return any(
        fast <= slow and theirs.top1 >= own.top1 and (fast < slow or theirs.top1 > own.top1)
        for theirs in other.accuracies
        if theirs.group == own.group
    )
