"""All exporters' graphs in one form, with the same numbers."""

import itertools

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from exported_networks import export
from foreign_graphs import assert_same, norm_weights, operations, random_weights, save

from edgevid.errors import GraphError
from edgevid.graph.fold_constants import LARGEST
from edgevid.graph.read_onnx import read_onnx
from edgevid.graph.standardize import standardize

LAYERS = ["Conv", "Relu", "MaxPool", "Conv", "Relu", "Add", "ReduceMean", "Gemm", "ReduceMean"]
MOVES = {"Reshape", "Slice", "ScatterND", "Concat", "Transpose"}
CONV = random_weights(weight=(4, 3, 3, 3), bias=4)
SIZES = {"x": (2, 3, 6, 6)}


def graph(body, input="float[N, 3, 6, 6]", output="float[A, B, C, D]"):
    return f"net ({input} x) => ({output} y) {{ {body} }}"


def refused(path, words, shapes=SIZES):
    with pytest.raises(GraphError, match=words) as caught:
        standardize(read_onnx(path), shapes)
    assert path.name in str(caught.value.where)
    return caught.value


@pytest.mark.parametrize("opset", [9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21])
def test_every_opset_becomes_20(tmp_path, opset):
    body = """
    a = Conv<pads = [1, 1, 1, 1]>(x, weight, bias)
    b = BatchNormalization(a, scale, offset, mean, variance)
    c = Relu(b)
    d = MaxPool<kernel_shape = [2, 2], strides = [2, 2]>(c)
    y = Softmax<axis = 1>(d)
    """
    weights = CONV | norm_weights(4)
    standard = assert_same(save(tmp_path / "a.onnx", graph(body), opset=opset, weights=weights), SIZES)
    assert standard.opset_imports == {"": 20}
    assert standard.ir_version == 10
    assert {"Conv", "Relu", "MaxPool"} <= set(operations(standard))
    assert "BatchNormalization" not in operations(standard)


@pytest.mark.parametrize("opset", [11, 13])
def test_axes_are_inputs_in_all_opsets(tmp_path, opset):
    old = "a = Unsqueeze<axes = [0]>(x) b = Squeeze<axes = [0]>(a) y = ReduceSum<axes = [2], keepdims = 1>(b)"
    new = "a = Unsqueeze(x, zero) b = Squeeze(a, zero) y = ReduceSum<keepdims = 1>(b, two)"
    path = save(
        tmp_path / "axes.onnx",
        graph(old if opset == 11 else new),
        opset=opset,
        weights={} if opset == 11 else {"zero": np.array([0]), "two": np.array([2])},
    )
    assert operations(assert_same(path, SIZES))[-1] == "ReduceSum"


def test_shape_arithmetic_is_computed(tmp_path):
    body = """
    shape = Shape(x)
    index = Constant<value = int64 {0}>()
    frames = Gather(shape, index)
    four = Constant<value = int64 {2}>()
    clips = Div(frames, four)
    zero = Constant<value = int64[1] {0}>()
    one = Unsqueeze(clips, zero)
    rest = Constant<value = int64[4] {2, 3, 6, 6}>()
    sizes = Concat<axis = 0>(one, rest)
    volume = Reshape(x, sizes)
    y = Relu(volume)
    """
    path = save(tmp_path / "s.onnx", graph(body, output="float[A, B, C, D, E]"))
    standard = assert_same(path, {"x": (4, 3, 6, 6)})
    assert operations(standard) == ["Reshape", "Relu"]
    assert standard.graph.outputs[0].shape == [2, 2, 3, 6, 6]


def test_a_split_of_a_shape_is_computed(tmp_path):
    body = """
    shape = Shape(x)
    n, rest = Split<axis = 0>(shape, parts)
    minus = Constant<value = int64[1] {-1}>()
    sizes = Concat<axis = 0>(n, minus)
    y = Reshape(x, sizes)
    """
    path = save(tmp_path / "s.onnx", graph(body, output="float[A, B]"), weights={"parts": np.array([1, 3])})
    assert operations(assert_same(path, SIZES)) == ["Reshape"]


def test_parts_of_a_sequence_become_a_split(tmp_path):
    body = """
    one = Constant<value = int64 {1}>()
    parts = SplitToSequence<axis = 1, keepdims = 1>(x, one)
    part = SequenceAt(parts, one)
    y = Relu(part)
    """
    standard = assert_same(save(tmp_path / "s.onnx", graph(body)), SIZES)
    assert "SequenceAt" not in operations(standard)


def test_large_constants_are_not_made_of_small_ones(tmp_path):
    body = f"""
    sizes = Constant<value = int64[4] {{1, 3, 6, {LARGEST}}}>()
    zeros = ConstantOfShape<value = float[1] {{0}}>(sizes)
    first = Slice(zeros, starts, ends, axes)
    y = Add(x, first)
    """
    weights = {"starts": np.array([0]), "ends": np.array([6]), "axes": np.array([3])}
    path = save(tmp_path / "z.onnx", graph(body), weights=weights)
    standard = assert_same(path, {"x": (1, 3, 6, 6)})
    stored = sum(value.const_value.nbytes for value in standard.graph.initializers.values())
    assert stored < LARGEST
    assert "ConstantOfShape" in operations(standard)


@pytest.mark.parametrize(
    "body",
    [
        "n = Constant<value = int64 {9000000000000000}>() i = Constant<value = int64 {1}>() "
        "a = Range(i, n, i) b = ReduceMax<keepdims = 0>(a) c = Cast<to = 1>(b) y = Add(x, c)",
        "n = Constant<value = int64[1] {9000000000000000}>() a = ConstantOfShape(n) "
        "b = ReduceMax<keepdims = 0>(a) y = Add(x, b)",
        "n = Constant<value = int64[1] {9000000000000}>() i = Constant<value = float[1] {1}>() "
        "a = Expand(i, n) b = ReduceMax<keepdims = 0>(a) y = Add(x, b)",
        "n = Constant<value = int64[4] {1, 1, 99999999, 99999999}>() y = Tile(x, n)",
        "n = Constant<value = int64[8] {0, 0, 0, 0, 0, 0, 0, 999999999999}>() y = Pad(x, n)",
    ],
)
def test_a_graph_that_needs_absurd_memory_is_refused_before_it_takes_any(tmp_path, body):
    refused(save(tmp_path / "bomb.onnx", graph(body)), "GiB|does not fit")


BACKWARDS = {"start": np.array([-1]), "end": np.array([-99]), "axis": np.array([0]), "step": np.array([-1])}


def test_backward_slices_are_kept(tmp_path):
    turns = itertools.pairwise(["x", *"abcdefghijklm"])
    body = " ".join(f"{after} = Slice({before}, start, end, axis, step)" for before, after in turns)
    standard = assert_same(save(tmp_path / "b.onnx", graph(body + " y = Relu(m)"), weights=BACKWARDS), SIZES)
    assert operations(standard) == ["Slice"] * 13 + ["Relu"]


def test_a_backward_slice_through_nothing_is_refused(tmp_path):
    """onnx's own inference would abort the process."""
    body = (
        "none = Slice(x, zero, zero, axis) a = Slice(none, start, end, axis, step) y = Concat<axis = 0>(x, a)"
    )
    path = save(tmp_path / "b.onnx", graph(body), weights=BACKWARDS | {"zero": np.array([0])})
    refused(path, "which is empty")


def test_identities_dropouts_and_idle_casts_are_removed(tmp_path):
    body = "a = Identity(x) b, m = Dropout(a) c = Cast<to = 1>(b) d = Relu(c) unused = Exp(c) y = Identity(d)"
    standard = assert_same(save(tmp_path / "i.onnx", graph(body)), SIZES)
    assert operations(standard) == ["Relu"]
    assert [value.name for value in standard.graph.outputs] == ["y"]


@pytest.mark.parametrize(("kind", "tolerance"), [("float16", 5e-3), ("double", 1e-5)])
def test_other_floating_types_become_float32(tmp_path, kind, tolerance):
    number = {"float16": 10, "double": 11}[kind]
    body = f"""
    a = MatMul(x, weight)
    wide = Cast<to = 1>(a)
    r = Relu(wide)
    narrow = Cast<to = {number}>(r)
    shape = Shape(narrow)
    zeros = ConstantOfShape<value = {kind}[1] {{0}}>(shape)
    s = Mul(narrow, half)
    y = Add(s, zeros)
    """
    text = graph(body, input=f"{kind}[N, 3, 6, 6]", output=f"{kind}[A, B, C, D]")
    weights = random_weights(weight=(6, 6), half=1)
    weights = {name: array.astype(kind) for name, array in weights.items()}
    path = save(tmp_path / "f.onnx", text, weights=weights)
    model = read_onnx(path)
    standard = assert_same(path, SIZES, tolerance)
    assert "Cast" not in operations(standard)
    kinds = {value.dtype for node in standard.graph for value in (*node.inputs, *node.outputs)}
    assert kinds == {ir.DataType.FLOAT}
    assert model.graph.inputs[0].dtype is not ir.DataType.FLOAT


def test_the_lowest_double_stays_a_number(tmp_path):
    body = f"low = Constant<value = double {{{np.finfo(np.float64).min}}}>() y = Max(x, low)"
    text = graph(body, input="double[N, 3, 6, 6]", output="double[A, B, C, D]")
    standard = assert_same(save(tmp_path / "low.onnx", text), SIZES)
    assert all(np.isfinite(value.const_value.numpy()).all() for value in standard.graph.initializers.values())


def test_a_batch_norm_is_folded_into_its_convolution(tmp_path):
    body = "a = Conv(x, weight) y = BatchNormalization<epsilon = 0.01>(a, scale, offset, mean, variance)"
    path = save(tmp_path / "bn.onnx", graph(body), weights=CONV | norm_weights(4))
    assert operations(assert_same(path, SIZES)) == ["Conv"]


def test_convolutions_that_share_a_weight_keep_their_own_batch_norms(tmp_path):
    weights = CONV | norm_weights(4)
    weights |= {f"{name}2": array for name, array in norm_weights(4, seed=1).items()}
    body = """
    a = Conv(x, weight, bias)
    b = BatchNormalization(a, scale, offset, mean, variance)
    c = Conv(x, weight, bias)
    d = BatchNormalization(c, scale2, offset2, mean2, variance2)
    y = Add(b, d)
    """
    path = save(tmp_path / "bn.onnx", graph(body), weights=weights)
    assert operations(assert_same(path, SIZES)) == ["Conv", "Conv", "Add"]


def test_a_grouped_convolution_takes_its_batch_norm(tmp_path):
    weights = random_weights(weight=(6, 1, 3, 3)) | norm_weights(6)
    body = "a = Conv<group = 3>(x, weight) y = BatchNormalization(a, scale, offset, mean, variance)"
    assert operations(assert_same(save(tmp_path / "g.onnx", graph(body), weights=weights), SIZES)) == ["Conv"]


@pytest.mark.parametrize(
    "body",
    [
        "y = BatchNormalization(x, scale, offset, mean, variance)",
        "a = Conv(x, weight) b = BatchNormalization(a, scale, offset, mean, variance) y = Add(a, b)",
    ],
)
def test_a_batch_norm_of_its_own_becomes_arithmetic(tmp_path, body):
    weights = random_weights(weight=(3, 3, 3, 3)) | norm_weights(3)
    standard = assert_same(save(tmp_path / "bn.onnx", graph(body), weights=weights), SIZES)
    assert "BatchNormalization" not in operations(standard)


@pytest.mark.parametrize(
    ("layer", "names"),
    [
        ("n = Conv(x, kernel)", ("weight", "bias", "mean", "variance")),
        ("n = Sin(x)", ("scale", "offset", "mean", "variance")),
    ],
)
def test_a_batch_norm_takes_names_that_are_free(tmp_path, layer, names):
    """Its result may be called as its layer, of which the file's weights have their names."""
    body = f"{layer} y = BatchNormalization(n, {', '.join(names)})"
    path = save(tmp_path / "bn.onnx", graph(body), weights=random_weights(kernel=(3, 3, 3, 3)))
    proto = onnx.load(path)
    norm = proto.graph.node[-1]
    for index, (name, array) in enumerate(zip(names, norm_weights(3).values(), strict=True), 1):
        norm.input[index] = f"y.{name}"
        proto.graph.initializer.append(onnx.numpy_helper.from_array(array, f"y.{name}"))
    path.write_bytes(proto.SerializeToString())
    assert "BatchNormalization" not in operations(assert_same(path, SIZES))


def test_a_batch_norm_in_training_mode_is_refused(tmp_path):
    body = "y, m, v = BatchNormalization<training_mode = 1>(x, scale, offset, mean, variance)"
    path = save(tmp_path / "t.onnx", graph(body), opset=15, weights=norm_weights(3))
    assert "eval()" in refused(path, "training mode").fix


def test_a_dropout_in_training_mode_is_refused(tmp_path):
    weights = {"ratio": np.float32(0.5), "training": np.array(True)}
    path = save(tmp_path / "t.onnx", graph("y = Dropout(x, ratio, training)"), weights=weights)
    refused(path, "training mode")


BRANCH = """
{given}
y = If (choice) <
  then_branch = yes () => (float[A, B, C, D] one) {{ one = Relu(x) }},
  else_branch = no () => (float[A, B, C, D] two) {{ two = Neg(x) }}
>
"""


def test_a_branch_that_is_decided_is_taken(tmp_path):
    given = "s = Shape(x) z = Constant<value = int64 {1}>() c = Gather(s, z) "
    given += "t = Constant<value = int64 {3}>() choice = Equal(c, t)"
    standard = assert_same(save(tmp_path / "if.onnx", graph(BRANCH.format(given=given))), SIZES)
    assert operations(standard) == ["Relu"]


def test_a_branch_on_data_is_refused_by_name(tmp_path):
    given = "m = ReduceMax<keepdims = 0>(x) z = Constant<value = float {0}>() choice = Greater(m, z)"
    refused(save(tmp_path / "if.onnx", graph(BRANCH.format(given=given))), "control flow, If")


def test_a_shape_that_hangs_on_the_data_is_refused_with_its_node(tmp_path):
    body = "a = NonZero(x) y = Cast<to = 1>(a)"
    error = refused(save(tmp_path / "n.onnx", graph(body, output="float[A, B]")), "stays unknown")
    assert "NonZero" in error.where


def test_an_output_of_classes_is_refused(tmp_path):
    text = graph("y = ArgMax<axis = 1>(x)", output="int64[A, B, C, D]")
    assert "logits" in refused(save(tmp_path / "a.onnx", text), "not float").fix


def test_sizes_that_contradict_the_file_are_refused(tmp_path):
    path = save(tmp_path / "r.onnx", graph("y = Relu(x)"))
    refused(path, "does not fit", {"x": (2, 4, 6, 6)})
    refused(path, "does not fit", {"x": (2, 3, 6)})
    refused(path, "does not fit", {"x": (0, 3, 6, 6)})
    refused(path, "sizes are given for z", {"z": (2, 3, 6, 6)})


def test_sizes_that_an_operation_cannot_take_are_refused(tmp_path):
    body = "s = Constant<value = int64[3] {2, 3, 36}>() a = Reshape(x, s) y = Relu(a)"
    path = save(tmp_path / "r.onnx", graph(body, output="float[A, B, C]"))
    assert_same(path, SIZES)
    refused(path, "does not fit its inputs", {"x": (3, 3, 6, 6)})


def test_every_node_and_value_has_a_name_of_its_own(tmp_path):
    standard = assert_same(save(tmp_path / "n.onnx", graph("a = Relu(x) b = Neg(a) y = Exp(b)")), SIZES)
    names = [node.name for node in standard.graph]
    assert all(names)
    assert len(set(names)) == 3


def test_the_given_graph_is_left_as_it_is(tmp_path):
    body = "a = Conv(x, weight) y = BatchNormalization(a, scale, offset, mean, variance)"
    model = read_onnx(save(tmp_path / "m.onnx", graph(body), weights=CONV | norm_weights(4)))
    before = ir.to_proto(model).SerializeToString()
    standardize(model, SIZES)
    assert ir.to_proto(model).SerializeToString() == before


@pytest.mark.parametrize("kind", ["inplace", "cat"])
@pytest.mark.parametrize(
    "settings",
    [
        {"opset": 11},
        {"opset": 12, "dynamic": True},
        {"opset": 14, "half": True},
        {"opset": 17, "half": True, "dynamic": True},
        {"opset": 20, "dynamic": True},
        {"dynamo": True},
        {"dynamo": True, "dynamic": True, "half": True},
    ],
    ids=str,
)
def test_an_exported_network_keeps_its_layers_and_its_shift_alone(tmp_path, kind, settings):
    path = export(tmp_path, kind=kind, **settings)
    clips = 3 if settings.get("dynamic") else 1
    tolerance = 5e-3 if settings.get("half") else 1e-5
    standard = assert_same(path, {"x": (clips, 12, 16, 16)}, tolerance)
    found = operations(standard)
    assert [kind for kind in found if kind not in MOVES] == LAYERS
    assert standard.graph.outputs[0].shape == [clips, 5]


def test_a_network_that_was_simplified_before_is_taken_as_well(tmp_path):
    import onnxsim

    path = export(tmp_path)
    simplified = tmp_path / "simplified.onnx"
    onnx.save(onnxsim.simplify(str(path))[0], simplified)
    standard = assert_same(simplified, {"x": (1, 12, 16, 16)})
    assert [kind for kind in operations(standard) if kind not in MOVES] == LAYERS


def test_an_input_that_is_no_number_is_refused(tmp_path):
    path = save(tmp_path / "s.onnx", "net (string[2] x) => (string[2] y) { y = Identity(x) }")
    refused(path, "not of numbers", {"x": (2,)})


def test_two_outputs_that_are_one_value_keep_their_names(tmp_path):
    """A reshape to the same shape does nothing, and would leave one name for both."""
    body = "y = Relu(x)\n other = Reshape(y, same)"
    weights = {"same": np.array([2, 3, 6, 6])}
    path = save(
        tmp_path / "net.onnx", graph(body).replace("y)", "y, float[A, B, C, D] other)"), weights=weights
    )
    standard = standardize(read_onnx(path), SIZES)
    assert [value.name for value in standard.graph.outputs] == ["y", "other"]
    assert len({id(value) for value in standard.graph.outputs}) == 2
