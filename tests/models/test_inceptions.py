"""BN-Inception and Inception-V3, plain and with the gates of GSM."""

import pytest
import torch
from settled_networks import answer, clips, on_shapes_alone, relative, settled

from edgevid.errors import ConfigError
from edgevid.graph.export import export
from edgevid.graph.shift_op import shift_nodes
from edgevid.models import NetworkConfig, build
from edgevid.models.cost import cost
from edgevid.models.gate_config import GateConfig
from edgevid.models.gate_shift import GateShift
from edgevid.models.registry import preset, preset_names
from edgevid.targets.onnxruntime import evaluate

SMALLEST = {"bn_inception": 64, "inception_v3": 69}
PRESETS = tuple(name for name in preset_names() if "bninception" in name or "inceptionv3" in name)
LAST = tuple(f"inception_{name}" for name in ("4c_1x1", "4d_1x1", "4e_3x3_reduce", "5a_1x1", "5b_1x1"))
"""Behind which the last five gates of BN-Inception stand."""


def small(backbone="bn_inception", gate=None, **fields):
    settings = {"classes": 5, "segments": 4, "size": SMALLEST[backbone], "width": "1/8", **fields}
    return NetworkConfig(backbone=backbone, gate=gate, **settings)


def gates(network):
    return [name for name, layer in network.named_modules() if isinstance(layer, GateShift)]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_the_size_and_work_of_its_table(name):
    item = preset(name)
    counted = cost(item.config)
    assert counted.parameters / 1e6 == pytest.approx(item.parameters, rel=0.01)
    assert counted.macs / 1e9 == pytest.approx(item.gmacs, rel=0.01)


def test_the_parameters_are_those_of_the_published_release():
    assert cost(preset("gsm-bninception").config).parameters == 10_499_650
    assert cost(preset("gsm-inceptionv3").config).parameters == 22_207_586


def test_the_tables_count_a_little_more_than_multiply_accumulates():
    """Convolutions and classifier are 16.254 GMACs of BN-Inception's printed 16.37, and the ten gates
    add 0.085, as from 16.37 to 16.46; Inception-V3 has 26.693 of 26.85. What else was counted is not said.
    """
    plain, gated = (cost(preset(name).config).macs / 1e9 for name in ("tsn-bninception", "gsm-bninception"))
    assert plain == pytest.approx(16.254, abs=0.001)
    assert gated - plain == pytest.approx(0.085, abs=0.001)
    assert cost(preset("gsm-inceptionv3").config).macs / 1e9 == pytest.approx(26.693, abs=0.002)


def test_the_keys_are_as_many_as_the_releases():
    assert len(on_shapes_alone(preset("gsm-bninception").config).state_dict()) == 555
    assert len(on_shapes_alone(preset("gsm-inceptionv3").config).state_dict()) == 730


@pytest.mark.parametrize("count", [1, 5])
def test_fewer_gates_stand_in_the_last_blocks(count):
    network = on_shapes_alone(small(gate=GateConfig(count=count)))
    assert gates(network) == [f"units.{name}.gate" for name in LAST[-count:]]


def test_ten_gates_stand_in_all_blocks_but_one_of_inception_v3():
    assert len(gates(on_shapes_alone(small(gate=GateConfig())))) == 10
    names = [name.split(".")[1] for name in gates(on_shapes_alone(small("inception_v3", GateConfig())))]
    assert names == [
        *("mixed_conv", "mixed_1_conv", "mixed_2_conv", "mixed_3_tower_conv"),
        *("mixed_4_conv", "mixed_5_conv", "mixed_7_conv", "mixed_8_tower_conv"),
        *("mixed_9_conv", "mixed_10_conv"),
    ]


@pytest.mark.parametrize("backbone", SMALLEST)
@pytest.mark.parametrize("gate", [None, GateConfig(count=1), GateConfig(norm=False)])
def test_only_a_gated_network_sees_that_a_clip_is_reversed(backbone, gate):
    config = small(backbone, gate)
    network, clip = settled(config), clips(config)
    difference = relative(answer(network, clip.flip(1)), answer(network, clip))
    assert config.mixes_time == (gate is not None)
    assert difference > 1e-3 if gate else difference < 1e-5


@pytest.mark.parametrize("backbone", SMALLEST)
def test_clips_of_one_batch_do_not_see_each_other(backbone):
    config = small(backbone, GateConfig())
    network, batch = settled(config), clips(config, 3)
    together = answer(network, batch)
    for index in range(3):
        assert relative(together[index], answer(network, batch[index : index + 1])[0]) < 1e-4


@pytest.mark.parametrize("backbone", SMALLEST)
def test_gradients_reach_every_weight(backbone):
    config = small(backbone, GateConfig(), dropout=0.0)
    network = build(config).train()
    network(clips(config, 2)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("backbone", ["bn_inception", pytest.param("inception_v3", marks=pytest.mark.slow)])
def test_the_exported_graph_has_two_shifts_a_gate_and_moves_nothing_else(backbone):
    config = small(backbone, GateConfig())
    network, clip = settled(config), clips(config)
    model = export(network)
    kinds = {node.op_type for node in model.graph}
    assert len(shift_nodes(model)) == 20
    assert not kinds & {"Transpose", "BatchNormalization", "ScatterND"}
    (logits,) = evaluate(model, {"frames": clip.numpy()})
    # PyTorch's own float32 is up to 7e-5 off here.
    assert relative(torch.from_numpy(logits), answer(network.double(), clip.double())) <= 1e-4


@pytest.mark.parametrize(
    ("backbone", "fitting", "not_fitting"),
    [("bn_inception", (64, 96, 224, 230), (32, 80, 231)), ("inception_v3", (69, 76, 229), (64, 224, 301))],
)
def test_frames_on_which_the_branches_do_not_meet_are_refused_with_a_size_that_fits(
    backbone, fitting, not_fitting
):
    for size in fitting:
        network = on_shapes_alone(small(backbone, size=size)).eval()
        assert network(torch.empty(1, 4, 3, size, size, device="meta")).shape == (1, 5)
    for size in not_fitting:
        with pytest.raises(ConfigError, match=f"{size} pixels") as caught:
            on_shapes_alone(small(backbone, size=size))
        near = int("".join(filter(str.isdigit, caught.value.fix)))
        on_shapes_alone(small(backbone, size=near))


@pytest.mark.parametrize("count", [0, 11])
def test_more_gates_than_places_or_none_are_refused(count):
    with pytest.raises(ConfigError, match="count"):
        GateConfig(count=count)


@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2", "inception_v1"])
def test_gates_are_published_for_two_inceptions_only(backbone):
    with pytest.raises(ConfigError, match="gate"):
        NetworkConfig(backbone=backbone, classes=5, gate=GateConfig())


def test_a_gated_configuration_survives_json():
    config = small("inception_v3", GateConfig(count=5, norm=False))
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config
