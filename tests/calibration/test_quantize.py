from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest
from int8_graphs import OPENVINO, TENSORRT, clips, run, thresholds, tiny_graph

from edgevid.calibration.quantize import quantize
from edgevid.errors import GraphError
from edgevid.graph.lower import LOWERINGS, lower
from edgevid.graph.shift_op import shift_nodes
from edgevid.graph.verify import compare
from edgevid.shift import ShiftSpec
from edgevid.targets.onnxruntime import observer

BOTH = pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2"])
SCHEMES = pytest.mark.parametrize("scheme", [OPENVINO, TENSORRT], ids=["openvino", "tensorrt"])


def quantized(backbone, scheme, **kwargs):
    return quantize(tiny_graph(backbone), thresholds(backbone), scheme, **kwargs)


def producer(value):
    return value.producer().op_type if value.producer() else None


@BOTH
@SCHEMES
def test_the_int8_graph_is_close_to_the_float_one(backbone, scheme):
    clip = clips(seed=1)
    difference = compare(run(quantized(backbone, scheme), clip), run(tiny_graph(backbone), clip))
    assert difference.sqnr > 20


@BOTH
@SCHEMES
def test_every_layer_reads_bytes_and_has_weights_of_bytes(backbone, scheme):
    for node in quantized(backbone, scheme).graph:
        if node.op_type not in ("Conv", "Gemm"):
            continue
        value = node.inputs[0]
        while producer(value) in ("MaxPool", "Slice", "Shift"):
            value = value.producer().inputs[0]
        assert producer(value) == "DequantizeLinear"
        restored = node.inputs[1].producer()
        assert restored.op_type == "DequantizeLinear"
        assert restored.inputs[0].const_value.dtype == ir.DataType.INT8
        assert set(restored.inputs[2].const_value.numpy()) == {0}


@BOTH
def test_bytes_without_a_sign_stand_for_signed_numbers_around_128(backbone):
    zeros = {
        int(node.inputs[2].const_value.numpy())
        for node in quantized(backbone, OPENVINO).graph
        if node.op_type == "QuantizeLinear"
    }
    assert zeros == {0, 128}


@BOTH
def test_signed_bytes_have_no_zero_point(backbone):
    for node in quantized(backbone, TENSORRT).graph:
        if node.op_type == "QuantizeLinear":
            assert node.inputs[2].const_value.dtype == ir.DataType.INT8
            assert not node.inputs[2].const_value.numpy().any()


def test_a_shift_has_one_scale_on_both_sides():
    for node in shift_nodes(quantized("resnet50", OPENVINO)):
        before, after = node.inputs[0].producer(), [use.node for use in node.outputs[0].uses()]
        if before.op_type == "QuantizeLinear":
            assert all(use.op_type == "DequantizeLinear" for use in after)
            assert all(use.inputs[1:] == before.inputs[1:] for use in after)


def test_a_shift_brings_in_the_zero_point_so_that_zeros_are_exact():
    """With the shift on the bytes and on the floats the numbers are the same, boundary frames too."""
    sides = [quantized("mobilenet_v2", replace(OPENVINO, shift_side=side)) for side in ("integer", "float")]
    assert {node.attributes.get_int("zero_point", 0) for node in shift_nodes(sides[0])} == {128}
    assert np.array_equal(*(run(model, clips(seed=2)) for model in sides))


@pytest.mark.parametrize("name", [name for name in LOWERINGS if name != "volume_split_conv"])
def test_every_lowering_keeps_the_numbers_of_the_int8_graph(name):
    model = quantized("mobilenet_v2", OPENVINO)
    assert np.array_equal(run(lower(model, name), clips()), run(model, clips()))


def test_an_addition_keeps_its_convolution_in_the_accumulators_where_only_the_skip_is_quantized():
    sums = [node for node in quantized("resnet50", TENSORRT).graph if node.op_type == "Add"]
    assert len(sums) == 5
    for node in sums:
        assert sorted(producer(value) for value in node.inputs) == ["Conv", "DequantizeLinear"]
    for node in quantized("resnet50", OPENVINO).graph:
        if node.op_type == "Add":
            assert {producer(value) for value in node.inputs} == {"DequantizeLinear"}


def test_no_pair_stands_behind_the_first_pooling():
    (pool,) = [node for node in quantized("resnet50", OPENVINO).graph if node.op_type == "MaxPool"]
    assert producer(pool.inputs[0]) == "DequantizeLinear"
    assert "QuantizeLinear" not in {use.node.op_type for use in pool.outputs[0].uses()}


def test_one_by_one_convolutions_lose_their_strides_where_the_scheme_says_so():
    for scheme, expected in ((OPENVINO, 0), (TENSORRT, 3)):
        convolutions = [node for node in quantized("resnet50", scheme).graph if node.op_type == "Conv"]
        strided = [
            n
            for n in convolutions
            if n.inputs[1].shape[2] == 1 and max(n.attributes["strides"].as_ints()) > 1
        ]
        assert len(strided) == expected


def test_weights_of_seven_bits_cannot_saturate_sixteen_bits():
    for node in quantized("resnet50", replace(OPENVINO, weight_bits=7)).graph:
        if node.op_type in ("Conv", "Gemm"):
            weight = node.inputs[1].producer().inputs[0].const_value.numpy()
            assert 2 * 255 * abs(weight.astype(int)).max() < 2**15


def test_a_bias_is_added_in_the_scale_of_the_accumulators():
    for node in quantized("resnet50", OPENVINO).graph:
        if node.op_type == "Conv":
            restored = node.inputs[2].producer()
            assert restored.inputs[0].const_value.dtype == ir.DataType.INT32


def test_a_layer_can_stay_in_float():
    names = [node.name for node in tiny_graph("resnet50").graph if node.op_type == "Conv"]
    kept = {names[0], names[5]}
    model = quantized("resnet50", OPENVINO, float_layers=kept)
    weights = {node.name: producer(node.inputs[1]) for node in model.graph if node.op_type == "Conv"}
    assert {name for name, made_by in weights.items() if made_by is None} == kept


@BOTH
@SCHEMES
def test_with_all_layers_in_float_nothing_is_in_int8(backbone, scheme):
    graph = tiny_graph(backbone)
    layers = [node.name for node in graph.graph if node.op_type in ("Conv", "Gemm")]
    model = quantized(backbone, scheme, float_layers=layers)
    assert "QuantizeLinear" not in {node.op_type for node in model.graph}
    assert np.array_equal(run(model, clips()), run(graph, clips()))


@SCHEMES
def test_an_addition_stays_in_int8_as_long_as_a_layer_beside_it_does(scheme):
    graph = tiny_graph("resnet50")
    first = next(node for node in graph.graph if node.op_type == "Add")
    beside = {first.inputs[0].producer().name, first.inputs[1].producer().name}
    (relu,) = (use.node for use in first.outputs[0].uses())
    steps = [use.node for use in relu.outputs[0].uses()]
    steps = [next(iter(node.outputs[0].uses())).node if node.op_type == "Shift" else node for node in steps]
    beside |= {node.name for node in steps if node.op_type == "Conv"}
    assert len(beside) >= 3

    def restored(float_layers):
        model = quantized("resnet50", scheme, float_layers=float_layers)
        node = next(node for node in model.graph if node.name == first.name)
        return "DequantizeLinear" in {producer(value) for value in node.inputs}

    assert not restored(beside)
    for name in beside:
        assert restored(beside - {name})


@BOTH
@SCHEMES
def test_what_many_calls_compute_is_the_graph_operation_by_operation(backbone, scheme):
    model, clip = quantized(backbone, scheme), clips(seed=3)
    (found,) = observer(model, threads=1)({model.graph.inputs[0].name: clip})
    assert np.abs(found - run(model, clip)).max() < 1e-5


def test_a_tensor_that_is_always_zero_stays_exact():
    graph, ranges = tiny_graph("resnet50"), dict(thresholds("resnet50"))
    name = list(ranges)[3]
    model = quantize(graph, ranges | {name: 0.0}, OPENVINO)
    scale = model.graph.initializers[f"{name}.scale"].const_value.numpy()
    assert scale == 1
    assert np.isfinite(run(model, clips())).all()


@pytest.mark.parametrize("wrong", [None, float("nan"), float("inf"), 1e39, -1.0])
def test_a_tensor_without_a_range_is_named(wrong):
    ranges = dict(thresholds("resnet50"))
    name = list(ranges)[2]
    ranges = {key: value for key, value in ranges.items() if key != name}
    if wrong is not None:
        ranges[name] = wrong
    with pytest.raises(GraphError) as caught:
        quantize(tiny_graph("resnet50"), ranges, OPENVINO)
    assert caught.value.where == name


def test_a_range_beyond_float32_for_the_accumulators_names_the_layer():
    graph = tiny_graph("resnet50").clone()
    layer = [node for node in graph.graph if node.op_type == "Conv"][1]
    huge = 1e6 * layer.inputs[1].const_value.numpy()
    layer.inputs[1].const_value = ir.tensor(huge, name=layer.inputs[1].name)
    ranges = dict.fromkeys(thresholds("resnet50"), 3e38)
    with pytest.raises(GraphError, match="float32") as caught:
        quantize(graph, ranges, OPENVINO)
    assert caught.value.where == layer.name


def test_an_unknown_float_layer_is_refused():
    with pytest.raises(GraphError, match="no_such_layer"):
        quantized("resnet50", OPENVINO, float_layers=["no_such_layer"])


def test_the_float_graph_is_left_as_it_is():
    before = ir.to_proto(tiny_graph("resnet50")).SerializeToString(deterministic=True)
    quantized("resnet50", OPENVINO)
    assert ir.to_proto(tiny_graph("resnet50")).SerializeToString(deterministic=True) == before


def test_negative_controls_work_on_the_int8_graph_too():
    from edgevid.graph.shift_op import replace_specs

    model = quantized("resnet50", TENSORRT)
    removed = replace_specs(model, ShiftSpec.without_moves)
    assert compare(run(removed, clips()), run(model, clips())).max_relative > 1e-2
