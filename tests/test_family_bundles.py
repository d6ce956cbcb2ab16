"""Networks of GSM, STSM and PSN over frames, from the checkpoint to a verified bundle."""

import pytest
from family_members import MEMBERS, member

from edgevid.checkpoints import write
from edgevid.compiler import compile_checkpoint


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    paths = {}

    def make(name):
        if name not in paths:
            paths[name] = tmp_path_factory.mktemp("family") / f"{name}.safetensors"
            write(paths[name], member(name))
        return paths[name]

    return make


@pytest.mark.parametrize(
    ("name", "device", "lowering"),
    [
        *((name, "host", "fused_slice_concat") for name in MEMBERS),
        *((name, "reference", "auto") for name in MEMBERS),
        ("gsm", "host-tvm", "auto"),
        pytest.param("stsm", "host-tvm", "auto", marks=pytest.mark.slow),  # an emulated core runs it
        pytest.param("psn", "host-tvm", "auto", marks=pytest.mark.slow),
    ],
)
def test_a_network_compiles_and_verifies_on_each_runtime(written, tmp_path, name, device, lowering):
    bundle = compile_checkpoint(written(name), tmp_path / "b", device=device, lowering=lowering)
    (artifact,) = bundle.manifest.artifacts
    assert all(check.passed for check in artifact.checks)
    assert bundle.manifest.shifts
    assert bundle.manifest.reference.shift_removed > 1e-3


@pytest.mark.parametrize(
    ("name", "device"),
    [
        *((name, "reference") for name in MEMBERS),
        ("stsm", "host"),
        pytest.param("psn", "host", marks=pytest.mark.slow),
        pytest.param("gsm", "host", marks=pytest.mark.slow),
    ],
)
def test_a_network_is_taken_frame_by_frame_later_by_what_it_looks_ahead(written, tmp_path, name, device):
    bundle = compile_checkpoint(written(name), tmp_path / "b", device=device, streaming=True, lookahead=True)
    assert bundle.manifest.streaming.delay > 0
    assert all(check.passed for check in bundle.manifest.artifacts[0].checks)
