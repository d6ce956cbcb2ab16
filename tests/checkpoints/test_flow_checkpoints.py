"""Checkpoints of networks of optical flow: recognised by their first convolution."""

import pytest
import torch
from checkpoint_layouts import mit, mmaction2, network, shifted, small

from edgevid.checkpoints import read, write
from edgevid.contract import Flow, Normalization, Sourced
from edgevid.errors import ConfigError
from edgevid.models import NetworkConfig

FLAGS = {"segments": 4, "crop": 32}
TSM = Normalization((127.5,), (57.63,), "XY")


def saved(tmp_path, state, name="weights.pth"):
    torch.save({"state_dict": state}, tmp_path / name)
    return tmp_path / name


def flow(backbone="resnet18"):
    return network(small(backbone, shifted(), frame_channels=10))


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "mobilenet_v2"])
def test_ten_channels_are_five_fields_and_the_keys_prove_it(tmp_path, backbone):
    model = flow(backbone)
    found = read(saved(tmp_path, mit(model)), **FLAGS)
    assert found.config == model.config
    assert found.normalization == TSM
    assert found.sampling.flow == Flow(5, "dis", 20.0)
    assert found.settings["frame_channels"] == Sourced(10, "keys")
    assert found.settings["flow"] == Sourced("dis", "default")
    frames = torch.randn(1, 4, 10, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(found.network()(frames), model(frames))


def test_the_name_of_a_published_flow_network_is_read(tmp_path):
    name = "TSM_ucf101_Flow_resnet18_shift8_blockres_avg_segment4_e50.pth"
    found = read(saved(tmp_path, mit(flow()), name), crop=32)
    assert (found.sampling.segments, found.sampling.flow) == (4, Flow())


def test_the_pixels_of_a_preset_are_of_pictures_and_left_out(tmp_path):
    found = read(saved(tmp_path, mit(flow("resnet50"))), preset="tsm-resnet50", **FLAGS)
    assert found.normalization == TSM
    assert found.settings["mean"].source == "default"


def test_mmaction2_has_pixels_of_its_own_and_its_buffers_go_before(tmp_path):
    state = mmaction2(flow())
    assert read(saved(tmp_path, state), **FLAGS).normalization == Normalization((128.0,), (128.0,), "XY")
    buffers = {"data_preprocessor.mean": torch.tensor([120.0, 130.0]).view(2, 1, 1)}
    buffers["data_preprocessor.std"] = torch.full((2, 1, 1), 64.0)
    found = read(saved(tmp_path, {**state, **buffers}), **FLAGS)
    assert found.normalization == Normalization((120.0, 130.0) * 5, (64.0,), "XY")


def test_what_is_written_is_read_again(tmp_path):
    found = read(saved(tmp_path, mit(flow())), flow="tvl1", mean="1,2,3,4,5,6,7,8,9,10", **FLAGS)
    assert found.normalization.mean == tuple(range(1, 11))
    options = {"normalization": found.normalization, "sampling": found.sampling}
    write(tmp_path / "own.safetensors", found.network(), **options)
    again = read(tmp_path / "own.safetensors")
    assert (again.config, again.normalization, again.sampling) == (
        found.config,
        found.normalization,
        found.sampling,
    )
    assert again.settings["flow"] == Sourced("tvl1", "file")


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"flow": "farneback"}, "optical flow by 'farneback'"),
        ({"color": "RGB"}, "channels in the order RGB"),
        ({"mean": (1, 2, 3)}, "one for each of 10 channels"),
        ({"mean": 0.5, "std": 0.226}, "mean is 0.5"),
        ({"mean": (0.5,), "std": (0.226,)}, "pixels from 0 to 1"),
        ({"std": (0,)}, "above 0"),
        ({"frame_channels": 3}, "the keys say 10"),
    ],
)
def test_settings_that_are_not_of_flow_are_refused(tmp_path, flags, told):
    with pytest.raises(ConfigError, match=told):
        read(saved(tmp_path, mit(flow())), **FLAGS, **flags)


@pytest.mark.parametrize(
    ("flags", "told"), [({"flow": "dis"}, "takes pictures"), ({"color": "XY"}, "in the order XY")]
)
def test_a_network_of_pictures_has_no_flow(tmp_path, flags, told):
    with pytest.raises(ConfigError, match=told):
        read(saved(tmp_path, mit(network(small("resnet18", shifted())))), **FLAGS, **flags)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"frame_channels": 5}, "frames of 5 channels"),
        ({"frame_channels": 10, "backbone": "inception_v1", "volumes": {}}, "over volumes"),
    ],
)
def test_a_configuration_of_no_such_network_is_refused(fields, told):
    with pytest.raises(ConfigError, match=told):
        NetworkConfig(**{"backbone": "resnet18", "classes": 5, **fields})


def test_nothing_is_written_about_the_channels_of_pictures():
    plain = NetworkConfig(backbone="resnet18", classes=5)
    assert "frame_channels" not in plain.model_dump(mode="json")
    flow = plain.model_copy(update={"frame_channels": 10})
    assert flow.model_dump()["frame_channels"] == 10
    assert NetworkConfig.model_validate_json(flow.model_dump_json()) == flow
