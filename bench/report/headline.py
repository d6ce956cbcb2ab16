"""The table that stands first: one row a network and measurement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgevid.bench.report.accuracy import Accuracies, Network, of_variant
from edgevid.bench.report.material import Material
from edgevid.bench.report.measured import Measured
from edgevid.bench.report.overhead import sweep_of
from edgevid.bench.results import VariantRecord
from edgevid.bench.summary import VariantSummary

__all__ = ["Row", "circumstances", "headline"]


@dataclass(frozen=True)
class Row:
    """One variant of one result.

    Attributes:
        measured: the result.
        record: of the variant.
        summary: its figures.
        memory: bytes at the peak; ``None`` where it was not measured.
        network: its accuracy; ``None`` where no comparison has it.
    """

    measured: Measured
    record: VariantRecord
    summary: VariantSummary
    memory: int | None
    network: Network | None

    @property
    def model(self) -> str:
        """Of the sweep that it is part of: variants of all sweeps have the same names; empty for others."""
        parameters = self.measured.result.parameters
        return str(parameters.get("model", "")) if parameters.get("kind") == "overhead" else ""

    @property
    def percentile(self) -> float | None:
        """Milliseconds that 99 % of the runs do not exceed; ``None`` for too few samples."""
        return next((each.value for each in self.summary.percentiles if each.q == 99), None)

    @property
    def clips_a_second(self) -> float | None:
        """By the median; ``None`` where nobody said how many clips a run computes."""
        wall = self.summary.wall_ms
        return 1000 * self.record.clips / wall.median if wall and self.record.clips else None


def headline(material: Material) -> list[Row]:
    """Every variant but the A/A pairs'; of a sweep those that say most."""
    return [
        _row(measured, record, material.accuracies)
        for measured in material.results
        for sweep in [sweep_of(measured)]
        for record in measured.candidates
        if sweep is None or record.name in sweep.headline
    ]


def circumstances(measured: Measured) -> str:
    """Device, parameters and how much was measured, in one line."""
    result = measured.result
    cpu = result.environment.cpu or "CPU unknown"
    rounds = sum(run.rounds for run in result.runs)
    loads = [run.load.share for run in result.runs if run.load is not None]
    simple = {
        name: value
        for name, value in result.parameters.items()
        if isinstance(value, str | int | float) and name not in ("kind", "default", "best")
    }
    parts = [
        result.device,
        "" if cpu in result.device else cpu,
        *(f"{name} {value}" for name, value in simple.items()),
        f"{rounds} rounds in {len(result.runs)} process{'es' if len(result.runs) > 1 else ''}",
        f"load of others at most {max(loads):.1%}" if loads else "load of others not measured",
    ]
    return ", ".join(part for part in parts if part)


def _row(measured: Measured, record: VariantRecord, accuracies: Sequence[Accuracies]) -> Row:
    return Row(
        measured,
        record,
        measured.summary[record.name],
        measured.result.peak_memory.get(record.name),
        of_variant(record, accuracies),
    )
