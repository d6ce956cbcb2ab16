"""Remake a paper's efficiency table: every row beside the reference, each kept as soon as it is finished."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

from edgevid.bench.own_command import own_command
from edgevid.bench.protocol import Progress
from edgevid.bench.results import Result
from edgevid.bench.settings import Settings
from edgevid.bench.tables import Figures, Published, TableRecord, TableRow, figures_of, save_table
from edgevid.bench.tables_text import write_table
from edgevid.contract import Precision
from edgevid.errors import ConfigError, EdgevidError
from edgevid.models.config import NetworkConfig, ShiftConfig
from edgevid.models.registry import Preset, preset
from edgevid.overhead.folder import SweepFolder
from edgevid.papers import PublishedRow, PublishedTable
from edgevid.suggest.measure import Tell, Workshop, measure_run, networks_of
from edgevid.suggest.network import PresetRun, reachable

__all__ = ["TableRequest", "chosen_rows", "file_of", "measure_table", "run_of"]

SAMPLES = "samples"
"""Folder beside the tables that holds one result a row and batch."""


@dataclass(frozen=True)
class TableRequest:
    """What is asked of a table.

    Attributes:
        table: as published.
        rows: those of it that are measured.
        device: name of a profile of this machine.
        precision: of all networks.
        threads: of each session.
        batches: of the table's, those that are measured.
        settings: of the timing protocol.
    """

    table: PublishedTable
    rows: tuple[PublishedRow, ...]
    device: str = "host"
    precision: Precision = "fp32"
    threads: int = 1
    batches: tuple[int, ...] = (1,)
    settings: Settings = field(default_factory=Settings)

    @property
    def name(self) -> str:
        """Of the record's files, without the ending."""
        return f"{self.table.name}-{self.device}-{self.precision}"


def chosen_rows(table: PublishedTable, patterns: Sequence[str]) -> tuple[PublishedRow, ...]:
    """Rows whose title or preset one of the patterns fits, as ``top-heavy-*``, and the reference; all for
    no pattern.

    Raises:
        ConfigError: a pattern fits none.
    """
    fitting = {
        pattern: [row for row in table.rows if fnmatch(row.preset, pattern) or fnmatch(row.title, pattern)]
        for pattern in patterns
    }
    for pattern, rows in fitting.items():
        if not rows:
            raise ConfigError(
                f"{pattern!r} fits no row of {table.name}",
                where=f"--rows {pattern}",
                fix=f"its rows are {', '.join(row.title for row in table.rows)}",
            )
    wanted = {table.reference, *(row.title for rows in fitting.values() for row in rows)}
    return tuple(row for row in table.rows if not patterns or row.title in wanted)


def measure_table(
    asked: TableRequest, path: Path, *, tell: Tell = lambda _: None, progress: Progress | None = None
) -> TableRecord:
    """Measure what is missing in a folder, row by row; one that fails leaves a hole with its reason.

    Killed at any point, it goes on when it is called again.

    Args:
        asked: the table and how.
        path: of the folder; made if it is not there. It gets the table as JSON and Markdown, and the samples.
        tell: is told what the user should know.
        progress: called for each step.

    Raises:
        TargetError: the device is not this machine, or cannot do what is asked.
        ConfigError: the folder cannot be made.
        KeyboardInterrupt: what is finished is in the folder.
    """
    device, _ = reachable(asked.device, asked.precision)
    folder = SweepFolder(path / SAMPLES, tell)
    found = _Found(asked, device.title)
    with TemporaryDirectory(prefix="edgevid-table-") as place:
        shop = Workshop(Path(place), progress)
        for batch in asked.batches:
            for row in asked.rows:
                with folder.turn():
                    found.add(row, batch, folder.path, shop, tell)
                    found.save(path)
    return found.record()


class _Found:
    """What was measured so far, and the holes."""

    def __init__(self, asked: TableRequest, machine: str) -> None:
        self.asked, self.machine = asked, machine
        self.rows = {row.title: _empty(row) for row in asked.rows}

    def add(self, row: PublishedRow, batch: int, samples: Path, shop: Workshop, tell: Tell) -> None:
        """One row at one batch; why not, if it fails."""
        try:
            self._measure(row, batch, samples, shop, tell)
        except EdgevidError as error:
            tell(f"{row.title}, batch {batch}, is not measured: {error}")
            entry = self.rows[row.title]
            self.rows[row.title] = entry.model_copy(update={"holes": {**entry.holes, batch: error.what}})

    def _measure(self, row: PublishedRow, batch: int, samples: Path, shop: Workshop, tell: Tell) -> None:
        asked, table = self.asked, self.asked.table
        own = run_of(row, asked, batch)
        first = table.row(table.reference)
        reference = None if row is first else run_of(first, asked, batch)
        file = samples / file_of(own)
        try:
            result = measure_run(own, reference, file, asked.settings, shop, tell=tell)
        finally:
            if reference is not None:
                shop.discard(own)
        figures = figures_of(
            result,
            own.title,
            units=_units(own, table),
            reference_units=_units(reference or own, table),
            lowering=_said(result, own, "lowering"),
            file=f"{SAMPLES}/{file.name}",
        )
        self._enter(row, batch, figures, result, own)

    def _enter(self, row: PublishedRow, batch: int, figures: Figures, result: Result, own: PresetRun) -> None:
        entry = self.rows[row.title]
        self.rows[row.title] = entry.model_copy(
            update={
                "measured": {**entry.measured, batch: figures},
                "parameters": int(_said(result, own, "parameters")),
                "macs": int(_said(result, own, "macs")),
            }
        )

    def record(self) -> TableRecord:
        """As it stands."""
        asked, table = self.asked, self.asked.table
        return TableRecord(
            name=table.name,
            title=table.title,
            source=table.source,
            published_on=table.machine,
            reference=table.reference,
            per=table.per,
            batches=asked.batches,
            device=asked.device,
            machine=self.machine,
            precision=asked.precision,
            threads=asked.threads,
            command=own_command(),
            rows=tuple(self.rows.values()),
        )

    def save(self, folder: Path) -> None:
        """As JSON and as Markdown."""
        record = self.record()
        save_table(record, folder / f"{self.asked.name}.json")
        write_table(record, folder / f"{self.asked.name}.md")


def run_of(row: PublishedRow, asked: TableRequest, batch: int) -> PresetRun:
    """What is timed for a row.

    Raises:
        ConfigError: there is no such preset, or it has no shift of another proportion.
    """
    known = preset(row.preset)
    return PresetRun(
        title=row.title,
        preset=row.preset,
        config=_config(row, known),
        device=asked.device,
        precision=asked.precision,
        batch=batch,
        threads=asked.threads,
        one_frame=row.one_frame,
    )


def file_of(run: PresetRun) -> str:
    """Name of the file that holds the samples of a row."""
    words = re.sub(r"[^a-z0-9]+", "-", run.title.lower()).strip("-")
    return f"{words}-{run.device}-{run.precision}-batch{run.batch}.json"


def _config(row: PublishedRow, known: Preset) -> NetworkConfig:
    if not row.proportion:
        return known.config
    proportion = Fraction(row.proportion)
    if not proportion:
        return known.config.without_shift()
    if known.config.shift is None:
        raise ConfigError(f"{known.name} has no shift of any proportion", where=row.title)
    shift = ShiftConfig.model_validate({**known.config.shift.model_dump(), "proportion": proportion})
    return known.config.model_copy(update={"shift": shift})


def _units(run: PresetRun, table: PublishedTable) -> int:
    """Clips that a run computes, or frames in a table of frames."""
    if table.per == "clip":
        return run.batch
    return run.batch * (1 if run.one_frame else run.config.segments)


def _empty(row: PublishedRow) -> TableRow:
    """A row before anything is measured."""
    published = Published(
        milliseconds=row.milliseconds,
        clips_a_second=row.clips_a_second,
        parameters=row.parameters,
        gmacs=row.gmacs,
    )
    entry = TableRow(title=row.title, preset=row.preset, published=published, note=row.note)
    try:
        known = preset(row.preset)
    except ConfigError:
        return entry  # measuring it says so
    frames = 1 if row.one_frame else known.config.segments
    return entry.model_copy(update={"frames": frames, "size": known.config.size})


def _said(result: Result, run: PresetRun, key: str) -> str:
    """What a result says of a network."""
    return str(networks_of(result).get(run.title, {}).get(key, ""))
