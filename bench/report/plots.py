"""The drawings of a report: `drawn` lists them all, `Drawing.figure` is the picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgevid.bench.report import (
    accuracy_plot,
    distribution_plot,
    drawing,
    layers_plot,
    overhead_plot,
    sustained_plot,
)
from edgevid.bench.report.accuracy import against_latency
from edgevid.bench.report.material import Material
from edgevid.bench.report.measured import Measured
from edgevid.bench.report.overhead import BASELINES, sweep_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Drawing", "drawn", "write_pictures"]

Kind = Literal["overhead", "accuracy", "distribution", "layers", "sustained"]


@dataclass(frozen=True)
class Drawing:
    """One picture.

    Attributes:
        kind: what it shows.
        name: a file name without its ending, which no other drawing of the report has.
        title: for people, with what its figures are worth.
        measured: the result that it is of; ``None`` for all of them.
        figure: made by matplotlib.
    """

    kind: Kind
    name: str
    title: str
    measured: Measured | None
    figure: Figure


def drawn(material: Material) -> list[Drawing]:
    """Everything that the material has data for, in the order of the report.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
        BenchmarkError: see `edgevid.bench.report.overhead.sweep_of`.
    """
    with drawing.style():
        return list(_drawn(material))


def write_pictures(drawings: Sequence[Drawing], folder: Path) -> None:
    """Write each as ``NAME.png`` into a folder, which is made.

    Raises:
        BenchmarkError: it cannot be written.
    """
    for each in drawings:
        drawing.write_png(each.figure, folder / f"{each.name}.png")


def _drawn(material: Material) -> Iterator[Drawing]:
    for number, measured in enumerate(material.results, start=1):
        if sweep := sweep_of(measured):
            for against in BASELINES:
                title = f"{sweep.title}: overhead against the {against} network without a shift"
                figure = overhead_plot.figure(sweep, against)
                yield _drawing("overhead", f"{number}-{against}", title, measured, figure)
    if points := against_latency(material.accuracies, material.results):
        figure = accuracy_plot.figure(points)
        yield Drawing("accuracy", "accuracy", "Accuracy against latency", None, figure)
    for number, measured in enumerate(material.results, start=1):
        result = measured.result
        if any(run.rounds for run in result.runs):
            figure = distribution_plot.figure(measured)
            yield _drawing("distribution", str(number), f"{result.title}: every run", measured, figure)
        if any(result.layer_times.values()):
            figure = layers_plot.figure(measured)
            yield _drawing("layers", str(number), f"{result.title}: time by layer", measured, figure)
        if result.sustained is not None and result.sustained.points:
            figure = sustained_plot.figure(result.sustained)
            yield _drawing(
                "sustained", str(number), f"{result.sustained.variant} over time", measured, figure
            )


def _drawing(kind: Kind, ending: str, title: str, measured: Measured, figure: Figure) -> Drawing:
    words = re.sub(r"[^A-Za-z0-9]+", "-", measured.result.title)[:40].strip("-").lower()
    name = "-".join(filter(None, (kind, words, ending)))
    return Drawing(kind, name, f"{title} {measured.marks}".strip(), measured, figure)
