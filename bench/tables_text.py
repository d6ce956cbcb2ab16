"""A remade table on the terminal and as Markdown: the same columns, the same remarks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgevid.bench.report.text import NOTHING, command_line, interval, labelled, megabytes, number
from edgevid.bench.results import INVALID, LABELS
from edgevid.bench.tables import Figures, TableRecord, TableRow
from edgevid.disk import write_text
from edgevid.errors import BenchmarkError

__all__ = ["cells_of", "render_table", "write_table"]

_WORDS = ("network", "preset", "form")
"""Headings of columns that hold words."""


def render_table(record: TableRecord) -> RenderableType:
    """Title, table, remarks and holes, for the terminal."""
    headings, rows = cells_of(record)
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title=Text(_title(record)),
        title_justify="left",
    )
    for heading in headings:
        words = heading in _WORDS
        table.add_column(Text(heading), justify="left" if words else "right", overflow="fold")
    for cells in rows:
        style = "bold" if cells[0] == record.reference else None
        table.add_row(*(Text(cell) for cell in cells), style=style)
    lines = [Text(line, style="bold red" if INVALID in line else "dim") for line in _remarks(record)]
    return Group(table, *lines)


def write_table(record: TableRecord, path: Path) -> None:
    """Write it as Markdown, whole or not at all.

    Raises:
        BenchmarkError: the file cannot be written.
    """
    write_text(path, "\n".join(_markdown(record)), BenchmarkError)


def _markdown(record: TableRecord) -> Iterator[str]:
    headings, rows = cells_of(record)
    yield from (f"# {_plain(_title(record))}", "")
    yield "| " + " | ".join(map(_plain, headings)) + " |"
    yield "|" + "|".join(" --- " if heading in _WORDS else " ---: " for heading in headings) + "|"
    for cells in rows:
        yield "| " + " | ".join(map(_plain, cells)) + " |"
    yield ""
    yield from (f"- {_plain(line)}" for line in _remarks(record))
    yield from ("", "Again:", "", "```sh", command_line(record.command), "```", "")


def cells_of(record: TableRecord) -> tuple[list[str], list[list[str]]]:
    """Headings, and a list of cells for each row; columns in which nothing stands are left out."""
    columns = [*_network(record), *(column for batch in record.batches for column in _batch(record, batch))]
    kept = [(heading, cells) for heading, cells in columns if any(cell != NOTHING for cell in cells)]
    return [heading for heading, _ in kept], [list(row) for row in zip(*(c for _, c in kept), strict=True)]


_Column = tuple[str, list[str]]


def _network(record: TableRecord) -> Iterator[_Column]:
    rows = record.rows
    yield "network", [row.title for row in rows]
    yield "preset", [row.preset for row in rows]
    yield "M parameters", [_scaled(row.parameters, 1e6) for row in rows]
    yield "paper", [number(row.published.parameters) for row in rows]
    yield "GMACs", [_scaled(row.macs, 1e9) for row in rows]
    yield "paper", [number(row.published.gmacs) for row in rows]


def _batch(record: TableRecord, batch: int) -> Iterator[_Column]:
    """Of one clip the latency, of several the throughput."""
    rows, per = record.rows, record.per
    found = [row.measured.get(batch) for row in rows]
    reference = record.row(record.reference)
    if batch == 1:
        yield "form", [each.lowering or NOTHING if each else NOTHING for each in found]
        yield "ms", [_marked(number(each.milliseconds.median), each) if each else NOTHING for each in found]
        yield "95 % interval", [interval(each.milliseconds) if each else NOTHING for each in found]
        if per == "frame":
            yield "ms a frame", [number(each.milliseconds_a_unit) if each else NOTHING for each in found]
        yield "paper ms", [number(row.published.milliseconds) for row in rows]
        yield f"of {record.reference}", [_ratio(each) for each in found]
        yield "95 % interval", [interval(each.ratio) if each else NOTHING for each in found]
        yield "paper", [_published(row, reference, "milliseconds") for row in rows]
        yield "peak MB", [megabytes(each.memory) if each else NOTHING for each in found]
        return
    yield (
        f"{per}s/s at {batch}",
        [_marked(number(each.a_second), each) if each else NOTHING for each in found],
    )
    yield "paper", [number(row.published.clips_a_second) for row in rows]
    yield f"of {record.reference}", [_inverse(each) for each in found]
    yield "paper", [_published(row, reference, "clips_a_second") for row in rows]


def _scaled(count: int | None, unit: float) -> str:
    return NOTHING if count is None else f"{count / unit:.2f}"


def _marked(text: str, figures: Figures) -> str:
    return labelled(text, figures.label) + (" INVALID" if figures.verdict.startswith(INVALID) else "")


def _ratio(figures: Figures | None) -> str:
    if figures is None:
        return NOTHING
    return "1" if figures.ratio is None else f"{figures.ratio.median:.3f}"


def _inverse(figures: Figures | None) -> str:
    """Throughput over the reference's."""
    if figures is None:
        return NOTHING
    return "1" if figures.ratio is None else f"{1 / figures.ratio.median:.3f}"


def _published(row: TableRow, reference: TableRow | None, name: str) -> str:
    """The paper's own ratio."""
    own = getattr(row.published, name)
    other = None if reference is None else getattr(reference.published, name)
    return NOTHING if own is None or other is None else f"{own / other:.3f}"


def _title(record: TableRecord) -> str:
    threads = f"{record.threads} thread{'' if record.threads == 1 else 's'}"
    return f"{record.title} ({record.source}), on {record.machine}, {record.precision}, {threads}"


def _remarks(record: TableRecord) -> list[str]:
    lines = []
    if record.published_on:
        lines.append(f"paper: measured on {record.published_on}")
    lines.append(
        f"ratios are of the time of a {record.per}, paired within rounds with {record.reference}; "
        "of throughput their inverse"
    )
    lines += [f"{row.title}: {row.note}" for row in record.rows if row.note]
    figures = [(row, batch, each) for row in record.rows for batch, each in row.measured.items()]
    lines += [
        f"{row.title}, batch {batch}: {each.verdict}"
        for row, batch, each in figures
        if each.verdict.startswith(INVALID)
    ]
    used = {each.label for _, _, each in figures} - {"measured"}
    lines += [f"[{label}]: {told}" for label, told in LABELS.items() if label in used]
    return [*lines, *_holes(record.rows)]


def _holes(rows: Sequence[TableRow]) -> list[str]:
    """What is not there, the same reason once a row."""
    lines = []
    for row in rows:
        reasons: dict[str, list[str]] = {}
        for batch, reason in row.holes.items():
            reasons.setdefault(reason, []).append(str(batch))
        for reason, batches in reasons.items():
            lines.append(f"{row.title}, batch {', '.join(batches)}: not measured: {reason}")
    return lines


def _plain(text: str) -> str:
    """What Markdown would take for its own, as text."""
    return re.sub(r"([\\`*_<>|\[\]#])", r"\\\1", text).replace("\n", " ")
