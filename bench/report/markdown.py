"""The report as Markdown, for a repository or an issue."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from edgevid.bench.report import layers, tables
from edgevid.bench.report.accuracy import without_latency
from edgevid.bench.report.facts import environments, labels_used, remarks, title_of
from edgevid.bench.report.headline import circumstances, headline
from edgevid.bench.report.material import Material
from edgevid.bench.report.measured import Measured
from edgevid.bench.report.overhead import PAPER_SOURCE, sweeps_of
from edgevid.bench.report.plots import Drawing
from edgevid.bench.report.tables import Cell, Table
from edgevid.bench.report.text import command_line, interval, percent
from edgevid.disk import write_text
from edgevid.errors import BenchmarkError

__all__ = ["write_markdown"]


def write_markdown(
    material: Material, drawings: Sequence[Drawing], path: Path, pictures: Path | None = None
) -> None:
    """Write it, whole or not at all.

    Args:
        material: what is told.
        drawings: shown where they are files.
        path: of the Markdown.
        pictures: folder of the drawings' PNG files; ``None`` leaves them out.

    Raises:
        BenchmarkError: the file cannot be written.
    """
    folder = None if pictures is None else Path(os.path.relpath(pictures.resolve(), path.resolve().parent))
    write_text(path, "\n".join(_lines(material, _pictures(drawings, folder))), BenchmarkError)


Pictures = Callable[[Sequence[str], Measured | None], Iterator[str]]
"""Lines that show the drawings of some kinds of one result, or of all of them."""


def _pictures(drawings: Sequence[Drawing], folder: Path | None) -> Pictures:
    def lines(kinds: Sequence[str], measured: Measured | None) -> Iterator[str]:
        for each in drawings:
            if folder is not None and each.kind in kinds and each.measured is measured:
                address = (folder / f"{each.name}.png").as_posix().replace(" ", "%20")
                yield from (f"![{_plain(each.title)}]({address})", "")

    return lines


def _lines(material: Material, pictures: Pictures) -> Iterator[str]:
    yield from (f"# {_plain(title_of(material))}", "")
    for measured in material.invalid:
        title = f"{_plain(measured.result.title)}, {_plain(measured.file)}"
        yield from (f"> **{_plain(str(measured.result.verdict))}** ({title})", "")
    for label, meaning in labels_used(material).items():
        yield from (f"**[{label}]**: {meaning}.", "")
    if rows := headline(material):
        yield from (*_table(tables.headline_table(rows)), "")
        yield "Median of all runs; intervals are of 95 %. Over the baseline of the same measurement, paired"
        yield from ("within its rounds.", "")
    yield from _overhead(material, pictures)
    yield from _accuracy(material, pictures)
    for measured in material.results:
        yield from _result(measured, pictures)
    for files, facts in environments(material.results):
        yield from (f"## Environment of {_plain(', '.join(files))}", "")
        yield from (f"- {name}: {_plain(value)}" for name, value in facts.items())
        yield ""


def _overhead(material: Material, pictures: Pictures) -> Iterator[str]:
    sweeps = sweeps_of(material.results)
    for sweep in sweeps:
        yield from (f"## What the shift costs: {_plain(sweep.title)} {sweep.measured.marks}".rstrip(), "")
        yield from pictures(["overhead"], sweep.measured)
        yield from (*_table(tables.overhead_table(sweep)), "")
    if sweeps:
        yield from (f"In the paper, on other machines: {PAPER_SOURCE}.", "")
    if material.holes:
        yield from (f"**Not measured: {len(material.holes)} points**", "")
        yield from (*_table(tables.holes_table(material.holes)), "")


def _accuracy(material: Material, pictures: Pictures) -> Iterator[str]:
    yield from pictures(["accuracy"], None)
    for found in material.accuracies:
        yield from (f"## Accuracy on {found.data.videos} videos of {_plain(found.data.source)}", "")
        yield from (*_table(tables.accuracy_table(found)), "")
        yield from ("```sh", command_line(found.command), "```", "")
    if names := without_latency(material.accuracies, material.results):
        yield from (f"No latency is known of {_plain(', '.join(names))}.", "")


def _result(measured: Measured, pictures: Pictures) -> Iterator[str]:
    result = measured.result
    yield from (f"## {_plain(result.title)}", "")
    yield from (f"**{_plain(str(result.verdict))}**. {_plain(circumstances(measured))}.", "")
    if twin := measured.twin.wall_ratio:
        yield f"The baseline against itself: {percent(twin.median - 1)} ({interval(twin, 1)})."
        yield ""
    for note in remarks(measured):
        yield f"- {_plain(note)}"
    yield ""
    yield from pictures(["distribution", "layers", "sustained"], measured)
    if result.stages:
        yield from (*_table(tables.stages_table(measured)), "")
    for name, times in result.layer_times.items():
        if times:
            yield from (f"Layers of {_plain(name)} {measured.marks}".rstrip() + ":", "")
            yield from (*_table(tables.layers_table(layers.by_kernel(times), "kind")), "")
    yield f"{_plain(measured.file)}, {result.created:%Y-%m-%d %H:%M %Z}. Again:"
    yield from ("", "```sh", command_line(result.command), "```", "")


def _table(table: Table) -> Iterator[str]:
    yield "| " + " | ".join(map(_plain, table.headings)) + " |"
    yield "|" + "|".join(" --- " if name in table.words else " ---: " for name in table.headings) + "|"
    for row in table.rows:
        yield "| " + " | ".join(map(_cell, row)) + " |"


def _cell(cell: Cell) -> str:
    marks = [f"**{_plain(mark)}**" for mark in cell.marks]
    detail = [f"({_plain(cell.detail)})"] if cell.detail else []
    return " ".join((_plain(cell.text), *marks, *detail))


def _plain(text: str) -> str:
    """What Markdown would take for its own, as text."""
    return re.sub(r"([\\`*_<>|\[\]#])", r"\\\1", text).replace("\n", " ")
