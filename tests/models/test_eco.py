"""ECO: BN-Inception over frames with a 3D ResNet-18 over what it sees half-way."""

import pytest
import torch
from settled_networks import answer, clips, relative, settled

from edgevid.errors import ConfigError
from edgevid.graph.export import export
from edgevid.models import NetworkConfig, build
from edgevid.models.cost import cost
from edgevid.models.registry import preset
from edgevid.targets.onnxruntime import evaluate


def tiny(**fields):
    settings = {"classes": 5, "segments": 4, "size": 64, "width": "1/8", **fields}
    return NetworkConfig(backbone="eco_bn_inception", **settings)


@pytest.mark.parametrize(("name", "macs"), [("eco-8f", 32_209_649_664), ("eco-16f", 64_419_094_528)])
def test_it_has_the_size_and_work_that_tsm_prints(name, macs):
    """Two shortcuts of 3x3x3 convolutions and both branches, which the paper's text leaves open, give it."""
    item = preset(name)
    counted = cost(item.config)
    frames = 10_270_240  # BN-Inception without its classifier
    pairs = 96 * 128 + 2 * 128**2 + 2 * 128 * 256 + 3 * 256**2 + 2 * 256 * 512 + 3 * 512**2
    norms = 2 * (3 * 128 + 4 * 256 + 4 * 512)
    assert counted.parameters == frames + 27 * pairs + norms + 1536 * 400 + 400
    assert (counted.parameters, counted.macs) == (47_497_904, macs)
    assert counted.parameters / 1e6 == pytest.approx(item.parameters, rel=0.01)
    assert counted.macs / 1e9 == pytest.approx(item.gmacs, rel=0.01)


def test_it_classifies_the_features_of_frames_and_volumes_together():
    config = tiny()
    network = settled(config)
    seen = {}
    network.avgpool.register_forward_hook(lambda *call: seen.update(frames=call[2].flatten(1)))
    network.net3d.register_forward_hook(lambda *call: seen.update(volumes=call[2].mean(dim=(2, 3, 4))))
    found = answer(network, clips(config, 2))
    features = torch.cat([seen["frames"].reshape(2, 4, -1).mean(1), seen["volumes"]], dim=1)
    with torch.no_grad():
        weight = torch.cat([network.fc.weight, network.fc3d.weight], dim=1)
        assert torch.allclose(found, features @ weight.T + network.fc.bias, atol=1e-4)


def test_without_its_volumes_it_is_bn_inception():
    config = tiny()
    network = settled(config)
    plain = build(NetworkConfig(**{**config.model_dump(), "backbone": "bn_inception"})).eval()
    state = network.state_dict()
    plain.load_state_dict({key: state[key] for key in plain.state_dict()})
    assert {key.split(".")[0] for key in set(state) - set(plain.state_dict())} == {"net3d", "fc3d"}
    clip = clips(config, 2)
    assert relative(answer(network, clip), answer(plain, clip)) > 1e-2
    network.fc3d.weight.data.zero_()
    assert relative(answer(network, clip), answer(plain, clip)) < 1e-5


def test_volumes_are_what_the_longer_branch_of_3c_sees_first():
    network = build(tiny(width=1)).eval()
    places = []
    for name in ("inception_3c_double_3x3_1", "inception_3c_3x3"):
        network.units[name].register_forward_hook(lambda *call, name=name: places.append((name, call[2])))
    network.net3d.register_forward_pre_hook(lambda *call: places.append(("net3d", call[1][0])))
    answer(network, clips(tiny(), 2))
    tapped = next(frames for name, frames in places if name == "inception_3c_double_3x3_1")
    volumes = next(frames for name, frames in places if name == "net3d")
    assert tapped.shape == (8, 96, 8, 8)
    assert torch.equal(volumes.transpose(1, 2).flatten(0, 1), tapped)
    assert [name for name, _ in places].count("inception_3c_double_3x3_1") == 1


def test_the_order_of_the_frames_matters():
    config = tiny()
    network = settled(config)
    clip = clips(config)
    assert config.mixes_time
    assert relative(answer(network, clip.flip(1)), answer(network, clip)) > 1e-3


def test_clips_of_one_batch_do_not_see_each_other():
    config = tiny()
    network = settled(config).double()
    batch = clips(config, 3).double()
    together = answer(network, batch)
    for index in range(3):
        assert relative(together[index], answer(network, batch[index : index + 1])[0]) < 1e-9


def test_gradients_reach_every_weight():
    config = tiny(dropout=0.0)
    network = build(config).train()
    network(clips(config, 2)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.slow
def test_it_exports_with_a_dynamic_batch():
    config = tiny()
    network = settled(config)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(network, (clips(config, 2),), dynamic_shapes=({0: batch},))
    three = clips(config, 3)
    with torch.no_grad():
        assert torch.allclose(program.module()(three), network(three), atol=1e-4)


@pytest.mark.parametrize("batch", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_the_canonical_graph_computes_the_same(batch):
    config = tiny()
    network = settled(config)
    graph = export(network, batch=batch)
    frames = clips(config, batch)
    (found,) = evaluate(graph, {"frames": frames.numpy()})
    assert relative(torch.from_numpy(found), answer(network, frames)) < 1e-4
    assert not {node.op_type for node in graph.graph} & {"BatchNormalization", "Dropout"}


@pytest.mark.parametrize("field", ["shift", "gate", "volumes", "synthesis", "inflation", "attention"])
def test_nothing_else_mixes_its_frames(field):
    with pytest.raises(ConfigError, match=field):
        tiny(**{field: {}})


def test_it_survives_json():
    config = tiny()
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config
