"""`edgevid lint`: files and bundles against devices, by any target, and what is printed."""

import json

import onnx
import pytest
from onnx import TensorProto, helper
from typer.testing import CliRunner

from edgevid.cli import app
from edgevid.diagnostic import Linter
from edgevid.errors import ConfigError, GraphError, UnknownDeviceError
from edgevid.lint import lint
from edgevid.target_finder import find_target


def saved(path, nodes, *, opset=13, ir_version=7, shape=(1, 3, 8, 8), initializers=()):
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
    graph = helper.make_graph(nodes, "g", value[:1], value[1:], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    onnx.save(model, path)
    return path


@pytest.fixture
def good(tmp_path):
    return saved(tmp_path / "good.onnx", [helper.make_node("Relu", ["x"], ["y"], name="relu")])


@pytest.fixture
def bad(tmp_path):
    nodes = [
        helper.make_node("NonZero", ["x"], ["n"], name="where"),
        helper.make_node("TemporalShift", ["x"], ["s"], name="shift", domain="mine"),
        helper.make_node("Relu", ["s"], ["y"], name="relu"),
    ]
    return saved(tmp_path / "bad.onnx", nodes, opset=17, ir_version=8)


def edgevid(*arguments):
    return CliRunner().invoke(app, ["lint", *map(str, arguments)])


def test_tensorrt_has_tables():
    assert isinstance(find_target("tensorrt"), Linter)


def test_a_good_file_is_accepted_and_the_version_is_told(good):
    done = edgevid(good, "--device", "jetson-tx2")
    assert done.exit_code == 0
    assert "TensorRT 8.2.1" in done.output
    assert "no errors, no warnings" in done.output


def test_a_bad_file_is_refused_with_node_reason_remedy_and_source(bad):
    done = edgevid(bad, "--device", "jetson-tx2")
    assert done.exit_code == 1
    for words in (
        "NonZero 'where'",
        "mine::TemporalShift 'shift'",
        "opset 17",
        "what to do",
        "onnx-tensorrt",
    ):
        assert words in done.output


def test_json_names_every_field(bad):
    done = edgevid(bad, "--device", "jetson-tx2", "--json")
    (report,) = json.loads(done.output)
    assert done.exit_code == 1
    assert report["accepted"] is False
    assert report["runtime"] == "TensorRT 8.2.1"
    assert {"opset", "format", "operator", "custom-operator"} <= {x["rule"] for x in report["diagnostics"]}
    for found in report["diagnostics"]:
        assert set(found) == {"rule", "level", "node", "reason", "remedy", "source"}


def test_another_version_is_chosen_by_name(good, bad):
    assert lint(good, "jetson-xavier", "8.0")[0].diagnosis.runtime == "TensorRT 8.0"
    rules = {found.rule for found in lint(bad, "jetson-xavier", "8.5")[0].diagnosis.diagnostics}
    assert "opset" not in rules
    assert "custom-operator" in rules


def test_a_target_without_tables_is_checked_by_its_capability(bad, tmp_path):
    rules = {found.rule for found in lint(bad, "reference")[0].diagnosis.errors}
    assert rules == {"custom-operator"}
    newer = saved(tmp_path / "new.onnx", [helper.make_node("Relu", ["x"], ["y"])], opset=99)
    assert {found.rule for found in lint(newer, "reference")[0].diagnosis.errors} == {"opset"}


def test_a_version_of_a_target_without_tables_is_refused(good):
    with pytest.raises(ConfigError, match="installed"):
        lint(good, "reference", "8.0")


def test_a_bundle_without_an_onnx_file_is_refused(tiny_bundle):
    with pytest.raises(GraphError, match="no ONNX file"):
        lint(tiny_bundle)


def test_a_device_must_be_named_for_a_file(good):
    with pytest.raises(ConfigError, match="no device"):
        lint(good)
    with pytest.raises(UnknownDeviceError):
        lint(good, "jetson-tx3")


@pytest.mark.parametrize("content", [b"", b"not onnx", b"\x08\x07"])
def test_a_file_that_is_no_onnx_is_refused(tmp_path, content):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(GraphError):
        lint(path, "jetson-tx2")


def inputs_of_nothing():
    return [helper.make_node("Relu", ["nowhere"], ["y"], name="lost")]


def unsorted():
    return [helper.make_node("Relu", ["a"], ["y"], name="early"), helper.make_node("Relu", ["x"], ["a"])]


def without_outputs():
    return [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("QuantizeLinear", ["x"], [], name="no")]


def wrong_kind_of_constant():
    nodes = [helper.make_node("Constant", [], ["z"], value=1.5), helper.make_node("Add", ["x", "z"], ["y"])]
    return [*nodes, helper.make_node("QuantizeLinear", ["x", "z", "z"], ["q"])]


@pytest.mark.parametrize("nodes", [inputs_of_nothing, unsorted, without_outputs, wrong_kind_of_constant])
@pytest.mark.parametrize("device", ["jetson-tx2", "rtx-30"])
def test_a_graph_that_contradicts_itself_is_refused(tmp_path, nodes, device):
    with pytest.raises(GraphError, match="damaged"):
        lint(saved(tmp_path / "damaged.onnx", nodes()), device)


def test_a_function_that_calls_itself_is_refused(tmp_path):
    imports = [helper.make_opsetid("", 13), helper.make_opsetid("mine", 1)]
    call = [helper.make_node("F", ["x"], ["y"], domain="mine")]
    path = saved(tmp_path / "endless.onnx", call)
    model = onnx.load(path)
    model.functions.append(helper.make_function("mine", "F", ["x"], ["y"], call, imports))
    onnx.save(model, path)
    with pytest.raises(GraphError, match="calls itself"):
        lint(path, "rtx-30")


def test_types_are_known_in_branches_and_under_onnxs_other_name(tmp_path):
    inside = [helper.make_node("Cast", ["x"], ["c"], to=TensorProto.INT16, name="short")]
    inside.append(helper.make_node("Cast", ["c"], ["o"], to=TensorProto.FLOAT))
    value = helper.make_tensor_value_info("o", TensorProto.FLOAT, None)
    branches = {name: helper.make_graph(inside, name, [], [value]) for name in ("then_branch", "else_branch")}
    flag = helper.make_node("Constant", [], ["f"], value_int=1)
    nodes = [flag, helper.make_node("If", ["f"], ["y"], **branches)]
    found = lint(saved(tmp_path / "branch.onnx", nodes), "jetson-tx2")[0].diagnosis.errors
    assert [(each.rule, each.node) for each in found] == [("data-type", "Cast 'short'")]
    for node in inside:
        node.domain = "ai.onnx"
    inside[1].output[0] = "y"
    path = saved(tmp_path / "named.onnx", inside)
    model = onnx.load(path)
    model.opset_import[0].domain = "ai.onnx"
    onnx.save(model, path)
    found = lint(path, "jetson-tx2")[0].diagnosis.errors
    assert [(each.rule, each.node) for each in found] == [("data-type", "Cast 'short'")]


def test_an_operator_that_no_opset_has_is_found_and_the_rest_is_still_checked(tmp_path):
    nodes = [helper.make_node("TemporalShiftTRT", ["x"], ["s"], name="odd")]
    nodes.append(helper.make_node("Unique", ["s"], ["y"], name="late"))
    found = lint(saved(tmp_path / "odd.onnx", nodes), "rtx-30")[0].diagnosis.errors
    assert [each.node for each in found] == ["TemporalShiftTRT 'odd'", "Unique 'late'"]


def test_what_exporters_write_in_place_is_named(tiny_onnx):
    found = lint(tiny_onnx, "jetson-tx2")[0].diagnosis.diagnostics
    assert "dynamic-shape" in {each.rule for each in found}


def test_a_bundle_is_checked_for_its_own_device(tiny_checkpoint, tmp_path):
    from edgevid.compiler import compile_checkpoint

    compile_checkpoint(tiny_checkpoint, tmp_path / "b", device="jetson-tx2", precision="fp16")
    done = edgevid(tmp_path / "b")
    assert done.exit_code == 0
    assert "model.onnx: jetson-tx2, TensorRT 8.2.1" in done.output
    assert edgevid(tmp_path / "b", "--tensorrt", "7.1").exit_code == 1
