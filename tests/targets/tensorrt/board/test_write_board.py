"""The folder that a board builds its engine from."""

import json

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from edgevid.bundle import Bundle
from edgevid.errors import UnsupportedPrecisionError
from edgevid.targets.onnxruntime import evaluate


def folder_of(bundle):
    return next((bundle / "artifacts").iterdir())


def test_it_holds_the_network_the_programs_and_what_they_need(board_bundle):
    names = {path.name for path in folder_of(board_bundle("jetson-tx2", "fp16")).iterdir()}
    assert names == {"model.onnx", "build.json", "build_engine.py", "trtexec.sh", "README.txt"}
    names = {path.name for path in folder_of(board_bundle("jetson-xavier", "int8")).iterdir()}
    assert "calibration.cache" in names


@pytest.mark.parametrize(
    ("device", "precision"), [("jetson-tx2", "fp16"), ("jetson-xavier", "int8"), ("p100", "fp16")]
)
def test_the_network_is_opset_13_and_takes_floats(board_bundle, device, precision):
    model = onnx.load(folder_of(board_bundle(device, precision)) / "model.onnx")
    onnx.checker.check_model(model)
    assert [each.version for each in model.opset_import] == [13]
    assert model.ir_version == 7
    assert model.graph.input[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    assert not {"QuantizeLinear", "DequantizeLinear"} & {node.op_type for node in model.graph.node}


def test_the_network_equals_the_float_network(board_bundle):
    bundle = Bundle.open(board_bundle("jetson-tx2", "fp16"))
    network = ir.load(bundle.artifact().path)
    for part in bundle.expectations():
        for clip, logits in zip(part.clips, part.logits, strict=True):
            (found,) = evaluate(network, {bundle.artifact().input.name: clip[None].astype(np.float32)})
            assert np.abs(found[0] - logits).max() <= 1e-4 * np.abs(logits).max()


def test_int8_is_refused_where_the_hardware_lacks_it(board_bundle):
    for device in ("jetson-tx2", "jetson-nano"):
        with pytest.raises(UnsupportedPrecisionError, match="no integer dot product"):
            board_bundle(device, "int8")


def test_a_note_says_what_is_to_be_done(board_bundle):
    (record,) = Bundle.open(board_bundle("jetson-tx2", "fp16")).manifest.artifacts
    assert any("run artifacts/batch1/build_engine.py" in note for note in record.notes)


def test_every_convolution_in_int8_has_the_range_of_all_its_tensors(board_bundle):
    folder = folder_of(board_bundle("jetson-xavier", "int8"))
    ranges = {line.rsplit(": ", 1)[0] for line in (folder / "calibration.cache").read_text().splitlines()[1:]}
    model = onnx.load(folder / "model.onnx")
    layers = [node for node in model.graph.node if node.op_type == "Conv"]
    assert len(layers) == 17
    assert {name for node in layers for name in (node.input[0], *node.output)} <= ranges


def test_the_calibration_cache_names_tensors_of_the_network(board_bundle):
    folder = folder_of(board_bundle("jetson-xavier", "int8"))
    first, *lines = (folder / "calibration.cache").read_text().splitlines()
    assert first == "TRT-8502-EntropyCalibration2"
    model = onnx.load(folder / "model.onnx")
    names = {name for node in model.graph.node for name in (*node.input, *node.output)}
    assert {line.rsplit(": ", 1)[0] for line in lines} <= names


def test_layers_that_float16_would_spoil_are_named(board_bundle):
    settings = json.loads((folder_of(board_bundle("jetson-tx2", "fp16")) / "build.json").read_text())
    model = onnx.load(folder_of(board_bundle("jetson-tx2", "fp16")) / "model.onnx")
    assert settings["float_layers"]
    assert set(settings["float_layers"]) <= {node.name for node in model.graph.node}
    plain = json.loads((folder_of(board_bundle("jetson-tx2", "fp32")) / "build.json").read_text())
    assert plain["float_layers"] == []
