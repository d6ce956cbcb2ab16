"""One process of `edgevid.bench.fresh_process`: ``python -m edgevid.bench.worker FOLDER PIPE``.

Reads ``job.json`` in FOLDER, and leaves ``answer.json`` there or, for an error with a way out,
``error.json``. PIPE is the number of an inherited file descriptor that takes one JSON line for each step of
progress; the standard streams stay free for whatever a runtime prints.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from edgevid.errors import EdgevidError

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Call the function of one job. Returns the exit status: 0, or 1 with ``error.json`` written."""
    folder = Path(arguments[0])
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    module, _, function = job["task"].partition(":")
    try:
        with os.fdopen(int(arguments[1]), "w", encoding="utf-8", buffering=1) as pipe:
            task = getattr(import_module(module), function)
            task(keep=partial(_write, folder / "answer.json"), tell=partial(_tell, pipe), **job["arguments"])
    except EdgevidError as error:
        report = {
            "kind": type(error).__name__,
            "what": error.what,
            "where": error.where,
            "fix": error.fix,
        }
        _write(folder / "error.json", json.dumps(report))
        return 1
    return 0


def _tell(pipe: TextIO, step: dict[str, Any]) -> None:
    # When the parent is gone this fails, and the process ends with it.
    pipe.write(json.dumps(step) + "\n")


def _write(path: Path, text: str) -> None:
    beside = path.with_suffix(".tmp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
