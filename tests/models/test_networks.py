import numpy as np
import pytest
import torch

from edgevid.errors import ConfigError
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.models.network import VideoNetwork
from edgevid.models.registry import preset, preset_names
from edgevid.models.shift_module import Shift
from edgevid.shift import ShiftSpec, shift_numpy

NARROW = {"mobilenet_v2": (16, 8, 8, 8, 16, 24, 16, 32, 32)}
BACKBONES = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "mobilenet_v2")
CONFIGS = {name: preset(name).config for name in preset_names()}
PRESETS = [name for name, config in CONFIGS.items() if not (config.is_inception or config.inflation)]


def narrow(config, **fields):
    channels = NARROW.get(config.backbone, (16, 16, 16, 16, 16))
    update = {"channels": channels, "size": 32, "classes": 5, **fields}
    return NetworkConfig(**{**config.model_dump(), **update})


def small(backbone="resnet50", shift=None, **fields):
    return narrow(NetworkConfig(backbone=backbone, classes=5, segments=4, shift=shift), **fields)


def random_network(config):
    torch.manual_seed(0)
    network = build(config).eval()
    # A fresh network answers almost nothing: fit its batch norms to the data, as training would.
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, std=0.2)
            layer.momentum = 1.0
        elif isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight)
    with torch.no_grad():
        network.train()(torch.randn(2, config.segments, 3, config.size, config.size))
    return network.eval()


def clips(config, count=1):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(count, config.segments, 3, config.size, config.size, generator=generator)


def answer(network, frames):
    with torch.no_grad():
        return network(frames)


def relative(one, other):
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.parametrize("name", PRESETS)
def test_only_a_network_with_temporal_mixing_sees_that_a_clip_is_reversed(name):
    config = narrow(preset(name).config)
    network = random_network(config)
    clip = clips(config)
    difference = relative(answer(network, clip.flip(1)), answer(network, clip))
    if config.mixes_time:
        assert difference > 1e-3
    else:
        assert difference < 1e-5
    assert bool(network.shift_specs()) == config.mixes_time


@pytest.mark.parametrize("name", PRESETS)
def test_clips_of_one_batch_do_not_see_each_other(name):
    config = narrow(preset(name).config)
    network = random_network(config)
    batch = clips(config, 3)
    together = answer(network, batch)
    for index in range(3):
        assert relative(together[index], answer(network, batch[index : index + 1])[0]) < 1e-4


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("proportion", ["0", "1/8", "1/4", "1/2", "1"])
def test_every_backbone_takes_every_published_proportion(backbone, proportion):
    config = small(backbone, ShiftConfig(proportion=proportion), channels=None)
    with torch.device("meta"):
        network = build(config)
    specs = network.shift_specs()
    assert bool(specs) == (proportion != "0")
    for name, spec in specs:
        layer = network.get_submodule(name.rpartition(".")[0])
        first = layer.conv[0] if backbone == "mobilenet_v2" else layer.conv1
        assert spec == ShiftSpec.tsm(first.in_channels, 4, config.shift.proportion)


def test_the_published_number_of_blocks_is_shifted():
    counts = {}
    for backbone in BACKBONES:
        with torch.device("meta"):
            counts[backbone] = len(build(small(backbone, ShiftConfig())).shift_specs())
    assert counts == {
        "resnet18": 8,
        "resnet34": 16,
        "resnet50": 16,
        "resnet101": 18,
        "resnet152": 2 + 4 + 18 + 2,
        "mobilenet_v2": 10,
    }


def test_mobilenet_is_shifted_in_blocks_with_a_skip_connection_only():
    names = [name for name, _ in build(small("mobilenet_v2", ShiftConfig())).shift_specs()]
    assert names == [f"features.{number}.shift" for number in (3, 5, 6, 8, 9, 10, 12, 13, 15, 16)]


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50"])
@pytest.mark.parametrize("placement", ["residual", "inplace"])
def test_the_residual_placement_leaves_the_shortcut_as_it_is(backbone, placement):
    network = random_network(small(backbone, ShiftConfig(placement=placement)))
    block = network.layer1[1]
    spec = network.shift_specs()[1][1]
    frames = torch.randn(8, block.conv1.in_channels, 5, 5)
    moved = torch.from_numpy(shift_numpy(frames.numpy(), spec))
    shortcut = moved if placement == "inplace" else frames
    expected = torch.relu(block.branch(moved) + shortcut)
    assert torch.allclose(block(frames), expected)
    assert not torch.allclose(block(frames), torch.relu(block.branch(frames) + frames))


def test_a_repeated_shift_moves_by_as_many_frames():
    frames = np.random.default_rng(0).normal(size=(16, 12, 2, 2))
    once, thrice = ShiftConfig().spec(12, 8), ShiftConfig(repeats=3).spec(12, 8)
    expected = frames
    for _ in range(3):
        expected = shift_numpy(expected, once)
    assert np.array_equal(shift_numpy(frames, thrice), expected)


def test_a_unidirectional_network_does_not_look_ahead():
    config = small("resnet50", ShiftConfig(proportion="1/8", direction="unidirectional"))
    network = random_network(config)
    clip = clips(config)
    changed = clip.clone()
    changed[:, 2:] += 1
    with torch.no_grad():
        before, after = network.frame_logits(clip), network.frame_logits(changed)
    assert torch.allclose(before[:, :2], after[:, :2], atol=1e-5)
    assert not torch.allclose(before[:, 2:], after[:, 2:], atol=1e-2)


def test_the_answer_is_the_mean_over_frames():
    config = small("mobilenet_v2", ShiftConfig())
    network = random_network(config)
    clip = clips(config, 2)
    with torch.no_grad():
        assert torch.allclose(network(clip), network.frame_logits(clip).mean(1))


@pytest.mark.parametrize("shape", [(1, 3, 3, 32, 32), (1, 4, 1, 32, 32), (4, 3, 32, 32)])
def test_a_clip_of_another_shape_is_refused(shape):
    network = build(small())
    with pytest.raises(ConfigError, match=r"\[N, 4, 3, height, width\]"):
        network(torch.zeros(shape))


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "mobilenet_v2"])
def test_a_network_does_not_change_its_input(backbone):
    config = small(backbone, ShiftConfig())
    clip = clips(config)
    before = clip.clone()
    answer(random_network(config), clip)
    assert torch.equal(clip, before)


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "mobilenet_v2"])
def test_a_shift_adds_no_key_to_the_state(backbone):
    with torch.device("meta"):
        plain, mixed = build(small(backbone)), build(small(backbone, ShiftConfig()))
    assert list(plain.state_dict()) == list(mixed.state_dict())


def test_keys_are_those_that_torchvision_publishes():
    with torch.device("meta"):
        resnet = list(build(NetworkConfig(backbone="resnet50", classes=5)).state_dict())
        mobilenet = list(build(NetworkConfig(backbone="mobilenet_v2", classes=5)).state_dict())
    assert len(resnet) == 320
    assert {"conv1.weight", "bn1.weight", "layer1.0.downsample.0.weight", "layer4.2.conv3.weight"} < set(
        resnet
    )
    assert resnet[-2:] == ["fc.weight", "fc.bias"]
    assert len(mobilenet) == 314
    assert {"features.0.0.weight", "features.18.1.bias", "features.3.conv.6.weight"} < set(mobilenet)


@pytest.mark.parametrize("backbone", ["resnet18", "mobilenet_v2"])
def test_gradients_reach_every_weight(backbone):
    config = small(backbone, ShiftConfig(), dropout=0.0)
    network = build(config).train()
    network(clips(config, 2)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize(
    ("backbone", "placement"),
    [("resnet18", "residual"), ("resnet18", "inplace"), ("mobilenet_v2", "residual")],
)
def test_a_network_exports_with_a_dynamic_batch(backbone, placement):
    config = small(backbone, ShiftConfig(placement=placement))
    network = random_network(config)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(network, (clips(config, 2),), dynamic_shapes=({0: batch},))
    three = clips(config, 3)
    with torch.no_grad():
        assert torch.allclose(program.module()(three), network(three), atol=1e-5)


def test_shifts_can_be_found_and_swapped():
    network: VideoNetwork = build(small("resnet18", ShiftConfig()))
    found = [name for name, layer in network.named_modules() if isinstance(layer, Shift)]
    assert found == [name for name, _ in network.shift_specs()]
    assert "T=4" in repr(network)
