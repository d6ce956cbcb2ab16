"""Networks that shift along height and width too (STSM), from the export to every lowering."""

from functools import cache

import numpy as np
import pytest
from shift_graphs import frames_for, logits_of, run_onnx, small_network

from edgevid.graph.export import export
from edgevid.graph.find_shift import find_shift
from edgevid.graph.lower import LOWERINGS, lower
from edgevid.graph.shift_op import replace_specs, shift_nodes, spec_of
from edgevid.graph.standardize import standardize
from edgevid.models import ShiftConfig
from edgevid.shift import ShiftSpec
from edgevid.targets.onnxruntime import evaluate

BACKBONES = ("resnet50", "mobilenet_v2")
SIZE = 64
AXES = ("T+H+W", "T+HW", "TH+TW+HW")


def network(backbone, axes):
    # In a frame of one pixel nothing is left of what moves in space.
    return small_network(backbone, shift=ShiftConfig(proportion=1, axes=axes), size=SIZE)


@cache
def exported(backbone, axes="T+H+W", batch=1):
    return export(network(backbone, axes), batch=batch)


def relative(found, wanted):
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize(
    ("backbone", "axes"),
    [
        *(("resnet50", axes) for axes in AXES),
        ("mobilenet_v2", AXES[0]),
        *(pytest.param("mobilenet_v2", axes, marks=pytest.mark.slow) for axes in AXES[1:]),
    ],
)
def test_the_graph_holds_the_specs_of_the_network_and_computes_the_same(backbone, axes):
    model, source = exported(backbone, axes), network(backbone, axes)
    assert [spec_of(node) for node in shift_nodes(model)] == [spec for _, spec in source.shift_specs()]
    frames = frames_for(source)
    assert relative(run_onnx(model, frames), logits_of(source, frames)) <= 1e-5


@pytest.mark.parametrize(
    ("backbone", "name"),
    [
        *(("resnet50", name) for name in LOWERINGS),
        *(
            pytest.param("mobilenet_v2", name, marks=[pytest.mark.slow] * (name != "fused_pad"))
            for name in LOWERINGS
        ),
    ],
)
def test_every_lowering_computes_the_same(backbone, name):
    batch = 1 if LOWERINGS[name].one_clip_only else 2
    source = network(backbone, "T+H+W")
    frames = frames_for(source, batch)
    lowered = lower(exported(backbone, batch=batch), name)
    assert not shift_nodes(lowered)
    assert relative(run_onnx(lowered, frames), logits_of(source, frames)) <= 1e-4


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("name", ["slice_concat", "fused_pad"])
def test_the_shifts_are_found_again_in_a_plain_graph(backbone, name):
    model = exported(backbone)
    plain = standardize(lower(model, name), {"frames": (1, 4, 3, SIZE, SIZE)})
    found = find_shift(plain, evaluate).model
    assert [spec_of(node) for node in shift_nodes(found)] == [spec_of(node) for node in shift_nodes(model)]


@pytest.mark.parametrize("backbone", BACKBONES)
@pytest.mark.parametrize("change", [ShiftSpec.swapped, ShiftSpec.without_moves])
def test_the_negative_controls_tell_that_directions_are_wrong(backbone, change):
    model = exported(backbone)
    frames = frames_for(network(backbone, "T+H+W"))
    assert relative(run_onnx(replace_specs(model, change), frames), run_onnx(model, frames)) > 1e-3
