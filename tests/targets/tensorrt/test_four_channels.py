import numpy as np
import onnx_ir as ir
import pytest
from onnx_ir.passes import common as passes
from typed_graphs import BACKBONES, canonical, lowered, ranges

from edgevid.calibration.quantize import quantize
from edgevid.contract import Normalization
from edgevid.graph.lower import lower
from edgevid.graph.prelude import with_uint8_clips
from edgevid.targets._schemes import SCHEMES
from edgevid.targets.onnxruntime import evaluate
from edgevid.targets.tensorrt.four_channels import with_four_channels
from edgevid.targets.tensorrt.frames import cast_first

CLIPS = np.random.default_rng(0).integers(0, 256, (1, 4, 32, 32, 3), np.uint8)


def int8(backbone, **given):
    graph = quantize(canonical(backbone), ranges(backbone), SCHEMES["tensorrt"], **given)
    return cast_first(lower(graph, "fused_slice_concat"))


def first_convolution(graph):
    return next(node for node in graph.graph if node.op_type == "Conv")


def logits(graph):
    return evaluate(graph, {"clips": CLIPS})[0]


@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_fourth_channel_of_zeros_changes_no_logit(backbone):
    graph = int8(backbone)
    widened = with_four_channels(graph)
    assert first_convolution(widened).inputs[1].shape[1] == 4
    assert first_convolution(graph).inputs[1].shape[1] == 3
    np.testing.assert_array_equal(logits(widened), logits(graph))


def test_the_shapes_on_the_way_are_those_that_it_has():
    widened = with_four_channels(int8("resnet50"))
    assert list(first_convolution(widened).inputs[0].shape) == [4, 4, 32, 32]
    pad = next(node for node in widened.graph if node.op_type == "Pad")
    assert list(pad.outputs[0].shape) == [1, 4, 32, 32, 4]


def test_a_network_in_float_is_left_alone():
    graph = cast_first(lowered("resnet50"))
    widened = with_four_channels(graph)
    assert [node.op_type for node in widened.graph] == [node.op_type for node in graph.graph]


def test_a_first_layer_in_float_is_left_alone():
    name = first_convolution(canonical("resnet50")).name
    graph = int8("resnet50", float_layers=(name,))
    assert [node.op_type for node in with_four_channels(graph).graph] == [
        node.op_type for node in graph.graph
    ]


def test_colours_in_reverse_order_keep_their_places():
    weight = ", ".join(map(str, np.linspace(-1, 1, 15)))
    frames = ir.from_onnx_text(
        f"""<ir_version: 10, opset_import: ["": 20]>
        blue_first (float[1,2,3,4,4] frames) => (float[2,5,4,4] logits)
          <int64[4] shape = {{2, 3, 4, 4}}, float[5,3,1,1] weight = {{{weight}}}>
        {{ images = Reshape (frames, shape)  logits = Conv (images, weight) }}"""
    )
    passes.ShapeInferencePass()(frames)
    for node in frames.graph:
        node.name = node.op_type
    graph = quantize(
        with_uint8_clips(frames, Normalization(color="BGR")), {"images": 2.6}, SCHEMES["tensorrt"]
    )
    graph = cast_first(lower(graph, "fused_slice_concat"))
    clip = np.random.default_rng(0).integers(0, 256, (1, 2, 4, 4, 3), np.uint8)
    widened = with_four_channels(graph)
    assert first_convolution(widened).inputs[1].shape[1] == 4
    np.testing.assert_array_equal(evaluate(widened, {"clips": clip})[0], evaluate(graph, {"clips": clip})[0])


def test_a_graph_of_unknown_shapes_is_left_alone():
    graph = int8("resnet50")
    for node in graph.graph:
        node.outputs[0].shape = None
    assert "Pad" not in {node.op_type for node in with_four_channels(graph).graph}
