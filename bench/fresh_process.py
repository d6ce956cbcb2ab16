"""A function called in a fresh process: its own memory, its own threads, its own environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from edgevid import errors
from edgevid.bench.environment import quiet_thread_pools

__all__ = ["Answer", "Keep", "Told", "call_apart"]

Told = Callable[[dict[str, Any]], None]
"""Is told a step, as JSON values."""

Keep = Callable[[str], None]
"""Takes the answer, as JSON text, while what was opened for it is still open; the last one counts."""


@dataclass(frozen=True)
class Answer:
    """What a function gave to `Keep`.

    Attributes:
        text: JSON.
        interrupted: by Ctrl-C, so that it is not all that was asked for.
        remark: on how the process ended; mostly empty.
    """

    text: str
    interrupted: bool = False
    remark: str = ""


def call_apart(
    task: str,
    arguments: Mapping[str, Any],
    *,
    label: str,
    told: Told | None = None,
    environment: Mapping[str, str] | None = None,
) -> Answer:
    """Call a function in a fresh process whose idle thread pools sleep.

    Args:
        task: ``module:function``; it is called with ``keep`` (`Keep`) and ``tell`` (`Told`) beside the
            arguments, and on Ctrl-C should keep what it has.
        arguments: JSON values.
        label: what the process is, for messages.
        told: called here with what the function tells.
        environment: variables that replace the inherited ones, and those of `quiet_thread_pools`.

    Raises:
        EdgevidError: of the type that was raised in the process.
        BenchmarkError: the process crashed, or kept nothing.
        KeyboardInterrupt: Ctrl-C before it kept anything.
    """
    # As multiprocessing does: what can be imported here can be imported there.
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    variables = {**os.environ, "PYTHONPATH": path, **quiet_thread_pools(), **(environment or {})}
    with tempfile.TemporaryDirectory(prefix="edgevid-bench-") as name:
        folder = Path(name)
        job = {"task": task, "arguments": dict(arguments)}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        with (folder / "output.txt").open("wb") as output:
            interrupted, code = _run(folder, output.fileno(), told, variables)
        return _collected(folder, interrupted, code, label)


def _run(folder: Path, output: int, told: Told | None, variables: Mapping[str, str]) -> tuple[bool, int]:
    reading, writing = os.pipe()
    with os.fdopen(reading, encoding="utf-8") as pipe:
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", "edgevid.bench.worker", str(folder), str(writing)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=variables,
                pass_fds=(writing,),
                # A terminal's Ctrl-C would reach it beside ours, and cut its answer short.
                start_new_session=True,
            )
        finally:
            os.close(writing)
        try:
            return _waited(process, pipe, told), process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _waited(process: subprocess.Popen[bytes], pipe: TextIO, told: Told | None) -> bool:
    """Was it interrupted?"""
    try:
        _listen(pipe, told)
        process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        _listen(pipe, None)
        process.wait()
        return True
    return False


def _listen(pipe: TextIO, told: Told | None) -> None:
    for line in pipe:
        if told is not None:
            told(json.loads(line))


def _collected(folder: Path, interrupted: bool, code: int, label: str) -> Answer:
    answer = folder / "answer.json"
    if answer.exists():
        remark = f"{label} ended with status {code} after it had measured" if code else ""
        return Answer(answer.read_text(encoding="utf-8"), interrupted, remark)
    if interrupted:
        raise KeyboardInterrupt
    report = folder / "error.json"
    if report.exists():
        raise _error_from(json.loads(report.read_text(encoding="utf-8")))
    ending = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
    printed = (folder / "output.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raise errors.BenchmarkError(
        f"a measuring process {ending}: {printed[-1] if printed else 'it printed nothing'}",
        where=label,
        fix="signal 9 mostly means that memory ran out; else measure in one process to see the cause",
    )


def _error_from(report: Mapping[str, str]) -> errors.EdgevidError:
    kind = getattr(errors, report["kind"]) if report["kind"] in errors.__all__ else errors.BenchmarkError
    error: errors.EdgevidError = kind(report["what"], where=report["where"], fix=report["fix"])
    return error
