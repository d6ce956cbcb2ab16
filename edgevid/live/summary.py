"""Counts and times in words."""

from __future__ import annotations

from edgevid import show
from edgevid.live.display import Shown
from edgevid.live.frame import Counts
from edgevid.live.tally import Tally

__all__ = ["cost_words", "count_words", "remark_lines", "summary_lines"]


def remark_lines(shown: Shown) -> list[str]:
    """What a reader should know before the first answer."""
    return [*([show.simulation(shown.simulated)] if shown.simulated else []), *shown.remarks]


def summary_lines(shown: Shown) -> list[str]:
    """What is told at the end."""
    tally = shown.tally
    resizing, network = tally.milliseconds
    rate = tally.taken / tally.seconds if tally.seconds else 0.0
    lines = ["interrupted"] if tally.interrupted else []
    lines.append(f"{tally.answers} answers to {tally.taken} frames; {count_words(tally.counts)}")
    lines.append(f"{network:.2f} ms a frame, and {resizing:.2f} ms of resizing; {rate:.1f} frames/s")
    if tally.cost is not None:
        lines.append(cost_words(tally))
    lines += [f"warning: {warning}" for warning in tally.counts.warnings]
    return [*lines, *remark_lines(shown)]


def count_words(counts: Counts) -> str:
    """What did not reach the network, and why."""
    return f"{counts.dropped} dropped, {counts.skipped} damaged and skipped, reopened {counts.reopened} times"


def cost_words(tally: Tally) -> str:
    """Computing against the video's own time."""
    cost = tally.cost or 0.0
    return f"{cost * 1e3:.1f} ms of computing a second of video: {cost:.1%} of real time"
