import numpy as np
import onnx_ir as ir
import pytest

from edgevid.calibration.rounded import rounded_to_bf16
from edgevid.targets.onnxruntime import evaluate

pytest.importorskip("onnxruntime")
ml_dtypes = pytest.importorskip("ml_dtypes")


def a_dense_layer():
    """``y = relu(x @ w + b)``, float32."""
    random = np.random.default_rng(0)
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([2, 5]))
    constants = []
    for name, shape in (("w", (5, 3)), ("b", (3,))):
        tensor = ir.tensor(random.normal(size=shape).astype(np.float32), name=name)
        constants.append(
            ir.Value(name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=tensor.shape)
        )
    product = ir.node("MatMul", [x, constants[0]], name="product")
    total = ir.node("Add", [product.outputs[0], constants[1]], name="total")
    last = ir.node("Relu", total.outputs, name="last")
    for node in (product, total, last):
        (output,) = node.outputs
        output.name, output.type, output.shape = node.name, x.type, ir.Shape([2, 3])
    graph = ir.Graph(
        [x], last.outputs, nodes=[product, total, last], initializers=constants, opset_imports={"": 20}
    )
    return ir.Model(graph, ir_version=10), constants[0].const_value.numpy(), constants[1].const_value.numpy()


def bf16(values):
    return values.astype(ml_dtypes.bfloat16).astype(np.float32)


def test_results_and_weights_are_rounded_and_sums_are_not():
    model, weight, bias = a_dense_layer()
    x = np.random.default_rng(3).normal(size=(2, 5)).astype(np.float32)
    (found,) = evaluate(rounded_to_bf16(model), {"x": x})
    expected = np.maximum(bf16(bf16(x @ bf16(weight)) + bias), 0)
    np.testing.assert_array_equal(found, expected)
    (exact,) = evaluate(model, {"x": x})
    np.testing.assert_array_equal(exact, np.maximum(x @ weight + bias, 0))
    assert (found != exact).any()
