"""Functions of a file are counted before they are inlined."""

import onnx
import pytest
from onnx import helper

from edgevid.errors import GraphError
from edgevid.graph.check_functions import MOST_CALLS, check_functions
from edgevid.graph.read_onnx import read_onnx

IMPORTS = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]


def function(name, *called):
    """A function that calls others one after the other."""
    values = [f"v{number}" for number in range(len(called) + 1)]
    nodes = [
        helper.make_node(each, [values[at]], [values[at + 1]], domain="" if each == "Relu" else "local")
        for at, each in enumerate(called)
    ]
    return helper.make_function("local", name, values[:1], values[-1:], nodes, IMPORTS)


def model(top, *functions):
    ends = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [4]) for name in "xy"]
    node = helper.make_node(top, ["x"], ["y"], domain="local")
    graph = helper.make_graph([node], "net", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=IMPORTS, ir_version=9, functions=functions)


def doubling(levels):
    """Each function calls the one below twice."""
    made = [function("f0", "Relu")]
    made += [function(f"f{level}", f"f{level - 1}", f"f{level - 1}") for level in range(1, levels + 1)]
    return model(f"f{levels}", *made)


@pytest.mark.parametrize("levels", [12, 40, 3000])
def test_functions_that_multiply_are_refused_without_inlining_them(levels, tmp_path):
    path = tmp_path / "bomb.onnx"
    path.write_bytes(doubling(levels).SerializeToString())
    with pytest.raises(GraphError, match=r"more than \d+ (calls|operations)") as caught:
        read_onnx(path)
    assert "bomb.onnx" in caught.value.where
    assert "without functions" in caught.value.fix


def test_functions_of_many_operations_are_refused(tmp_path):
    long = function("long", *["Relu"] * 1000)
    with pytest.raises(GraphError, match="operations"):
        check_functions(model("top", long, function("top", *["long"] * 101)), tmp_path)
    check_functions(model("top", long, function("top", *["long"] * 99)), tmp_path)


def test_functions_that_nothing_calls_do_not_count(tmp_path):
    proto = doubling(20)
    proto.graph.node[0].op_type = "f3"
    check_functions(proto, tmp_path)


def test_as_many_calls_as_exporters_make_are_let_pass(tmp_path):
    check_functions(model("top", function("f", "Relu"), function("top", *["f"] * (MOST_CALLS - 1))), tmp_path)


def test_a_function_that_calls_itself_is_named(tmp_path):
    with pytest.raises(GraphError, match=r"its function [ab] calls itself"):
        check_functions(model("a", function("a", "b"), function("b", "a")), tmp_path / "file.onnx")
