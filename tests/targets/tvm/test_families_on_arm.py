"""A tiny member of each family on an emulated core, held to ONNX Runtime on this machine."""

import json

import numpy as np
import pytest
from boards import for_arm, tiles_by_default
from small_families import CHANGES, random_member

from edgevid.checkpoints import write
from edgevid.compiler import compile_checkpoint
from edgevid.targets._profiles import device as find_device
from edgevid.targets.tvm._target import cpu_of
from edgevid.targets.tvm.emulator import Emulator

pytestmark = for_arm

BOARD = "raspberry-pi-5"
CHEAPEST = "stsm"


@pytest.mark.parametrize(
    "name",
    [name if name == CHEAPEST else pytest.param(name, marks=pytest.mark.slow) for name in CHANGES],
)
def test_a_member_of_each_family_answers_on_an_emulated_core_as_the_reference_does(name, tmp_path):
    write(tmp_path / "member.safetensors", random_member(name))
    with tiles_by_default():
        bundle = compile_checkpoint(
            tmp_path / "member.safetensors", tmp_path / "b", device=BOARD, runner="cpp"
        )
    assert bundle.manifest.status == "compiled, not executed"
    folder, emulator = bundle.artifact().folder, Emulator(cpu_of(find_device(BOARD)))
    for part in bundle.expectations():
        for clip, expected in zip(part.clips, part.logits, strict=True):
            np.save(tmp_path / "in.npy", clip[None])
            files = (folder / "model.so", tmp_path / "in.npy", tmp_path / "out.npy")
            done = emulator.run(folder / "run", *map(str, files))
            assert done.returncode == 0, done.stderr
            told = json.loads(done.stdout)
            assert told["emulated"]
            assert "latency_ms" not in told
            got = np.load(tmp_path / "out.npy")[0]
            assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()
