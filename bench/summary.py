"""From raw samples to figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from pydantic import BaseModel, ConfigDict

from edgevid.bench.results import Label, ProcessRun, Result, Role
from edgevid.bench.statistics import (
    Interval,
    Percentile,
    interquartile_range,
    interval_over_processes,
    median,
    median_absolute_deviation,
    median_interval,
    percentile,
)

__all__ = ["PERCENTILES", "Estimate", "VariantSummary", "summarize", "wall_ratio"]

PERCENTILES = (90.0, 95.0, 99.0)


class Estimate(BaseModel):
    """A median and its 95 % interval; ``None`` where there are too few samples or processes."""

    model_config = ConfigDict(frozen=True)

    median: float
    interval: Interval | None


class VariantSummary(BaseModel):
    """The figures of one variant, pooled over all processes.

    Attributes:
        count: samples.
        wall_ms: wall time of one run in milliseconds.
        cpu_ms: CPU time of all threads in one run in milliseconds.
        wall_ratio: wall time over the baseline's, paired within rounds; ``None`` for the baseline.
        cpu_ratio: the same of CPU time.
        deviation_ms: median absolute deviation of the wall time.
        spread_ms: interquartile range of the wall time.
        percentiles: of the wall time, where the samples can bear them.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    role: Role
    label: Label
    count: int
    wall_ms: Estimate | None = None
    cpu_ms: Estimate | None = None
    wall_ratio: Estimate | None = None
    cpu_ratio: Estimate | None = None
    deviation_ms: float | None = None
    spread_ms: float | None = None
    percentiles: tuple[Percentile, ...] = ()

    @property
    def overhead(self) -> float | None:
        """How much slower than the baseline: 0.03 is 3 %; ``None`` for the baseline itself."""
        return None if self.wall_ratio is None else self.wall_ratio.median - 1


def summarize(result: Result) -> list[VariantSummary]:
    """Figures of every variant, in the order of ``result.variants``.

    Medians are over all samples of all processes. The interval is distribution-free over the samples of a
    single process, and over the medians of the processes where there are several.
    """
    baseline = result.variants[0].name
    runs = [run for run in result.runs if run.rounds]
    summaries = []
    for record in result.variants:
        walls = [_milliseconds(run.samples[record.name].wall_ns) for run in runs]
        pooled = [value for wall in walls for value in wall]
        summary = VariantSummary(name=record.name, role=record.role, label=record.label, count=len(pooled))
        if pooled:
            is_baseline = record.role == "baseline"
            summary = summary.model_copy(
                update={
                    "wall_ms": _estimate(walls),
                    "cpu_ms": _estimate([_milliseconds(run.samples[record.name].cpu_ns) for run in runs]),
                    "wall_ratio": None if is_baseline else wall_ratio(runs, record.name, baseline),
                    "cpu_ratio": None if is_baseline else _ratio(runs, record.name, baseline, _cpu),
                    "deviation_ms": median_absolute_deviation(pooled),
                    "spread_ms": interquartile_range(pooled),
                    "percentiles": tuple(percentile(pooled, q) for q in PERCENTILES),
                }
            )
        summaries.append(summary)
    return summaries


def wall_ratio(runs: Sequence[ProcessRun], name: str, other: str) -> Estimate | None:
    """Wall time of ``name`` over that of ``other``, paired within rounds; ``None`` without such a round."""
    return _ratio(runs, name, other, _wall)


def _estimate(groups: Sequence[Sequence[float]]) -> Estimate:
    pooled = [value for group in groups for value in group]
    if len(groups) == 1:
        return Estimate(median=median(pooled), interval=median_interval(pooled))
    figure = median(pooled)
    interval = interval_over_processes([median(group) for group in groups])
    if interval is not None:
        # It is of the processes' medians; the figure shown must not lie outside of it.
        interval = replace(interval, low=min(interval.low, figure), high=max(interval.high, figure))
    return Estimate(median=figure, interval=interval)


def _ratio(
    runs: Sequence[ProcessRun],
    name: str,
    baseline: str,
    values: Callable[[ProcessRun, str], Sequence[int]],
) -> Estimate | None:
    groups = [
        # A clock too coarse for a fast variant gives zeros; such a round says nothing.
        [a / b for a, b in zip(values(run, name), values(run, baseline), strict=True) if b > 0]
        for run in runs
    ]
    groups = [group for group in groups if group]
    return _estimate(groups) if groups else None


def _wall(run: ProcessRun, name: str) -> Sequence[int]:
    return run.samples[name].wall_ns


def _cpu(run: ProcessRun, name: str) -> Sequence[int]:
    return run.samples[name].cpu_ns


def _milliseconds(nanoseconds: Sequence[int]) -> list[float]:
    return [value / 1e6 for value in nanoseconds]
