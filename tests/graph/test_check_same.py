"""The file's own graph is the yardstick: it is run, must answer in numbers, and not always the same."""

import numpy as np
import pytest
from foreign_graphs import random_weights, save

from edgevid.errors import GraphError, VerificationError
from edgevid.graph.canonicalize import canonicalize
from edgevid.graph.check_same import check_same
from edgevid.graph.clip_input import clip_input
from edgevid.graph.read_onnx import read_onnx
from edgevid.targets.onnxruntime import evaluate

WEIGHTS = random_weights(weight=(3, 5)) | {"zero": np.float32(0), "tiny": np.float32(1e-30)}
COLOURS = "m = ReduceMean<axes = [1, 3, 4], keepdims = 0>(x)"


def read(tmp_path, body, weights=WEIGHTS, kind="float"):
    """A network of mean colours, ``m`` ``[1, 3]``, that answers ``y`` ``[1, 5]``."""
    text = f"net ({kind}[1, 4, 3, 8, 8] x) => ({kind}[1, 5] y) {{ {COLOURS} {body} }}"
    return read_onnx(save(tmp_path / "same.onnx", text, weights=weights))


def canonical(model):
    return canonicalize(model, clip_input(model), 1, evaluate)


@pytest.mark.parametrize(
    "body",
    [
        "z = Mul(m, zero) y = MatMul(z, weight)",
        "z = Sub(m, m) y = MatMul(z, weight)",
        "z = MatMul(m, weight) y = Clip(z, zero, zero)",
    ],
)
def test_an_output_that_arithmetic_makes_constant_is_diagnosed(tmp_path, body):
    with pytest.raises(GraphError, match="output y does not depend on its input: it was folded") as caught:
        canonical(read(tmp_path, body))
    assert "same.onnx" in caught.value.where
    assert "checkpoint" in caught.value.fix


def test_an_output_of_tiny_numbers_is_none(tmp_path):
    model = read(tmp_path, "z = Mul(m, tiny) y = MatMul(z, weight)")
    assert canonical(model).classes == 5


def test_an_output_that_is_no_number_is_said_to_be_the_files_own(tmp_path):
    with pytest.raises(GraphError, match="file's own graph yields NaN or infinite") as caught:
        canonical(read(tmp_path, "z = Div(m, zero) y = MatMul(z, weight)"))
    assert "same.onnx" in caught.value.where
    assert "checkpoint" in caught.value.fix


def test_a_file_in_double_precision_is_compared_in_float32_where_the_runtime_has_no_more(tmp_path):
    weights = random_weights(weight=(5, 3, 1, 1))
    body = (
        "f = Reshape(x, frames) c = Conv(f, wide) h = ReduceMean<axes = [2, 3], keepdims = 0>(c) "
        "y = ReduceMean<axes = [0], keepdims = 1>(h)"
    )
    weights = {"wide": weights["weight"].astype(np.float64), "frames": np.array([-1, 3, 8, 8])}
    text = f"net (double[1, 4, 3, 8, 8] x) => (double[1, 5] y) {{ {body} }}"
    model = read_onnx(save(tmp_path / "double.onnx", text, weights=weights))
    assert canonical(model).classes == 5


def test_what_the_runtime_cannot_run_is_refused_with_the_file(tmp_path):
    body = "n = Cast<to = 5>(m) b = Max(n, n) c = Cast<to = 1>(b) y = MatMul(c, weight)"
    with pytest.raises(GraphError, match="ONNX Runtime cannot run") as caught:
        canonical(read(tmp_path, body))
    assert "same.onnx" in caught.value.where
    assert caught.value.fix
    assert "\n" not in caught.value.what


def test_a_graph_that_computes_something_else_is_noticed(tmp_path):
    right = read(tmp_path, "y = MatMul(m, weight)")
    other = canonical(read(tmp_path, "z = Neg(m) y = MatMul(z, weight)")).model
    with pytest.raises(VerificationError, match="computes something else"):
        check_same(right, clip_input(right), other, evaluate)
