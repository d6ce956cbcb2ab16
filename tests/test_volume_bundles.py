"""Networks over volumes, from the checkpoint or a foreign file to a verified bundle."""

import warnings

import pytest
import torch
from volume_members import CLASSES, FRAMES, SIZE, member

from edgevid import show
from edgevid.checkpoints import write
from edgevid.compiler import compile_checkpoint
from edgevid.errors import GraphError


@pytest.fixture
def written(tmp_path):
    def make(name):
        path = tmp_path / f"{name}.safetensors"
        write(path, member(name))
        return path

    return make


@pytest.mark.parametrize(
    ("name", "device"),
    [
        ("s3d-g", "host"),
        pytest.param("howto100m", "reference", marks=pytest.mark.slow),
        ("top-heavy", "host-tvm"),
    ],
)
def test_a_network_over_volumes_compiles_and_verifies(written, tmp_path, capsys, name, device):
    bundle = compile_checkpoint(written(name), tmp_path / "b", device=device)
    (artifact,) = bundle.manifest.artifacts
    assert artifact.lowering.partition("@")[0] in ("none", "function")
    assert artifact.output.shape == (1, CLASSES)
    assert all(check.passed for check in artifact.checks)
    assert bundle.manifest.shifts == []
    assert bundle.manifest.reference.shift_removed is None
    assert bundle.manifest.reference.clip_reversed > 1e-4
    show.bundle(bundle)
    assert "notice frames in reverse order" in capsys.readouterr().out


def test_a_network_over_volumes_is_not_taken_frame_by_frame(written, tmp_path):
    with pytest.raises(GraphError, match="windows of several frames") as caught:
        compile_checkpoint(written("s3d-g"), tmp_path / "b", streaming=True)
    assert "--window" in caught.value.fix


class AsVolumes(torch.nn.Module):
    """As its authors feed it: ``[N, 3, T, H, W]``."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, volumes):
        return self.network.classify_volumes(volumes)


@pytest.mark.parametrize("exporter", ["legacy", pytest.param("dynamo", marks=pytest.mark.slow)])
def test_a_foreign_file_of_a_network_over_volumes_compiles(tmp_path, exporter):
    path = tmp_path / "foreign.onnx"
    more = {"dynamo": False} if exporter == "legacy" else {"dynamo": True, "external_data": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        volumes = torch.zeros(1, 3, FRAMES, SIZE, SIZE)
        torch.onnx.export(AsVolumes(member("s3d-g")), (volumes,), str(path), opset_version=18, **more)
    pixels = {"mean": (127.5,) * 3, "std": (127.5,) * 3, "color": "RGB"}
    bundle = compile_checkpoint(path, tmp_path / "b", device="reference", **pixels)
    assert bundle.manifest.artifacts[0].input.shape == (1, FRAMES, SIZE, SIZE, 3)
    assert bundle.manifest.reference.clip_reversed > 1e-4
