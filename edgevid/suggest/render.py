"""Suggestions on the terminal: what fits, what does not, and what nobody measured."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgevid.bench.report.text import interval, megabytes, number
from edgevid.suggest.ranking import STATES, Suggestion

__all__ = ["render_suggestions"]

_HEADINGS = ("preset", "precision", "state", "ms", "95 % interval", "peak MB", "threads", "published top-1")
_STYLES = {"fits": "", "not measured": "dim"}


def render_suggestions(found: Sequence[Suggestion], title: str) -> RenderableType:
    """A row each, ``*`` behind an accuracy that none that fits beats in both; what was not measured a row a
    preset.

    Args:
        found: as `edgevid.suggest.rank` orders them.
        title: device and limits.
    """
    table = Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title=Text(title),
        title_justify="left",
    )
    for heading in _HEADINGS:
        right = heading in ("ms", "95 % interval", "peak MB", "threads")
        table.add_column(
            heading,
            justify="right" if right else "left",
            no_wrap=heading == "preset",
            overflow="ignore" if heading == "preset" else "fold",
        )
    sources = list(dict.fromkeys(accuracy.source for each in found for accuracy in each.accuracies))
    for each in found:
        if each.measured is not None:
            figures = each.measured
            times = (number(figures.milliseconds.median), interval(figures.milliseconds))
            cells = (each.precision, each.state, *times, megabytes(figures.memory), figures.threads)
            _add(table, each, cells, sources)
    for names in _unmeasured(found):
        precisions = ", ".join(each.precision for each in names)
        _add(table, names[0], (precisions, "not measured", "-", "-", "-", "-"), sources)
    return Group(table, *_remarks(found, sources))


def _add(table: Table, each: Suggestion, cells: Sequence[str], sources: Sequence[str]) -> None:
    style = "bold" if each.best_of else _STYLES.get(each.state, "yellow")
    table.add_row(*map(Text, (each.preset, *cells, _accuracies(each, sources))), style=style)


def _accuracies(each: Suggestion, sources: Sequence[str]) -> str:
    told = [
        f"{entry.top1:g} % {entry.group}{' *' if entry.group in each.best_of else ''} "
        f"[{sources.index(entry.source) + 1}]"
        for entry in each.accuracies
    ]
    return "; ".join(told) or "-"


def _unmeasured(found: Sequence[Suggestion]) -> list[list[Suggestion]]:
    """Those of one preset together."""
    groups: dict[str, list[Suggestion]] = {}
    for each in found:
        if each.measured is None:
            groups.setdefault(each.preset, []).append(each)
    return list(groups.values())


def _remarks(found: Sequence[Suggestion], sources: Sequence[str]) -> list[Text]:
    lines = [f"[{place}] {source}" for place, source in enumerate(sources, start=1)]
    lines.append(
        "published accuracies are of weights in float; what a precision loses, edgevid compare measures. "
        "Latency is of one look at a video"
    )
    if any(each.best_of for each in found):
        lines.append("*: none of this precision that fits is both as fast and as accurate on these videos")
    used = {each.state for each in found}
    lines += [f"{state}: {told}" for state, told in STATES.items() if state in used and state != "fits"]
    failed = [f"{each.preset}, {each.precision}: {each.reason}" for each in found if each.reason]
    return [Text(line, style="dim") for line in (*lines, *failed)]
