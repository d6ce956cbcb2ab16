"""The demo network and a full-size one on an emulated board: float32, and int8 against its simulation."""

import json
import subprocess
import sys

import numpy as np
import pytest
from boards import for_arm, tiles_by_default

from edgevid import targets
from edgevid.build import open_reference
from edgevid.bundle import Bundle
from edgevid.calibration.logits import read_logits
from edgevid.calibration.pack import pack
from edgevid.calibration.shards import open_pack
from edgevid.calibration.table import load_table
from edgevid.compiler import compile_checkpoint
from edgevid.contract import RunSettings
from edgevid.demo.generated import Generated
from edgevid.demo.int8_bundles import CALIBRATION_SEED, demo_source
from edgevid.graph.prelude import with_uint8_clips
from edgevid.int8 import TABLE, Int8, quantized
from edgevid.targets._profiles import device as find_device
from edgevid.targets.tvm._target import cpu_of
from edgevid.targets.tvm.emulator import Emulator

pytestmark = for_arm

BOARD = "raspberry-pi-5"
SEED = 424_242


@pytest.fixture(scope="module")
def source():
    return demo_source()


@pytest.fixture(scope="module")
def float_bundle(source, tmp_path_factory):
    return compile_checkpoint(source, tmp_path_factory.mktemp("arm") / "b", device=BOARD, runner="cpp")


@pytest.fixture(scope="module")
def int8_bundle(source, tmp_path_factory):
    place = tmp_path_factory.mktemp("arm") / "int8.bundle"
    data = Int8(Generated("hard", 64, CALIBRATION_SEED), clips=64)
    with tiles_by_default():
        return compile_checkpoint(source, place, device=BOARD, precision="int8", int8=data, runner="cpp")


def on_the_board(bundle, *arguments):
    folder = bundle.artifact().folder
    emulator = Emulator(cpu_of(find_device(bundle.manifest.device)))
    done = emulator.run(folder / "run", str(folder / "model.so"), *map(str, arguments))
    assert done.returncode == 0, done.stderr
    return done.stdout


def simulated(bundle, source, pixels):
    """By ONNX Runtime on the Q/DQ graph."""
    device = find_device(bundle.manifest.device)
    scheme = targets.find(device.target).probe(device).scheme
    graph = with_uint8_clips(source.graph(1), source.normalization)
    with open_reference(quantized(graph, load_table(bundle.path / TABLE), scheme, {})) as session:
        return np.concatenate([session.run(clip[None]) for clip in pixels])


def test_in_float_the_runner_computes_what_the_reference_computed(float_bundle, tmp_path):
    for number, part in enumerate(float_bundle.expectations()):
        for clip, expected in zip(part.clips, part.logits, strict=True):
            np.save(tmp_path / "in.npy", clip[None])
            told = json.loads(on_the_board(float_bundle, tmp_path / "in.npy", tmp_path / f"{number}.npy"))
            assert told["emulated"]
            assert "latency_ms" not in told
            got = np.load(tmp_path / f"{number}.npy")[0]
            assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.parametrize("count", [100, pytest.param(200, marks=pytest.mark.slow)])
def test_in_int8_the_runner_answers_as_the_simulation_does(int8_bundle, source, tmp_path, count):
    clips, packed = Generated("hard", count, SEED), tmp_path / "clips"
    pack(clips, packed)
    pixels = np.concatenate([sample.clips for sample in clips.read()])
    expected = simulated(int8_bundle, source, pixels)
    on_the_board(int8_bundle, "--eval", packed, "-o", tmp_path / "logits")
    measured = read_logits(tmp_path / "logits" / "logits.json", open_pack(packed), expected.shape[1])
    got = measured.logits.reshape(len(pixels), -1)
    assert (got.argmax(1) != expected.argmax(1)).sum() <= count // 100, "where two classes are as good"
    error = np.square(got - expected).sum()
    assert 10 * np.log10(np.square(expected).sum() / error) >= 30


def edgevid(*arguments):
    program = [sys.executable, "-c", "from edgevid.cli import main; main()"]
    return subprocess.run(
        [*program, *map(str, arguments)], capture_output=True, text=True, timeout=500, check=False
    )


def test_for_a_board_it_is_compiled_and_not_executed(float_bundle, int8_bundle):
    assert {bundle.manifest.status for bundle in (float_bundle, int8_bundle)} == {"compiled, not executed"}


def test_a_board_behind_a_tracker_verifies_and_is_not_timed(int8_bundle, emulated_board):
    done = edgevid("bench", int8_bundle.path, "--on", emulated_board)
    assert done.returncode == 0, done.stderr
    assert "golden input" in done.stdout
    assert "the board is emulated" in done.stdout
    assert "wall ms" not in done.stdout


def test_videos_are_recognized_on_a_board(float_bundle, emulated_board, tmp_path):
    assert edgevid("clips", tmp_path / "clips", "--count", "1").returncode == 0
    video = next((tmp_path / "clips").glob("*/*.mp4"))
    there = edgevid("run", float_bundle.path, video, "--on", emulated_board, "--json")
    assert there.returncode == 0, there.stderr
    assert json.loads(there.stdout)["videos"][0]["top"][0]["name"] == video.parent.name


def test_a_board_is_refused_by_runtimes_of_this_machine(tiny_bundle):
    done = edgevid("verify", tiny_bundle, "--on", "rpc://127.0.0.1:9/board")
    assert done.returncode == 1
    assert "openvino runs on this machine only" in done.stderr


@pytest.mark.slow
def test_mobilenet_with_the_shift_runs_on_the_oldest_core(emulated_board, tmp_path):
    """All of its layers and 8 frames, which are smaller than usual since emulation is slow."""
    import torch

    from edgevid.checkpoints import write
    from edgevid.models import build
    from edgevid.models.config import NetworkConfig, ShiftConfig

    torch.manual_seed(0)
    network = build(NetworkConfig(backbone="mobilenet_v2", classes=27, size=64, shift=ShiftConfig())).train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0  # statistics of its input: else the values of a deep network vanish
    with torch.no_grad():
        network(torch.randn(1, 8, 3, 64, 64))
    write(tmp_path / "net.safetensors", network.eval())
    with tiles_by_default():
        bundle = compile_checkpoint(
            tmp_path / "net.safetensors", tmp_path / "b", device="cortex-a53", runner="cpp"
        )
    part = Bundle.open(bundle.path).expectations()[0]
    np.save(tmp_path / "in.npy", part.clips[:1])
    on_the_board(bundle, tmp_path / "in.npy", tmp_path / "out.npy")
    expected = part.logits[:1]
    # The board behind the tracker is a newer core, which has all that this one has.
    with bundle.session(settings=RunSettings(on=str(emulated_board))) as session:
        behind_tracker = session.run(part.clips[:1])
    for got in (np.load(tmp_path / "out.npy"), behind_tracker):
        assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()


def test_a_runner_tells_how_it_is_used(float_bundle):
    folder = float_bundle.artifact().folder
    command = Emulator(cpu_of(find_device(BOARD))).command(folder / "run")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "--eval" in done.stdout + done.stderr
