"""ResNets over volumes: I3D, with and without non-local blocks, and Temporal-1D."""

import pytest
import torch
from settled_networks import answer, clips, on_shapes_alone, relative, settled

from edgevid.errors import ConfigError
from edgevid.graph.export import export
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.models.attention_config import AttentionConfig
from edgevid.models.cost import cost
from edgevid.models.inflation_config import InflationConfig
from edgevid.models.registry import preset
from edgevid.targets.onnxruntime import evaluate

COUNTED = {
    "i3d-resnet50": (28_043_472, 152_471_633_920),
    "nl-i3d-resnet50": (35_401_936, 233_189_965_824),
    "i3d-3x1x1-resnet50": (29_059_280, 33_128_218_624),
    "i3d-replace-resnet50": (32_986_576, 47_700_934_656),
    "temporal1d-resnet50": (72_115_664, 106_993_713_152),
}
EVERYWHERE = ((0, 1), (0,), (0,), (0,))
VARIANTS = {
    "i3d": {"blocks": ((0, 1), (0,), (), (0,))},
    "strided": {"blocks": ((0,), (), (0,), (0,)), "strides": (2, 2, 2), "last_stride": 2},
    "replace": {"blocks": EVERYWHERE, "stem": 1, "strides": (1, 1, 1), "last_stride": 2},
    "temporal-1d": {
        "blocks": EVERYWHERE,
        "place": "front",
        "stem": 1,
        "strides": (1, 1, 1),
        "last_stride": 2,
    },
}


def tiny(variant="i3d", attention=None, **fields):
    settings = {"segments": 8, "size": 32, "channels": (16, 8, 8, 8, 8), "blocks": (2, 1, 1, 1), **fields}
    inflation = InflationConfig(**VARIANTS[variant])
    return NetworkConfig(backbone="resnet50", classes=5, inflation=inflation, attention=attention, **settings)


def reaching(network):
    """Names of the convolutions over time, and how many frames they span."""
    return {
        name: layer.kernel_size[0]
        for name, layer in network.named_modules()
        if isinstance(layer, torch.nn.Conv3d) and layer.kernel_size[0] > 1
    }


@pytest.mark.parametrize("name", COUNTED)
def test_a_network_has_the_size_that_tsm_prints(name):
    item = preset(name)
    counted = cost(item.config)
    assert (counted.parameters, counted.macs) == COUNTED[name]
    assert counted.parameters / 1e6 == pytest.approx(item.parameters, rel=0.01)


@pytest.mark.parametrize("name", [name for name in COUNTED if name != "nl-i3d-resnet50"])
def test_a_network_has_the_work_that_tsm_prints(name):
    item = preset(name)
    assert COUNTED[name][1] / 1e9 == pytest.approx(item.gmacs, rel=0.01)


def test_non_local_blocks_work_more_than_tsm_prints():
    """TSM's table 2 has 168 GMACs, 15 more than without the blocks; counted are 81 more.

    Their 1x1 convolutions alone are 4 x 8.2 GMACs, or 2 x 8.2 + 2 x 2.1 with keys and values
    projected behind the maxima, and the products with queries, keys and values 47.8. Two
    of the four convolutions and no product would make 168.9.
    """
    plain, attending = (COUNTED[name][1] for name in ("i3d-resnet50", "nl-i3d-resnet50"))
    positions = {512: 16 * 28 * 28, 1024: 16 * 14 * 14}
    projection = sum(n * c * c // 2 * positions[c] for n, c in ((2, 512), (3, 1024)))
    products = sum(n * positions[c] ** 2 // 4 * c for n, c in ((2, 512), (3, 1024)))
    assert attending - plain == 4 * projection + products
    assert projection / 1e9 == pytest.approx(8.22, abs=0.01)
    assert products / 1e9 == pytest.approx(47.83, abs=0.01)
    assert (plain + 2 * projection) / 1e9 == pytest.approx(168, rel=0.01)


def test_i3d_3x1x1_would_work_more_on_the_eight_frames_of_tsm():
    """With a third more than the 33 GMACs that are printed: its 32 frames are halved three times."""
    config = preset("i3d-3x1x1-resnet50").config
    inflation = config.inflation.model_copy(update={"strides": (1, 1, 1)})
    eight = config.model_copy(update={"segments": 8, "inflation": inflation})
    assert cost(eight).macs / 1e9 == pytest.approx(45.72, abs=0.01)


def test_the_published_blocks_reach_over_time():
    i3d = reaching(on_shapes_alone(preset("i3d-resnet50").config))
    blocks = ("1.0", "1.1", "1.2", "2.0", "2.2", "3.0", "3.2", "3.4", "4.1")
    assert i3d == {"conv1": 5} | {f"layer{block}.conv1": 3 for block in blocks}
    alternate = reaching(on_shapes_alone(preset("i3d-3x1x1-resnet50").config))
    blocks = ("1.0", "1.2", "2.0", "2.2", "3.0", "3.2", "3.4", "4.0", "4.2")
    assert alternate == {"conv1": 5} | {f"layer{block}.conv1": 3 for block in blocks}
    replaced = reaching(on_shapes_alone(preset("i3d-replace-resnet50").config))
    temporal = reaching(on_shapes_alone(preset("temporal1d-resnet50").config))
    assert len(replaced) == len(temporal) == 16
    assert {name.replace("conv1", "front") for name in replaced} == set(temporal)


@pytest.mark.parametrize(
    ("variant", "moments", "rows"), [("i3d", 4, 2), ("strided", 1, 1), ("replace", 8, 1)]
)
def test_time_is_halved_where_it_is_said(variant, moments, rows):
    network = on_shapes_alone(tiny(variant)).eval()
    shapes = []
    network.layer4.register_forward_hook(lambda *call: shapes.append(tuple(call[2].shape)))
    network(torch.empty(1, 8, 3, 32, 32, device="meta"))
    assert shapes == [(1, 32, moments, rows, rows)]


@pytest.mark.parametrize("variant", ["replace", "temporal-1d"])
def test_a_kernel_of_one_frame_makes_it_the_network_of_single_frames(variant):
    config = tiny(variant)
    flat = settled(config.model_copy(update={"inflation": None}), bias=0.2)
    network = build(config).eval()
    weights = flat.state_dict()
    for key, tensor in network.state_dict().items():
        if key.endswith("front.weight"):
            tensor.zero_()
            tensor[:, :, 1, 0, 0] = torch.eye(len(tensor))
        elif tensor.dim() == 5:
            tensor.zero_()
            tensor[:, :, tensor.shape[2] // 2] = weights[key]
        else:
            tensor.copy_(weights[key])
    clip = clips(config, 2)
    assert relative(answer(network, clip), answer(flat, clip)) < 1e-4


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_order_of_the_frames_matters(variant):
    config = tiny(variant)
    network = settled(config, bias=0.2)
    clip = clips(config)
    assert config.mixes_time
    assert relative(answer(network, clip.flip(1)), answer(network, clip)) > 1e-3


@pytest.mark.parametrize("attention", [None, AttentionConfig()])
@pytest.mark.parametrize("variant", VARIANTS)
def test_clips_of_one_batch_do_not_see_each_other(variant, attention):
    config = tiny(variant, attention)
    network = settled(config, bias=0.2).double()
    batch = clips(config, 3).double()
    together = answer(network, batch)
    for index in range(3):
        assert relative(together[index], answer(network, batch[index : index + 1])[0]) < 1e-9


@pytest.mark.parametrize("variant", ["i3d", "temporal-1d"])
def test_gradients_reach_every_weight(variant):
    config = tiny(variant, AttentionConfig(), dropout=0.0)
    network = build(config).train()
    network(clips(config, 2)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("attention", [pytest.param(None, marks=pytest.mark.slow), AttentionConfig()])
def test_an_inflated_network_exports_with_a_dynamic_batch(attention):
    config = tiny("i3d", attention)
    network = settled(config, bias=0.2)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(network, (clips(config, 2),), dynamic_shapes=({0: batch},))
    three = clips(config, 3)
    with torch.no_grad():
        assert torch.allclose(program.module()(three), network(three), atol=1e-4)


@pytest.mark.parametrize(
    ("variant", "attention"), [*((variant, None) for variant in VARIANTS), ("i3d", AttentionConfig())]
)
def test_the_canonical_graph_computes_the_same(variant, attention):
    config = tiny(variant, attention)
    network = settled(config, bias=0.2)
    graph = export(network)
    (found,) = evaluate(graph, {"frames": clips(config).numpy()})
    assert relative(torch.from_numpy(found), answer(network, clips(config))) < 1e-4
    assert not {node.op_type for node in graph.graph} & {"BatchNormalization", "Dropout"}


def test_an_inflated_network_has_no_logits_of_single_frames():
    network = on_shapes_alone(tiny())
    with pytest.raises(ConfigError, match="volumes"):
        network.frame_logits(torch.empty(1, 8, 3, 32, 32, device="meta"))
    assert network.shift_specs() == []


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("inflation", {"backbone": "resnet18"}),
        ("inflation", {"backbone": "mobilenet_v2"}),
        ("inflation", {"backbone": "inception_v1"}),
        ("inflation", {"shift": ShiftConfig()}),
        ("block 3 of stage 1", {"inflation": {"blocks": ((3,), (), (), ())}}),
        ("block 1 of stage 4", {"blocks": (3, 4, 6, 1)}),
        ("stem", {"inflation": {"stem": 7}}),
        ("strides", {"inflation": {"strides": (1, 1, 4)}}),
        ("place", {"inflation": {"place": "behind"}}),
        ("blocks", {"inflation": {"blocks": ((0,), (0,))}}),
    ],
)
def test_an_inflation_that_makes_no_sense_is_refused(field, fields):
    with pytest.raises(ConfigError, match=field):
        NetworkConfig(**{"backbone": "resnet50", "classes": 5, "inflation": InflationConfig(), **fields})


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_inflation_survives_json(variant):
    config = tiny(variant, AttentionConfig())
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config
    assert hash(NetworkConfig.model_validate_json(config.model_dump_json())) == hash(config)
