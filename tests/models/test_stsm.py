from fractions import Fraction

import pytest
import torch

from edgevid.errors import ConfigError
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.models.cost import cost
from edgevid.models.presets_stsm import ALPHAS, AXES
from edgevid.models.registry import preset
from edgevid.shift import Move, shift_numpy

BACKBONES = ("resnet50", "mobilenet_v2")
NARROW = {"resnet50": (16,) * 5, "mobilenet_v2": (16, 8, 16, 16, 16, 24, 24, 32, 32)}


def small(backbone, **shift):
    return NetworkConfig(
        backbone=backbone,
        classes=5,
        segments=4,
        size=32,
        channels=NARROW[backbone],
        shift=ShiftConfig(**{"proportion": "3/8", "axes": "T+H+W", **shift}),
    )


def answers(config, *clips):
    torch.manual_seed(0)
    network = build(config)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.randn(2, config.segments, 3, config.size, config.size))
        network.eval()
        return [network(clip) for clip in clips]


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("alpha", ALPHAS)
def test_both_backbones_take_every_published_share_and_direction(backbone, axes, alpha):
    config = NetworkConfig(
        backbone=backbone, classes=5, segments=4, shift=ShiftConfig(proportion=alpha, axes=axes)
    )
    directions = 2 * len(axes.split("+"))
    with torch.device("meta"):
        network = build(config)
    specs = network.shift_specs()
    assert bool(specs) == bool(alpha)
    for name, spec in specs:
        layer = network.get_submodule(name.rpartition(".")[0])
        channels = (layer.conv[0] if backbone == "mobilenet_v2" else layer.conv1).in_channels
        moved = int(channels * alpha)
        folds = [moved // directions] * directions if moved >= directions else [1] * moved
        assert [move.stop - move.start for move in spec.moves] == folds
        assert spec.moved_channels == spec.channels_needed


def test_the_best_shift_moves_an_eighth_of_the_channels_along_each_axis():
    spec = preset("stsm-resnet50").config.shift.spec(64, 8)
    assert spec.moves == (
        Move(0, 4, dt=-1),
        Move(4, 8, dt=1),
        Move(8, 12, dh=-1),
        Move(12, 16, dh=1),
        Move(16, 20, dw=-1),
        Move(20, 24, dw=1),
    )


def test_a_block_shifts_its_branch_in_space_and_leaves_the_shortcut():
    with torch.no_grad():
        network = build(small("resnet50")).eval()
        block, spec = network.layer1[1], network.shift_specs()[1][1]
        frames = torch.randn(8, block.conv1.in_channels, 5, 6)
        moved = torch.from_numpy(shift_numpy(frames.numpy(), spec))
        assert any(move.dh for move in spec.moves)
        assert torch.allclose(block(frames), torch.relu(block.branch(moved) + frames))
        assert not torch.allclose(block(frames), torch.relu(block.branch(frames) + frames))


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("axes", AXES)
def test_the_order_of_frames_matters_where_some_direction_is_time(backbone, axes):
    config = small(backbone, axes=axes, proportion=1)
    clip = torch.randn(1, 4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    forth, back = answers(config, clip, clip.flip(1))
    difference = float((forth - back).abs().max() / forth.abs().max())
    assert config.mixes_time == ("T" in axes)
    assert difference > 1e-3 if config.mixes_time else difference < 1e-4


@pytest.mark.parametrize("backbone", BACKBONES)
def test_shifts_in_space_change_the_answer(backbone):
    clip = torch.randn(1, 4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    (resting,) = answers(small(backbone, proportion=0), clip)
    (moving,) = answers(small(backbone, axes="H+W"), clip)
    assert not torch.allclose(resting, moving, rtol=1e-3)


@pytest.mark.parametrize("name", ["resnet50", "mobilenetv2"])
def test_a_shift_in_space_costs_nothing_either(name):
    assert cost(preset(f"stsm-{name}").config) == cost(preset(f"tsn-{name}").config)


def test_axes_are_read_in_any_spelling_and_survive_json():
    config = small("resnet50", axes=" t + hw ")
    assert config.shift.axes == "T+HW"
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("axes", ["", "X", "TT", "T++H", 5, None])
def test_unknown_axes_are_refused(axes):
    with pytest.raises(ConfigError, match="axes"):
        ShiftConfig(axes=axes)


@pytest.mark.parametrize("setting", [{"direction": "unidirectional"}, {"rounding": "edges"}])
def test_what_is_published_for_time_alone_is_refused_in_space(setting):
    (name,) = setting
    with pytest.raises(ConfigError, match=name):
        ShiftConfig(axes="H+W", **setting)
    ShiftConfig(axes="T", **setting)


def test_a_swapped_network_moves_the_opposite_way_along_all_axes():
    config = small("resnet50")
    swapped = config.with_swapped_shift().shift.spec(96, 4)
    assert swapped == config.shift.spec(96, 4).swapped()


def test_a_repeated_shift_goes_as_many_steps_along_its_axes():
    twice = ShiftConfig(proportion=Fraction(1), axes="HW", repeats=2).spec(8, 4)
    assert twice.moves == (Move(0, 4, 0, -2, -2), Move(4, 8, 0, 2, 2))
