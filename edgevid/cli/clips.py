"""`edgevid clips`: generated clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["clips"]


def clips(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Gets one folder a class and list.txt.")],
    split: Annotated[str, typer.Option(help="easy or hard.")] = "easy",
    count: Annotated[int, typer.Option(min=1, help="Videos a class.")] = 2,
    seed: Annotated[int, typer.Option(help="Of the generator.")] = 0,
    sequence: Annotated[
        int | None,
        typer.Option(min=1, help="Instead one video of so many motions in a row, and where each begins."),
    ] = None,
) -> None:
    """Generate the demo's clips as H.264 files."""
    from edgevid import show
    from edgevid.demo import LABELS, write_sequence, write_videos

    if sequence is not None:
        video = write_sequence(folder, split, seed, motions=sequence)
        show.out().print(f"{sequence} motions in a row: {video}, {video.with_suffix('.json').name}")
        return
    written = write_videos(folder, split, count * len(LABELS), seed)
    show.out().print(f"{count * len(LABELS)} videos of {len(LABELS)} classes: {written}")
