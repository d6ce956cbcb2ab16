import numpy as np
import onnx_ir as ir
import pytest
from onnx_ir import tape

from edgevid.graph.integer_shifts import shift_integers
from edgevid.graph.shift_op import OPSET, attach_functions, spec_attributes, zero_point_of
from edgevid.shift import Move, ShiftSpec
from edgevid.targets.onnxruntime import evaluate

SPEC = ShiftSpec(3, (Move(0, 2, 1),))
SHAPE = [3, 4, 6, 6]


def graph(zero=0, dtype=np.uint8, pool=True, scales=1, watched=False):
    """Q, DQ, a maximum if wanted, a shift and a sum of both."""
    steps, constants = tape.Tape(), []
    x = ir.Value(name="x", type=ir.TensorType(ir.DataType.FLOAT), shape=ir.Shape(SHAPE))

    def constant(array):
        name = f"constant{len(constants)}"
        tensor = ir.tensor(array, name=name)
        constants.append(
            ir.Value(name=name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=tensor.shape)
        )
        return constants[-1]

    def op(kind, inputs, shape, dtype=ir.DataType.FLOAT, domain="", **attributes):
        value = steps.op(kind, inputs, attributes, domain=domain, name=f"{kind}{len(steps.nodes)}")
        value.name, value.type = f"value{len(steps.nodes)}", ir.TensorType(dtype)
        value.shape = ir.Shape(shape)
        return value

    scale = constant(np.full(scales, 0.05, np.float32) if scales > 1 else np.array(0.05, np.float32))
    zero = constant(np.full(scales, zero, dtype) if scales > 1 else np.array(zero, dtype))
    axis = {"axis": 1} if scales > 1 else {}
    kind = ir.DataType.UINT8 if dtype is np.uint8 else ir.DataType.INT8
    y = op("QuantizeLinear", [x, scale, zero], SHAPE, kind, **axis)
    y = op("DequantizeLinear", [y, scale, zero], SHAPE, **axis)
    small = SHAPE
    if pool:
        small = [3, 4, 3, 3]
        y = op("MaxPool", [y], small, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    moved = op("Shift", [y], small, domain="edgevid", **spec_attributes(SPEC))
    both = op("Add", [y, moved], small)
    opsets = {"": OPSET, "edgevid": 1}
    outputs = [both, y] if watched else [both]
    model = ir.Model(
        ir.Graph([x], outputs, nodes=steps.nodes, initializers=constants, opset_imports=opsets, name="g"),
        ir_version=10,
    )
    attach_functions(model)
    return model


def run(model):
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32) * 3
    return evaluate(model, {"x": x})


def shifted_type(model):
    (shift,) = [node for node in model.graph if node.op_type == "Shift"]
    return shift.inputs[0].dtype


@pytest.mark.parametrize("pool", [False, True])
@pytest.mark.parametrize(("zero", "dtype"), [(0, np.uint8), (128, np.uint8), (0, np.int8)])
def test_what_is_shifted_are_bytes_and_the_answer_is_the_same_to_the_bit(pool, zero, dtype):
    model = graph(zero, dtype, pool)
    wanted = run(model)
    shift_integers(model)
    np.testing.assert_array_equal(run(model), wanted)
    assert shifted_type(model) == (ir.DataType.UINT8 if dtype is np.uint8 else ir.DataType.INT8)
    (shift,) = [node for node in model.graph if node.op_type == "Shift"]
    assert zero_point_of(shift) == zero


def test_bytes_of_several_scales_are_left_alone():
    model = graph(scales=4)
    wanted = run(model)
    shift_integers(model)
    np.testing.assert_array_equal(run(model), wanted)
    assert shifted_type(model) == ir.DataType.FLOAT


def test_a_maximum_that_is_returned_too_stays_what_it_was():
    model = graph(watched=True)
    wanted = run(model)
    shift_integers(model)
    for found, before in zip(run(model), wanted, strict=True):
        np.testing.assert_array_equal(found, before)
