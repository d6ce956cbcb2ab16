"""Non-local blocks: what they compute, where they stand, and what they cost."""

import pytest
import torch
from settled_networks import answer, clips, relative, settled
from torch.nn import functional

from edgevid.errors import ConfigError
from edgevid.graph.export import export
from edgevid.graph.shift_op import shift_nodes
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.models.attention_config import AttentionConfig
from edgevid.models.cost import cost
from edgevid.models.non_local import NonLocal
from edgevid.models.registry import preset
from edgevid.models.synthesis_config import SynthesisConfig
from edgevid.targets.onnxruntime import evaluate

PAIRWISE = ("embedded_gaussian", "dot_product", "gaussian")
RESNET50 = 23_508_032 + 400 * 2049
"""Parameters of a ResNet-50 with 400 classes, each of 2048 weights and a bias."""
FRAME = 4_087_136_256 + 400 * 2048
"""Multiply-accumulates of it on a frame."""
PROJECTION = 512 * 256 * 8 * 28 * 28
"""Of a 1x1 convolution to half the channels in the second stage, as many as in the third; 8 frames."""
SECOND, THIRD = (8 * 28 * 28, 256), (8 * 14 * 14, 512)
"""Positions and projected channels; a quarter of the positions are keys."""


def small(pairwise="embedded_gaussian", shift=None, **fields):
    settings = {"segments": 4, "size": 32, "channels": (16, 8, 8, 8, 8), "blocks": (1, 3, 2, 1), **fields}
    return NetworkConfig(
        backbone="resnet50", classes=5, shift=shift, attention=AttentionConfig(pairwise=pairwise), **settings
    )


def layer_of(pairwise, stacked):
    torch.manual_seed(0)
    layer = NonLocal(6, AttentionConfig(pairwise=pairwise), stacked).eval().double()
    layer.bn.running_mean.normal_()
    layer.bn.running_var.uniform_(0.5, 2)
    for name in ("g", "out"):
        torch.nn.init.normal_(getattr(layer, name).bias)
    return layer


def as_the_paper_has_it(layer, volumes, pairwise):
    """Equations 1 to 6 of Wang et al., position by position, of one clip ``[C, T, H, W]``."""

    def project(name):
        part = getattr(layer, name)
        if isinstance(part, torch.nn.Identity):
            return volumes
        weight = part.weight.flatten(1)
        return torch.einsum("oi,ithw->othw", weight, volumes) + part.bias[:, None, None, None]

    def subsampled(values):
        return functional.max_pool3d(values[None], (1, 2, 2))[0].flatten(1)

    theta = project("theta").flatten(1)
    phi, g = subsampled(project("phi")), subsampled(project("g"))
    rows = []
    for position in range(theta.shape[1]):
        f = (theta[:, position, None] * phi).sum(0)
        f = f / len(f) if pairwise == "dot_product" else f.exp() / f.exp().sum()
        rows.append((f * g).sum(1))
    y = torch.stack(rows, dim=1)
    w = layer.out.weight.flatten(1) @ y + layer.out.bias[:, None]
    norm = layer.bn
    w = (w - norm.running_mean[:, None]) / (norm.running_var[:, None] + norm.eps).sqrt()
    return w.reshape(volumes.shape) + volumes


@pytest.mark.parametrize("pairwise", PAIRWISE)
@pytest.mark.parametrize("stacked", [None, 3])
def test_every_position_is_a_weighted_sum_over_all_frames(pairwise, stacked):
    layer = layer_of(pairwise, stacked)
    batch = torch.randn(2, 6, 3, 4, 5, dtype=torch.float64)
    given = batch if stacked is None else batch.transpose(1, 2).flatten(0, 1)
    with torch.no_grad():
        found = layer(given)
        expected = torch.stack([as_the_paper_has_it(layer, volumes, pairwise) for volumes in batch])
    if stacked is not None:
        found = found.reshape(2, 3, 6, 4, 5).transpose(1, 2)
    assert torch.allclose(found, expected, atol=1e-9)


def test_positions_of_a_new_network_look_at_many_others():
    torch.manual_seed(0)
    network = build(NetworkConfig(backbone="resnet50", classes=5, attention=AttentionConfig()))
    layer = network.layer3[0].attention
    frames = torch.randn(8, 1024, 4, 4)
    with torch.no_grad():
        scores = layer.theta(frames).flatten(2)[0].T @ layer.phi(frames).flatten(2)[0]
    assert 0.5 < float(scores.std()) < 2


def test_they_stand_behind_every_second_block_of_the_second_and_third_stage():
    with torch.device("meta"):
        network = build(NetworkConfig(backbone="resnet50", classes=5, attention=AttentionConfig()))
    names = [name for name, layer in network.named_modules() if isinstance(layer, NonLocal)]
    expected = ("layer2.0", "layer2.2", "layer3.0", "layer3.2", "layer3.4")
    assert names == [f"{block}.attention" for block in expected]
    assert len(network.state_dict()) == 385


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_a_frame_sees_all_others_but_not_their_order(pairwise):
    config = small(pairwise)
    network = settled(config).double()
    clip = clips(config).double()
    changed = clip.clone()
    changed[:, 3] += 1
    with torch.no_grad():
        before, after = network.frame_logits(clip), network.frame_logits(changed)
    assert relative(after[:, 0], before[:, 0]) > 1e-5
    assert not config.mixes_time
    assert relative(answer(network, clip.flip(1)), answer(network, clip)) < 1e-9


def test_beside_a_shift_the_order_of_the_frames_matters():
    config = small(shift=ShiftConfig())
    network = settled(config)
    clip = clips(config)
    assert config.mixes_time
    assert relative(answer(network, clip.flip(1)), answer(network, clip)) > 1e-3


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_clips_of_one_batch_do_not_see_each_other(pairwise):
    config = small(pairwise, ShiftConfig())
    network = settled(config)
    batch = clips(config, 3)
    together = answer(network, batch)
    for index in range(3):
        assert relative(together[index], answer(network, batch[index : index + 1])[0]) < 1e-4


def products(count, positions, channels):
    """Of a soft-max: all queries by all keys, and all weights by all values."""
    return count * 2 * positions * (positions // 4) * channels


def test_embedded_gaussians_have_the_size_and_work_that_mmaction2_documents():
    """It counts two operations a normalized number too. The bias in front of the last batch norm
    is TSM's; mmaction2 has none.
    """
    item = preset("mmaction2-tsm-resnet50-nl-embedded-gaussian")
    counted = cost(item.config)
    biases = 2 * (3 * 256 + 512) + 3 * (3 * 512 + 1024)
    norms = 2 * 2 * 512 + 3 * 2 * 1024
    assert counted.parameters == RESNET50 + 4 * (2 * 512 * 256 + 3 * 1024 * 512) + biases + norms
    assert counted.parameters == 31_686_096
    assert counted.macs == 8 * FRAME + 20 * PROJECTION + products(2, *SECOND) + products(3, *THIRD)
    assert counted.parameters / 1e6 == pytest.approx(item.parameters, rel=0.01)
    assert (counted.macs + 2 * counted.normalized) / 1e9 == pytest.approx(item.gmacs, rel=0.01)


def test_gaussians_have_the_size_and_work_that_mmaction2_documents():
    """Without projections, the product of queries and keys is over all channels."""
    item = preset("mmaction2-tsm-resnet50-nl-gaussian")
    counted = cost(item.config)
    assert counted.parameters == 28_011_984
    assert counted.macs == 8 * FRAME + 10 * PROJECTION + products(3, *SECOND) + products(9, *THIRD) // 2
    assert counted.parameters / 1e6 == pytest.approx(item.parameters, rel=0.01)
    assert (counted.macs + 2 * counted.normalized) / 1e9 == pytest.approx(item.gmacs, rel=0.01)


def test_dot_products_cost_less_than_mmaction2_documents():
    """It documents 61.30 GMACs, of all queries by all keys. Without a soft-max keys and values may be
    multiplied first, and the queries by that: 51.71.
    """
    item = preset("mmaction2-tsm-resnet50-nl-dot-product")
    counted = cost(item.config)
    reordered = sum(
        count * (positions + positions // 4) * channels**2
        for count, (positions, channels) in ((2, SECOND), (3, THIRD))
    )
    assert counted.macs == 8 * FRAME + 20 * PROJECTION + reordered
    assert counted.macs / 1e9 == pytest.approx(51.71, abs=0.01)
    assert counted.parameters == cost(preset("mmaction2-tsm-resnet50-nl-embedded-gaussian").config).parameters


def test_gradients_reach_every_weight():
    config = small(shift=ShiftConfig(), dropout=0.0)
    network = build(config).train()
    network(clips(config, 2)).square().sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_a_network_with_attention_exports_with_a_dynamic_batch(pairwise):
    config = small(pairwise, ShiftConfig())
    network = settled(config)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(network, (clips(config, 2),), dynamic_shapes=({0: batch},))
    three = clips(config, 3)
    with torch.no_grad():
        assert torch.allclose(program.module()(three), network(three), atol=1e-4)


@pytest.mark.parametrize("batch", [pytest.param(1, marks=pytest.mark.slow), 2])
@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_the_canonical_graph_computes_the_same(pairwise, batch):
    config = small(pairwise, ShiftConfig())
    network = settled(config)
    graph = export(network, batch=batch)
    frames = clips(config, batch)
    (found,) = evaluate(graph, {"frames": frames.numpy()})
    # Without projections the scores are large, and so is what rounding changes of their soft-max.
    tolerance = 1e-3 if pairwise == "gaussian" else 1e-4
    assert relative(torch.from_numpy(found), answer(network, frames)) < tolerance
    assert len(shift_nodes(graph)) == len(network.shift_specs())
    kinds = [node.op_type for node in graph.graph]
    assert kinds.count("Softmax") == (0 if pairwise == "dot_product" else 3)
    assert kinds.count("MatMul") == 6
    assert not {"BatchNormalization", "Expand", "Shape"} & set(kinds)


@pytest.mark.parametrize(
    "fields",
    [
        {"backbone": "resnet18"},
        {"backbone": "resnet101"},
        {"backbone": "mobilenet_v2"},
        {"backbone": "bn_inception"},
        {"synthesis": SynthesisConfig()},
        {"size": 16},
        {"attention": {"pairwise": "concatenation"}},
    ],
)
def test_attention_that_is_not_published_is_refused(fields):
    with pytest.raises(ConfigError, match=r"attention|pairwise"):
        NetworkConfig(**{"backbone": "resnet50", "classes": 5, "attention": AttentionConfig(), **fields})


def test_the_smallest_frames_pass():
    config = small(size=17)
    assert answer(build(config).eval(), clips(config)).shape == (1, 5)


@pytest.mark.parametrize("pairwise", PAIRWISE)
def test_attention_survives_json(pairwise):
    config = small(pairwise, ShiftConfig())
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config
    assert hash(NetworkConfig.model_validate_json(config.model_dump_json())) == hash(config)
