"""What became of the variants of two results, as a table on the terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from edgevid.bench.diff import Change, Difference
from edgevid.bench.report.text import labelled, number

__all__ = ["render"]

_STYLES = {"worse": "bold red", "improved": "green", "same": "", "not comparable": "yellow"}


def render(difference: Difference, limit: float | None = None) -> RenderableType:
    """Table, why something cannot be compared, and what the reader must know.

    Args:
        difference: between the results.
        limit: a share that no variant may surely be slower by; ``None`` for any.
    """
    table = Table(
        box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left"
    )
    table.add_column("variant", overflow="fold", min_width=14)
    for heading in ("old ms", "new ms", "change", "95 % interval"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for change in difference.changes:
        table.add_row(*_cells(change, limit))
    lines = [Text(f"not comparable: {reason}") for reason in _reasons(difference)]
    lines += [Text(note, style="bold red" if "INVALID" in note else "dim") for note in difference.notes]
    noise = f"the baselines may differ from themselves by {difference.noise:.2%}: less counts as the same"
    return Group(table, *lines, Text(noise, style="dim"))


def _reasons(difference: Difference) -> list[str]:
    """Each once, with the names of the variants unless it is of all."""
    names: dict[str, list[str]] = {}
    for change in difference.changes:
        if change.reason and change.in_both:
            names.setdefault(change.reason, []).append(change.name)
    everything = sum(change.in_both for change in difference.changes)
    return [
        reason if len(found) == everything else f"{', '.join(found)}: {reason}"
        for reason, found in names.items()
    ]


def _cells(change: Change, limit: float | None) -> list[Text]:
    outcome = change.outcome if change.in_both else change.reason
    over = limit is not None and change.exceeds(limit)
    ratio = change.ratio
    return [
        Text(labelled(change.name, change.label)),
        Text(number(change.old_ms)),
        Text(number(change.new_ms)),
        Text("-" if ratio is None else f"{ratio.value - 1:+.2%}"),
        Text("-" if ratio is None else f"{ratio.low - 1:+.2%}..{ratio.high - 1:+.2%}"),
        Text(f"{outcome}, above the limit" if over else outcome, style=_STYLES[change.outcome]),
    ]
