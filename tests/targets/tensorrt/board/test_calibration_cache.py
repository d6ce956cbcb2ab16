"""From an int8 graph to a float graph and the calibration cache of TensorRT 8 to 10."""

import struct

import numpy as np
import onnx_ir as ir
import pytest
from onnx_ir import tape

from edgevid.errors import GraphError
from edgevid.targets.onnxruntime import evaluate
from edgevid.targets.tensorrt.board.calibration_cache import as_float_and_ranges, version_number, write_cache

STEP, WEIGHT_STEPS = 0.05, np.array([0.01, 0.02], np.float32)


def constant(graph, name, array):
    array = np.asarray(array)
    tensor = ir.tensor(array, name=name)
    value = ir.Value(
        name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(array.shape)
    )
    graph.register_initializer(value)
    return value


def quantized(zero=0, weights=None, chained=False):
    """x → Relu → (Q/DQ) → Conv → y, weights as bytes; ``chained`` puts an operation on bytes between."""
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([1, 3, 4, 4]))
    graph = ir.Graph([x], [], nodes=[], opset_imports={"": 13}, name="small")
    steps = tape.Tape()
    relu = steps.op("Relu", [x], name="relu")
    relu.name = "relu.out"
    scale, origin = constant(graph, "step", np.float32(STEP)), constant(graph, "zero", np.int8(zero))
    numbers = steps.op("QuantizeLinear", [relu, scale, origin], name="q")
    if chained:
        numbers = steps.op("Relu", [numbers], name="relu_of_bytes")
    restored = steps.op("DequantizeLinear", [numbers, scale, origin], name="dq")
    if weights is None:
        drawn = np.random.default_rng(0).integers(-127, 128, (2, 3, 1, 1)).astype(np.int8)
        weights = constant(graph, "w.bytes", drawn)
    else:
        floats = constant(graph, "w", weights)
        weights = steps.op(
            "QuantizeLinear",
            [
                floats,
                constant(graph, "w.step", WEIGHT_STEPS),
                constant(graph, "w.zero", np.zeros(2, np.int8)),
            ],
            {"axis": 0},
        )
    kernel = steps.op(
        "DequantizeLinear",
        [weights, constant(graph, "w.steps", WEIGHT_STEPS), constant(graph, "w.zeros", np.zeros(2, np.int8))],
        {"axis": 0},
        name="dqw",
    )
    y = steps.op("Conv", [restored, kernel], name="conv")
    y.name, y.type, y.shape = "y", ir.TensorType(ir.DataType.FLOAT), ir.Shape([1, 2, 4, 4])
    graph.extend(steps.nodes)
    graph.outputs.append(y)
    return ir.Model(graph, ir_version=7)


def on_steps(shape=(1, 3, 4, 4)):
    """Clips that int8 rounds to themselves."""
    return (np.random.default_rng(1).integers(-100, 100, shape) * np.float32(STEP)).astype(np.float32)


def test_weights_become_the_floats_that_the_bytes_stood_for():
    graph = quantized()
    floats, _ = as_float_and_ranges(graph)
    assert {node.op_type for node in floats.graph} == {"Relu", "Conv"}
    feeds = {"x": on_steps()}
    np.testing.assert_allclose(evaluate(floats, feeds)[0], evaluate(graph, feeds)[0], rtol=1e-5, atol=1e-6)


def test_weights_that_are_rounded_in_the_graph_are_rounded():
    weights = np.random.default_rng(2).uniform(-1, 1, (2, 3, 1, 1)).astype(np.float32)
    graph = quantized(weights=weights)
    floats, steps = as_float_and_ranges(graph)
    feeds = {"x": on_steps()}
    np.testing.assert_allclose(evaluate(floats, feeds)[0], evaluate(graph, feeds)[0], rtol=1e-5, atol=1e-6)
    assert "w" not in steps


def test_a_tensor_that_values_are_moved_or_cut_from_has_the_same_step():
    _, steps = as_float_and_ranges(quantized())
    assert steps == {"relu.out": pytest.approx(STEP), "x": pytest.approx(STEP)}


def test_the_graph_that_is_given_is_left_alone():
    graph = quantized()
    before = [node.op_type for node in graph.graph]
    as_float_and_ranges(graph)
    assert [node.op_type for node in graph.graph] == before


def test_a_zero_point_is_refused_by_name():
    with pytest.raises(GraphError, match="zero point is not 0"):
        as_float_and_ranges(quantized(zero=3))


def test_an_operation_on_bytes_is_refused_by_name():
    with pytest.raises(GraphError, match="Relu is computed with bytes"):
        as_float_and_ranges(quantized(chained=True))


def test_a_cache_is_written_as_nvidias_sample_shows_it(tmp_path):
    # The step of 1/127 is the first line of NVIDIA's sampleINT8: "data: 3c008912".
    write_cache(tmp_path / "cache", {"data": struct.unpack(">f", bytes.fromhex("3c008912"))[0]}, "8.2.1")
    assert (tmp_path / "cache").read_text() == "TRT-8201-EntropyCalibration2\ndata: 3c008912\n"


@pytest.mark.parametrize(
    ("version", "number"), [("8.2.1", 8201), ("8.6.2", 8602), ("10.3.0", 100300), ("10.16", 101600)]
)
def test_versions_are_numbered_as_nvidia_does(version, number):
    assert version_number(version) == number
