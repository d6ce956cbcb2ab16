"""What int8 graphs for TensorRT look like: the scheme in `edgevid.targets._schemes`."""

import onnx_ir as ir
import pytest
from typed_graphs import BACKBONES, canonical, clips, integer, lowered, ranges, run

from edgevid.calibration.quantize import quantize
from edgevid.graph.lower import lower
from edgevid.graph.verify import compare
from edgevid.int8 import Int8, kept_in_float
from edgevid.targets._schemes import SCHEMES
from edgevid.targets.tensorrt._target import scheme_of
from edgevid.targets.tensorrt.boards import board

BOTH = pytest.mark.parametrize("backbone", BACKBONES)


def producer(value):
    return value.producer().op_type if value.producer() else None


@BOTH
def test_it_is_close_to_the_float_network(backbone):
    assert compare(run(lowered(backbone), clips()), run(integer(backbone), clips())).sqnr > 20


@BOTH
def test_pairs_stand_at_the_inputs_of_layers_behind_the_shift(backbone):
    shifted = 0
    for node in integer(backbone).graph:
        if node.op_type == "Conv":
            value = node.inputs[0]
            if producer(value) == "MaxPool":
                value = value.producer().inputs[0]
            assert producer(value) == "DequantizeLinear"
            shifted += producer(value.producer().inputs[0].producer().inputs[0]) == "Concat"
        if node.op_type == "Concat":
            assert {value.dtype for value in node.inputs} == {ir.DataType.FLOAT}
    assert shifted == sum(node.op_type == "Shift" for node in canonical(backbone).graph)


@BOTH
def test_where_the_pair_stands_changes_no_number(backbone):
    before = quantize(canonical(backbone), ranges(backbone), SCHEMES["tensorrt"])
    for node in list(before.graph):  # move each pair from behind its shift before it
        if node.op_type == "Shift":
            pair = [use.node for use in node.outputs[0].uses()]
            assert [each.op_type for each in pair] == ["QuantizeLinear"]
    scheme = SCHEMES["tvm"].__class__(**{**vars(SCHEMES["tensorrt"]), "shift_side": "integer"})
    on_bytes = lower(quantize(canonical(backbone), ranges(backbone), scheme), "fused_slice_concat")
    assert (run(on_bytes, clips()) == run(integer(backbone), clips())).all()


@BOTH
def test_no_zero_point_but_0_and_no_bias_of_integers(backbone):
    for node in integer(backbone).graph:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero = node.inputs[2].const_value
            assert not zero.numpy().any()
            assert zero.dtype == ir.DataType.INT8
        if node.op_type == "Conv":
            assert node.inputs[2].const_value.dtype == ir.DataType.FLOAT


def test_depthwise_layers_are_float_for_rtx_with_the_reason():
    graph = canonical("mobilenet_v2")
    depthwise = [n.name for n in graph.graph if n.op_type == "Conv" and n.attributes.get_int("group", 1) > 1]
    kept = kept_in_float(graph, Int8(None), scheme_of(board("rtx-40")))
    assert list(kept) == depthwise
    assert all("dense" in why for why in kept.values())
    assert kept_in_float(graph, Int8(None), scheme_of(board("t4"))) == {}


def test_a_layer_that_is_named_keeps_the_reason_that_was_given():
    graph = canonical("mobilenet_v2")
    kept = kept_in_float(
        graph, Int8(None, float_layers={"depthwise": "asked for"}), scheme_of(board("rtx-40"))
    )
    assert set(kept.values()) == {"asked for"}
