"""Shifts and maxima in a row: what is behind them is in int8, in the scale of what is before them."""

import numpy as np
import pytest
from int8_graphs import OPENVINO, TENSORRT
from written_graphs import SHAPE, chain, normal

from edgevid.calibration.points import points
from edgevid.calibration.quantize import quantize
from edgevid.graph.shift_op import shift_nodes
from edgevid.graph.verify import compare
from edgevid.targets.onnxruntime import evaluate

X = normal(*SHAPE, seed=5)
CHAINS = pytest.mark.parametrize("links", ["S", "SS", "SSS", "MS", "SM", "SMS", "MSS", "SSM"])
SCHEMES = pytest.mark.parametrize("scheme", [OPENVINO, TENSORRT], ids=["openvino", "tensorrt"])


def quantized(links, scheme):
    model = chain(links)
    watched = model.clone()
    values = {value.name: value for node in watched.graph for value in node.outputs}
    watched.graph.outputs.append(values["link0"])
    ranges = {"x": float(abs(X).max()), "link0": float(evaluate(watched, {"x": X})[1].max())}
    assert set(points(model)) == set(ranges)
    return quantize(model, ranges, scheme)


@CHAINS
@SCHEMES
def test_the_layer_behind_is_in_int8(links, scheme):
    model = quantized(links, scheme)
    assert compare(evaluate(chain(links), {"x": X})[0], evaluate(model, {"x": X})[0]).sqnr > 35
    value, passed = model.graph.outputs[0].producer().inputs[0], []
    while (node := value.producer()).op_type in ("Shift", "MaxPool", "QuantizeLinear", "DequantizeLinear"):
        passed.insert(0, node.op_type)
        value = node.inputs[0]
    assert "".join(kind[0] for kind in passed if not kind.endswith("Linear")) == links
    assert passed.count("QuantizeLinear") == 1
    where = 0 if scheme.shift_side == "integer" else len(links)
    assert passed.index("QuantizeLinear") == where
    assert passed.index("DequantizeLinear") > where
    assert [node.op_type for node in model.graph].count("QuantizeLinear") == 2


@CHAINS
def test_its_bias_has_the_scale_of_what_it_reads(links):
    model = quantized(links, OPENVINO)
    layer = model.graph.outputs[0].producer()
    weight, bias = (value.producer().inputs[1].const_value.numpy() for value in layer.inputs[1:])
    scale = model.graph.initializers["link0.scale"].const_value.numpy()
    assert np.array_equal(bias, weight * scale)


@pytest.mark.parametrize(("links", "moved"), [("S", 1), ("SS", 2), ("SSS", 3), ("SSM", 2), ("SMS", 1)])
def test_shifts_in_a_row_all_move_bytes_where_the_scheme_says_so(links, moved):
    def on_bytes(scheme):
        sources = [node.inputs[0].producer().op_type for node in shift_nodes(quantized(links, scheme))]
        return sum(kind in ("QuantizeLinear", "Shift") for kind in sources)

    assert on_bytes(OPENVINO) == moved
    nodes = shift_nodes(quantized(links, TENSORRT))
    assert "QuantizeLinear" not in {node.inputs[0].producer().op_type for node in nodes}
