"""One measuring process: ``python -m edgevid.bench.worker FOLDER PIPE``.

Reads ``job.json`` in FOLDER, and leaves ``run.json`` or, for an error with a way out, ``error.json`` there.
PIPE is the number of an inherited file descriptor that takes one JSON line for each step of progress; the
standard streams stay free for whatever a runtime prints.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TextIO

from edgevid.bench.factory import Factory
from edgevid.bench.protocol import Progress, ProgressEvent, measure
from edgevid.bench.settings import Settings
from edgevid.errors import EdgevidError

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Measure one job. Returns the exit status: 0, or 1 with ``error.json`` written."""
    folder = Path(arguments[0])
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    settings = Settings.model_validate(job["settings"])
    try:
        with (
            os.fdopen(int(arguments[1]), "w", encoding="utf-8", buffering=1) as pipe,
            Factory.model_validate(job["factory"]).open() as comparison,
        ):
            run = measure(comparison, settings, progress=_teller(pipe))
            _write(folder / "run.json", run.model_dump_json())
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


def _teller(pipe: TextIO) -> Progress:
    def tell(event: ProgressEvent) -> None:
        # When the parent is gone this fails, and the process ends with it.
        pipe.write(json.dumps({"stage": event.stage, "done": event.done, "total": event.total}) + "\n")

    return tell


def _write(path: Path, text: str) -> None:
    beside = path.with_suffix(".tmp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
