"""What `edgevid compare` and `edgevid pack` print: progress, the table, what changed, the verdict."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from edgevid.bench.results import LABELS
from edgevid.bench.summary import Estimate as Timing
from edgevid.calibration.comparison import Comparison, Pair, Variant
from edgevid.calibration.shards import Pack
from edgevid.calibration.statistics import Estimate, Paired
from edgevid.show import out

__all__ = ["comparison", "packed", "progress_bar"]

_SHOWN = 10
"""Flipped videos and changed classes that the terminal lists; the JSON and the page have all."""


@contextmanager
def progress_bar(*, resumes: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Stage, count and time on the terminal's error stream; silent in a pipe but for an interruption.

    Args:
        resumes: what is done so far is kept, and the user is told so.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # No thread of its own: it would be load on the machine while latency is measured.
    bar = Progress(
        *columns, console=console, auto_refresh=False, transient=True, disable=not console.is_terminal
    )
    task = bar.add_task("starting", total=None)
    last = ("starting", 0, 0)

    def tell(stage: str, done: int, total: int) -> None:
        nonlocal last
        last = (stage, done, total)
        bar.update(task, description=stage, completed=done, total=total)
        bar.refresh()

    try:
        with bar:
            yield tell
    except (KeyboardInterrupt, SystemExit):
        kept = "; the same command goes on there" if resumes else ""
        print(f"interrupted ({last[0]}: {last[1]} of {last[2]}){kept}", file=sys.stderr)
        raise


def comparison(found: Comparison) -> None:
    """All of it for people; videos that could not be read go to the error stream."""
    console = out()
    for video in found.skipped:
        print(f"error: {video.error}", file=sys.stderr)
    skipped = f", {len(found.skipped)} skipped" if found.skipped else ""
    console.print(f"{found.data.videos} videos of {found.data.source}{skipped}", markup=False)
    console.print(_table(found.variants))
    if found.early:
        console.print("top-1 % (95 %) when only the beginning of each video was seen:")
        console.print(_early(found))
    for line in _remarks(found):
        console.print(line, markup=False, style="dim")
    if found.latency:
        style = "bold green" if found.latency.verdict.valid else "bold red"
        console.print(f"latency: {found.latency.verdict}", style=style, markup=False)
    for pair, variant in zip(found.pairs, found.variants[1:], strict=True):
        _pair(console, found, pair, variant)


def packed(pack: Pack) -> None:
    """What was packed; videos that could not be read go to the error stream."""
    console, index = out(), pack.index
    for error in index.skipped.values():
        print(f"error: {error}", file=sys.stderr)
    size = sum((pack.folder / shard.file).stat().st_size for shard in index.shards)
    how = index.sampling
    skipped = f", {len(index.skipped)} skipped" if index.skipped else ""
    lines = (
        f"{pack.folder}: {index.clips} clips of {len(index.videos)} videos{skipped}, "
        f"{len(index.shards)} shard(s), {size / 1e6:.1f} MB",
        f"  uint8 {'RGB' if how.flow is None else 'flow'} {list(index.shape)}: {how.mode} sampling, "
        f"short side {how.resize}, crop {how.crop}, as {how.library} resizes; {how.clips} clip(s) and "
        f"{how.crops} crop(s) a video",
        f"  clips_sha256 {index.clips_sha256}",
    )
    for line in lines:
        console.print(line, markup=False)


def _table(variants: tuple[Variant, ...]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("network", overflow="fold")
    by_frame = ["ms a frame"] if any(variant.frame_ms for variant in variants) else []
    for heading in ("top-1 % (95 %)", "top-5 % (95 %)", "ms", *by_frame, "speed-up", "MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for variant in variants:
        table.add_row(
            escape(variant.title),
            _share(variant.top1),
            _share(variant.top5),
            _milliseconds(variant.latency_ms),
            *(_milliseconds(variant.frame_ms) for _ in by_frame),
            f"{variant.speedup:.2f}x" if variant.speedup else "-",
            "-" if variant.bytes is None else f"{variant.bytes / 1e6:.2f}",
        )
    return table


def _early(found: Comparison) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("seen", justify="right", no_wrap=True)
    for variant in found.variants:
        table.add_column(escape(variant.title), justify="right", overflow="fold")
    for part in found.early:
        table.add_row(f"{100 * part.share:g} %", *map(_share, part.top1))
    return table


def _remarks(found: Comparison) -> Iterator[str]:
    yield from found.notes
    yield from (f"{variant.name}: {variant.note}" for variant in found.variants if variant.note)
    used = {variant.label for variant in found.variants} - {"measured"}
    yield from (f"[{label}]: {meaning}" for label, meaning in LABELS.items() if label in used)
    if not found.data.labelled:
        yield "no video has a label: accuracy is unknown, and only the answers can be compared"
    elif found.data.labelled < found.data.videos:
        yield f"{found.data.labelled} of the videos have a label"


def _pair(console: Console, found: Comparison, pair: Pair, variant: Variant) -> None:
    console.print(f"[bold]{escape(variant.title)}[/] against {escape(found.variants[0].title)}")
    noise = "the same logits" if pair.sqnr is None else f"logits SQNR {pair.sqnr:.2f} dB"
    lines = [
        f"{name} drop {_drop(drop)}" for name, drop in (("top-1", pair.top1), ("top-5", pair.top5)) if drop
    ]
    lines.append(f"agreement {_share(pair.agreement)} %, {noise}, cosine {pair.cosine:.6f}")
    if variant.ratio:
        lines.append(f"a run takes {_times(variant.ratio)} that of {found.variants[0].name}")
    changed = sorted((c for c in pair.classes if c.change), key=lambda c: (-abs(c.change), c.index))
    if changed:
        listed = ", ".join(f"{c.name} {c.change:+d} of {c.videos}" for c in changed[:_SHOWN])
        lines.append(f"by class: {listed}{_more(len(changed))}")
    for line in lines:
        console.print(f"  {line}", markup=False)
    for flip in pair.flips[:_SHOWN]:
        label = "" if flip.label is None else f" ({flip.kind}: it is {found.class_name(flip.label)})"
        turned = f"{found.class_name(flip.reference)} -> {found.class_name(flip.candidate)}"
        console.print(f"  {flip.video}: {turned}{label}", markup=False)
    if len(pair.flips) > _SHOWN:
        console.print(f"  {len(pair.flips)} videos in all have another first answer")
    if pair.verdict:
        style = {"exceeded": "bold red", "within": "green"}.get(pair.verdict, "yellow")
        console.print(f"  {pair.verdict}: {pair.remark}", style=style, markup=False)


def _milliseconds(found: Timing | None) -> str:
    return "-" if found is None else f"{found.median:.4g}"


def _times(found: Timing) -> str:
    within = found.interval
    return f"{found.median:.3f}x" + (f" ({within.low:.3f}..{within.high:.3f})" if within else "")


def _share(found: Estimate | None) -> str:
    return (
        "-" if found is None else f"{100 * found.value:.2f} ({100 * found.low:.2f}..{100 * found.high:.2f})"
    )


def _drop(found: Paired) -> str:
    drop = found.drop
    return (
        f"{100 * drop.value:.2f} points ({100 * drop.low:.2f}..{100 * drop.high:.2f}): {found.lost} lost, "
        f"{found.gained} gained of {found.count}, McNemar p = {found.p:.3g}"
    )


def _more(count: int) -> str:
    return f" and {count - _SHOWN} more" if count > _SHOWN else ""
