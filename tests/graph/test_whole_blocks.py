from functools import cache

import numpy as np
import onnx_ir as ir
import pytest
from shift_graphs import exported, frames_for, run_onnx, small_network

from edgevid.graph.export import export
from edgevid.graph.lower import lower
from edgevid.graph.shift_op import shift_nodes, spec_of
from edgevid.graph.split_conv import BLOCK
from edgevid.graph.whole_blocks import fill_blocks
from edgevid.models import ShiftConfig

CHANNELS = {"mobilenet_v2": (16, 8, 24, 16, 24, 24, 40, 32, 32), "resnet18": (24, 24, 8, 16, 24)}
"""Of which some that move are no whole blocks."""


def network(backbone):
    return small_network(backbone, channels=CHANNELS[backbone], shift=ShiftConfig(proportion="1/4"))


@cache
def graph(backbone):
    return export(network(backbone))


def moving(model):
    return [node.inputs[0].shape[1] for node in shift_nodes(model)]


@pytest.mark.parametrize("backbone", CHANNELS)
def test_what_moves_gets_whole_blocks_and_the_logits_stay(backbone):
    before, after = graph(backbone), graph(backbone).clone()
    assert any(channels % BLOCK for channels in moving(before))
    assert fill_blocks(after)
    assert moving(after) == [-(-channels // BLOCK) * BLOCK for channels in moving(before)]
    assert [spec_of(node) for node in shift_nodes(after)] == [spec_of(node) for node in shift_nodes(before)]
    frames = frames_for(network(backbone))
    expected = run_onnx(before, frames)
    np.testing.assert_allclose(run_onnx(after, frames), expected, rtol=1e-5, atol=1e-5)


def test_volumes_that_are_split_hold_whole_blocks_alone():
    lowered = lower(graph("mobilenet_v2"), "volume_split_conv")
    pieces = [node for node in lowered.graph if node.op_type == "Split"]
    assert pieces
    for node in pieces:
        assert {value.shape[1] % BLOCK for value in (node.inputs[0], *node.outputs)} == {0}


def test_there_is_nothing_to_do_where_all_blocks_are_whole():
    assert not fill_blocks(exported("resnet18").clone())


@pytest.mark.parametrize("change", ["output", "softmax", "numbers"])
def test_a_tensor_that_is_used_otherwise_too_stays_as_it_is(change):
    model = graph("resnet18").clone()
    first = shift_nodes(model)[0]
    value, widths = first.inputs[0], moving(model)
    if change == "output":
        model.graph.outputs.append(value)
    elif change == "softmax":
        node = ir.node("Softmax", [value], {"axis": 1})
        model.graph.insert_after(first, node)
    else:
        each = ir.tensor(np.ones((1, widths[0], 1, 1), np.float32), name="each")
        constant = ir.Value(name="each", const_value=each, shape=ir.Shape(each.shape))
        model.graph.register_initializer(constant)
        node = ir.node("Add", [value, constant])
        model.graph.insert_after(first, node)
    same = [each for each in shift_nodes(model) if each.inputs[0].shape[1] == widths[0]]
    fill_blocks(model)
    assert first.inputs[0].shape[1] == widths[0]
    assert first in same
