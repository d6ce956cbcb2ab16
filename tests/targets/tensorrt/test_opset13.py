import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typed_graphs import BACKBONES, canonical, clips, integer, lowered, parsed, run

from edgevid.errors import GraphError
from edgevid.graph.lower import LOWERINGS, lower
from edgevid.graph.verify import compare
from edgevid.targets.tensorrt.opset13 import as_opset13

BOTH = pytest.mark.parametrize("backbone", BACKBONES)


def checked(model):
    """In opset 13, as onnx's own checker sees it too."""
    rewritten = as_opset13(model)
    onnx.checker.check_model(ir.to_proto(rewritten), full_check=True)
    return rewritten


@BOTH
@pytest.mark.parametrize("batch", [1, 2])
def test_a_network_in_opset_13_computes_the_same(backbone, batch):
    rewritten = checked(lowered(backbone, batch))
    given_clips = clips(batch)
    expected = run(canonical(backbone, batch), given_clips)
    assert compare(expected, run(rewritten, given_clips.astype(np.float32))).max_relative <= 1e-4


@BOTH
def test_an_int8_network_keeps_its_pairs_and_its_numbers(backbone):
    rewritten = checked(integer(backbone))
    pairs = [[n.op_type for n in g.graph].count("QuantizeLinear") for g in (integer(backbone), rewritten)]
    assert pairs[0] == pairs[1] > 5
    assert np.array_equal(run(integer(backbone), clips()), run(rewritten, clips().astype(np.float32)))


@pytest.mark.parametrize("name", LOWERINGS)
def test_every_lowering_has_a_form_in_opset_13(name):
    rewritten = checked(lower(canonical(), name))
    assert compare(run(canonical(), clips()), run(rewritten, clips().astype(np.float32))).max_relative <= 1e-4


def test_it_is_what_tensorrt_8_reads():
    rewritten = as_opset13(lowered())
    assert dict(rewritten.opset_imports) == {"": 13}
    assert rewritten.ir_version == 7
    assert not rewritten.functions
    values = [*rewritten.graph.inputs, *(v for node in rewritten.graph for v in node.outputs)]
    assert ir.DataType.UINT8 not in {value.dtype for value in values}
    assert all(value.shape.is_static() for value in values)
    assert [value.dtype for value in rewritten.graph.inputs] == [ir.DataType.FLOAT]


def test_the_given_graph_is_left_alone():
    before = ir.to_proto(lowered()).SerializeToString()
    as_opset13(lowered())
    assert ir.to_proto(lowered()).SerializeToString() == before


def test_a_graph_that_is_not_lowered_is_refused():
    with pytest.raises(GraphError, match="local functions") as caught:
        as_opset13(canonical())
    assert "lower" in caught.value.fix


@pytest.mark.parametrize("axes", [[2, 3], [-1], [0, 1, 2, 3]])
@pytest.mark.parametrize("kind", ["ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2", "ReduceProd"])
def test_axes_become_an_attribute(kind, axes):
    model = parsed(f"(float[2, 3, 4, 5] x) => (float y) {{ y = {kind} <keepdims = 0> (x, axes) }}", axes=axes)
    rewritten = checked(model)
    (node,) = rewritten.graph
    assert len(node.inputs) == 1
    assert list(node.attributes["axes"].as_ints()) == axes
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5)).astype(np.float32)
    assert np.allclose(run(model, x), run(rewritten, x))


def test_a_reduction_over_everything_needs_no_axes():
    model = parsed("(float[2, 3] x) => (float y) { y = ReduceMean <keepdims = 0> (x) }")
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert run(checked(model), x) == 2.5


def test_a_split_by_number_gets_its_sizes():
    model = parsed(
        "(float[2, 7] x) => (float[2, 4] a, float[2, 3] b) { a, b = Split <axis = 1, num_outputs = 2> (x) }"
    )
    rewritten = checked(model)
    (node,) = rewritten.graph
    assert node.inputs[1].const_value.numpy().tolist() == [4, 3]
    assert "num_outputs" not in node.attributes


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.data())
def test_pads_of_some_axes_become_pads_of_all(data):
    axes = data.draw(
        st.lists(st.sampled_from([0, 1, 2, -1, -2]), min_size=1, max_size=2, unique_by=lambda a: a % 3)
    )
    pads = data.draw(st.lists(st.integers(-1, 2), min_size=2 * len(axes), max_size=2 * len(axes)))
    model = parsed(
        "(float[4, 5, 6] x) => (float y) { y = Pad (x, pads, value, axes) }",
        pads=pads,
        axes=axes,
        value=np.float32(1.5),
    )
    x = np.random.default_rng(0).standard_normal((4, 5, 6)).astype(np.float32)
    assert np.array_equal(run(model, x), run(checked(model), x))


def test_hard_swish_is_written_out():
    model = parsed("(float[2, 30] x) => (float[2, 30] y) { y = HardSwish (x) }")
    x = np.linspace(-5, 5, 60, dtype=np.float32).reshape(2, 30)
    rewritten = checked(model)
    assert [node.op_type for node in rewritten.graph] == ["HardSigmoid", "Mul"]
    assert np.allclose(run(model, x), run(rewritten, x), atol=1e-6)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("(float[2, 3] x) => (float[2, 3] y) { y = Gelu (x) }", "no onnx::Gelu"),
        (
            "(float[2, 3] x) => (float[2, 3] y) { y = LayerNormalization (x, s) }",
            "no onnx::LayerNormalization",
        ),
        ("(float[2, 3] x) => (int64[1] y) { y = Shape <start = 1> (x) }", "has no start"),
        (
            "(float[2, 3] x, int64[2] n) => (float y) { y = Reshape <allowzero = 1> (x, n) }",
            "from data",
        ),
        ("(float[2, 3] x, int64[1] n) => (float y) { y = ReduceMean (x, n) }", "from data"),
        (
            "(float[2, 3, 4, 4] x) => (float y) "
            "{ y = AveragePool <kernel_shape = [2, 2], dilations = [2, 2]> (x) }",
            "dilations",
        ),
        ("(uint8[2, 3] x) => (uint8[2, 3] y) { y = Max (x, x) }", "Max reads uint8"),
        ("(bfloat16[2, 3] x) => (bfloat16[2, 3] y) { y = Softsign (x) }", "takes no bfloat16"),
    ],
)
def test_what_has_no_form_in_opset_13_is_refused_by_name(text, told):
    opset = 22 if "bfloat16" in text else 20
    constants = {"s": np.ones(3, np.float32)} if "(x, s)" in text else {}
    with pytest.raises(GraphError) as caught:
        as_opset13(parsed(text, opset, **constants))
    assert told in caught.value.what


def test_an_operation_of_another_domain_is_refused_by_name():
    model = parsed("(float[2, 3] x) => (float[2, 3] y) { y = Relu (x) }")
    next(iter(model.graph)).domain = "com.example"
    with pytest.raises(GraphError, match=r"no com\.example::Relu"):
        as_opset13(model)


def test_a_symbolic_shape_is_refused():
    model = parsed("(float[N, 3] x) => (float[N, 3] y) { y = Relu (x) }")
    with pytest.raises(GraphError, match="not static"):
        as_opset13(model)
