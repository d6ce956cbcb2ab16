"""`find_shift` on files, and what every one of its results must fulfil."""

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
from shift_spellings import FRAMES

from edgevid.graph.find_shift import find_shift
from edgevid.graph.shift_op import SHIFT, shift_nodes, spec_of
from edgevid.graph.standardize import standardize
from edgevid.targets.onnxruntime import evaluate

COMPUTED = {"Conv", "Relu", "Sigmoid", "Add", "Mul", "Sub", "Identity"}


def by_name(function):
    return function.__name__


def noise(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run_file(proto, x):
    """All outputs of a file as it is, in ONNX Runtime."""
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})


def standardized(proto, shape=FRAMES):
    """In standard form; from a copy, since tensors may be shared with the file's."""
    return standardize(ir.from_proto(onnx.ModelProto.FromString(proto.SerializeToString())), {"x": shape})


def search(proto, shape=FRAMES, **settings):
    """`find_shift` on a file in standard form; its outputs must be those of the file."""
    standard = standardized(proto, shape)
    found = find_shift(standard, evaluate, **settings)
    half = proto.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT16
    x = noise(shape).astype(np.float16 if half else np.float32)
    wanted = run_file(proto, x)
    for model in (standard, found.model):
        for ours, theirs in zip(evaluate(model, {"x": x.astype(np.float32)}), wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=5e-3 if half else 1e-5)
    return found


def specs_in(found):
    return [spec_of(node) for node in shift_nodes(found.model)]


def assert_found(proto, spec, shape=FRAMES):
    """Exactly this shift, and nothing of its spelling is left."""
    found = search(proto, shape)
    assert specs_in(found) == [spec]
    assert {node.op_type for node in found.model.graph} <= {*COMPUTED, SHIFT}
    assert [candidate.spec for candidate in found.candidates] == [spec]
    return found


def assert_left_alone(found, reason=None):
    assert specs_in(found) == []
    assert all(candidate.spec is None for candidate in found.candidates)
    if reason:
        assert any(reason in candidate.reason for candidate in found.candidates), found.candidates
