"""Networks with PSN's synthesis, from the export to the lowerings."""

from functools import cache

import numpy as np
import pytest
import torch
from shift_graphs import frames_for, logits_of, run_onnx, small_network

from edgevid.graph.export import export
from edgevid.graph.lower import lower
from edgevid.graph.shift_op import shift_nodes, spec_of
from edgevid.models.synthesis_config import SynthesisConfig

VARIANTS = {
    "5x5x7": SynthesisConfig(),
    "all features at 5x5x5": SynthesisConfig(spatial=(1, 3, 5), temporal=(1, 3, 5), share=1),
    "without routing": SynthesisConfig(routing=False),
    "one kernel": SynthesisConfig(spatial=(5,), temporal=(7,), routing=False),
}


@cache
def network(variant):
    return small_network("resnet50", shift=None, synthesis=VARIANTS[variant])


@cache
def exported(variant, batch=1):
    return export(network(variant), batch=batch)


def grouped_convolutions(model):
    return [node for node in model.graph if node.attributes.get_int("group", 1) > 1]


def relative(found, wanted):
    return np.abs(found - wanted).max() / np.abs(wanted).max()


RARE = ("all features at 5x5x5", "without routing")


@pytest.mark.parametrize(
    "variant", [pytest.param(name, marks=[pytest.mark.slow] * (name in RARE)) for name in VARIANTS]
)
def test_the_graph_holds_two_shifts_a_temporal_kernel_and_computes_the_same(variant):
    source, model = network(variant), exported(variant)
    assert [spec_of(node) for node in shift_nodes(model)] == [spec for _, spec in source.shift_specs()]
    kernels = sum(extent > 1 for extent in VARIANTS[variant].temporal)
    assert len(shift_nodes(model)) == 4 * 2 * kernels
    frames = frames_for(source)
    assert relative(run_onnx(model, frames), logits_of(source, frames)) <= 1e-5


@pytest.mark.parametrize("name", ["slice_concat", "fused_slice_concat", "fused_pad", "split_conv"])
def test_a_batch_of_two_clips_is_lowered(name):
    source = network("5x5x7")
    frames = frames_for(source, 2)
    lowered = lower(exported("5x5x7", batch=2), name)
    assert relative(run_onnx(lowered, frames), logits_of(source, frames)) <= 1e-4


def test_a_routing_that_sums_nothing_is_gone_from_the_graph():
    source = small_network("resnet50", shift=None, synthesis=VARIANTS["5x5x7"])
    for layer in source.synthesis:
        weight = layer.routing.conv.weight
        weight.data = torch.eye(weight.shape[1]).repeat(len(weight) // weight.shape[1], 1).view_as(weight)
    frames = frames_for(source)
    wanted = logits_of(source, frames)
    folded = export(source)
    assert grouped_convolutions(exported("5x5x7"))
    assert not grouped_convolutions(folded)
    assert relative(run_onnx(folded, frames), wanted) <= 1e-5
