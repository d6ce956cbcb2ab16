"""`edgevid run`: recognize videos."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgevid.cli.options import BundlePath, FrameTemplate, Json, On, Patience, Threads, Workers
from edgevid.errors import ConfigError

if TYPE_CHECKING:
    from edgevid.contract import Sampling

__all__ = ["run"]


def run(
    bundle: BundlePath,
    videos: Annotated[
        list[Path],
        typer.Argument(
            metavar="VIDEO...", help="Videos, lists (.txt, .list), folders of classes, videos or frames."
        ),
    ],
    as_json: Json = False,
    labels: Annotated[Path | None, typer.Option(help="Class names, one a line or JSON.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Answers a video.")] = 5,
    clips: Annotated[int | None, typer.Option(min=1, help="Temporal clips a video.")] = None,
    crops: Annotated[int | None, typer.Option(help="1 or 3.")] = None,
    dense: Annotated[bool, typer.Option("--dense", help="Dense instead of uniform sampling.")] = False,
    frame_template: FrameTemplate = None,
    threads: Threads = None,
    workers: Workers = None,
    timeout: Patience = 60.0,
    on: On = "",
) -> None:
    """Recognize videos: the five most probable classes of each, and a summary.

    Networks of an ensemble look at each video one after the other, and
    their scores are averaged. It is decoded once for all of them. Optical
    flow is computed of the video, unless --frame-template names flow images.

    A video that cannot be read, or a line of a list that cannot be
    understood, is skipped by name and counted, and the rest goes on.

    Exit status: 0 all recognized; 3 some skipped; 1 none recognized,
    or an error; 2 the command line is wrong; 130 interrupted.
    """
    from edgevid.ensemble import Ensemble, Member
    from edgevid.recognition import find_items, recognize
    from edgevid.show_recognition import report
    from edgevid.video.labels import read_labels

    def as_asked(member: Member) -> Member:
        own = member.settings
        return replace(
            member,
            sampling=_sampling(member.sampling, clips, crops, dense),
            settings=replace(own, threads=threads or own.threads, on=on),
        )

    opened = Ensemble.open(bundle).with_members(as_asked)
    names = read_labels(labels, opened.classes) if labels else None
    items = find_items(
        videos,
        frame_template=frame_template,
        labels=names or opened.labels,
        classes=opened.classes,
        warn=lambda warning: print(f"warning: {warning}", file=sys.stderr),
    )
    outcomes = recognize(
        opened,
        items,
        labels=names,
        top=top,
        workers=workers,
        patience=timeout,
    )
    raise typer.Exit(report(outcomes, len(items), as_json=as_json, simulated=opened.simulated).status)


def _sampling(recorded: Sampling, clips: int | None, crops: int | None, dense: bool) -> Sampling:
    if crops is not None and crops not in (1, 3):
        raise ConfigError(f"{crops} crops", where="--crops", fix="1 (centre) or 3")
    changed = replace(recorded, clips=clips or recorded.clips, mode="dense" if dense else recorded.mode)
    return changed if crops is None else replace(changed, crops=3 if crops == 3 else 1)
