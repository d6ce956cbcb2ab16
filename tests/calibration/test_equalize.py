from functools import cache

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from int8_graphs import OPENVINO, TENSORRT, clips, observed, run, tiny_graph

from edgevid.calibration.equalize import equalize, pairs
from edgevid.calibration.points import is_non_negative, is_shift, points
from edgevid.calibration.quantize import quantize
from edgevid.errors import GraphError
from edgevid.graph.graph_hash import graph_hash
from edgevid.graph.shift_op import SHIFT, attach_functions, spec_attributes
from edgevid.graph.verify import compare
from edgevid.shift import ShiftSpec

BOTH = pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2"])
SCHEMES = pytest.mark.parametrize("scheme", [OPENVINO, TENSORRT], ids=["openvino", "tensorrt"])


def constant(value):
    return ir.convenience.get_const_tensor(value).numpy()


def reset(layer, index, values):
    """Give a layer other weights or another bias."""
    old = layer.inputs[index]
    old.const_value = ir.tensor(np.asarray(values, np.float32), name=old.name)


def along(values, axis, layer):
    """Factors of input channels, or of output channels (axis 0), as they multiply weights."""
    depthwise = axis == 1 and layer.attributes.get_int("group", 1) > 1
    return values.reshape(-1, 1, 1, 1) if axis == 0 or depthwise else values.reshape(1, -1, 1, 1)


def unbalanced(graph, factors):
    """The same function with channels of very different ranges; ``factors(channels)`` draws them."""
    changed = graph.clone()
    for pair in pairs(changed):
        if pair.clips:
            continue
        drawn = factors(constant(pair.first.inputs[1]).shape[0])
        reset(pair.first, 1, constant(pair.first.inputs[1]) * along(drawn, 0, pair.first))
        reset(pair.first, 2, constant(pair.first.inputs[2]) * drawn)
        reset(pair.second, 1, constant(pair.second.inputs[1]) / along(drawn, 1, pair.second))
    return changed


def lognormal(seed, sigma):
    random = np.random.default_rng(seed)
    return lambda channels: np.exp(random.normal(0, sigma, channels))


def noise(graph, scheme):
    """SQNR at the logits of the int8 form, with ranges of the clips that are looked at."""
    clip = clips(seed=1)
    bounds = {name: float(abs(values).max()) for name, values in observed(graph, clip).items()}
    return compare(run(graph, clip), run(quantize(graph, bounds, scheme), clip)).sqnr


@cache
def chain(*between, segments=4, channels=8, first_bias=True):
    """Two convolutions with operations of one input between them."""
    random = np.random.default_rng(5)
    clip = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape((segments, 3, 8, 8)))
    graph = ir.Graph([clip], [], nodes=[], opset_imports={"": 20}, name="chain")

    def initializer(name, array):
        tensor = ir.tensor(np.asarray(array, np.float32), name=name)
        value = ir.Value(
            name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(tensor.shape)
        )
        graph.register_initializer(value)
        return value

    def add(kind, inputs, attributes=None, domain=""):
        node = ir.node(
            kind, inputs, attributes or {}, domain=domain, name=f"{kind}{len(graph)}", num_outputs=1
        )
        node.outputs[0].name = f"{node.name}.out"
        node.outputs[0].type = ir.TensorType(ir.DataType.FLOAT)
        graph.append(node)
        return node.outputs[0]

    weights = [random.standard_normal((channels, size, 3, 3)) for size in (3, channels)]
    inputs = [clip, initializer("w1", weights[0])]
    if first_bias:
        inputs.append(initializer("b1", random.standard_normal(channels)))
    value = add("Conv", inputs, {"pads": [1, 1, 1, 1]})
    for kind in between:
        if kind == SHIFT:
            spec = ShiftSpec.tsm(channels, segments, 1 / 2)
            value = add(SHIFT, [value], spec_attributes(spec), "edgevid")
        elif kind.startswith("Clip"):
            low, high = map(float, kind.split()[1:])
            value = add("Clip", [value, initializer(f"{kind} low", low), initializer(f"{kind} high", high)])
        elif kind == "MaxPool":
            value = add(kind, [value], {"kernel_shape": [2, 2]})
        else:
            value = add(kind, [value])
    value = add("Conv", [value, initializer("w2", weights[1])])
    graph.outputs.append(value)
    model = ir.Model(graph, ir_version=10)
    attach_functions(model)
    return model


@BOTH
def test_the_float_function_stays_what_it_is(backbone):
    graph = tiny_graph(backbone)
    assert len(pairs(graph)) > 5
    for seed in range(3):
        difference = compare(run(graph, clips(seed=seed)), run(equalize(graph), clips(seed=seed)))
        assert difference.max_relative < 1e-5


@pytest.mark.parametrize(
    "between",
    [(), ("Relu",), (SHIFT,), ("Relu", SHIFT), ("Clip 0 6",), ("Clip 0 0.5", SHIFT, "MaxPool"), ("MaxPool",)],
    ids=lambda between: ", ".join(between) or "nothing",
)
@pytest.mark.parametrize("first_bias", [True, False])
def test_factors_pass_whatever_keeps_the_channels(between, first_bias):
    graph = chain(*between, first_bias=first_bias)
    found = equalize(graph)
    x = np.random.default_rng(0).standard_normal((4, 3, 8, 8)).astype(np.float32) * 3
    before, after = run(graph, x), run(found, x)
    assert np.abs(before - after).max() <= 1e-5 * np.abs(before).max()
    assert graph_hash(found) != graph_hash(graph)


def test_a_clip_acts_on_every_channel_where_it_acted_before():
    """Without a bound of each channel, 0.5 would cut other values than before."""
    graph = equalize(chain("Clip 0 0.5"))
    kinds = [node.op_type for node in graph.graph]
    assert kinds == ["Conv", "Min", "Relu", "Conv"]
    assert is_non_negative(graph.graph[2].outputs[0])
    assert np.ptp(constant(graph.graph[1].inputs[1])) > 0


@pytest.mark.parametrize(
    "between",
    [("Sigmoid",), ("Clip -1 1",), ("Relu", "Sigmoid", "Relu"), ("Clip 0 -1",)],
    ids=lambda between: ", ".join(between),
)
def test_what_does_not_keep_factors_is_left_alone(between):
    assert pairs(chain(*between)) == ()
    with pytest.raises(GraphError, match="no convolution is followed"):
        equalize(chain(*between))


def test_what_others_read_too_is_left_alone():
    for pair in pairs(tiny_graph("mobilenet_v2")):
        value = pair.second.inputs[0]
        while value.producer() is not pair.first:
            assert len(value.uses()) == 1
            value = value.producer().inputs[0]
        assert len(value.uses()) == 1


@BOTH
def test_the_ranges_of_a_channel_are_the_same_in_both_layers(backbone):
    for pair in pairs(equalize(unbalanced(tiny_graph(backbone), lognormal(0, 1.0)))):
        first, second = (constant(layer.inputs[1]) for layer in (pair.first, pair.second))
        one = np.maximum(abs(first).max((1, 2, 3)), abs(constant(pair.first.inputs[2])))
        depthwise = pair.second.attributes.get_int("group", 1) > 1
        other = abs(second).max((1, 2, 3) if depthwise else (0, 2, 3))
        assert one == pytest.approx(other, rel=0.01)


@settings(derandomize=True, deadline=None, max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.1, 2.0))
def test_however_unbalanced_the_channels_were_the_result_is_the_same(seed, sigma):
    graph = chain("Relu", SHIFT)
    wanted = equalize(graph)
    found = equalize(unbalanced(graph, lognormal(seed, sigma)))
    for a, b in zip(pairs(wanted), pairs(found), strict=True):
        assert constant(a.first.inputs[1]) == pytest.approx(constant(b.first.inputs[1]), rel=1e-2)
        assert constant(a.second.inputs[1]) == pytest.approx(constant(b.second.inputs[1]), rel=1e-2)


@SCHEMES
def test_unbalanced_channels_are_saved(scheme):
    graph = unbalanced(tiny_graph("resnet50"), lognormal(1, 1.5))
    assert noise(graph, scheme) < 15
    assert noise(equalize(graph), scheme) > 20


def test_a_channel_of_nothing_but_a_bias_is_not_blown_up():
    graph = tiny_graph("resnet50").clone()
    for pair in pairs(graph):
        weight = constant(pair.first.inputs[1]).copy()
        weight[0] *= 1e-7
        reset(pair.first, 1, weight)
    assert noise(equalize(graph), TENSORRT) > 20


def test_channels_that_nobody_uses_stay():
    graph = tiny_graph("resnet50").clone()
    for pair in pairs(graph):
        weight, bias = (constant(pair.first.inputs[index]).copy() for index in (1, 2))
        weight[0], bias[0] = 0, 0
        reset(pair.first, 1, weight)
        reset(pair.first, 2, bias)
    found = equalize(graph)
    assert all(np.isfinite(constant(pair.first.inputs[1])).all() for pair in pairs(found))
    assert compare(run(graph, clips()), run(found, clips())).max_relative < 1e-5


@BOTH
def test_graphs_of_all_batches_are_equalized_alike(backbone):
    one, two = (equalize(tiny_graph(backbone, batch)) for batch in (1, 2))
    assert graph_hash(one) == graph_hash(two)
    assert len(points(one)) == len(points(two))


def test_the_tensors_that_need_a_range_keep_their_names():
    graph = tiny_graph("mobilenet_v2")
    assert points(equalize(graph)) == points(graph)


def test_the_given_graph_is_not_changed():
    graph = tiny_graph("mobilenet_v2")
    before = graph_hash(graph)
    equalize(graph)
    assert graph_hash(graph) == before
    assert any(is_shift(node) for node in equalize(graph).graph)
