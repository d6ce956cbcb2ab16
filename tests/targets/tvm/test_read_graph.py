"""Which layers a graph becomes: what is only another view of memory, and what an epilogue takes in."""

import numpy as np
import onnx_ir as ir
import pytest

pytest.importorskip("tvm")

from small_graphs import FRAMES, VOLUME, agrees, graph, ints, kinds, layers

from edgevid.errors import TargetError
from edgevid.targets.tvm.network import Bounds, Convolution, Elementwise, Move, Quantization, sources_of
from edgevid.targets.tvm.read_graph import read_graph

W = {"w": (8, 3, 3, 3), "v": (8, 8, 1, 1)}
STEM = "c = Conv <pads = [1, 1, 1, 1]> (x, w)"
SHIFT = 'edgevid.Shift <segments = 2, moves = [0, 2, 1, 0, 0, 2, 3, -1, 0, 0], layout = "[N*T,C,H,W]">'
RELU: Bounds = (0.0, None)


def convolutions(body, constants=W, **more):
    """Of the graph: the last copy to row-major order aside."""
    found = layers(graph(body, constants, **more))
    assert {type(operation).__name__ for operation in found[:-1]} <= {"Convolution"}
    return [operation for operation in found if isinstance(operation, Convolution)]


def test_normalization_is_in_the_load_of_the_first_convolution():
    (only,) = convolutions("y = Conv (x, w)")
    assert only.source.dtype == "uint8"
    assert only.pixels == tuple((pytest.approx(1 / 60), pytest.approx(-m / 60)) for m in (120, 110, 100))


@pytest.mark.parametrize("head", [FRAMES, VOLUME])
def test_colours_in_another_order_change_weights_and_normalization(head):
    axis = 2 if head is FRAMES else 1
    turned = head.replace(
        "real = Cast <to = 1> (planes)",
        f"o = Constant <value_ints = [2, 0, 1]> () t = Gather <axis = {axis}> (planes, o) "
        f"real = Cast <to = 1> (t)",
    )
    kernel = (4, 3, 3, 3) if head is FRAMES else (4, 3, 1, 3, 3)
    model = graph("y = Conv (x, w)", {"w": kernel}, head=turned)
    assert kinds(model) == kinds(graph("y = Conv (x, w)", {"w": kernel}, head=head))
    assert agrees(model)


def test_colours_in_another_order_may_be_read_by_anything_else():
    turned = FRAMES.replace(
        "real = Cast <to = 1> (planes)",
        "o = Constant <value_ints = [2, 0, 1]> () t = Gather <axis = 2> (planes, o) real = Cast <to = 1> (t)",
    )
    assert agrees(graph("y = Sigmoid (x)", head=turned))


def test_reshapes_and_transpositions_of_frames_move_nothing():
    body = (
        f"{STEM} {ints(a=[1, 2, 8, 5, 6], z=[2, 8, 5, 6])} r = Reshape (c, a) "
        f"t = Transpose <perm = [0, 2, 1, 3, 4]> (r) "
        "p = Conv <pads = [1, 0, 0, 1, 0, 0]> (t, u) q = Transpose <perm = [0, 2, 1, 3, 4]> (p) "
        f"s = Reshape (q, z) "
        "y = Conv (s, v)"
    )
    first, temporal, last = convolutions(body, {**W, "u": (8, 8, 3, 1, 1)})
    assert temporal.kernel == (3, 1, 1)
    assert first.target == temporal.source == last.source


def test_a_shift_goes_into_the_convolution_that_reads_it():
    _, second = convolutions(f"{STEM} s = {SHIFT} (c) y = Conv (s, v)")
    assert second.moves == (Move(0, 2, -1), Move(2, 3, 1))


def test_a_shift_that_two_convolutions_read_is_read_twice():
    found = layers(graph(f"{STEM} s = {SHIFT} (c) d = Conv (s, v) e = Conv (s, v) y = Add (d, e)", W))
    assert [operation.moves for operation in found if isinstance(operation, Convolution)][1:] == [
        (Move(0, 2, -1), Move(2, 3, 1))
    ] * 2


def test_two_shifts_in_a_row_are_one_copy_and_one_reading():
    model = graph(f"{STEM} s = {SHIFT} (c) t = {SHIFT} (s) y = Conv (t, v)", W)
    assert kinds(model)[:3] == ["Convolution", "Copy", "Convolution"]
    assert agrees(model)


@pytest.mark.parametrize(
    ("line", "bounds"),
    [
        ("y = Relu (c)", RELU),
        (
            "l = Constant <value_float = 0.0> () h = Constant <value_float = 6.0> () y = Clip (c, l, h)",
            (0.0, 6.0),
        ),
        ("h = Constant <value_float = 2.0> () y = Clip (c, , h)", (None, 2.0)),
    ],
)
def test_bounds_go_into_the_convolution(line, bounds):
    (only,) = convolutions(f"{STEM} {line}")
    assert only.bounds == bounds


def test_a_second_activation_does_not_go_where_one_is_already():
    found = layers(graph(f"{STEM} l = Constant <value_float = -1.0> () d = Clip (c, l) y = Relu (d)", W))
    assert isinstance(found[1], Elementwise)


def test_a_residual_goes_into_the_later_convolution_and_bounds_after_it():
    first, second = convolutions(f"{STEM} d = Conv (c, v) e = Add (c, d) y = Relu (e)")
    assert (first.residual, first.bounds) == (None, (None, None))
    assert (second.residual, second.bounds) == (first.target, RELU)


def test_of_two_convolutions_the_later_one_takes_the_other_as_its_residual():
    body = f"{STEM} d = Conv (c, v) e = Conv (c, u) y = Add (e, d)"
    first, second, third = convolutions(body, {**W, "u": (8, 8, 1, 1)})
    assert second.residual is None
    assert third.residual == second.target
    assert first.residual is None


def test_a_residual_computed_after_the_convolution_is_added_apart():
    model = graph(f"{STEM} d = Conv (c, v) p = Sigmoid (c) y = Add (d, p)", W)
    assert kinds(model)[:3] == ["Convolution", "Convolution", "Elementwise"]
    assert agrees(model)


def test_a_value_that_two_read_keeps_its_epilogue_open():
    model = graph(f"{STEM} d = Relu (c) e = Conv (c, v) y = Add (d, e)", W)
    assert layers(model)[0].bounds == (None, None)
    assert agrees(model)


def test_a_reader_behind_a_reshape_is_a_reader():
    body = (
        f"{STEM} {ints(a=[1, 2, 8, 5, 6], z=[2, 8, 5, 6])} r = Reshape (c, a) "
        "s = Reshape (r, z) d = Relu (s) y = Sub (d, c)"
    )
    model = graph(body, W)
    assert layers(model)[0].bounds == (None, None)
    assert agrees(model)


def test_the_output_of_the_network_keeps_its_epilogue_open_to_nobody():
    model = graph(f"{STEM} d = Identity (c) e = Relu (d) y = Add (e, e)", W)
    assert agrees(model)


def test_what_nobody_reads_is_no_layer():
    assert kinds(graph(f"{STEM} d = Sigmoid (c) e = Exp (d) y = Relu (c)", W)).count("Elementwise") <= 1


def test_constants_are_computed_while_reading():
    body = f"{STEM} s = Shape (c) y = Reshape (c, s)"
    assert "Fallback" not in kinds(graph(body, W))


QUANTIZED = """
    q = QuantizeLinear (x, sx, zx)  p = DequantizeLinear (q, sx, zx)
    k = DequantizeLinear <axis = 0> (w, sw, zw)
    c = Conv (p, k)  d = Relu (c)
    e = QuantizeLinear (d, sy, zy)  y = DequantizeLinear (e, sy, zy)
"""


def quantized():
    rng = np.random.default_rng(0)
    return {
        "w": rng.integers(-127, 128, (8, 3, 3, 3), np.int8),
        "sw": rng.uniform(0.001, 0.01, 8).astype(np.float32),
        "zw": np.zeros(8, np.int8),
        "sx": np.float32(0.05),
        "zx": np.uint8(128),
        "sy": np.float32(0.02),
        "zy": np.uint8(0),
    }


def test_integers_are_read_and_written_by_the_convolution_between_them():
    network = read_graph(graph(QUANTIZED, quantized()), 8)
    pixels, only = (layer for layer in network.layers[:2])
    assert pixels.operation.target.quantization == Quantization(pytest.approx(0.05), 128)
    assert only.operation.source.quantization == pixels.operation.target.quantization
    assert only.operation.target.quantization == Quantization(pytest.approx(0.02), 0)
    assert only.operation.bounds == RELU
    assert only.weights["weight"].dtype == np.int8
    np.testing.assert_array_equal(only.weights["scale"], quantized()["sw"])


def test_integer_weights_of_float_activations_are_restored():
    body = "k = DequantizeLinear <axis = 0> (w, sw, zw) y = Conv (x, k)"
    given = quantized()
    network = read_graph(graph(body, given), 8)
    wanted = given["w"] * given["sw"][:, None, None, None]
    np.testing.assert_allclose(network.layers[0].weights["weight"][:, :, 0], wanted)
    assert "scale" not in network.layers[0].weights


def test_weights_with_zero_points_are_restored():
    body = "k = DequantizeLinear <axis = 0> (w, sw, zw) y = Conv (x, k)"
    assert agrees(graph(body, {**quantized(), "zw": np.full(8, 3, np.int8)}))


def test_every_input_of_a_layer_is_there_when_it_runs():
    body = (
        f"{STEM} d = Conv (c, v) s = {SHIFT} (d) e = Conv (s, v) f = Add (e, d) g = Tanh (f) y = Mul (g, c)"
    )
    network = read_graph(graph(body, W), 8)
    there = {network.input}
    for layer in network.layers:
        assert set(layer.inputs) <= there
        assert len(layer.inputs) <= len(sources_of(layer.operation))
        there.add(layer.output)
    assert network.output in there
    assert set(network.activations) == there


def test_an_operation_of_an_unknown_domain_is_named():
    model = graph(STEM + " y = Relu (c)", W)
    model.graph[-1].domain = "com.example"
    with pytest.raises(TargetError, match=r"com\.example::Relu"):
        read_graph(model, 8)


def test_a_shape_that_is_not_static_is_named():
    model = graph(STEM + " y = Relu (c)", W)
    node = next(node for node in model.graph if node.op_type == "Conv")
    node.outputs[0].shape = ir.Shape(["batch", 8, 5, 6])
    with pytest.raises(TargetError, match="batch"):
        read_graph(model, 8)


def test_the_input_is_clips_of_bytes():
    model = graph("y = Relu (x)")
    model.graph.inputs[0].dtype = ir.DataType.FLOAT
    with pytest.raises(TargetError, match="uint8"):
        read_graph(model, 8)
