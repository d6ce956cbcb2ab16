"""Tables of several families' figures, as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

__all__ = ["markdown_table"]


def markdown_table(headings: Sequence[str], rows: Iterable[Iterable[str]]) -> str:
    """A table whose cells hold any text; the first column is left-aligned, figures stand on the right."""
    lines: list[Iterable[str]] = [headings, [":---", *["---:"] * (len(headings) - 1)], *rows]
    return "".join("| " + " | ".join(map(_cell, line)) + " |\n" for line in lines)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
