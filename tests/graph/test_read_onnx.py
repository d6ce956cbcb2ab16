"""What is taken from foreign files, and what is refused in which words."""

import re

import numpy as np
import onnx
import pytest
from foreign_graphs import random_weights, save

from edgevid.errors import GraphError
from edgevid.graph.diagnose import check_dependence
from edgevid.graph.read_onnx import read_onnx

CONV = """
net (float[N, 3, 8, 8] x) => (float[N, 4, 8, 8] y) {
  features = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(x, weight)
  y = Relu(features)
}
"""
WEIGHTS = random_weights(weight=(4, 3, 3, 3))


@pytest.fixture
def conv(tmp_path):
    return save(tmp_path / "conv.onnx", CONV, weights=WEIGHTS)


def changed(path, change):
    """The file with ``change`` done to its protobuf."""
    proto = onnx.load(path, load_external_data=False)
    change(proto)
    path.write_bytes(proto.SerializeToString())
    return path


def refused(path, words):
    with pytest.raises(GraphError, match=words) as caught:
        read_onnx(path)
    assert path.name in str(caught.value.where)
    assert caught.value.fix
    return caught.value


def test_a_sound_file_is_read_as_it_is(conv):
    model = read_onnx(conv)
    assert [node.op_type for node in model.graph] == ["Conv", "Relu"]
    assert [value.name for value in model.graph.inputs] == ["x"]
    np.testing.assert_array_equal(model.graph.initializers["weight"].const_value.numpy(), WEIGHTS["weight"])


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    refused(tmp_path / "none.onnx", "no such file")
    refused(tmp_path, "a folder")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n", "git-lfs pointer"),
        (b"<!DOCTYPE html><html>not found</html>", "no ONNX"),
        (b"PK\x03\x04 a zip file", "no ONNX"),
        (b"\x08\x08", "holds no graph"),
    ],
)
def test_what_is_no_onnx_is_named(tmp_path, content, words):
    path = tmp_path / "file.onnx"
    path.write_bytes(content)
    refused(path, words)


def test_a_file_that_is_cut_off_is_refused_wherever_it_ends(conv):
    content = conv.read_bytes()
    for stop in range(0, len(content) - 1, 7):
        conv.write_bytes(content[:stop])
        with pytest.raises(GraphError):
            read_onnx(conv)


@pytest.mark.parametrize(("opset", "words"), [(8, "opset 11 or newer"), (99, "opset 20")])
def test_an_opset_that_cannot_be_read_is_refused_with_the_way_out(conv, opset, words):
    def change(proto):
        proto.opset_import[0].version = opset

    assert words in refused(changed(conv, change), f"needs opset {opset}").fix


def test_a_newer_format_is_refused(conv):
    refused(changed(conv, lambda proto: setattr(proto, "ir_version", 99)), "format is version 99")


def test_operations_of_a_runtime_are_refused_by_name(conv):
    def change(proto):
        proto.graph.node[0].domain, proto.graph.node[0].op_type = "com.microsoft", "FusedConv"

    refused(changed(conv, change), "com.microsoft::FusedConv")


def test_an_operation_that_onnx_does_not_know_is_refused_by_name(conv):
    refused(changed(conv, lambda proto: setattr(proto.graph.node[0], "op_type", "Shifty")), "Shifty")


def test_a_value_that_nothing_computes_is_named(conv):
    def change(proto):
        proto.graph.node[1].input[0] = "lost"

    refused(changed(conv, change), "'lost', that nothing computes")


def test_an_unsorted_graph_and_a_cycle_are_refused(conv):
    def turn(proto):
        nodes = list(proto.graph.node)[::-1]
        del proto.graph.node[:]
        proto.graph.node.extend(nodes)

    refused(changed(conv, turn), "unsorted")


def test_two_values_of_one_name_are_refused(conv):
    def change(proto):
        proto.graph.node.append(proto.graph.node[0])

    refused(changed(conv, change), "second value is named 'features'")


def test_an_output_that_nothing_computes_is_refused(conv):
    refused(changed(conv, lambda proto: setattr(proto.graph.output[0], "name", "z")), "the output 'z'")


@pytest.mark.parametrize("sizes", [[4, 3, 3, 4], [2**40, 2**20, 3, 3], [4, 3, 3], [4, 3, 3, 0]])
def test_a_weight_whose_data_do_not_fit_its_shape_is_named(conv, sizes):
    def change(proto):
        proto.graph.initializer[0].dims[:] = sizes

    assert "weight" in refused(changed(conv, change), "instead of").where


def test_a_weight_of_negative_size_is_named(conv):
    def change(proto):
        proto.graph.initializer[0].dims[0] = -4

    refused(changed(conv, change), re.escape("[-4, 3, 3, 3]"))


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_named(tmp_path, number):
    weight = WEIGHTS["weight"].copy()
    weight[1, 2, 0, 1] = number
    refused(save(tmp_path / "bad.onnx", CONV, weights={"weight": weight}), "NaN or infinite numbers: weight")


def test_infinite_bounds_are_no_damage(tmp_path):
    text = "net (float[2, 3] x) => (float[2, 3] y) { y = Clip(x, low, high) }"
    limits = {"low": np.float32(0), "high": np.float32(np.inf)}
    assert read_onnx(save(tmp_path / "clip.onnx", text, weights=limits))


def test_functions_of_the_file_are_inlined(tmp_path):
    text = """
    net (float[2, 3] x) => (float[2, 3] y) { y = local.twice(x) }
    <domain: "local", opset_import: ["" : 13]>
    twice (a) => (b) { b = Add(a, a) }
    """
    model = read_onnx(save(tmp_path / "f.onnx", text, imports=', "local" : 1'))
    assert [node.op_type for node in model.graph] == ["Add"]
    assert not model.functions


def test_weights_that_older_formats_list_as_inputs_are_none(tmp_path):
    text = CONV.replace("x)", "x, float[4, 3, 3, 3] weight)", 1)
    model = read_onnx(save(tmp_path / "old.onnx", text, weights=WEIGHTS, ir_version=3, opset=9))
    assert [value.name for value in model.graph.inputs] == ["x"]


@pytest.fixture
def external(tmp_path):
    path = tmp_path / "external.onnx"
    proto = onnx.load(save(path, CONV, weights=WEIGHTS))
    onnx.save(proto, path, save_as_external_data=True, location="external.data", size_threshold=0)
    return path


def test_weights_beside_the_file_are_read(external):
    weight = read_onnx(external).graph.initializers["weight"].const_value
    external.with_suffix(".data").unlink()
    np.testing.assert_array_equal(weight.numpy(), WEIGHTS["weight"])


def test_missing_and_short_weight_files_are_named(external):
    data = external.with_suffix(".data")
    data.write_bytes(data.read_bytes()[:-1])
    refused(external, "external.data, which has 431")
    data.unlink()
    refused(external, "no file external.data")


@pytest.mark.parametrize("location", ["../external.data", "/etc/hostname", "C:\\weights", "", "a/../../b"])
def test_weights_outside_the_folder_are_refused(external, location):
    def change(proto):
        proto.graph.initializer[0].external_data[0].value = location

    refused(changed(external, change), "outside the file's folder")


def test_a_link_out_of_the_folder_is_refused(external, tmp_path_factory):
    data = external.with_suffix(".data")
    outside = tmp_path_factory.mktemp("outside") / "weights"
    outside.write_bytes(data.read_bytes())
    data.unlink()
    data.symlink_to(outside)
    refused(external, "outside the file's folder")


def test_a_graph_that_lost_its_input_is_diagnosed(tmp_path):
    """Tracing drops an input that nothing uses."""
    text = "net () => (float[4] y) { y = Relu(weight) }"
    path = save(tmp_path / "c.onnx", text, weights=random_weights(weight=4))
    refused(path, "output y does not depend on its input: it was folded to a constant")


def test_a_graph_that_lost_its_operations_is_read_for_the_diagnosis(tmp_path):
    """The other exporter keeps the input, and the output is an initializer."""
    text = "net (float[1, 4, 3, 8, 8] x) => (float[1, 5] y) { }"
    model = read_onnx(save(tmp_path / "c.onnx", text, weights=random_weights(y=(1, 5))))
    with pytest.raises(GraphError, match="output y does not depend on its input"):
        check_dependence(model)


def test_an_output_that_a_branch_takes_from_the_input_depends_on_it(tmp_path):
    text = """net (float[4] x, bool c) => (float[4] y) { y = If (weighed) <
        then_branch = yes () => (float[4] one) { one = Relu(x) },
        else_branch = no () => (float[4] two) { two = Neg(x) } > }"""
    check_dependence(read_onnx(save(tmp_path / "if.onnx", text, weights={"weighed": np.array(True)})))
