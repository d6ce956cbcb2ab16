"""Every rule that is no table: a graph that breaks it, and what is said of it."""

import ast
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from lint_graphs import VERSIONS, constant, found, ints, model, node, value

from edgevid.errors import TargetError
from edgevid.targets.tensorrt import lint as package
from edgevid.targets.tensorrt.boards import BOARDS
from edgevid.targets.tensorrt.lint import lint
from edgevid.targets.tensorrt.lint.release import release

TX2 = BOARDS["jetson-tx2"]
FLOAT = ir.DataType.FLOAT


def relu(*, version="8.2", **changes):
    return model([node("Relu", [value("x")])], version=version, **changes)


def kinds(*pairs):
    return [pytest.param(*pair, id=f"{pair[0]}-{number}") for number, pair in enumerate(pairs)]


def function_call(kind="Relu", domain="", given=FLOAT):
    x = ir.Value(name="x")
    inner = ir.node(kind, [x], domain=domain, num_outputs=1, name="inside")
    body = ir.Graph([x], [inner.outputs[0]], nodes=[inner], opset_imports={"": 13}, name="body")
    function = ir.Function("mine", "Shift", "", graph=body, attributes=[])
    return model([node("Shift", [value("x", kind=given)], domain="mine")], functions=[function])


def branch():
    then = node("Relu", [value("y")], name="then")
    graph = ir.Graph([], [then.outputs[0]], nodes=[then], opset_imports={"": 13}, name="then")
    other = node("Relu", [value("z")], name="else")
    alternative = ir.Graph([], [other.outputs[0]], nodes=[other], opset_imports={"": 13}, name="else")
    flag = value("flag", (), ir.DataType.BOOL)
    return model([node("If", [flag], {"then_branch": graph, "else_branch": alternative})])


def quantized(kind=np.int8, zero=0, scale=0.1, *, output=None, attributes=None):
    """An activation through QuantizeLinear and DequantizeLinear."""
    scales = constant("scale", np.asarray(scale, np.float32))
    zeros = constant("zero", np.full(np.shape(scale), zero, kind))
    q = node("QuantizeLinear", [value("x"), scales, zeros], attributes, name="q")
    q.outputs[0].type = ir.TensorType(output or ir.DataType.from_numpy(np.dtype(kind)))
    return model([q, node("DequantizeLinear", [q.outputs[0], scales, zeros], attributes, name="dq")])


def quantized_bias():
    bias = constant("bias", np.arange(4, dtype=np.int32))
    dq = node("DequantizeLinear", [bias, constant("scale", np.float32(0.1))], name="bias_dq", shape=(4,))
    conv = node("Conv", [value("x"), constant("w", np.ones((4, 3, 1, 1), np.float32)), dq.outputs[0]])
    return model([dq, conv])


def resized():
    scales = constant("scales", np.ones(2, np.float32))
    return model([node("Resize", [value("x"), None, scales], {"axes": [2, 3]})])


def depthwise():
    weights = constant("w", np.ones((3, 1, 3, 3), np.int8))
    dq = node("DequantizeLinear", [weights, constant("s", np.float32(0.1))], name="w_dq", shape=(3, 1, 3, 3))
    return model([dq, node("Conv", [value("x"), dq.outputs[0]], {"group": 3})])


def padded(*pads, filling=0.0):
    return model([node("Pad", [value("x"), ints("pads", *pads), constant("filling", np.float32(filling))])])


def of(kind):
    return model([node("Relu", [value("x", kind=kind)])])


def folded():
    return model([node("Relu", [constant("c", np.ones((1, 5), np.float32))])], outputs=None)


def huge():
    shape = (64, 64, 4096, 512)
    return model([node("Relu", [value("x", shape)], shape=shape)])


def attributed(kind, attributes):
    return lambda: model([node(kind, [value("x"), value("y")], attributes)])


SEEDS = kinds(
    ("opset", lambda: relu(opset=14), "8.2", None),
    ("opset", lambda: relu(opset=12), "7.1", None),
    ("opset", lambda: relu(opset=6), "11", None),
    ("opset", lambda: relu(opset=99), "RTX", None),
    ("format", lambda: relu(ir_version=8), "8.2", None),
    ("custom-operator", lambda: model([node("Shift", [value("x")], domain="mine")]), "11", None),
    ("custom-operator", lambda: model([node("Gelu", [value("x")], domain="com.microsoft")]), "8.2", None),
    ("function", function_call, "8.5", None),
    ("control-flow", branch, "11", None),
    ("dynamic-shape", lambda: model([node("Relu", [value("x", ("N", 3, 8, 8))])]), "11", None),
    ("dynamic-shape", lambda: model([node("Relu", [value("x", None)])]), "8.2", TX2),
    ("constant-output", folded, "8.2", None),
    ("memory", huge, "8.2", TX2),
    ("data-type", lambda: of(ir.DataType.UINT8), "8.2", None),
    ("data-type", lambda: of(ir.DataType.DOUBLE), "7.1", None),
    ("data-type", lambda: of(ir.DataType.BFLOAT16), "8.5", None),
    ("data-type", lambda: of(ir.DataType.INT16), "11", None),
    ("data-type", lambda: of(ir.DataType.STRING), "11", None),
    ("double", lambda: of(ir.DataType.DOUBLE), "8.2", None),
    ("uint8", lambda: of(ir.DataType.UINT8), "RTX", None),
    ("int64-range", lambda: model([node("Reshape", [value("x"), ints("s", 1 << 40)])]), "8.2", None),
    ("axes", lambda: model([node("Relu", [value("x", (1,) * 9)])]), "11", None),
    ("precision", lambda: model([node("Conv", [value("x"), value("w")])]), "RTX", BOARDS["rtx-20"]),
    ("scatter", lambda: model([node("ScatterND", [value("x")])]), "8.2", TX2),
    ("scatter", lambda: model([node("ScatterElements", [value("x")])]), "8.5", None),
    ("einsum", attributed("Einsum", {"equation": "...i,ij->...j"}), "8.2", None),
    ("einsum", attributed("Einsum", {"equation": "ii,ij->j"}), "8.5", None),
    ("asymmetric-pads", attributed("DeformConv", {"pads": [0, 0, 1, 1]}), "11", None),
    (
        "recurrent",
        attributed("GRU", {"direction": "bidirectional", "activations": ["Sigmoid", "Tanh", "Relu", "Tanh"]}),
        "8.5",
        None,
    ),
    ("int8-hardware", quantized, "8.2", TX2),
    ("zero-point", lambda: quantized(zero=3), "8.2", None),
    ("zero-point", lambda: quantized(np.uint8, 128), "RTX", None),
    ("quantized-type", lambda: quantized(np.uint8), "11", None),
    ("quantized-type", quantized_bias, "RTX", None),
    ("quantized-type", lambda: quantized(output=ir.DataType.FLOAT8E4M3FN), "8.5", None),
    ("scale", lambda: quantized(scale=0.0), "11", None),
    ("per-channel", lambda: quantized(scale=[0.1, 0.2, 0.3]), "8.5", None),
    ("per-channel", lambda: quantized(scale=[0.1, 0.2, 0.3]), "7.1", None),
    ("per-channel", lambda: quantized(scale=[0.1, 0.2, 0.3]), "RTX", None),
    ("resize-axes", resized, "11", None),
    ("padded-axes", lambda: padded(0, 1, 0, 0, 0, 0, 0, 0), "7.1", None),
    ("padded-axes", lambda: padded(0, 1, 1, 1, 0, 0, 0, 0), "8.0", None),
    ("padded-axes", lambda: padded(0, 0, 1, 1, 0, 0, 1, 1, filling=1), "8.0", None),
    ("block-scale", lambda: quantized(scale=[0.1, 0.2], attributes={"block_size": 2}), "8.5", None),
    ("depthwise-int8", depthwise, "RTX", None),
)
GENERATED = {"operator", "element-type", "attribute", "constant-input", "data-dependent", "rank", "output"}
"""Of the tables, tested line by line elsewhere."""


@pytest.mark.parametrize(("rule", "make", "version", "board"), SEEDS)
def test_a_graph_that_breaks_a_rule_is_found(rule, make, version, board):
    wrong = found(make(), version, rule, board)
    assert wrong
    for each in wrong:
        assert each.reason
        assert each.remedy
        assert each.source


def test_every_rule_has_a_seed():
    rules = set()
    for file in Path(package.__file__).parent.glob("check*.py"):
        for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            words = ast.unparse(call.func) if isinstance(call, ast.Call) else ""
            if words in ("error", "warning") or words.startswith("error if"):
                rules.add(call.args[0].value)
    assert rules == {seed.values[0] for seed in SEEDS} | GENERATED


@pytest.mark.parametrize("version", VERSIONS)
def test_a_plain_graph_is_found_nothing_against(version):
    weights = constant("w", np.ones((4, 3, 3, 3), np.float32))
    conv = node("Conv", [value("x"), weights], name="conv", shape=(2, 4, 6, 6))
    relu = node("Relu", [conv.outputs[0]], name="relu", shape=(2, 4, 6, 6))
    starts, ends, axes = ints("starts", 0), ints("ends", 1), ints("axes", 0)
    part = node("Slice", [relu.outputs[0], starts, ends, axes], name="part", shape=(1, 4, 6, 6))
    both = node("Concat", [part.outputs[0], part.outputs[0]], {"axis": 0}, name="both", shape=(2, 4, 6, 6))
    assert found(model([conv, relu, part, both], version=version), version) == []


def test_symmetric_int8_is_taken_where_there_is_hardware():
    for version, board in (("8.5", BOARDS["jetson-xavier"]), ("11", BOARDS["t4"]), ("RTX", BOARDS["rtx-30"])):
        assert found(quantized(), version, board=board) == []


def test_the_finding_names_the_node_and_the_remedy():
    (wrong,) = [each for each in found(quantized(zero=3), "8.2", "zero-point") if "q'" in each.node][:1]
    assert wrong.node == "QuantizeLinear 'q'"
    assert "3" in wrong.reason
    assert "edgevid compile" in wrong.remedy


def test_a_uint8_input_is_taken_where_it_is_cast_first():
    cast = node("Cast", [value("x", kind=ir.DataType.UINT8)], {"to": FLOAT.value})
    for version in ("8.5", "10", "11", "RTX"):
        assert found(model([cast]), version) == []
        cast = node("Cast", [value("x", kind=ir.DataType.UINT8)], {"to": FLOAT.value})
    assert found(model([cast]), "8.2", "data-type")


def test_a_function_is_read_by_ten_and_later_and_its_body_is_checked():
    assert not lint(function_call(), None, "10").errors
    assert [each.node for each in found(function_call("Unique"), "10", "operator")] == ["Unique 'inside'"]
    foreign = function_call("Shift", "theirs")
    assert [each.node for each in found(foreign, "10", "custom-operator")] == ["theirs::Shift 'inside'"]
    pixels = function_call(given=ir.DataType.UINT8)
    assert [each.node for each in found(pixels, "10", "uint8")] == ["Relu 'inside'"]


def test_nodes_in_branches_are_checked():
    graph = branch()
    body = graph.graph.node(0).attributes["then_branch"].as_graph()
    body.append(node("Unique", [value("q")], name="inside"))
    assert [each.node for each in found(graph, "11", "operator")] == ["Unique 'inside'"]


def test_pads_that_a_version_takes_are_taken():
    assert not found(padded(0, 0, 1, 1, 0, 0, 1, 1), "7.1", "padded-axes")
    assert not found(padded(1, 1, 0, 0, 0, 0, 0, 0), "8.0", "padded-axes")
    assert not found(padded(1, 1, 1, 1, 0, 0, 0, 0, filling=1), "8.2", "padded-axes")


def test_a_zero_point_by_another_name_is_found():
    zero = node("Identity", [constant("zero", np.int8(3))], name="alias", shape=())
    scale = constant("scale", np.float32(0.1))
    q = node("QuantizeLinear", [value("x"), scale, zero.outputs[0]], name="q")
    assert found(model([zero, q]), "10", "zero-point")


def test_a_graph_that_names_no_opset_is_refused():
    graph = relu()
    graph.opset_imports.clear()
    assert "no opset" in found(graph, "8.2", "opset")[0].reason


@pytest.mark.parametrize(("gpu", "version"), [("jetson-tx2", "10.3"), ("v100", "11"), ("jetson-nano", "RTX")])
def test_a_version_that_does_not_support_the_board_is_refused(gpu, version):
    with pytest.raises(TargetError, match="does not support compute capability"):
        lint(relu(), BOARDS[gpu], version)


def test_the_board_chooses_the_newest_version_and_a_version_replaces_it():
    assert lint(relu(), TX2).runtime == "TensorRT 8.2.1"
    assert lint(relu(), TX2, "8.0").runtime == "TensorRT 8.0"
    assert lint(relu(), BOARDS["rtx-30"]).runtime == "TensorRT for RTX 1.7"


def test_versions_between_the_tables_count_by_their_own_number():
    shrink = model([node("Shrink", [value("x")])])
    assert found(shrink, "8.2.5", "operator")
    assert not found(shrink, "8.4.1", "operator")
    axes = [value("x"), ints("starts", 0), ints("ends", 1), value("late", (1,), ir.DataType.INT64)]
    assert found(model([node("Slice", axes)]), "10.2", "constant-input")
    axes = [value("x"), ints("starts", 0), ints("ends", 1), value("late", (1,), ir.DataType.INT64)]
    assert not found(model([node("Slice", axes)]), "10.3", "constant-input")


@pytest.mark.parametrize("version", ["6.0", "12.0", "9.3", "unknown", "2.0"])
def test_an_unknown_version_is_refused_with_those_that_are_known(version):
    with pytest.raises(TargetError, match="known versions") as error:
        release(version)
    assert "8.x" in str(error.value)
