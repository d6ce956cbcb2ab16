"""Measurements repeated in fresh processes.

A process keeps its memory layout, its page alignment and its threads for life, so its samples share one
accident; only new processes show how much that accident is worth. A fresh process is also the only place
where the environment can still tell the runtimes' idle threads to sleep.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from pydantic import JsonValue

from edgevid import errors
from edgevid.bench.compare import conclude
from edgevid.bench.environment import quiet_thread_pools
from edgevid.bench.factory import Factory
from edgevid.bench.protocol import Progress, ProgressEvent
from edgevid.bench.results import ProcessRun, Result
from edgevid.bench.settings import Settings

__all__ = ["compare_in_processes"]


def compare_in_processes(
    factory: Factory,
    settings: Settings,
    *,
    title: str,
    device: str = "",
    parameters: Mapping[str, JsonValue] | None = None,
    notes: Sequence[str] = (),
    progress: Progress | None = None,
    environment: Mapping[str, str] | None = None,
) -> Result:
    """Measure in ``settings.processes`` fresh processes, one after the other.

    Each gets `quiet_thread_pools` and an equal part of the time budget. On Ctrl-C the running process hands
    over the rounds it finished, and the result says that it was interrupted.

    Args:
        factory: opens, in each process, what is to be measured.
        settings: of the protocol.
        title: one line for people.
        device: name of the device that is measured.
        parameters: of what is measured, for the record.
        notes: for the record.
        progress: called for each step.
        environment: variables that replace the inherited ones, and those of `quiet_thread_pools`.

    Raises:
        EdgevidError: of the type that was raised in the process.
        BenchmarkError: a process crashed.
        KeyboardInterrupt: Ctrl-C before anything was measured.
    """
    runs: list[ProcessRun] = []
    remarks = list(notes)
    for index in range(settings.processes):
        try:
            run, remark = _Child(factory, settings, index, environment or {}).follow(progress)
        except KeyboardInterrupt:
            if not runs:
                raise
            break
        runs.append(run)
        remarks += [remark] if remark else []
        if run.status == "interrupted":
            break
    return conclude(runs, settings, title=title, device=device, parameters=parameters, notes=remarks)


class _Child:
    """One measuring process, from its start to its result."""

    def __init__(
        self, factory: Factory, settings: Settings, index: int, environment: Mapping[str, str]
    ) -> None:
        self.factory = factory
        self.settings = settings
        self.index = index
        # As multiprocessing does: what can be imported here can be imported there.
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        self.environment = {**os.environ, "PYTHONPATH": path, **quiet_thread_pools(), **environment}

    def follow(self, progress: Progress | None) -> tuple[ProcessRun, str]:
        """Run the process; its measurement and a remark, mostly empty.

        Raises:
            KeyboardInterrupt: it was interrupted before it measured anything.
        """
        with tempfile.TemporaryDirectory(prefix="edgevid-bench-") as name:
            folder = Path(name)
            self._write_job(folder)
            with (folder / "output.txt").open("wb") as output:
                interrupted, code = self._run(folder, output.fileno(), progress)
            return self._collect(folder, interrupted, code)

    def _write_job(self, folder: Path) -> None:
        budget = self.settings.budget_seconds
        share = None if budget is None else budget / self.settings.processes
        settings = self.settings.model_copy(update={"budget_seconds": share, "processes": 1})
        job = {"factory": self.factory.job(), "settings": settings.model_dump(mode="json")}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")

    def _run(self, folder: Path, output: int, progress: Progress | None) -> tuple[bool, int]:
        reading, writing = os.pipe()
        with os.fdopen(reading, encoding="utf-8") as pipe:
            try:
                process = subprocess.Popen(
                    [sys.executable, "-m", "edgevid.bench.worker", str(folder), str(writing)],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=self.environment,
                    pass_fds=(writing,),
                    # A terminal's Ctrl-C would reach it beside ours, and cut its answer short.
                    start_new_session=True,
                )
            finally:
                os.close(writing)
            try:
                return self._wait(process, pipe, progress), process.wait()
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()

    def _wait(self, process: subprocess.Popen[bytes], pipe: TextIO, progress: Progress | None) -> bool:
        try:
            self._listen(pipe, progress)
            process.wait()
        except KeyboardInterrupt:
            process.send_signal(signal.SIGINT)
            self._listen(pipe, None)
            process.wait()
            return True
        return False

    def _listen(self, pipe: TextIO, progress: Progress | None) -> None:
        for line in pipe:
            if progress is not None:
                told = json.loads(line)
                progress(ProgressEvent(**told, process=self.index, processes=self.settings.processes))

    def _collect(self, folder: Path, interrupted: bool, code: int) -> tuple[ProcessRun, str]:
        label = f"process {self.index + 1} of {self.settings.processes}"
        run = folder / "run.json"
        if run.exists():
            remark = f"{label} ended with status {code} after its measurement" if code else ""
            measured = ProcessRun.model_validate_json(run.read_text(encoding="utf-8"))
            if interrupted:
                measured = measured.model_copy(update={"status": "interrupted"})
            return measured, remark
        if interrupted:
            raise KeyboardInterrupt
        report = folder / "error.json"
        if report.exists():
            raise _error_from(json.loads(report.read_text(encoding="utf-8")))
        ending = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        printed = (folder / "output.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise errors.BenchmarkError(
            f"a measuring process {ending}: {printed[-1] if printed else 'it printed nothing'}",
            where=f"{label}, {self.factory.target}",
            fix="signal 9 mostly means that memory ran out; else measure in one process to see the cause",
        )


def _error_from(report: Mapping[str, str]) -> errors.EdgevidError:
    kind = getattr(errors, report["kind"]) if report["kind"] in errors.__all__ else errors.BenchmarkError
    error: errors.EdgevidError = kind(report["what"], where=report["where"], fix=report["fix"])
    return error
