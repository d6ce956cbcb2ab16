"""A small network of every family for a Jetson TX2, and for GPUs by TensorRT for RTX."""

import family_members
import pytest
import volume_members

from edgevid.checkpoints import write
from edgevid.compiler import compile_checkpoint
from edgevid.targets.tensorrt import here as machine

FAMILIES = {
    **dict.fromkeys(family_members.MEMBERS, family_members.member),
    **dict.fromkeys(volume_members.MEMBERS, volume_members.member),
}


@pytest.fixture
def written(tmp_path):
    def make(name):
        path = tmp_path / f"{name}.safetensors"
        write(path, FAMILIES[name](name))
        return path

    return make


QUICK = ("gsm", "stsm", "s3d-g", "psn")
"""One of each kind of mixing; the others are slow tests."""


EACH_FAMILY = pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FAMILIES]
)


@EACH_FAMILY
def test_a_family_passes_the_rules_of_a_tx2(written, tmp_path, name):
    bundle = compile_checkpoint(written(name), tmp_path / "b", device="jetson-tx2")
    (artifact,) = bundle.manifest.artifacts
    assert artifact.output.shape == (1, 5)
    assert not any("not run" in note or "refused" in note for note in artifact.notes)


@pytest.mark.skipif(not machine.installed_version("tensorrt-rtx"), reason="needs tensorrt-rtx")
@EACH_FAMILY
def test_a_family_is_built_by_tensorrt_for_rtx(written, tmp_path, name):
    bundle = compile_checkpoint(written(name), tmp_path / "b", device="rtx-40")
    (artifact,) = bundle.manifest.artifacts
    assert artifact.output.shape == (1, 5)
