import copy

import numpy as np
import onnx_ir as ir
import pytest
import torch
from shift_graphs import (
    exported,
    frames_and_logits,
    frames_for,
    logits_of,
    run_onnx,
    small_network,
)

from edgevid.errors import GraphError
from edgevid.graph.export import export
from edgevid.graph.lower import lower
from edgevid.graph.shift_op import DOMAIN, OPSET, shift_nodes, spec_of
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.models.shift_module import Shift
from edgevid.shift import ShiftSpec

BACKBONES = ("resnet18", "resnet50", "mobilenet_v2")
SMALLEST = {"backbone": "resnet18", "blocks": (1, 1, 1, 1)}


def relative(found, wanted):
    return np.abs(found - wanted).max() / np.abs(wanted).max()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_canonical_graph_computes_what_pytorch_computes(backbone):
    frames, logits = frames_and_logits(backbone)
    assert relative(run_onnx(exported(backbone), frames), logits) <= 1e-5


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_graph_holds_one_shift_a_shift_with_the_specs_of_the_network(backbone):
    wanted = [spec for _, spec in small_network(backbone).shift_specs()]
    assert wanted
    assert [spec_of(node) for node in shift_nodes(exported(backbone))] == wanted


@pytest.mark.parametrize("backbone", BACKBONES)
def test_batch_norms_are_folded_and_nothing_of_training_is_left(backbone):
    kinds = {node.op_type for node in exported(backbone).graph}
    assert not kinds & {"BatchNormalization", "Dropout", "Mul", "Sub", "Div", "Sqrt"}
    assert not kinds & {"ScatterND", "ScatterElements", "GatherND"}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_the_ends_of_the_graph_are_named_typed_and_static(backbone):
    graph = exported(backbone).graph
    (frames,), (logits,) = graph.inputs, graph.outputs
    assert (frames.name, list(frames.shape), frames.dtype) == ("frames", [1, 4, 3, 32, 32], ir.DataType.FLOAT)
    assert (logits.name, list(logits.shape), logits.dtype) == ("logits", [1, 5], ir.DataType.FLOAT)
    assert all(value.shape.is_static() for node in graph for value in node.outputs)


def test_the_graph_is_of_versions_that_onnx_runtime_reads():
    model = exported("resnet18")
    assert model.ir_version == 10
    assert model.opset_imports[""] == OPSET
    assert set(model.opset_imports) == {"", DOMAIN}


def test_a_graph_of_two_clips_keeps_them_apart():
    frames, logits = frames_and_logits("resnet50", 2)
    assert relative(run_onnx(exported("resnet50", 2), frames), logits) <= 1e-5
    assert relative(logits[:1], logits[1:]) > 0.01


def test_a_symbolic_batch_serves_one_two_and_three_clips():
    network, model = small_network("resnet50"), exported("resnet50", None)
    (frames,), (logits,) = model.graph.inputs, model.graph.outputs
    assert not isinstance(frames.shape[0], int)
    assert frames.shape[0] == logits.shape[0]
    assert list(frames.shape[1:]) == [4, 3, 32, 32]
    lowered = lower(model, "slice_concat")
    for clips in (1, 2, 3):
        given = frames_for(network, clips, seed=clips)
        for graph in (model, lowered):
            assert relative(run_onnx(graph, given), logits_of(network, given)) <= 1e-5


def test_weights_are_stored_once_and_carry_no_names_of_source_files():
    model, network = exported("mobilenet_v2"), small_network("mobilenet_v2")
    stored = sum(value.const_value.size for value in model.graph.initializers.values())
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert stored <= parameters + 100
    assert b".py" not in ir.to_proto(model).SerializeToString()


@pytest.mark.slow
@pytest.mark.parametrize("backbone", ["mobilenet_v2", "resnet50"])
def test_the_file_of_a_full_size_network_is_hardly_larger_than_its_weights(backbone):
    network = build(NetworkConfig(backbone=backbone, classes=400, shift=ShiftConfig())).eval()
    weights = sum(parameter.numel() for parameter in network.parameters()) * 4
    for batch in (1, None):
        model = export(network, batch=batch)
        assert len(ir.to_proto(model).SerializeToString()) <= 1.05 * weights
        for name in ("slice_concat", "split_conv") if batch else ("slice_concat",):
            assert len(ir.to_proto(lower(model, name)).SerializeToString()) <= 1.05 * weights


def test_exporting_leaves_the_network_as_it_was_and_exports_its_evaluation_mode():
    network = small_network(**SMALLEST)
    frames = frames_for(network)
    state, logits = copy.deepcopy(network.state_dict()), logits_of(network, frames)
    network.train()
    model = export(network)
    assert network.training
    network.eval()
    assert np.array_equal(logits_of(network, frames), logits)
    assert all(torch.equal(value, state[name]) for name, value in network.state_dict().items())
    assert all("forward" not in vars(module) for module in network.modules())
    assert relative(run_onnx(model, frames), logits) <= 1e-5


def test_a_network_without_a_shift_becomes_an_ordinary_graph_without_a_word(capfd, recwarn):
    network = small_network(**SMALLEST, shift=None)
    model = export(network)
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list
    assert not shift_nodes(model)
    assert not model.functions
    frames = frames_for(network)
    assert relative(run_onnx(model, frames), logits_of(network, frames)) <= 1e-5


def test_an_in_place_shift_by_two_frames_is_exported_right():
    network = small_network(**SMALLEST, shift=ShiftConfig(placement="inplace", repeats=2))
    model, frames = export(network), frames_for(network)
    assert [spec_of(node) for node in shift_nodes(model)] == [spec for _, spec in network.shift_specs()]
    assert relative(run_onnx(model, frames), logits_of(network, frames)) <= 1e-5


def test_a_shift_layer_that_moves_nothing_leaves_no_operation():
    network = small_network(**SMALLEST, shift=None)
    network.layer1[0].shift_branch = Shift(ShiftSpec(4))
    model, frames = export(network), frames_for(network)
    assert not shift_nodes(model)
    assert relative(run_onnx(model, frames), logits_of(network, frames)) <= 1e-5


@pytest.mark.parametrize("batch", [0, -1])
def test_a_batch_of_no_clips_is_refused(batch):
    with pytest.raises(GraphError, match="batch"):
        export(small_network("resnet18"), batch=batch)


def test_a_shift_that_the_exporter_loses_is_an_error():
    network = small_network(**SMALLEST)
    network.layer1[0].unused = Shift(ShiftSpec.tsm(16, 4))
    with pytest.raises(GraphError, match="has 4 shifts, the network 5"):
        export(network)
