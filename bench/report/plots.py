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
from edgevid.bench.report.text import labelled

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
        caption: what it shows, and what its figures are worth.
        title: the same with what it is of, where it stands alone.
        measured: the result that it is of; ``None`` for all of them.
        figure: made by matplotlib.
    """

    kind: Kind
    name: str
    caption: str
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
        drawing.write_png(each.figure, folder / f"{each.name}.png", each.title)


def _drawn(material: Material) -> Iterator[Drawing]:
    for number, measured in enumerate(material.results, start=1):
        if sweep := sweep_of(measured):
            for against in BASELINES:
                caption = f"Over the {against} network without a shift"
                figure = overhead_plot.figure({sweep.title: sweep}, [against])
                yield _of("overhead", f"{number}-{against}", caption, measured, figure, sweep.title)
    if points := against_latency(material.accuracies, material.results):
        caption = "Accuracy against latency"
        figure = accuracy_plot.figure(points)
        yield Drawing("accuracy", "accuracy-against-latency", caption, caption, None, figure)
    for number, measured in enumerate(material.results, start=1):
        result, ending = measured.result, str(number)
        if any(run.rounds for run in result.runs):
            figure = distribution_plot.figure(measured)
            yield _of("distribution", ending, "Every run", measured, figure)
        if any(result.layer_times.values()):
            yield _of("layers", ending, "Time by layer", measured, layers_plot.figure(measured))
        if result.sustained is not None and result.sustained.points:
            name = labelled(result.sustained.variant, measured.label_of(result.sustained.variant))
            figure = sustained_plot.figure(result.sustained)
            yield _of("sustained", ending, f"{name}, one run after the other", measured, figure)


def _of(
    kind: Kind, ending: str, caption: str, measured: Measured, figure: Figure, about: str = ""
) -> Drawing:
    words = re.sub(r"[^A-Za-z0-9]+", "-", measured.file.removesuffix(".json")).strip("-").lower()
    caption = f"{caption} {measured.marks}".rstrip()
    title = f"{about or measured.result.title}: {caption[0].lower()}{caption[1:]}"
    return Drawing(kind, f"{kind}-{words}-{ending}", caption, title, measured, figure)
