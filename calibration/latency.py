"""Latency of a comparison's networks, by the protocol of `edgevid.bench`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgevid.bench.bundles import bench_bundles
from edgevid.bench.protocol import Progress
from edgevid.bench.results import Result
from edgevid.bench.settings import Settings
from edgevid.bench.summary import Estimate, summarize
from edgevid.calibration.contestants import Contestant

__all__ = ["FEW_ROUNDS", "Latency", "measure_latency"]

FEW_ROUNDS = Settings(rounds=20)
"""Enough for a valid result, in seconds for most networks."""


@dataclass(frozen=True)
class Latency:
    """What was timed.

    Attributes:
        result: all samples; ``None`` where nothing runs here as it would on its device.
        wall_ms: by name of the network.
        ratio: to the reference, by name; empty if the reference itself was not timed.
    """

    result: Result | None
    wall_ms: dict[str, Estimate]
    ratio: dict[str, Estimate]


def measure_latency(
    contestants: Sequence[Contestant],
    settings: Settings = FEW_ROUNDS,
    *,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Latency:
    """Time every network that is not simulated, side by side in fresh processes.

    Raises:
        BenchmarkError, TargetError: see `edgevid.bench.bundles.bench_bundles`.
    """
    timed = [contestant for contestant in contestants if contestant.label != "simulated"]
    if not timed:
        return Latency(None, {}, {})
    paths = [contestant.bundle.path for contestant in timed]
    result = bench_bundles(paths, threads=threads, settings=settings, progress=progress)
    figures = [summary for summary in summarize(result) if summary.role != "twin"]
    pairs = list(zip(timed, figures, strict=True))
    with_reference = timed[0] is contestants[0]
    return Latency(
        result,
        {one.name: figure.wall_ms for one, figure in pairs if figure.wall_ms},
        {one.name: figure.wall_ratio for one, figure in pairs if with_reference and figure.wall_ratio},
    )
