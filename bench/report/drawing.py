"""Drawings that are legible on a phone, on a dark page and as a picture by themselves.

Every colour of `PALETTE` and `INK` stands for a role; in a page it follows the reader's colour scheme
(`svg_of`), in a PNG it is as it is (`write_png`).
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from edgevid.errors import BenchmarkError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

__all__ = [
    "GREY",
    "INK",
    "MARKERS",
    "PALETTE",
    "empty_figure",
    "headed",
    "legend_below",
    "style",
    "svg_of",
    "write_png",
]

INK, FAINT, GREY = "#1b2530", "#d5dae0", "#68727d"
PALETTE = ("#0b62c4", "#b8430a", "#187a3c", "#7b3fb5", "#a0146e", "#646c00", "#00737f", "#8a5a00")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""One less than there are colours: more curves than either are still told apart."""
WIDTH = 4.4
"""Inches: a phone shows it at about its own size, so that 9 points stay legible."""

_ROLES = {
    INK: "currentColor",
    FAINT: "var(--faint)",
    GREY: "var(--grey)",
    **{color: f"var(--series-{place})" for place, color in enumerate(PALETTE, start=1)},
}
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 9,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": FAINT,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.markersize": 5,
    "svg.fonttype": "none",
    # A name with dollar signs is no formula.
    "text.parse_math": False,
}


@contextmanager
def style() -> Iterator[None]:
    """Within it figures are made and written."""
    from matplotlib import rc_context

    with rc_context(_STYLE), warnings.catch_warnings():
        # The browser has fonts for names that matplotlib's own lacks.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        yield


def empty_figure(height: float, rows: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of so many inches with so many axes above each other, which share the x axis."""
    # Not pyplot, which keeps every figure in a global list.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)
    return figure, list(axes[:, 0])


def legend_below(figure: Figure, *axes: Axes) -> None:
    """What the lines mean, where it covers nothing: one a line, since names are long.

    What several axes have by the same name is told once.
    """
    from matplotlib.container import Container

    entries: list[tuple[Any, str]] = []
    for each in axes:
        known = {name for _, name in entries}
        found = zip(*each.get_legend_handles_labels(), strict=True)
        entries += [(handle, name) for handle, name in found if name not in known]
    # The curves first, which matplotlib lists after all single lines.
    entries.sort(key=lambda entry: not isinstance(entry[0], Container))
    handles, names = [handle for handle, _ in entries], [name for _, name in entries]
    columns = 2 if max(map(len, names), default=0) <= 20 else 1
    figure.legend(handles, names, loc="outside lower left", ncols=columns)


def headed(figure: Figure, title: str) -> Text:
    """Put a title above all axes, where the drawing stands alone."""
    return figure.suptitle("\n".join(wrap(title, 58)), x=0.02, ha="left", fontsize=9)


def svg_of(figure: Figure, name: str, title: str) -> str:
    """The drawing as an ``<svg>`` element for a page that defines the colours.

    Args:
        figure: made within `style`.
        name: a word of its own among the drawings of the page.
        title: what a screen reader says.
    """
    from matplotlib import rc_context

    text = io.StringIO()
    # The same data give the same text: no date, and names of elements by a fixed salt.
    with style(), rc_context({"svg.hashsalt": name}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    drawn = text.getvalue()
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    # Groups are named alike in every drawing, and nothing refers to them.
    drawn = re.sub(r'<g id="[^"]*"', "<g", drawn)
    for color, role in _ROLES.items():
        drawn = drawn.replace(color, role)
    box = re.search(r'viewBox="[^"]*"', drawn)
    assert box is not None, "matplotlib writes a viewBox"
    head = f'<svg {box[0]} role="img" aria-label="{escape(title)}" xmlns="http://www.w3.org/2000/svg"'
    head += ' xmlns:xlink="http://www.w3.org/1999/xlink">'
    return head + drawn[drawn.index(">") + 1 :].strip()


def write_png(figure: Figure, path: Path, title: str) -> None:
    """The drawing as a picture on white with its title, since it may go anywhere.

    Raises:
        BenchmarkError: it cannot be written.
    """
    try:
        path.parent.mkdir(exist_ok=True)
        with style():
            heading = headed(figure, title)
            figure.savefig(path, dpi=200, facecolor="white", metadata={"Software": None})
            heading.remove()
    except OSError as error:
        raise BenchmarkError(
            f"the picture cannot be written: {error.strerror or error}",
            where=path,
            fix="make the folder, free some space, or give another one",
        ) from error
