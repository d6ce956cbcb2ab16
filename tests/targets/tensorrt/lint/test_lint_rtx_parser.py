"""The table of TensorRT for RTX against its own parser, which needs no GPU."""

from functools import cache

import numpy as np
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper
from onnx.backend.test.case.node import collect_testcases
from onnx.numpy_helper import from_array

from edgevid.targets.tensorrt.lint import lint
from edgevid.targets.tensorrt.lint.operators import OPERATORS, RTX_REFUSES

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning:onnx.backend")
tensorrt = pytest.importorskip("tensorrt_rtx")

NEWEST = 22
FEW = 3
"""Cases of an operator of which one must be taken."""


class Silent(tensorrt.ILogger):
    def __init__(self):
        tensorrt.ILogger.__init__(self)

    def log(self, severity, message):
        pass


@cache
def builder():
    return tensorrt.Builder(Silent())


def is_parsed(model):
    network = builder().create_network(1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    return tensorrt.OnnxParser(network, builder().logger).parse(model.SerializeToString())


def rules(model):
    return {each.rule for each in lint(ir.serde.deserialize_model(model), None, "RTX").errors}


@cache
def cases():
    """onnx's own tests of single operators, by operator."""
    found = {}
    with np.errstate(all="ignore"):
        collected = collect_testcases(None)
    for case in collected:
        if case.model is None:
            continue
        kinds = {each.op_type for each in case.model.graph.node if each.domain == ""}
        if (
            len(kinds) == len({each.op_type for each in case.model.graph.node}) == 1
            and max(entry.version for entry in case.model.opset_import) <= NEWEST
        ):
            found.setdefault(kinds.pop(), []).append(case.model)
    return found


def test_what_no_line_of_the_table_has_is_refused_by_the_parser():
    missing = set(cases()) - set(OPERATORS)
    assert len(missing) > 20
    for name in sorted(missing):
        model = cases()[name][0]
        assert not is_parsed(model), name
        assert "operator" in rules(model), name


def test_what_the_linter_finds_nothing_against_is_taken_by_the_parser():
    taken = 0
    for name in sorted(set(cases()) & set(OPERATORS) - set(RTX_REFUSES)):
        good = [model for model in cases()[name] if not rules(model)][:FEW]
        assert not good or any(is_parsed(model) for model in good), name
        taken += bool(good)
    assert taken > 70


def model_of(nodes, shape=(1, 3, 8, 8), *, kind=TensorProto.FLOAT, outputs=("y",), weights=None, opset=17):
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [from_array(np.asarray(array), name) for name, array in (weights or {}).items()],
    )
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("mine", 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def node(kind, inputs, output="y", **attributes):
    return helper.make_node(kind, inputs.split(), output.split(), name=kind, **attributes)


def cast(given):
    return node("Cast", given, to=TensorProto.FLOAT)


CONV = {"w": np.ones((4, 3, 1, 1), np.float32)}
PAIR = [node("QuantizeLinear", "x s z", "q"), node("DequantizeLinear", "q s z")]
SCALE = np.float32(0.1)
FORBIDDEN = {
    "custom-operator": model_of([node("Shift", "x", domain="mine")]),
    "zero-point": model_of(PAIR, weights={"s": SCALE, "z": np.int8(3)}),
    "quantized-type": model_of(
        [node("DequantizeLinear", "b s", "d"), node("Conv", "x w d")],
        weights={**CONV, "b": np.arange(4, dtype=np.int32), "s": SCALE},
    ),
    "scale": model_of(PAIR, weights={"s": np.float32(0), "z": np.int8(0)}),
    "uint8": model_of([node("Concat", "x x", "c", axis=0), cast("c")], kind=TensorProto.UINT8),
    "data-type": model_of([cast("x")], kind=TensorProto.INT16),
    "axes": model_of([node("Relu", "x")], (1,) * 9),
    "attribute": model_of([node("LpPool", "x", p=3, kernel_shape=[2, 2])]),
    "output": model_of(
        [node("MaxPool", "x", "y i", kernel_shape=[2, 2]), node("Cast", "i", "j", to=1)], outputs=("y", "j")
    ),
    "data-dependent": model_of(
        [node("Cast", "x", "c", to=TensorProto.INT64), node("Reshape", "d c")],
        (2,),
        weights={"d": np.ones((4, 4), np.float32)},
    ),
    "operator": model_of([node("Unique", "x")]),
}


@pytest.mark.parametrize("rule", FORBIDDEN)
def test_what_a_rule_forbids_is_refused_by_the_parser(rule):
    assert rule in rules(FORBIDDEN[rule])
    assert not is_parsed(FORBIDDEN[rule])


ALLOWED = {
    "pair": model_of(PAIR, weights={"s": SCALE, "z": np.int8(0)}),
    "cast of uint8": model_of([cast("x")], kind=TensorProto.UINT8),
    "eight axes": model_of([node("Relu", "x")], (1,) * 8),
    "slice and concat": model_of(
        [node("Slice", "x a b c", "part"), node("Concat", "part x", axis=1)],
        weights={"a": np.array([0]), "b": np.array([1]), "c": np.array([1])},
    ),
    "convolution": model_of([node("Conv", "x w")], weights=CONV),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_no_rule_forbids_is_taken_by_the_parser(name):
    assert not rules(ALLOWED[name])
    assert is_parsed(ALLOWED[name])
