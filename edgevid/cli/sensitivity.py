"""`edgevid sensitivity`: layers by what int8 costs there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from edgevid.cli.network_flags import takes_network_flags
from edgevid.cli.options import FrameTemplate, NetworkPath, Patience, Threads, Workers, check_folder
from edgevid.errors import ConfigError

__all__ = ["sensitivity"]

_RANKING_BATCH = 4  # as fast as larger ones


@takes_network_flags(views=False)
def sensitivity(
    network: NetworkPath,
    calibration: Annotated[
        Path, typer.Option(metavar="VIDEOS", help="A list, a folder, packed clips, or a table (.json).")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="LIST", help="What layers are ranked on; by default what they are calibrated with."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write all of it as JSON; resumes from it too.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it, as .png or .svg.")] = None,
    device: Annotated[str, typer.Option(help="Whose int8 is imitated.")] = "host",
    count: Annotated[int, typer.Option(min=1, help="Clips to rank on, at most.")] = 64,
    clips: Annotated[int, typer.Option(min=1, help="Clips to calibrate with, at most.")] = 300,
    method: Annotated[str, typer.Option(help="Of the ranges: see calibrate.")] = "minmax",
    frame_template: FrameTemplate = None,
    threads: Threads = None,
    workers: Workers = None,
    timeout: Patience = 60.0,
    *,
    flags: dict[str, Any],
) -> None:
    """Rank the layers by the error that each one alone adds in int8, everything else in float.

    Videos that cannot be read are skipped by name. An interrupted run with -o is taken up by the
    same command, after the last layer that was done.
    """
    from edgevid import show, show_compare, show_sensitivity
    from edgevid.calibration.calibrate import partial_of
    from edgevid.calibration.ranking import save_ranking
    from edgevid.calibration.ranking_plot import check_plot, draw
    from edgevid.calibration.sensitivity import sensitivity
    from edgevid.calibration.table import find_method
    from edgevid.graph.prelude import with_uint8_clips
    from edgevid.int8 import Int8, opened, table_for, thresholds_for
    from edgevid.plan import plan
    from edgevid.source import open_source

    for place in (output, plot):
        check_folder(place, "the results")
    if plot:
        check_plot(plot)
    request = Int8(calibration, find_method(method), clips)
    scheme = plan(device, "int8", int8=request).capability.scheme
    assert scheme is not None
    if data is None and request.has_table:
        raise ConfigError("a table holds no clips", where="--calibration", fix="give --data too")
    options = {"frame_template": frame_template, "workers": workers, "patience": timeout}
    with show.steps() as say:
        source = open_source(network, say=say, **flags)
        graph = with_uint8_clips(source.graph(source.batch or _RANKING_BATCH), source.normalization)
    with show_compare.progress_bar(resumes=output is not None) as progress:
        seen = None if request.has_table else opened(calibration, source, **options)
        table = table_for(replace(request, progress=progress), graph, seen)
        found = sensitivity(
            graph,
            thresholds_for(graph, table),
            scheme,
            opened(data or calibration, source, **options),
            count=count,
            threads=threads,
            partial=partial_of(output) if output else None,
            progress=progress,
        )
    if output:
        save_ranking(found, output)
        partial_of(output).unlink(missing_ok=True)
    if plot:
        draw(found, plot)
    show_sensitivity.ranking(found, table=output, plot=plot)
