"""Sweeps in processes of their own: killed, and two at once. What is timed there are sums."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import sweeps

from edgevid.bench.storage import load_result
from edgevid.overhead import curve_run, measure_sweep
from edgevid.overhead.folder import SweepFolder, read_record

STATES = {"0": "done", "1/8": "failed", "1/4": "done"}
HERE = Path(__file__).parent
PROGRAM = """
import sys
from pathlib import Path
import sweeps
from edgevid.overhead import curve_run, measure_sweep
curve_run.compile_candidates, curve_run.factory_of = sweeps.candidates, sweeps.sums
measure_sweep(sweeps.sweep(), Path(sys.argv[1]), tell=lambda text: print(text, flush=True))
"""


@pytest.fixture(autouse=True)
def nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(curve_run, "compile_candidates", sweeps.candidates)
    monkeypatch.setattr(curve_run, "factory_of", sweeps.sums)


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(folder)],
        env={**os.environ, "PYTHONPATH": str(HERE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_sweep_that_is_killed_goes_on_with_the_processes_that_it_finished(tmp_path):
    file = tmp_path / "reference-fp32-batch1.json"
    process = start(tmp_path)
    while not file.exists() and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    partial = load_result(file)
    assert (len(partial.runs), partial.status) == (1, "interrupted")
    assert "done" not in {point.state for point in read_record(tmp_path / "sweep.json").points}

    told = []
    record = measure_sweep(sweeps.sweep(), tmp_path, tell=told.append)
    assert told == ["reference, fp32, batch 1: goes on after 1 process(es) of an earlier run"]
    whole = load_result(file)
    assert whole.runs[0] == partial.runs[0]
    assert (len(whole.runs), whole.status) == (2, "complete")
    assert {point.proportion: point.state for point in record.points} == STATES
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", file.name, "sweep.json"]


def test_of_two_at_once_one_measures_and_the_other_takes_it_over(tmp_path):
    both = [start(tmp_path), start(tmp_path)]
    printed = []
    for process in both:
        output, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        printed.append(output)
    assert sorted("finished by an earlier run" in text for text in printed) == [False, True]
    result = load_result(tmp_path / "reference-fp32-batch1.json")
    assert [run.rounds for run in result.runs] == [12, 12]
    record = read_record(tmp_path / "sweep.json")
    assert {point.proportion: point.state for point in record.points} == STATES


def test_a_sweep_waits_for_its_turn_and_says_so(tmp_path):
    told, waiting = [], threading.Event()

    def tell(text):
        told.append(text)
        waiting.set()

    folder = SweepFolder(tmp_path, tell)
    waiter = threading.Thread(
        target=lambda: measure_sweep(sweeps.sweep(devices=("nonsense",)), tmp_path, tell=tell)
    )
    with folder.turn():
        waiter.start()
        assert waiting.wait(30)
        assert "another sweep measures here" in told[0]
        assert not (tmp_path / "sweep.json").exists()
    waiter.join(30)
    assert "unknown device" in told[1]
    assert (tmp_path / "sweep.json").exists()
