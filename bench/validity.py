"""Whether the figures of a comparison can be trusted, and if not, why.

The verdict is part of the result and is shown wherever its figures are. Nothing here raises: a slow or noisy
machine makes a measurement invalid, never an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edgevid.bench.load import Load
from edgevid.bench.results import ProcessRun, Verdict
from edgevid.bench.settings import MINIMUM_ROUNDS
from edgevid.bench.statistics import median

__all__ = ["IDLE_LIMIT", "LOAD_LIMIT", "PAIR_LIMIT", "judge"]

PAIR_LIMIT = 0.005
"""The baseline against itself may differ by this much, as the median of paired wall-time ratios. A smaller
difference between variants cannot be told from the machine's own."""

LOAD_LIMIT = 0.05
"""Share of the machine's whole CPU capacity that others may take during the rounds."""

IDLE_LIMIT = 0.10
"""CPU time over wall time that the process may take while it sleeps. A spinning thread takes 1."""


def judge(runs: Sequence[ProcessRun]) -> Verdict:
    """Verdict over all processes of one comparison."""
    return Verdict(reasons=tuple(_reasons(runs)))


def _reasons(runs: Sequence[ProcessRun]) -> Iterable[str]:
    rounds = sum(run.rounds for run in runs)
    if rounds < MINIMUM_ROUNDS:
        yield f"too few rounds: {rounds} finished, {MINIMUM_ROUNDS} needed"
    difference = round(_pair_difference(runs), 9)  # 0.995 - 1 is not -0.005 in binary
    if abs(difference) > PAIR_LIMIT:
        yield (
            f"the A/A pair differs by {abs(difference):.2%} (limit {PAIR_LIMIT:.1%}): "
            "measure more rounds, or on a quieter machine"
        )
    for name, share in _spinning(runs).items():
        if share > IDLE_LIMIT:
            yield (
                f"after {name!r} idle threads used {share:.0%} of a core (limit {IDLE_LIMIT:.0%}): "
                "its thread pool spins and slows the others down"
            )
    load = _heaviest([run.load for run in runs])
    if load is not None and load.share > LOAD_LIMIT:
        yield (
            f"the machine was under load: others used {load.share:.0%} of its {load.cpus} CPUs "
            f"(limit {LOAD_LIMIT:.0%}): stop them and measure again"
        )


def _pair_difference(runs: Sequence[ProcessRun]) -> float:
    ratios = []
    for run in runs:
        first, second = (run.samples[variant.name].wall_ns for variant in run.variants[:2])
        ratios += [b / a for a, b in zip(first, second, strict=True) if a > 0]
    return median(ratios) - 1 if ratios else 0.0


def _spinning(runs: Sequence[ProcessRun]) -> dict[str, float]:
    worst: dict[str, float] = {}
    for run in runs:
        for name, share in run.idle.items():
            worst[name] = max(share, worst.get(name, 0.0))
    return worst


def _heaviest(loads: Sequence[Load | None]) -> Load | None:
    known = [load for load in loads if load is not None]
    return max(known, key=lambda load: load.share, default=None)
