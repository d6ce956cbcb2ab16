"""Checkpoints of our own of networks over volumes that no publisher's layout is read of."""

import pytest
import torch

from edgevid.checkpoints import read, write
from edgevid.errors import CheckpointError, KeyMismatchError, UnknownLayoutError
from edgevid.models import NetworkConfig, build
from edgevid.models.attention_config import AttentionConfig
from edgevid.models.inflation_config import InflationConfig
from edgevid.models.presets_gsm import CAFFE_PIXELS

INFLATION = InflationConfig(blocks=((0,), (0,), (), (0,)))
FLAGS = {"segments": 8, "crop": 32, "blocks": (1, 1, 1, 1)}
MEMBERS = {
    "i3d": {"inflation": INFLATION},
    "non-local i3d": {"inflation": INFLATION, "attention": AttentionConfig(pairwise="dot_product")},
    "temporal-1d": {"inflation": INFLATION.model_copy(update={"place": "front"})},
    "eco": {"backbone": "eco_bn_inception", "width": "1/8", "size": 64, "channels": None, "blocks": None},
}


def network(name):
    torch.manual_seed(0)
    settings = {"backbone": "resnet50", "channels": (8,) * 5, "blocks": (1, 1, 1, 1), "size": 32}
    return build(NetworkConfig(classes=5, segments=8, **{**settings, **MEMBERS[name]})).eval()


def saved(tmp_path, state):
    torch.save(state, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def same(checkpoint, model):
    """The checkpoint makes the same network: settings, weights, logits."""
    size = model.config.size
    clip = torch.randn(2, 8, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return checkpoint.config == model.config and torch.equal(checkpoint.network()(clip), model(clip))


@pytest.mark.parametrize("name", MEMBERS)
def test_what_is_written_is_read_again(tmp_path, name):
    model = network(name)
    write(tmp_path / "own.safetensors", model)
    checkpoint = read(tmp_path / "own.safetensors")
    assert same(checkpoint, model)
    assert checkpoint.layout == "edgevid"


def test_bare_weights_are_read_when_a_flag_says_how_they_are_inflated(tmp_path):
    model = network("i3d")
    assert same(read(saved(tmp_path, model.state_dict()), **FLAGS, inflation=INFLATION), model)


def test_bare_weights_of_eco_are_known_by_their_keys(tmp_path):
    model = network("eco")
    checkpoint = read(saved(tmp_path, model.state_dict()), segments=8, crop=64)
    assert same(checkpoint, model)
    assert checkpoint.normalization == CAFFE_PIXELS


def test_bare_weights_over_volumes_are_refused_when_nothing_says_how(tmp_path):
    with pytest.raises(UnknownLayoutError, match="3D"):
        read(saved(tmp_path, network("i3d").state_dict()), **FLAGS)


def test_another_publishers_network_over_volumes_is_refused_even_then(tmp_path):
    """mmaction2's I3D has the same shapes, but other maxima."""
    state = {f"backbone.{key}": tensor for key, tensor in network("i3d").state_dict().items()}
    with pytest.raises(UnknownLayoutError, match="3D"):
        read(saved(tmp_path, state), **FLAGS, inflation=INFLATION)


def test_weights_that_are_inflated_otherwise_are_named(tmp_path):
    other = INFLATION.model_copy(update={"blocks": ((0,), (0,), (0,), (0,))})
    with pytest.raises(
        KeyMismatchError, match=r"layer3\.0\.conv1\.weight is 8x32x1x1x1 instead of 8x32x3x1x1"
    ):
        read(saved(tmp_path, network("i3d").state_dict()), **FLAGS, inflation=other)


def test_a_network_of_optical_flow_is_refused(tmp_path):
    state = network("i3d").state_dict()
    state["conv1.weight"] = torch.zeros(8, 2, 5, 7, 7)
    with pytest.raises(CheckpointError, match="2 channels"):
        read(saved(tmp_path, state), **FLAGS, inflation=INFLATION)


def test_a_missing_part_of_eco_is_named(tmp_path):
    state = network("eco").state_dict()
    del state["net3d.2.downsample.weight"]
    with pytest.raises(KeyMismatchError, match=r"net3d.*missing"):
        read(saved(tmp_path, state), segments=8, crop=64)
