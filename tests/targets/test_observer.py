import numpy as np
import onnx_ir as ir
import pytest

from edgevid.errors import TargetError
from edgevid.targets.onnxruntime import observer


def sum_and_product(broken=False):
    x, y = (ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape([2])) for name in "xy")
    nodes = [ir.node("Nothing" if broken else "Add", [x, y]), ir.node("Mul", [x, y])]
    for node, name in zip(nodes, ("sum", "product"), strict=True):
        node.outputs[0].name, node.outputs[0].type = name, ir.TensorType(ir.DataType.FLOAT)
    outputs = [node.outputs[0] for node in nodes]
    return ir.Model(ir.Graph([x, y], outputs, nodes=nodes, opset_imports={"": 20}, name="g"), ir_version=10)


def test_all_outputs_come_in_their_order_call_after_call():
    run = observer(sum_and_product(), threads=1)
    for number in (1.0, 2.0):
        x, y = np.array([number, 3], np.float32), np.array([4, 5], np.float32)
        total, product = run({"x": x, "y": y})
        np.testing.assert_array_equal(total, x + y)
        np.testing.assert_array_equal(product, x * y)


def test_a_graph_that_is_refused_and_inputs_that_do_not_fit_are_errors_of_the_target():
    with pytest.raises(TargetError, match="refuses"):
        observer(sum_and_product(broken=True))
    with pytest.raises(TargetError, match="fails"):
        observer(sum_and_product())({"x": np.zeros(2, np.float32)})
