import numpy as np
import onnx_ir as ir
import pytest
from typed_graphs import BACKBONES, canonical, clips, integer, lowered, ranges, run

from edgevid.calibration.quantize import quantize
from edgevid.graph.lower import lower
from edgevid.graph.verify import compare
from edgevid.targets._schemes import SCHEMES
from edgevid.targets.tensorrt.common_scale import with_common_scales
from edgevid.targets.tensorrt.half import as_half

BOTH = pytest.mark.parametrize("backbone", BACKBONES)


def convolutions(graph):
    return [node for node in graph.graph if node.op_type == "Conv"]


def scale(convolution):
    return convolution.inputs[1].producer().inputs[1].const_value.numpy()


def spoilt(change):
    """The network in int8 after ``change`` of its second convolution's weights and biases in float."""
    graph = canonical().clone()
    node = convolutions(graph)[1]
    arrays = [np.array(value.const_value.numpy()) for value in node.inputs[1:]]
    change(*arrays)
    for value, array in zip(node.inputs[1:], arrays, strict=True):
        value.const_value = ir.tensor(array, name=value.name)
    return lower(quantize(graph, ranges(), SCHEMES["tensorrt"]), "fused_slice_concat")


@BOTH
def test_the_weights_of_a_convolution_have_one_scale_and_the_logits_are_the_same(backbone):
    before, after = integer(backbone), with_common_scales(integer(backbone))
    assert {scale(each).size for each in convolutions(after)} == {1}
    assert compare(run(before, clips()), run(after, clips())).sqnr > 60


@BOTH
def test_the_factors_stand_behind_the_activation(backbone):
    for node in convolutions(with_common_scales(integer(backbone))):
        (behind,) = [use.node.op_type for use in node.outputs[0].uses()]
        assert behind in ("Mul", "Relu")


@BOTH
def test_sums_stay_within_half_of_the_range_of_float16(backbone):
    for node in convolutions(with_common_scales(integer(backbone))):
        weights, bias = (
            value.const_value.numpy() for value in (node.inputs[1].producer().inputs[0], node.inputs[2])
        )
        given = node.inputs[0].producer()
        given = given.inputs[0].producer() if given.op_type == "MaxPool" else given
        step = given.inputs[1].const_value.numpy()
        sums = np.abs(weights.astype(float)).reshape(len(weights), -1).sum(1)
        assert (128 * step * sums * scale(node) + abs(bias)).max() <= 2**15


@BOTH
def test_in_float16_it_is_as_close_to_the_float_network(backbone):
    reference = run(lowered(backbone), clips())
    before, after = (
        compare(reference, run(graph, clips())).sqnr
        for graph in (integer(backbone), as_half(with_common_scales(integer(backbone))))
    )
    assert after > before - 1


def test_a_channel_without_weights_gives_its_bias():
    def prune(weights, bias):
        weights[3], bias[3] = 0, 5

    graph = spoilt(prune)
    rewritten = with_common_scales(graph)
    assert scale(convolutions(rewritten)[1]).size == 1
    assert compare(run(graph, clips()), run(rewritten, clips())).sqnr > 60


def test_channels_too_different_for_float16_are_left_alone():
    def almost_prune(weights, bias):
        weights[3] *= 1e-12
        bias[3] = 5

    graph = spoilt(almost_prune)
    rewritten = with_common_scales(graph)
    assert [scale(each).size for each in convolutions(rewritten)[:3]] == [1, 64, 1]
    assert compare(run(graph, clips()), run(rewritten, clips())).sqnr > 60


def test_a_network_in_float_is_as_it_was():
    graph = lowered()
    assert [node.op_type for node in with_common_scales(graph).graph] == [
        node.op_type for node in graph.graph
    ]
