"""Every figure as CSV, for a spreadsheet: unrounded, the A/A pairs too. Times are milliseconds."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from edgevid.bench.report.accuracy import of_variant
from edgevid.bench.report.material import Material
from edgevid.bench.report.measured import Measured
from edgevid.bench.report.overhead import Cost, sweep_of
from edgevid.bench.results import VariantRecord
from edgevid.bench.summary import Estimate
from edgevid.disk import write_text
from edgevid.errors import BenchmarkError

__all__ = ["write_csv"]

_Values = dict[str, str | float | None]


def write_csv(material: Material, path: Path) -> None:
    """Write one row a variant, whole or not at all; what is not known is empty.

    Raises:
        BenchmarkError: there is no latency to write, or the file cannot be written.
    """
    rows = [
        _row(material, measured, record, costs.get(record.name))
        for measured in material.results
        for costs in [_costs(measured)]
        for record in measured.result.variants
    ]
    if not rows:
        raise BenchmarkError(
            "the files hold accuracy alone, and no latency to write as CSV",
            where=path,
            fix="give what edgevid bench -o wrote too",
        )
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue(), BenchmarkError)


def _costs(measured: Measured) -> dict[str, Cost]:
    sweep = sweep_of(measured)
    return {cost.variant: cost for cost in sweep.costs} if sweep else {}


def _row(material: Material, measured: Measured, record: VariantRecord, cost: Cost | None) -> _Values:
    result, summary = measured.result, measured.summary[record.name]
    network = of_variant(record, material.accuracies)
    top1 = network.top1 if network else None
    return {
        "file": measured.file,
        "title": result.title,
        "device": result.device,
        "variant": record.name,
        "role": record.role,
        "label": record.label,
        "samples": summary.count,
        **_estimate("wall", summary.wall_ms),
        **_estimate("cpu", summary.cpu_ms),
        **_estimate("ratio", summary.wall_ratio),
        **{f"p{each:g}": None for each in (90, 95, 99)},
        **{f"p{each.q:g}": each.value for each in summary.percentiles},
        "peak_memory_bytes": result.peak_memory.get(record.name),
        "top1": top1.value if top1 else None,
        "top1_low": top1.low if top1 else None,
        "top1_high": top1.high if top1 else None,
        "proportion": cost.proportion if cost else None,
        "used": cost.used if cost else None,
        "lowering": cost.lowering if cost else None,
        **_estimate("over_default", cost.over_default if cost else None),
        **_estimate("over_best", cost.over_best if cost else None),
        "verdict": str(result.verdict),
    }


def _estimate(name: str, estimate: Estimate | None) -> _Values:
    interval = estimate.interval if estimate else None
    return {
        name: estimate.median if estimate else None,
        f"{name}_low": interval.low if interval else None,
        f"{name}_high": interval.high if interval else None,
    }
