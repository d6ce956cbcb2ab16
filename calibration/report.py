"""A comparison as one HTML file: ``python -m edgevid.calibration.report COMPARISON.json PAGE.html``."""

from __future__ import annotations

import argparse
import base64
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from edgevid.bench.results import LABELS
from edgevid.calibration import plots
from edgevid.calibration.comparison import Comparison, load_comparison
from edgevid.disk import write_text

__all__ = ["check_packages", "render", "write_report"]

TEMPLATE = Path(__file__).with_name("report.html")


def check_packages() -> None:
    """Raise `ModuleNotFoundError` before hours of work rather than after them."""
    for name in ("jinja2", "matplotlib"):
        import_module(name)


def write_report(comparison: Comparison, path: Path) -> None:
    """Write the page, whole or not at all; it loads nothing from elsewhere.

    Raises:
        ConfigError: the file cannot be written.
    """
    write_text(path, render(comparison))


def render(comparison: Comparison) -> str:
    """The page."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["percent"] = lambda share: f"{100 * share:.2f}"
    drawn = {
        "Accuracy against latency": plots.accuracy_against_latency(comparison),
        "Early recognition": plots.early(comparison),
        "Changed answers": plots.flips(comparison),
        "Change by class": plots.per_class(comparison),
        **{
            f"Sensitivity of the layers: {name}": plots.sensitivity(ranking)
            for name, ranking in comparison.sensitivity.items()
        },
    }
    used = {variant.label for variant in comparison.variants}
    return environment.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        comparison=comparison,
        reference=comparison.variants[0],
        plots={title: _address(svg) for title, svg in drawn.items() if svg},
        labels={label: meaning for label, meaning in LABELS.items() if label in used},
    )


def _address(svg: str) -> str:
    """As an image of its own, so that the names of its elements cannot meet those of another plot."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def main(arguments: Sequence[str] | None = None) -> None:
    """Turn the JSON of ``edgevid compare -o`` into a page."""
    parser = argparse.ArgumentParser(prog="python -m edgevid.calibration.report", description=main.__doc__)
    parser.add_argument("comparison", type=Path)
    parser.add_argument("page", type=Path)
    chosen = parser.parse_args(arguments)
    write_report(load_comparison(chosen.comparison), chosen.page)


if __name__ == "__main__":
    main()
