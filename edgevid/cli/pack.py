"""`edgevid pack`: clips for devices."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgevid.cli.options import FrameTemplate, Patience, Workers

__all__ = ["pack"]


def pack(
    videos: Annotated[Path, typer.Argument(metavar="LIST", help="A list or a folder of videos.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the clips.")],
    bundle: Annotated[
        Path | None, typer.Option(help="Takes sampling and class names from it; flags below go before.")
    ] = None,
    segments: Annotated[int | None, typer.Option(help="T, frames a clip.")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels of the crop.")] = None,
    resize: Annotated[int | None, typer.Option(help="Pixels of the short side.")] = None,
    mode: Annotated[str | None, typer.Option(help="uniform or dense.")] = None,
    clips: Annotated[int | None, typer.Option(help="Temporal clips a video.")] = None,
    crops: Annotated[int | None, typer.Option(help="1 or 3 crops a clip.")] = None,
    library: Annotated[str | None, typer.Option(help="Whose resize: pil or opencv.")] = None,
    frame_template: FrameTemplate = None,
    shard_mb: Annotated[float, typer.Option(min=0.001, help="Megabytes a shard.")] = 256.0,
    workers: Workers = None,
    timeout: Patience = 60.0,
) -> None:
    """Decode videos once into clips for a device that cannot; compare takes them too.

    Videos that cannot be read are skipped by name. An interrupted run is taken up by the same command.
    """
    from edgevid import show_compare
    from edgevid.calibration.data import find_videos
    from edgevid.calibration.open_data import sampling_and_labels
    from edgevid.calibration.pack import pack

    sampling, names = sampling_and_labels(
        bundle,
        segments=segments,
        crop=size,
        resize=resize,
        mode=mode,
        clips=clips,
        crops=crops,
        library=library,
    )
    found = find_videos(
        videos, sampling, labels=names, frame_template=frame_template, workers=workers, patience=timeout
    )
    with show_compare.progress_bar(resumes=True) as progress:
        made = pack(found, output, shard_bytes=int(shard_mb * 1e6), progress=progress)
    show_compare.packed(made)
