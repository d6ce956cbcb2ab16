"""Tuning on this machine: candidates are verified, timed, recorded and reused."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgevid.contract import Tuning
from edgevid.errors import ConfigError, VerificationError
from edgevid.targets.tvm import tune as tuning
from edgevid.targets.tvm.cpus import cpu
from edgevid.targets.tvm.kernels.choose import candidates
from edgevid.targets.tvm.network import Convolution, Frames, Layer, Move, Network
from edgevid.targets.tvm.records import Records
from edgevid.targets.tvm.tiles import choose_tiles
from edgevid.targets.tvm.tune import Host, recorded, tune

HOST = cpu("host")
B = HOST.lanes
POINTWISE = Convolution(
    Frames(1, 4, 32, 7, 7, B), Frames(1, 4, 48, 7, 7, B), moves=(Move(0, 4, 1),), bounds=(0.0, None)
)
SPATIAL = Convolution(Frames(1, 4, 48, 7, 7, B), Frames(1, 4, 16, 7, 7, B), (1, 3, 3), pads=(0, 1, 1))


def weights(operation):
    random = np.random.default_rng(0)
    shape = (operation.target.channels, operation.source.channels, *operation.kernel)
    return {
        "weight": random.standard_normal(shape, np.float32),
        "bias": random.standard_normal(shape[0], np.float32),
    }


@pytest.fixture(scope="module")
def network():
    layers = (
        Layer("first", POINTWISE, ("in",), "a", weights(POINTWISE)),
        Layer("second", SPATIAL, ("a",), "b", weights(SPATIAL)),
    )
    activations = {"in": POINTWISE.source, "a": POINTWISE.target, "b": SPATIAL.target}
    return Network("in", "b", activations, layers)


@pytest.fixture(scope="module")
def chosen(network, tmp_path_factory):
    """Tiles that were measured once, and the records of that."""
    records = tmp_path_factory.mktemp("chosen") / "r"
    return choose_tiles(network, HOST, Tuning(measure=True, records=records), here=True), records


def test_each_operation_gets_one_of_its_candidates(network, tmp_path):
    steps = []
    found = tune(network, HOST, (Host(),), Records(tmp_path / "r"), progress=lambda *step: steps.append(step))
    assert (found.measured, found.reused, found.left) == (2, 0, 0)
    assert all(
        found.kernels[layer.operation] in candidates(layer.operation, HOST) for layer in network.layers
    )
    assert steps == [(0, 2), (1, 2), (2, 2)]


def test_what_was_measured_is_not_measured_again(network, chosen, tmp_path):
    first, records = chosen
    shutil.copy(records, tmp_path / "r")
    second = tune(network, HOST, (Host(),), Records(tmp_path / "r"))
    assert (second.measured, second.reused) == (0, 2)
    assert {**second.kernels} == {**first.kernels} == {**recorded(network, HOST, Records(tmp_path / "r"))}


INTERRUPTED = """
import os, signal, sys, time
from pathlib import Path
from edgevid.targets.tvm import tune as tuning
from edgevid.targets.tvm.records import Records
from test_tune import EIGHT, HOST

signal.signal(signal.SIGINT, signal.default_int_handler)  # which a parent in the background took away

def measure(_layer, offered, _cpu, _board):
    time.sleep(0.1)
    return [1e-3] * len(offered)

def press_ctrl_c_after_two(done, _total):
    if done == 2:
        os.kill(os.getpid(), signal.SIGINT)

tuning._measure = measure
try:
    tuning.tune(EIGHT, HOST, (tuning.Host(),), Records(Path(sys.argv[1])), progress=press_ctrl_c_after_two)
except KeyboardInterrupt:
    sys.exit(130)
"""
OPERATIONS = [Convolution(Frames(1, 4, 16, n, 7, B), Frames(1, 4, 16, n, 7, B)) for n in range(1, 9)]
EIGHT = Network(
    "in",
    "o7",
    {},
    tuple(Layer(f"l{i}", operation, ("in",), f"o{i}") for i, operation in enumerate(OPERATIONS)),
)


def test_an_interrupted_run_ends_with_the_operation_at_work_and_keeps_what_it_finished(tmp_path, monkeypatch):
    """In a process of its own, which Ctrl-C is for."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path / "r")], cwd=Path(__file__).parent, check=False
    )
    assert done.returncode == 130
    assert 2 <= len(Records(tmp_path / "r")) <= 4
    monkeypatch.setattr(tuning, "_measure", lambda _layer, offered, *_: [1e-3] * len(offered))
    found = tune(EIGHT, HOST, (Host(),), Records(tmp_path / "r"))
    assert found.measured == 8 - found.reused


def test_without_time_the_defaults_stay(network, tmp_path):
    found = tune(network, HOST, (Host(),), Records(tmp_path / "r"), budget=0)
    assert (found.measured, found.left, dict(found.kernels)) == (0, 2, {})


def test_several_boards_share_the_work(network, tmp_path):
    found = tune(network, HOST, (Host(), Host()), Records(tmp_path / "r"))
    assert found.measured == 2


def test_a_candidate_that_computes_something_else_is_named(network, tmp_path, monkeypatch):
    offered = candidates(POINTWISE, HOST)
    wrong = replace(offered[1], operation=replace(POINTWISE, moves=()))
    monkeypatch.setattr(tuning, "candidates", lambda *_: (offered[0], wrong))
    with pytest.raises(VerificationError, match=r"(?s)something else.*where: first"):
        tune(network, HOST, (Host(),), Records(tmp_path / "r"))


def test_the_notes_say_how_tiles_were_chosen(network, chosen, tmp_path):
    measured, of_before = chosen
    records = shutil.copy(of_before, tmp_path / "r")
    assert "by default, not measured" in choose_tiles(network, HOST, None, here=True).notes[0]
    assert "by a static rank, not measured" in choose_tiles(network, HOST, None, here=False).notes[0]
    assert "2 operations measured on the device" in measured.notes[0]
    known = choose_tiles(network, HOST, Tuning(records=records), here=False)
    assert "2 operations from records, of 0 by a static rank" in known.notes[0]
    assert {**known.kernels} == {**measured.kernels}


def test_records_of_other_boards_are_merged(network, chosen, tmp_path):
    _, theirs = chosen
    mine = Tuning(records=tmp_path / "mine", merged=(theirs,))
    assert "2 operations from records" in choose_tiles(network, HOST, mine, here=False).notes[0]
    assert len(Records(tmp_path / "mine")) == 2


def test_records_that_were_set_aside_are_told(network, tmp_path):
    records = tmp_path / "r"
    records.write_text("nothing that counts\n")
    notes = choose_tiles(network, HOST, Tuning(records=records), here=True).notes
    assert any("corrupt1" in note for note in notes)


def test_tuning_for_another_device_asks_for_a_board(network):
    with pytest.raises(ConfigError, match="--on rpc://"):
        choose_tiles(network, cpu("cortex-a72"), Tuning(measure=True), here=False)
