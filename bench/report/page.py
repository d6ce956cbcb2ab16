"""The report as one page that loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgevid.bench.report import layers, tables
from edgevid.bench.report.accuracy import without_latency
from edgevid.bench.report.drawing import PALETTE, svg_of
from edgevid.bench.report.facts import environments, labels_used, remarks, title_of
from edgevid.bench.report.headline import circumstances, headline
from edgevid.bench.report.material import Material
from edgevid.bench.report.overhead import PAPER_SOURCE, sweep_of, sweeps_of
from edgevid.bench.report.plots import Drawing
from edgevid.bench.report.text import command_line, interval, labelled, percent
from edgevid.disk import write_text
from edgevid.errors import BenchmarkError

__all__ = ["render", "write_page"]

TEMPLATE = Path(__file__).with_name("page.html")


def write_page(material: Material, drawings: Sequence[Drawing], path: Path) -> None:
    """Write the page, whole or not at all.

    Raises:
        BenchmarkError: the file cannot be written.
        ModuleNotFoundError: jinja2 is not installed.
    """
    write_text(path, render(material, drawings), BenchmarkError)


def render(material: Material, drawings: Sequence[Drawing]) -> str:
    """The page."""
    from jinja2 import Environment as Templates
    from jinja2 import StrictUndefined
    from markupsafe import Markup

    templates = Templates(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    templates.globals.update(
        circumstances=circumstances,
        command_line=command_line,
        interval=interval,
        labelled=labelled,
        layers=layers,
        percent=percent,
        remarks=remarks,
        sweep_of=sweep_of,
        tables=tables,
    )
    shown = [
        # matplotlib has escaped every text in it.
        (each, Markup(svg_of(each.figure, each.name, each.title)))  # noqa: S704
        for each in drawings
    ]
    return templates.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        material=material,
        title=title_of(material),
        rows=headline(material),
        sweeps=sweeps_of(material.results),
        paper=PAPER_SOURCE,
        drawings=shown,
        unmeasured=without_latency(material.accuracies, material.results),
        environments=environments(material.results),
        labels=labels_used(material),
        series=list(enumerate(PALETTE, start=1)),
    )
