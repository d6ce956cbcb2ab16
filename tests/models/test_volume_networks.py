from fractions import Fraction

import pytest
import torch
import torch.nn.functional as functional
from settled_networks import answer, clips, on_shapes_alone, relative

from edgevid.errors import ConfigError
from edgevid.models import NetworkConfig, build
from edgevid.models.volume_config import UNITS, VolumeConfig
from edgevid.models.volume_layers import Gate, SamePool

VARIANTS = {
    "s3d": {},
    "i3d": {"kernels": "full"},
    "i2d": {"temporal": (0, 0)},
    "fast-s3d": {"temporal": (9, 11)},
    "bottom-heavy": {"kernels": "full", "temporal": (0, 3)},
    "s3d-g": {"gating": "temporal"},
    "gated branches": {"gating": "branches"},
    "howto100m": {"gating": "branches", "release": "howto100m"},
}


def tiny(variant="s3d", **fields):
    settings = {"classes": 5, "segments": 8, "size": 32, "width": Fraction(1, 8), **fields}
    volumes = VolumeConfig(**VARIANTS[variant])
    return NetworkConfig(backbone="inception_v1", volumes=volumes, **settings)


def random_network(config):
    torch.manual_seed(0)
    network = build(config).eval()
    # A fresh network answers almost nothing: fit its batch norms to the data, as training would.
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm3d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, std=0.2)
            layer.momentum = 1.0
        elif isinstance(layer, torch.nn.Linear):
            torch.nn.init.normal_(layer.weight, std=0.5)
    with torch.no_grad():
        network.train()(clips(config, 4))
    return network.eval()


def reaching(network):
    """Numbers of the units that hold a kernel over time."""
    units = [network.base[0], network.base[3]]
    units += [block for block in network.base if hasattr(block, "branch1")]
    kernels = [
        [layer.kernel_size[0] for layer in unit.modules() if isinstance(layer, torch.nn.Conv3d)]
        for unit in units
    ]
    return [number for number, sizes in enumerate(kernels) if max(sizes) > 1]


@pytest.mark.parametrize("variant", VARIANTS)
def test_clips_of_one_batch_do_not_see_each_other(variant):
    config = tiny(variant)
    network = random_network(config).double()
    batch = clips(config, 3).double()
    together = answer(network, batch)
    assert together.shape == (3, 5)
    for index in range(3):
        assert relative(together[index], answer(network, batch[index : index + 1])[0]) < 1e-10


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_order_of_the_frames_matters(variant):
    config = tiny(variant)
    network = random_network(config)
    clip = clips(config)
    assert config.mixes_time
    assert relative(answer(network, clip.flip(1)), answer(network, clip)) > 1e-3


@pytest.mark.parametrize("kernels", ["full", "separable"])
@pytest.mark.parametrize("count", range(len(UNITS) + 1))
def test_a_heavy_network_reaches_over_time_in_as_many_layers_as_are_asked_for(kernels, count):
    top, bottom = VolumeConfig.top_heavy(count, kernels), VolumeConfig.bottom_heavy(count, kernels)
    everything = list(range(len(UNITS)))
    for volumes, expected in ((top, everything[len(UNITS) - count :]), (bottom, everything[:count])):
        config = tiny().model_copy(update={"volumes": volumes})
        assert reaching(on_shapes_alone(config)) == expected


@pytest.mark.parametrize("count", [-1, 12])
def test_more_layers_than_there_are_cannot_reach_over_time(count):
    for make in (VolumeConfig.top_heavy, VolumeConfig.bottom_heavy):
        with pytest.raises(ConfigError, match="temporal"):
            make(count)


def test_separable_kernels_are_smaller_than_full_ones():
    sizes = {}
    for variant in ("i2d", "s3d", "i3d"):
        network = on_shapes_alone(tiny(variant, width=Fraction(1)))
        sizes[variant] = sum(parameter.numel() for parameter in network.parameters())
    assert sizes["i2d"] < sizes["s3d"] < sizes["i3d"]


def test_logits_are_averaged_over_neighbouring_moments():
    config = tiny(segments=32)
    network = random_network(config)
    clip = clips(config, 2)
    with torch.no_grad():
        features = network.base(clip.transpose(1, 2))
        pairs = functional.avg_pool3d(features, (2, *features.shape[3:]), stride=1).flatten(2)
        logits = torch.stack([network.fc(pairs[:, :, moment]) for moment in range(pairs.shape[2])])
        assert pairs.shape[2] == 3
        assert torch.allclose(network(clip), logits.mean(dim=0), atol=1e-5)
        assert relative(network(clip), network.fc(features.mean(dim=(2, 3, 4)))) > 1e-4


def test_a_gate_scales_channels_by_the_means_of_all():
    gate = Gate(3)
    volumes = torch.randn(2, 3, 4, 5, 6)
    with torch.no_grad():
        expected = torch.sigmoid(volumes.mean((2, 3, 4)) @ gate.fc.weight.T + gate.fc.bias)
        assert torch.allclose(gate(volumes), volumes * expected.reshape(2, 3, 1, 1, 1), atol=1e-6)


@pytest.mark.parametrize(
    ("variant", "gates"), [("s3d", 0), ("s3d-g", 2 + 9 * 2), ("gated branches", 1 + 9 * 4)]
)
def test_gates_stand_behind_temporal_layers_or_behind_all_branches(variant, gates):
    network = on_shapes_alone(tiny(variant))
    assert sum(isinstance(layer, Gate) for layer in network.modules()) == gates


def test_layers_that_do_not_reach_over_time_have_no_temporal_gate():
    volumes = VolumeConfig(temporal=(9, 11), gating="temporal")
    network = on_shapes_alone(tiny().model_copy(update={"volumes": volumes}))
    names = [name for name, layer in network.named_modules() if isinstance(layer, Gate)]
    assert names == [f"base.{block}.branch{branch}.1.gate" for block in (14, 15) for branch in (1, 2)]


@pytest.mark.parametrize("sizes", [(8, 14, 14), (7, 13, 14), (4, 7, 9), (2, 2, 2), (1, 4, 4)])
@pytest.mark.parametrize(
    ("kernel", "stride"), [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2))]
)
def test_same_pools_put_all_pads_behind(sizes, kernel, stride):
    volumes = torch.rand(1, 2, *sizes)
    padded = functional.pad(volumes, (0, 3) * 3, value=-torch.inf)
    kept = tuple(slice(0, -(-size // step)) for size, step in zip(sizes, stride, strict=True))
    expected = functional.max_pool3d(padded, kernel, stride)[:, :, kept[0], kept[1], kept[2]]
    assert torch.equal(SamePool(kernel, stride)(volumes), expected)


@pytest.mark.parametrize(("field", "value"), [("segments", 4), ("size", 16)])
def test_clips_that_vanish_in_the_poolings_are_refused(field, value):
    with pytest.raises(ConfigError, match=field):
        build(tiny(**{field: value}))
    smallest = {"segments": 5, "size": 17}
    config = tiny(**smallest)
    assert answer(build(config).eval(), clips(config)).shape == (1, 5)


@pytest.mark.parametrize(("field", "value"), [("segments", 7), ("size", 31)])
def test_the_stem_of_howto100m_takes_even_sizes_only(field, value):
    with pytest.raises(ConfigError, match="even"):
        build(tiny("howto100m", **{field: value}))


def test_an_inception_without_volumes_is_refused():
    with pytest.raises(ConfigError, match="volumes"):
        build(NetworkConfig(backbone="inception_v1", classes=5))


def test_features_are_returned_as_they_are_averaged():
    volumes = VolumeConfig(**VARIANTS["howto100m"], head="features")
    config = tiny().model_copy(update={"volumes": volumes, "classes": 128})
    network = random_network(config)
    with torch.no_grad():
        features = network.base(clips(config).transpose(1, 2))
    assert torch.allclose(answer(network, clips(config)), features.mean(dim=(2, 3, 4)), atol=1e-6)
    assert not any(key.startswith("fc.") for key in network.state_dict())
    with pytest.raises(ConfigError, match="128"):
        build(config.model_copy(update={"classes": 5}))


def test_a_network_over_volumes_has_no_logits_of_single_frames():
    config = tiny()
    network = on_shapes_alone(config)
    with pytest.raises(ConfigError, match="volumes"):
        network.frame_logits(torch.empty(1, 8, 3, 32, 32, device="meta"))
    with pytest.raises(ConfigError, match=r"\[N, 8, 3, height, width\]"):
        network(torch.empty(1, 4, 3, 32, 32, device="meta"))
    assert network.shift_specs() == []


def test_keys_are_those_that_kylemin_publishes_but_for_the_classifier():
    network = on_shapes_alone(tiny(width=Fraction(1), classes=400))
    state = network.state_dict()
    assert len(state) == 464
    assert state["base.0.conv_s.weight"].shape == (64, 3, 1, 7, 7)
    assert state["base.5.branch1.1.conv_t.weight"].shape == (128, 128, 3, 1, 1)
    assert state["base.15.branch3.1.bn.running_var"].shape == (128,)
    assert list(state)[-2:] == ["fc.weight", "fc.bias"]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_volume_configuration_survives_json(variant):
    config = tiny(variant)
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    "fields",
    [
        {"temporal": (3, 2)},
        {"temporal": (0, 12)},
        {"temporal": (0, 0), "gating": "temporal"},
        {"release": "howto100m", "kernels": "full"},
        {"head": "features"},
        {"gates": 1},
    ],
)
def test_volumes_that_make_no_sense_are_refused(fields):
    with pytest.raises(ConfigError):
        VolumeConfig(**fields)


@pytest.mark.parametrize("variant", ["s3d-g", "i3d", "howto100m"])
def test_gradients_reach_every_weight(variant):
    config = tiny(variant, dropout=0.0)
    network = build(config).train()
    network(clips(config, 2)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("variant", [pytest.param("s3d-g", marks=pytest.mark.slow), "howto100m"])
def test_a_network_over_volumes_exports_with_a_dynamic_batch(variant):
    config = tiny(variant)
    network = random_network(config)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(network, (clips(config, 2),), dynamic_shapes=({0: batch},))
    three = clips(config, 3)
    with torch.no_grad():
        assert torch.allclose(program.module()(three), network(three), atol=1e-5)
