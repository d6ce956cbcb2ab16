"""A progress bar that does not disturb what is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from edgevid.bench.protocol import Progress, ProgressEvent

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[Progress]:
    """A bar on the terminal's error stream, silent in a pipe.

    It is drawn when a step ends and has no thread of its own, which would count as load on the machine.
    """
    console = console or Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bar = Bar(*columns, console=console, auto_refresh=False, transient=True, disable=not console.is_terminal)
    with bar:
        task = bar.add_task("measuring", total=None)

        def tell(event: ProgressEvent) -> None:
            where = f", process {event.process + 1} of {event.processes}" if event.processes > 1 else ""
            bar.update(task, description=event.stage + where, completed=event.done, total=event.total)
            bar.refresh()

        yield tell
