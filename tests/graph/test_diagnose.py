"""Activations that an exporter made constants are found, and what is constant by right is not."""

import numpy as np
import pytest
from foreign_graphs import random_weights, save

from edgevid.errors import GraphError
from edgevid.graph.diagnose import diagnose
from edgevid.graph.read_onnx import read_onnx
from edgevid.graph.standardize import standardize

WEIGHTS = random_weights(weight=(8, 8, 1, 1), one=(1, 1, 8, 8), vector=(8,))
SIZES = {"x": (4, 8, 6, 6)}
ACTIVATION = random_weights(seed=3, folded=(4, 8, 6, 6), part=(4, 2, 6, 6))


def standard(tmp_path, body, output="float[A, B, C, D]", **weights):
    text = f"net (float[N, 8, 6, 6] x) => ({output} y) {{ {body} }}"
    return standardize(read_onnx(save(tmp_path / "d.onnx", text, weights=WEIGHTS | weights)), SIZES)


def refused(model, words, node):
    with pytest.raises(GraphError, match=words) as caught:
        diagnose(model)
    assert node in caught.value.where
    assert "d.onnx" in caught.value.where
    assert "checkpoint" in caught.value.fix


def test_an_output_without_the_input_is_named(tmp_path):
    body = "a = Conv(folded, weight) y = Relu(a) lost = Exp(x)"
    refused(standard(tmp_path, body, **ACTIVATION), "does not depend on its input", "Relu")


def test_an_output_of_numbers_is_named(tmp_path):
    body = "s = Shape(x) z = ConstantOfShape(s) y = Exp(z)"
    refused(standard(tmp_path, body), "does not depend on its input", "")


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        ("b = Conv(folded, weight)", "Conv"),
        ("b = MaxPool<kernel_shape = [1, 1]>(folded)", "MaxPool"),
        ("s = Shape(x) z = ConstantOfShape(s) b = Conv(z, weight)", "Conv"),
        ("z = Relu(folded) b = Conv(z, weight)", "Conv"),
        ("b = GlobalAveragePool(folded)", "GlobalAveragePool"),
    ],
)
def test_a_layer_that_is_fed_a_constant_is_named(tmp_path, layer, kind):
    model = standard(tmp_path, f"a = Relu(x) {layer} y = Add(a, b)", **ACTIVATION)
    refused(model, "folded to a constant", kind)


@pytest.mark.parametrize(
    "body",
    [
        "a = Slice(x, zero, six, one) y = Concat<axis = 1>(part, a)",
        "y = ScatterND(folded, index, moved)",
        "y = ScatterND(x, index, update)",
        "m = Greater(x, half) y = Where(m, x, folded)",
    ],
)
def test_a_part_that_is_a_constant_is_named(tmp_path, body):
    indices = np.argwhere(np.ones((4, 2), bool)).reshape(4, 2, 2)
    moved = "moved = Slice(x, zero, two, one) " if "moved" in body else ""
    model = standard(
        tmp_path,
        moved + body,
        zero=np.array([0]),
        one=np.array([1]),
        two=np.array([2]),
        six=np.array([6]),
        half=np.float32(0.5),
        index=indices,
        update=ACTIVATION["part"],
        **ACTIVATION,
    )
    refused(model, "folded to a constant", model.graph.outputs[0].producer().op_type)


@pytest.mark.parametrize(
    "body",
    [
        # A shift's zeros.
        "a = Slice(x, one, three, axis) z = ConstantOfShape(sizes) y = Concat<axis = 0>(a, z)",
        "a = Slice(x, one, three, axis) y = Concat<axis = 0>(a, zeros)",
        "y = ScatterND(empty, index, x)",
        # Masks, kernels that select, and fillings.
        "y = Mul(x, mask)",
        "y = Conv<group = 8>(x, onehot)",
        "b = Cast<to = 9>(mask) y = Where(b, x, zero)",
        "b = Cast<to = 9>(mask) y = Where(b, x, filling)",
        # Weights that are computed, embeddings, coordinates beside the features.
        "w = Mul(weight, scale) y = Conv(x, w)",
        "w = MatMul(one, one2) v = Reshape(w, kernel) y = Conv(x, v)",
        "y = Add(x, embedding)",
        "y = Concat<axis = 1>(x, coordinates)",
        "a = Reshape(x, tokens) y = Concat<axis = 2>(a, token)",
        # A weight on either side of the data.
        "y = MatMul(square, x)",
    ],
)
def test_what_is_constant_by_right_is_let_pass(tmp_path, body):
    random = random_weights(seed=5, scale=(8, 1, 1, 1), one2=(1, 1, 8, 8), embedding=(8, 1, 1), square=(6, 6))
    rows = np.linspace(-1, 1, 6, dtype=np.float32)
    weights = random | {
        "one": WEIGHTS["one"],
        "zeros": np.zeros((2, 8, 6, 6), np.float32),
        "empty": np.zeros((4, 8, 6, 6), np.float32),
        "index": np.arange(4).reshape(4, 1),
        "sizes": np.array([2, 8, 6, 6]),
        "mask": (np.arange(4 * 8).reshape(4, 8, 1, 1) % 3 > 0).astype(np.float32),
        "onehot": np.eye(3, dtype=np.float32)[[0, 0, 1, 1, 2, 2, 1, 1]].reshape(8, 1, 3, 1),
        "zero": np.float32(0),
        "filling": np.full((4, 8, 6, 6), 0.5, np.float32),
        "kernel": np.array([8, 8, 1, 1]),
        "coordinates": np.broadcast_to(rows, (4, 1, 6, 6)).copy(),
        "tokens": np.array([1, 4, 36, 8]),
        "token": WEIGHTS["vector"] * np.ones((1, 4, 1, 1), np.float32),
        "three": np.array([3]),
        "axis": np.array([0]),
    }
    if "Slice" in body:
        weights["one"] = np.array([1])
    diagnose(standard(tmp_path, body, **weights))


FLAT = np.array([0, 0, 2, 3], np.float32).reshape(4, 1, 1, 1) * np.ones((4, 8, 6, 6), np.float32)
"""Frames that differ, of planes that do not: a shift of what a convolution makes of an empty example."""

OF_FOUR_FRAMES = {
    "put beside activations": "a = Slice(x, zero, six, one) y = Concat<axis = 1>(part, a)",
    "put where a mask says": "m = Greater(x, half) y = Where(m, x, flat)",
    "written into": "m = Slice(x, zero, two, one) y = ScatterND(flat, index, m)",
    "added": "y = Add(x, flat)",
    "taken away": "y = Sub(x, flat)",
    "added frame by frame": "y = Add(x, folded)",
    "with T behind N": "c = Reshape(x, clips) p = Slice(c, zero, six, two) y = Concat<axis = 2>(clip, p)",
}
FRAMES = {
    "flat": FLAT,
    "part": FLAT[:, :2],
    "clip": FLAT[None, :, :2],
    "clips": np.array([1, 4, 8, 6, 6]),
    "folded": ACTIVATION["folded"],
    **{name: np.array([number]) for name, number in (("zero", 0), ("one", 1), ("two", 2), ("six", 6))},
    "half": np.float32(0.5),
    "index": np.argwhere(np.ones((4, 2), bool)).reshape(4, 2, 2),
}


@pytest.mark.parametrize("body", OF_FOUR_FRAMES.values(), ids=OF_FOUR_FRAMES)
def test_a_constant_whose_frames_differ_is_an_activation(tmp_path, body):
    output = "float[A, B, C, D, E]" if "clips" in body else "float[A, B, C, D]"
    model = standard(tmp_path, body, output, **FRAMES)
    with pytest.raises(GraphError, match="folded to a constant"):
        diagnose(model, segments=4)


@pytest.mark.parametrize(
    ("name", "constant"),
    [
        ("embedding of every clip", ACTIVATION["folded"][:1]),
        ("embedding of each frame", ACTIVATION["folded"][:, :, :1, :1]),
        ("the same of all frames", np.repeat(ACTIVATION["folded"][:1], 4, axis=0)),
        ("zeros", np.zeros((4, 8, 6, 6), np.float32)),
    ],
)
def test_what_is_added_to_every_clip_alike_is_let_pass(tmp_path, name, constant):
    diagnose(standard(tmp_path, "y = Add(x, constant)", constant=constant), segments=4)


def test_an_activation_is_found_in_constants_that_are_too_large_to_fold(tmp_path):
    """A folded assignment in place, of which the exporter kept every step."""
    body = "w = Expand(nothing, sizes) a = ScatterND(w, rows, large) y = Concat<axis = 0>(x, a)"
    large = np.random.default_rng(0).normal(size=(4, 8, 300, 300)).astype(np.float32)
    weights = {
        "nothing": np.zeros((1, 1, 1, 1), np.float32),
        "sizes": np.array(large.shape),
        "rows": np.arange(4).reshape(4, 1),
        "large": large,
    }
    text = f"net (float[N, 8, 300, 300] x) => (float[A, B, C, D] y) {{ {body} }}"
    path = save(tmp_path / "d.onnx", text, weights=weights)
    model = standardize(read_onnx(path), {"x": large.shape})
    assert "ScatterND" in [node.op_type for node in model.graph]
    refused(model, "folded to a constant", "Concat")


@pytest.mark.parametrize("dynamo", [False, True])
def test_an_export_of_a_shift_in_place_is_sound(tmp_path, dynamo):
    from exported_networks import export

    path = export(tmp_path, dynamo=dynamo)
    diagnose(standardize(read_onnx(path), {"x": (1, 12, 16, 16)}))


@pytest.mark.parametrize("kept", [1, 2])
def test_a_shift_that_was_traced_outside_the_graph_is_diagnosed(tmp_path, kept):
    """Assignments through numpy are invisible to tracing: their result is recorded as numbers."""
    from exported_networks import export

    path = export(tmp_path, kind=f"numpy{kept}")
    model = standardize(read_onnx(path), {"x": (1, 12, 16, 16)})
    with pytest.raises(GraphError, match="folded to a constant"):
        diagnose(model)
