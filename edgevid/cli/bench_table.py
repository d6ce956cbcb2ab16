"""`edgevid bench --table`: a paper's efficiency table, remade on this machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import typer

from edgevid.cli.options import check_folder, share
from edgevid.errors import ConfigError

__all__ = ["bench_table", "only_of_tables", "refuse_with_table"]


def bench_table(
    name: str,
    *,
    device: str,
    precision: str,
    rows: str | None,
    batches: Sequence[int | None],
    threads: Sequence[int | None],
    settings: Mapping[str, float | None],
    within: str | None,
    output: Path | None,
) -> None:
    """Measure what is missing of a table and print it.

    Args:
        name: of the table.
        device: a profile of this machine.
        precision: of all networks.
        rows: titles or presets between commas, as ``top-heavy-*``; all if None.
        batches: of the table's, those that are measured; all for ``[None]``.
        threads: one number; 1 for ``[None]``.
        settings: of the timing protocol, by the fields of `edgevid.bench.settings.Settings`.
        within: share that intervals are to be as narrow as, as ``1%``.
        output: folder; one of the table's name by default.

    Raises:
        ConfigError: an option that makes no sense for the table.
        TargetError: the device is not this machine.
        Exit: nothing could be measured.
    """
    from edgevid import show
    from edgevid.bench.progress import progress_bar
    from edgevid.bench.settings import Settings
    from edgevid.bench.tables_text import render_table
    from edgevid.papers import find_table
    from edgevid.suggest import TableRequest, chosen_rows, measure_table
    from edgevid.targets._profiles import device as find_device
    from edgevid.targets._profiles import require_precision

    table = find_table(name)
    folder = output or Path(table.name)
    check_folder(folder, "the table")
    asked = TableRequest(
        table=table,
        rows=chosen_rows(table, [word.strip() for word in rows.split(",")] if rows else []),
        device=device,
        precision=require_precision(precision, find_device(device)),
        threads=_one(threads),
        batches=_batches(batches, table.batches),
        settings=Settings.model_validate(
            {**settings, "within": None if within is None else share(within, "--within")}
        ),
    )

    def tell(remark: str) -> None:
        print(remark, file=sys.stderr)

    try:
        with progress_bar() as progress:
            record = measure_table(asked, folder, tell=tell, progress=progress)
    except (KeyboardInterrupt, SystemExit):
        tell(f"interrupted; what is finished is in {folder}, and the same command goes on there")
        raise
    show.out().print(render_table(record))
    show.out().print(f"table: {folder}/{asked.name}.md and .json; samples: {folder}/samples", markup=False)
    if not record.is_measured:
        raise typer.Exit(1)


def refuse_with_table(*options: Mapping[str, object]) -> None:
    """Raise `ConfigError` for what has no meaning beside ``--table``, by the names of the options."""
    if given := [name for some in options for name, value in some.items() if value]:
        raise ConfigError(
            f"{', '.join(given)} beside a table, whose networks are the paper's",
            where="--table",
            fix="leave it out",
        )


def only_of_tables(options: Mapping[str, object], bundles: Sequence[Path] | None) -> list[Path]:
    """The bundles of a measurement without ``--table``.

    Raises:
        ConfigError: an option of tables alone.
        BadParameter: no bundle.
    """
    if given := [name for name, value in options.items() if value]:
        raise ConfigError(f"{', '.join(given)} without a table", where=given[0], fix="add --table tsm-4")
    if not bundles:
        raise typer.BadParameter("name at least one bundle, or a paper's table with --table")
    return list(bundles)


def _one(threads: Sequence[int | None]) -> int:
    if len(threads) != 1:
        raise ConfigError("several numbers of threads for one table", where="--threads", fix="give one")
    return threads[0] or 1


def _batches(wanted: Sequence[int | None], known: tuple[int, ...]) -> tuple[int, ...]:
    chosen = tuple(batch for batch in wanted if batch is not None) or known
    if unknown := [batch for batch in chosen if batch not in known]:
        raise ConfigError(
            f"the table has no batch {unknown[0]}",
            where="--batch",
            fix=f"give some of {','.join(map(str, known))}",
        )
    return tuple(batch for batch in known if batch in chosen)
