import numpy as np
import onnx
import onnx_ir as ir
import pytest
from typed_graphs import BACKBONES, canonical, clips, integer, lowered, parsed, run

from edgevid.errors import GraphError
from edgevid.graph.verify import compare
from edgevid.targets.tensorrt.half import as_half, float_nodes

BOTH = pytest.mark.parametrize("backbone", BACKBONES)
HALF = ir.DataType.FLOAT16


def checked(model, **options):
    """In float16, as onnx's own checker sees it too."""
    halved = as_half(model, **options)
    onnx.checker.check_model(ir.to_proto(halved), full_check=True)
    return halved


def node_of(model, kind):
    (found,) = (node for node in model.graph if node.op_type == kind)
    return found


@BOTH
@pytest.mark.parametrize("batch", [1, 2])
def test_a_network_in_float16_computes_nearly_the_same(backbone, batch):
    expected = run(canonical(backbone, batch), clips(batch))
    difference = compare(expected, run(checked(lowered(backbone, batch)), clips(batch)))
    assert 0 < difference.max_relative <= 2e-2


@BOTH
def test_every_layer_computes_in_float16(backbone):
    for node in as_half(lowered(backbone)).graph:
        if node.op_type in ("Conv", "Gemm"):
            assert {value.dtype for value in (*node.inputs, *node.outputs)} == {HALF}


@BOTH
def test_shifts_move_float16(backbone):
    moved = [node for node in as_half(lowered(backbone)).graph if node.op_type in ("Slice", "Concat")]
    assert moved
    assert {value.dtype for node in moved for value in node.outputs} == {HALF}


def test_inputs_and_outputs_keep_their_names_types_and_shapes():
    before, after = lowered(), as_half(lowered())
    for old, new in zip(
        (*before.graph.inputs, *before.graph.outputs),
        (*after.graph.inputs, *after.graph.outputs),
        strict=True,
    ):
        assert (old.name, old.dtype, old.shape) == (new.name, new.dtype, new.shape)


def test_pixels_are_normalized_in_float32():
    kept = float_nodes(lowered())
    first = [name for name, why in kept.items() if why == "before the first layer"]
    assert {"normalization.cast", "normalization.center", "normalization.scale"} <= set(first)
    nodes = {node.name: node for node in as_half(lowered()).graph}
    assert nodes["normalization.scale"].outputs[0].dtype == ir.DataType.FLOAT


def test_weights_are_stored_in_float16_alone():
    weights = [value.const_value for value in as_half(lowered()).graph.initializers.values()]
    large = {tensor.dtype for tensor in weights if tensor.size > 100}
    assert large == {HALF}
    count = sum(tensor.nbytes for tensor in weights)
    assert count < 0.55 * sum(v.const_value.nbytes for v in lowered().graph.initializers.values())


def test_an_int8_network_has_float16_where_it_has_no_bytes():
    halved = checked(integer())
    for node in halved.graph:
        if node.op_type == "Conv":
            assert {value.dtype for value in node.inputs} == {HALF}
    difference = compare(run(integer(), clips()), run(halved, clips()))
    assert difference.sqnr > 20


def test_the_given_graph_is_left_alone():
    before = ir.to_proto(lowered()).SerializeToString()
    as_half(lowered())
    assert ir.to_proto(lowered()).SerializeToString() == before


GATED = """(float[1, 4, 8, 8] x) => (float y) {
    a = Conv (x, w)
    g = Sigmoid (a)
    b = Mul (a, g)
    y = Conv (b, w)
}"""
WEIGHT = np.random.default_rng(0).standard_normal((4, 4, 1, 1)).astype(np.float32)


def test_a_gate_between_layers_stays_in_float32_with_casts_around_it():
    model = parsed(GATED, w=WEIGHT)
    node_of(model, "Sigmoid").name = "gate"
    assert float_nodes(model) == {"gate": "a gate or softmax"}
    halved = checked(model)
    gate = node_of(halved, "Sigmoid")
    assert gate.inputs[0].producer().op_type == "Cast"
    assert [use.node.op_type for use in gate.outputs[0].uses()] == ["Cast"]
    assert node_of(halved, "Mul").outputs[0].dtype == HALF
    x = np.random.default_rng(1).standard_normal((1, 4, 8, 8)).astype(np.float32)
    assert compare(run(model, x), run(halved, x)).max_relative <= 2e-2


def test_an_operation_that_is_named_stays_in_float32():
    model = parsed(GATED, w=WEIGHT)
    for number, node in enumerate(model.graph):
        node.name = f"n{number}"
    halved = as_half(model, keep=["n2"])
    assert node_of(halved, "Mul").outputs[0].dtype == ir.DataType.FLOAT
    with pytest.raises(GraphError, match="no operations of these names: n9"):
        as_half(model, keep=["n9"])


@pytest.mark.parametrize(("side", "kept"), [(32, False), (64, True)])
def test_a_mean_over_a_large_window_stays_in_float32(side, kept):
    model = parsed(
        f"(float[1, 4, {side}, {side}] x) => (float y) "
        "{ a = Conv (x, w) b = GlobalAveragePool (a) y = Conv (b, w) }",
        w=WEIGHT,
    )
    node_of(model, "GlobalAveragePool").name = "mean"
    assert ("mean" in float_nodes(model)) is kept


def test_a_constant_that_is_filled_in_is_float16():
    model = parsed(
        "(float[1, 4, 8, 8] x) => (float y) "
        "{ a = Conv (x, w) z = ConstantOfShape (s) b = Concat <axis = 1> (a, z) y = Conv (b, v) }",
        w=WEIGHT,
        v=np.ones((2, 8, 1, 1), np.float32),
        s=np.array([1, 4, 8, 8]),
    )
    halved = checked(model)
    assert node_of(halved, "ConstantOfShape").outputs[0].dtype == HALF


@pytest.mark.parametrize("number", [7e4, -7e4, np.inf, np.nan])
def test_a_weight_beyond_float16_is_refused_by_the_name_of_its_layer(number):
    model = parsed(
        "(float[1, 4, 8, 8] x) => (float y) { y = Conv (x, w) }",
        w=np.where(WEIGHT.max() == WEIGHT, number, WEIGHT).astype(np.float32),
    )
    node_of(model, "Conv").name = "layer1.conv"
    with pytest.raises(GraphError, match="float16 ends at 65504") as caught:
        as_half(model)
    assert caught.value.where == "layer1.conv"
    assert "fp32" in caught.value.fix


def test_an_operation_with_a_graph_of_its_own_is_refused():
    model = parsed(
        "(float[2] x, bool c) => (float y) { y = If (c) "
        "<then_branch = a () => (float[2] t) { t = Identity (x) },"
        " else_branch = b () => (float[2] e) { e = Neg (x) }> }"
    )
    with pytest.raises(GraphError, match="If holds a graph of its own"):
        as_half(model)


def test_the_scale_of_a_dead_channel_does_not_become_0():
    model = parsed(
        "(float[1, 4, 8, 8] x) => (float y) { d = DequantizeLinear <axis = 0> (q, s) y = Conv (x, d) }",
        q=np.ones((4, 4, 1, 1), np.int8),
        s=np.array([1e-9, 1e-3, 1e-3, 1e-3], np.float32),
    )
    scale = node_of(checked(model), "DequantizeLinear").inputs[1].const_value.numpy()
    assert (scale > 0).all()
    assert scale.dtype == np.float16


@pytest.mark.parametrize("first", ["2", "N"])
def test_a_mean_over_many_elements_stays_in_float32_in_any_batch(first):
    text = f"(float[{first}, 4, 64, 64] x, float[4, 4, 1, 1] w) => (float y)"
    text += " { a = Conv (x, w) b = ReduceMean (a, axes) y = Conv (b, w) }"
    model = parsed(text, axes=np.array([2, 3]))
    assert "a mean over 4096 elements" in float_nodes(model).values()


def test_a_cache_is_float16_also_where_what_it_keeps_is_computed_in_float32():
    model = parsed(
        """(float[1, 4, 8, 8] x, float[1, 4, 8, 8] c) => (float y, float[1, 4, 8, 8] n) {
            a = Conv (x, w)
            g = Sigmoid (a)
            n = Identity (g)
            b = Mul (a, c)
            y = Conv (b, w)
        }""",
        w=WEIGHT,
    )
    node_of(model, "Sigmoid").name = "gate"
    halved = checked(model)
    (_, cache), (logits, following) = halved.graph.inputs, halved.graph.outputs
    assert (cache.dtype, following.dtype, logits.dtype) == (HALF, HALF, ir.DataType.FLOAT)
    assert (cache.name, following.name) == ("c", "n")
    direct = parsed(
        "(float[1, 4, 8, 8] x, float[1, 4, 8, 8] c) => (float y, float[1, 4, 8, 8] n) "
        "{ a = Conv (x, w) n = Sigmoid (a) b = Mul (n, c) y = Conv (b, w) }",
        w=WEIGHT,
    )
    assert checked(direct).graph.outputs[1].dtype == HALF
