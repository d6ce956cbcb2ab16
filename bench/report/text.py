"""Figures as text: as many digits as mean something, and the label beside each."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import PurePath

from edgevid.bench.results import Label
from edgevid.bench.summary import Estimate

__all__ = ["command_line", "interval", "labelled", "marks_of", "megabytes", "number", "percent", "shortened"]

NOTHING = "-"


def number(value: float | None) -> str:
    """Four digits, a dash for none."""
    if value is None:
        return NOTHING
    return f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"


def percent(share: float | None) -> str:
    """``+1.23 %`` of 0.0123."""
    # Adding zero turns a rounded -0.0 into 0.0.
    return NOTHING if share is None else f"{round(100 * share, 2) + 0.0:+.2f} %"


def interval(estimate: Estimate | None, less: float | None = None) -> str:
    """Both ends of the 95 % interval; as percent above ``less`` if that is given."""
    if estimate is None or estimate.interval is None:
        return NOTHING
    ends = (estimate.interval.low, estimate.interval.high)
    if less is None:
        return " to ".join(map(number, ends))
    return " to ".join(percent(end - less) for end in ends).replace(" % to", " to")


def megabytes(count: int | None) -> str:
    """Of 10^6 bytes."""
    return NOTHING if count is None else f"{count / 1e6:.1f}"


def marks_of(label: Label) -> tuple[str, ...]:
    """What stands beside a figure: its label in brackets, nothing if it was measured."""
    return () if label == "measured" else (f"[{label}]",)


def labelled(name: str, label: Label) -> str:
    """The name, and the label unless it was measured."""
    return " ".join((name, *marks_of(label)))


def shortened(text: str, most: int = 48) -> str:
    """At most so many characters, the middle left out."""
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"


def command_line(arguments: Sequence[str]) -> str:
    """What a user types again: without the interpreter and the folders that the program was found by."""
    for place, argument in enumerate(arguments):
        if PurePath(argument).name == "edgevid":
            return shlex.join(["edgevid", *arguments[place + 1 :]])
    if arguments and PurePath(arguments[0]).name.startswith("python"):
        return shlex.join(["python", *arguments[1:]])
    return shlex.join(arguments)
