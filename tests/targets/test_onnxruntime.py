"""What the simulated int8 target says of its layers."""

import onnx_ir as ir
import pytest
from target_graphs import canonical

from edgevid import targets
from edgevid.calibration.points import is_layer, points
from edgevid.calibration.quantize import quantize
from edgevid.contract import CompileOptions
from edgevid.graph.lower import lower
from edgevid.targets._profiles import device

DEVICE = device("tensorrt-simulated")


def layers_of(model, folder):
    folder.mkdir(exist_ok=True)
    target = targets.find("onnxruntime")
    artifact = target.compile(model, CompileOptions(DEVICE, folder, "int8", 1, "function"))
    with target.open(artifact) as session:
        return {layer.name: layer.precision for layer in session.layers()}


def quantized(**options):
    graph = canonical()
    scheme = targets.find("onnxruntime").probe(DEVICE).scheme
    return quantize(graph, dict.fromkeys(points(graph), 8.0), scheme, **options)


@pytest.mark.parametrize("lowering", ["function", "slice_concat", "fused_pad", "negative_pad"])
def test_every_layer_counts_as_int8_however_the_shifts_are_written(tmp_path, lowering):
    model = quantized() if lowering == "function" else lower(quantized(), lowering)
    assert set(layers_of(model, tmp_path).values()) == {"int8"}


def test_a_layer_with_weights_of_bytes_that_reads_floats_does_not(tmp_path):
    model = quantized()
    layer = [node for node in model.graph if is_layer(node) or node.op_type == "Conv"][3]
    value = layer.inputs[0]
    while value.producer().op_type != "DequantizeLinear":
        value = value.producer().inputs[0]
    before = value.producer().inputs[0].producer().inputs[0]
    ir.convenience.replace_all_uses_with(value, before)
    found = layers_of(model, tmp_path)
    assert found[layer.name] == "fp32"
    assert "int8" in found.values()
