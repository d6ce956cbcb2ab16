"""Put what was measured on this machine among the choices that come with edgevid.

``python -m edgevid.choose.ship``, after ``edgevid overhead`` or ``edgevid compile`` measured the networks in
question on an otherwise idle machine. What was measured under load is left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from edgevid.choose.store import Store, shipped, user_store

__all__ = ["main", "ship"]


def ship(measured: Store, kept: Store) -> list[Path]:
    """Copy the choices that the protocol calls valid; the files that were written."""
    return [kept.add(one.situation, one.choice) for one in measured.all() if one.choice.verdict == "VALID"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Ship the lowerings that were measured on this machine.")
    parser.add_argument("--folder", type=Path, default=shipped().folder, help="where they go")
    options = parser.parse_args(arguments)
    written = ship(user_store(), Store(options.folder))
    print(f"{len(written)} choices in {options.folder}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
