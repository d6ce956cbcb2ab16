"""A paper's efficiency table, remade: what was measured of each row, beside what was published."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgevid.bench.results import Label, Result
from edgevid.bench.summary import Estimate, summarize
from edgevid.disk import write_text
from edgevid.errors import BenchmarkError

__all__ = ["Figures", "Published", "TableRecord", "TableRow", "figures_of", "load_table", "save_table"]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figures(_Model):
    """What was measured of a row at one batch.

    Attributes:
        milliseconds: wall time of a run.
        units: clips, or frames in a table of frames, that a run computes.
        ratio: time of a unit over that of the reference's, paired within rounds; None for the reference.
        lowering: of the shift, or form of a network without one.
        memory: bytes at the peak of a process that runs it alone; None where that is not known.
        label: what the figures are worth.
        verdict: of the measurement.
        file: that holds the samples, from the record's folder.
    """

    milliseconds: Estimate
    units: int
    ratio: Estimate | None = None
    lowering: str = ""
    memory: int | None = None
    label: Label = "measured"
    verdict: str = ""
    file: str = ""

    @property
    def a_second(self) -> float:
        """Units a second, by the median."""
        return 1000 * self.units / self.milliseconds.median

    @property
    def milliseconds_a_unit(self) -> float:
        """By the median."""
        return self.milliseconds.median / self.units


class Published(_Model):
    """What the paper says of a row; None where it says nothing."""

    milliseconds: float | None = None
    clips_a_second: float | None = None
    parameters: float | None = None
    gmacs: float | None = None


class TableRow(_Model):
    """One network.

    Attributes:
        title: as the paper calls it.
        preset: name of the network.
        frames: of a run; None where the preset does not exist.
        size: of a frame in pixels; None likewise.
        parameters: counted; None where nothing was compiled.
        macs: multiply-accumulates of a run of one clip, counted; likewise.
        published: by the paper.
        measured: by the clips a call.
        holes: why there is no figure, by the clips a call.
        note: what a reader must know of the row.
    """

    title: str
    preset: str
    frames: int | None = None
    size: int | None = None
    parameters: int | None = None
    macs: int | None = None
    published: Published = Published()
    measured: dict[int, Figures] = Field(default_factory=dict)
    holes: dict[int, str] = Field(default_factory=dict)
    note: str = ""


class TableRecord(_Model):
    """A table as it is remade on one device in one precision.

    Attributes:
        name: it is asked for by.
        title: what it shows.
        source: paper and table.
        published_on: machine of the paper.
        reference: title of the row that the others are divided by.
        per: what ratios are of.
        batches: that were asked for.
        device: name of the profile.
        machine: that was measured, in words.
        precision: of all networks.
        threads: of each session.
        command: that measured last.
        rows: in the paper's order.
    """

    schema_version: Literal[1] = 1
    kind: Literal["table"] = "table"
    name: str
    title: str
    source: str
    published_on: str = ""
    reference: str
    per: Literal["clip", "frame"] = "clip"
    batches: tuple[int, ...]
    device: str
    machine: str
    precision: str
    threads: int
    command: tuple[str, ...] = ()
    rows: tuple[TableRow, ...]

    def row(self, title: str) -> TableRow | None:
        """The row of that title, if it was asked for."""
        return next((row for row in self.rows if row.title == title), None)

    @property
    def is_measured(self) -> bool:
        """Some figure is there."""
        return any(row.measured for row in self.rows)


def figures_of(
    result: Result, name: str, *, units: int, reference_units: int, lowering: str = "", file: str = ""
) -> Figures:
    """What a result says of one of its variants.

    Args:
        result: whose baseline is the table's reference, or the variant itself.
        name: of the variant.
        units: clips or frames that a run of it computes.
        reference_units: the same of the baseline.
        lowering: of the variant.
        file: of the result.

    Raises:
        BenchmarkError: no round was finished, or it has no such variant.
    """
    for summary in summarize(result):
        if summary.name == name and summary.wall_ms is not None:
            return Figures(
                milliseconds=summary.wall_ms,
                units=units,
                ratio=_times(summary.wall_ratio, reference_units / units),
                lowering=lowering,
                memory=result.peak_memory.get(name),
                label=summary.label,
                verdict=str(result.verdict),
                file=file,
            )
    raise BenchmarkError(f"no finished round of {name!r}", where=file or result.title, fix="measure again")


def _times(estimate: Estimate | None, factor: float) -> Estimate | None:
    if estimate is None:
        return None
    found = estimate.interval
    if found is not None:
        found = type(found)(factor * found.low, factor * found.high, found.level, found.method)
    return Estimate(median=factor * estimate.median, interval=found)


def save_table(record: TableRecord, path: Path) -> None:
    """Write the record as JSON, whole or not at all.

    Raises:
        BenchmarkError: the folder is missing or cannot be written.
    """
    write_text(path, record.model_dump_json(indent=1) + "\n", BenchmarkError)


def load_table(path: Path) -> TableRecord:
    """Read what `save_table` wrote.

    Raises:
        BenchmarkError: it cannot be read, or is something else.
    """
    try:
        return TableRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchmarkError(f"the table cannot be read: {error.strerror or error}", where=path) from error
    except (ValidationError, ValueError) as error:
        raise BenchmarkError(
            "not the record of a table, or damaged", where=path, fix="run edgevid bench --table again"
        ) from error
