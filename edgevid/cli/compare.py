"""`edgevid compare`: accuracy before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgevid.cli.options import FrameTemplate, Patience, Threads, Workers, check_folder, named_files
from edgevid.errors import ConfigError

__all__ = ["compare"]


def compare(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="The first is the reference.")],
    data: Annotated[
        Path, typer.Option(metavar="LIST", help="Videos: a list, a folder, or clips that pack wrote.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write all of it as JSON; resumes from it too.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots.")] = None,
    max_drop: Annotated[
        float | None, typer.Option(min=0, max=100, help="Points of top-1 that may be lost.")
    ] = None,
    logits: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Logits (.npz, .json) that another device computed."),
    ] = None,
    sensitivity: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="What edgevid sensitivity -o wrote, for the page's plots."),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Class names, one a line or JSON.")] = None,
    frame_template: FrameTemplate = None,
    threads: Threads = None,
    early: Annotated[
        str | None, typer.Option(metavar="SHARES", help="See beginnings of the videos too: 10%,25%,50%,100%.")
    ] = None,
    latency: Annotated[bool, typer.Option("--latency/--no-latency", help="Measure it too.")] = True,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of measuring latency, a process.")] = 20,
    processes: Annotated[int, typer.Option(min=1, help="Fresh processes to measure it in.")] = 1,
    workers: Workers = None,
    timeout: Patience = 60.0,
) -> None:
    """Compare bundles on the same videos: accuracy, agreement, size and latency.

    Exit status: 1 if a candidate surely loses more top-1 than --max-drop (the whole 95 % interval
    of the paired drop is above it), or on an error; 0 otherwise. Videos that cannot be read are
    skipped by name for all networks. With --early the frames are sampled from the first part of
    each video as if it ended there; whole videos are always seen. Latency is measured as by
    edgevid bench, on one clip; of networks that take frame by frame that of a frame stands beside it.
    """
    from edgevid import show_compare
    from edgevid.bench.settings import Settings
    from edgevid.calibration import report
    from edgevid.calibration.compare import compare
    from edgevid.calibration.open_data import open_data
    from edgevid.calibration.ranking import load_ranking

    for place in (output, html):
        check_folder(place, "the results")
    if html:
        report.check_packages()
    rankings = {
        name: load_ranking(file) for name, file in named_files(sensitivity or [], "--sensitivity").items()
    }
    names, found = open_data(
        data,
        bundles[0],
        labels=labels,
        shares=_beginnings(early) if early is not None else (),
        frame_template=frame_template,
        workers=workers,
        patience=timeout,
    )
    with show_compare.progress_bar(resumes=output is not None) as progress:
        result = compare(
            bundles,
            found,
            logits=named_files(logits or [], "--logits"),
            max_drop=None if max_drop is None else max_drop / 100,
            threads=threads,
            timing=Settings(rounds=rounds, processes=processes) if latency else None,
            labels=names,
            sensitivity=rankings,
            output=output,
            progress=progress,
        )
    show_compare.comparison(result)
    if html:
        report.write_report(result, html)
    raise typer.Exit(1 if result.exceeded else 0)


def _beginnings(text: str) -> tuple[float, ...]:
    """Shares above 0, ascending; the last is 1.

    Raises:
        ConfigError: something else.
    """
    shares = {1.0}
    for part in text.split(","):
        digits = part.strip()
        try:
            value = float(digits.removesuffix("%")) / (100 if digits.endswith("%") else 1)
        except ValueError:
            value = 0.0
        if not 0 < value <= 1:
            raise ConfigError(
                f"{part!r} is no part of a video",
                where="--early",
                fix="write shares above 0 % and up to 100 %, as 10%,25%,50%,100%",
            )
        shares.add(value)
    return tuple(sorted(shares))
