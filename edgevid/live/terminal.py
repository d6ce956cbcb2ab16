"""Answers on a terminal: the label, bars, times and counts, redrawn in place."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from typing_extensions import Self

from edgevid.live.display import Shown
from edgevid.live.follow import Moment
from edgevid.live.summary import cost_words, count_words, remark_lines, summary_lines

__all__ = ["TerminalView"]

_REDRAWN_A_SECOND = 8


class TerminalView:
    """Redrawn some times a second, however many frames there are; gone at the end but for the summary."""

    def __init__(self, shown: Shown, console: Console) -> None:
        self._shown = shown
        self._console = console
        self._moment: Moment | None = None
        self._live = Live(
            console=console,
            refresh_per_second=_REDRAWN_A_SECOND,
            transient=True,
            get_renderable=self.drawing,
        )

    def show(self, moment: Moment) -> None:
        """The next time that it is redrawn."""
        self._moment = moment

    def wait(self) -> None:
        """It is redrawn all the same."""

    def summary(self) -> None:
        """Counts and times."""
        for line in summary_lines(self._shown):
            self._console.print(line, markup=False, highlight=False)

    def drawing(self) -> RenderableType:
        """What stands on the terminal at present."""
        tally, moment = self._shown.tally, self._moment
        lines: list[RenderableType] = [Text(line, style="yellow") for line in remark_lines(self._shown)]
        if moment is None:
            lines.append(Text(f"{tally.taken} frames, no answer yet"))
        else:
            lines += [self._headline(moment), self._bars(moment), Text(self._times(moment))]
        if tally.cost is not None:
            lines.append(Text(cost_words(tally)))
        lines.append(Text(count_words(tally.counts)))
        if tally.counts.away:
            lines.append(Text(f"the source is away: {tally.counts.away}", style="red"))
        return Group(*lines)

    def _headline(self, moment: Moment) -> Text:
        time = "before" if moment.time is None else f"{moment.time:.2f} s"
        smoothing = f"  {moment.smoothing}" if moment.smoothing else ""
        return Text.assemble((self._shown.name(moment.label), "bold"), f"  {time}", (smoothing, "dim"))

    def _bars(self, moment: Moment) -> Table:
        table = Table.grid(padding=(0, 1))
        for answer in self._shown.answers(moment):
            bar = ProgressBar(total=1.0, completed=answer.probability, width=30)
            table.add_row(Text(f"{answer.probability:6.1%}"), bar, Text(answer.name))
        return table

    def _times(self, moment: Moment) -> str:
        tally = self._shown.tally
        return f"{moment.seconds * 1e3:.1f} ms a frame, {tally.recent_rate:.1f} frames/s"

    def __enter__(self) -> Self:
        self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.stop()
