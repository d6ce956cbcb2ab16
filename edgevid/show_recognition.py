"""Recognitions as they come, for people or as JSON; progress on a terminal, and the summary."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.markup import escape

from edgevid import show
from edgevid.recognition.outcomes import Failure, Recognition
from edgevid.recognition.summary import Summary
from edgevid.video.skipped import reason_of

__all__ = ["progress_bar", "report"]


def report(
    outcomes: Generator[Recognition | Failure, None, None],
    total: int,
    *,
    as_json: bool = False,
    simulated: str = "",
) -> Summary:
    """Print each video's answers as they come, then the summary; errors go to the error stream.

    Ctrl-C ends it with the summary of what is done.

    Args:
        outcomes: from `recognize`; closed in the end, whatever happens.
        total: how many there will be, for the progress on a terminal.
        as_json: one document with ``videos``, ``summary`` and ``simulated`` in place of words.
        simulated: the runtime whose arithmetic is imitated, if one is.
    """
    summary, records, start = Summary(), [], perf_counter()
    try:
        with closing(outcomes), progress_bar(total) as advance:
            for outcome in outcomes:
                summary.add(outcome)
                if as_json:
                    records.append(_record(outcome))
                if isinstance(outcome, Failure):
                    print(_printable(f"error: {outcome.error}"), file=sys.stderr)
                elif not as_json:
                    _answers(outcome)
                advance(summary)
    except KeyboardInterrupt:
        summary.interrupted = True
    summary.seconds = perf_counter() - start
    if as_json:
        show.print_json({"videos": records, "summary": summary.record(), "simulated": simulated})
    else:
        _summary(summary, total)
        if simulated:
            show.out().print(show.simulation(simulated), markup=False)
    return summary


@contextmanager
def progress_bar(total: int, console: Console | None = None) -> Iterator[Callable[[Summary], None]]:
    """Count, rate, time left and skipped videos on the terminal's error stream; silent in a pipe."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), TimeRemainingColumn())
    start = perf_counter()
    # Answers that go into a file must not be turned onto the terminal with the bar.
    with Progress(*columns, console=console, transient=True, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task("decoding", total=total)

        def advance(summary: Summary) -> None:
            rate = summary.videos / max(perf_counter() - start, 1e-9)
            skipped = f", {summary.skipped.total()} skipped" if summary.skipped else ""
            bar.update(task, completed=summary.videos, description=f"{rate:.1f} videos/s{skipped}")

        yield advance


def _record(outcome: Recognition | Failure) -> dict[str, Any]:
    if isinstance(outcome, Failure):
        item = outcome.item
        return {
            "video": str(item.path),
            "list": None if item.source is None else str(item.source),
            "line": item.source_line,
            "error": str(outcome.error),
            "reason": reason_of(outcome.error),
        }
    return {
        "video": str(outcome.path),
        "label": outcome.label,
        "frames": outcome.frames,
        "views": outcome.views,
        "top": [{"class": a.index, "name": a.name, "probability": a.probability} for a in outcome.top],
        "seconds": {
            "read": outcome.seconds[0],
            "network": outcome.seconds[1],
            **({"flow": outcome.flow} if outcome.flow is not None else {}),
            **({"members": outcome.members} if outcome.members else {}),
        },
        "warnings": list(outcome.warnings),
    }


def _answers(outcome: Recognition) -> None:
    console = show.out()
    read, network = outcome.seconds
    flow = "" if outcome.flow is None else f" (optical flow: {outcome.flow * 1e3:.0f} ms)"
    took = f"read {read * 1e3:.0f} ms{flow}, network {network * 1e3:.0f} ms"
    if outcome.members:
        each = (f"{title}: {seconds * 1e3:.0f} ms" for title, seconds in outcome.members.items())
        took += f" ({'; '.join(each)})"
    console.print(
        f"[bold]{escape(_printable(str(outcome.path)))}[/]  "
        f"{outcome.frames} frames, {outcome.views} view(s), {escape(_printable(took))}"
    )
    for warning in outcome.warnings:
        console.print(f"  warning: {warning}", markup=False)
    for answer in outcome.top:
        mark = "  <- labelled" if outcome.label == answer.index else ""
        console.print(f"  {answer.probability:6.1%}  {answer.name}{mark}", markup=False)


def _summary(summary: Summary, total: int) -> None:
    console = show.out()
    if summary.interrupted:
        console.print(f"interrupted: {total - summary.videos} of {total} videos are not looked at")
    warned = f", {summary.with_warnings} of them with warnings" if summary.with_warnings else ""
    console.print(f"{summary.recognized} of {summary.videos} videos recognized{warned}")
    if summary.skipped:
        kinds = ", ".join(f"{count} {reason}" for reason, count in summary.skipped.most_common())
        console.print(f"{summary.skipped.total()} skipped: {kinds}")
    if summary.labelled:
        for name, right in (("top-1", summary.top1), ("top-5", summary.top5)):
            share = right / summary.labelled
            console.print(f"{name} accuracy: {right} of {summary.labelled} ({share:.1%})")
    if summary.recognized:
        read, network = summary.shares
        console.print(
            f"{summary.videos_per_second:.2f} videos/s; of the work {read:.0%} is decoding, "
            f"{network:.0%} the network"
        )


def _printable(text: str) -> str:
    """File names may hold bytes that are no UTF-8, and controls that would steer the terminal."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text)
