"""`edgevid calibrate`: ranges for int8."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from edgevid.cli.network_flags import takes_network_flags
from edgevid.cli.options import FrameTemplate, NetworkPath, Patience, Threads, Workers, check_folder
from edgevid.errors import ConfigError

__all__ = ["calibrate"]


@takes_network_flags(views=False)
def calibrate(
    network: NetworkPath,
    calibration: Annotated[
        Path, typer.Option(metavar="VIDEOS", help="A list, a folder, or clips that pack wrote.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the table (JSON) goes.")],
    clips: Annotated[int, typer.Option(min=1, help="How many at most, spread over the classes.")] = 300,
    method: Annotated[str, typer.Option(help="minmax, average, percentile, entropy or mse.")] = "minmax",
    percentile: Annotated[
        float | None, typer.Option(help="Of the method percentile; 99.99 by default.")
    ] = None,
    equalize: Annotated[
        bool, typer.Option("--equalize", help="Of equalized channels, for compile --equalize.")
    ] = False,
    frame_template: FrameTemplate = None,
    threads: Threads = None,
    workers: Workers = None,
    timeout: Patience = 60.0,
    *,
    flags: dict[str, Any],
) -> None:
    """Find the ranges that int8 needs, and write them as a table that compile takes.

    Videos that cannot be read are skipped by name. An interrupted run is taken up by the same command.
    """
    from edgevid import show, show_calibration, show_compare
    from edgevid.calibration.calibrate import PERCENTILE, calibrate, partial_of
    from edgevid.calibration.equalize import equalize as equalized
    from edgevid.calibration.open_data import open_videos
    from edgevid.calibration.table import find_method, save_table
    from edgevid.graph.prelude import with_uint8_clips
    from edgevid.int8 import clip_notes
    from edgevid.source import open_source

    check_folder(output, "the table")
    chosen = find_method(method)
    if percentile is not None and chosen != "percentile":
        raise ConfigError(
            f"a percentile for the method {chosen}", where="--percentile", fix="give --method percentile too"
        )
    with show.steps() as say:
        source = open_source(network, say=say, **flags)
        graph = with_uint8_clips(source.graph(1), source.normalization)
        if equalize:
            graph = equalized(graph)
    data = open_videos(
        calibration,
        source.sampling,
        labels=source.labels,
        frame_template=frame_template,
        workers=workers,
        patience=timeout,
    )
    with show_compare.progress_bar(resumes=True) as progress:
        table = calibrate(
            graph,
            data,
            method=chosen,
            percentile=PERCENTILE if percentile is None else percentile,
            count=clips,
            threads=threads,
            equalized=equalize,
            partial=partial_of(output),
            progress=progress,
        )
    table = table.model_copy(update={"notes": clip_notes(data, source)})
    save_table(table, output)
    partial_of(output).unlink(missing_ok=True)
    show_calibration.table(table, output)
