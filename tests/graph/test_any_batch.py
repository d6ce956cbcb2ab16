import numpy as np
import onnx
import onnx_ir as ir
import pytest
from shift_graphs import exported, frames_and_logits, run_onnx

from edgevid.errors import GraphError
from edgevid.graph.any_batch import with_any_batch
from edgevid.graph.lower import lower
from edgevid.graph.shift_op import OPSET, shift_nodes


def graph(text, batch, **constants):
    """A graph of ``batch`` clips written as text, in which ``B`` is the batch; shapes are inferred."""
    text = text.replace("B", str(batch))
    proto = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["": {OPSET}]> small {text}')
    for name, array in constants.items():
        proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(array), name))
    for value in proto.graph.output:
        value.type.tensor_type.ClearField("shape")
    model = ir.serde.deserialize_model(onnx.shape_inference.infer_shapes(proto, data_prop=True))
    for number, node in enumerate(model.graph):
        node.name = node.name or f"{node.op_type}{number}"
    return model


def joined(text, *, other=None, batches=(2, 3), **constants):
    """The graphs of two batches as one; ``constants`` are functions of the batch."""
    one, two = (
        graph(written, batch, **{name: array(batch) for name, array in constants.items()})
        for written, batch in zip((text, other or text), batches, strict=True)
    )
    return with_any_batch(one, two)


@pytest.mark.parametrize("backbone", [pytest.param("resnet18", marks=pytest.mark.slow), "mobilenet_v2"])
def test_it_computes_for_every_batch_what_pytorch_does(backbone):
    one = lower(with_any_batch(exported(backbone, 1), exported(backbone, 4)), "slice_concat")
    for batch in (1, 2, 3):
        frames, logits = frames_and_logits(backbone, batch)
        np.testing.assert_allclose(run_onnx(one, frames), logits, rtol=1e-4, atol=1e-4)


def test_axes_that_grow_are_multiples_of_n_and_no_others():
    changed = with_any_batch(exported("resnet18", 1), exported("resnet18", 4))
    shape = changed.graph.inputs[0].shape
    assert str(shape[0]) == "N"
    assert all(isinstance(size, int) for size in shape[1:])
    for node in shift_nodes(changed):
        assert str(node.inputs[0].shape[0]) == f"{shape[1]}*N"
    assert str(changed.graph.outputs[0].shape[0]) == "N"


def test_names_are_those_of_the_single_batch_and_that_stays_as_it_was():
    before = ir.to_proto(exported("resnet18", 1)).SerializeToString()
    changed = with_any_batch(exported("resnet18", 1), exported("resnet18", 4))
    assert [node.name for node in changed.graph] == [node.name for node in exported("resnet18", 1).graph]
    assert [node.outputs[0].name for node in changed.graph] == [
        node.outputs[0].name for node in exported("resnet18", 1).graph
    ]
    assert ir.to_proto(exported("resnet18", 1)).SerializeToString() == before


RESHAPED = "(float[B, 4, 6] x) => (float[C, 6] y) { y = Reshape (x, sizes) }"


def test_a_reshape_takes_its_first_axis_from_what_it_is_given():
    texts = [RESHAPED.replace("C", str(4 * batch)) for batch in (2, 3)]
    changed = joined(texts[0], other=texts[1], sizes=lambda batch: np.array([4 * batch, 6]))
    (node,) = changed.graph
    assert node.inputs[1].const_value.numpy().tolist() == [-1, 6]


def test_a_constant_serves_two_operations_of_which_one_grows():
    text = "(float[B, 4] x, float[2, 4] z) => (float y, float w) { y = Reshape (x, a) w = Reshape (z, b) }"
    changed = joined(text, a=lambda batch: np.array([batch, 4]), b=lambda _: np.array([2, 4]))
    assert [node.inputs[1].const_value.numpy().tolist() for node in changed.graph] == [[-1, 4], [2, 4]]


@pytest.mark.parametrize(
    ("text", "other", "constants", "told"),
    [
        ("y = Relu (x)", "y = Exp (x)", {}, "Relu and Exp"),
        ("y = LeakyRelu <alpha = 0.1> (x)", "y = LeakyRelu <alpha = 0.2> (x)", {}, "LeakyRelu and LeakyRelu"),
        ("y = Mul (x, c)", None, {"c": lambda batch: np.float32(batch)}, "input 1 of Mul"),
        ("a = Exp (x) b = Relu (x) y = Sub (a, b)", "a = Exp (x) b = Relu (x) y = Sub (b, a)", {}, "of Sub"),
        ("y = Expand (x, c)", None, {"c": lambda batch: np.array([batch, 4])}, "input 1 of Expand"),
        ("y = Reshape (x, c)", None, {"c": lambda batch: np.array([4, batch])}, "the shape of y"),
        ("y = Concat <axis = 0> (x, c)", None, {"c": lambda _: np.zeros((1, 4), np.float32)}, "of y"),
        ("y = Relu (x)", "a = Relu (x) y = Relu (a)", {}, "1 and 2 operations"),
        ("a = Relu (x) y = Relu (x)", "y = Relu (x) a = Relu (x)", {}, "the output y"),
    ],
)
def test_what_differs_otherwise_is_refused_and_named(text, other, constants, told):
    head = "(float[B, 4] x) => (float y)"
    with pytest.raises(GraphError, match=told) as refused:
        joined(f"{head} {{ {text} }}", other=f"{head} {{ {other or text} }}", **constants)
    assert "each batch" in refused.value.fix
