"""OpenVINO on graphs in int8: what its execution graph says, and what it computes."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from target_graphs import canonical, capability_of, clips_for, compiled, device_of

from edgevid import targets
from edgevid.calibration.points import points
from edgevid.calibration.quantize import quantize
from edgevid.contract import CompileOptions, RunSettings
from edgevid.errors import TargetError
from edgevid.graph.lower import lower
from edgevid.graph.verify import Expectation, compare, verify
from edgevid.targets.onnxruntime import evaluate

pytest.importorskip("openvino")

HOST = device_of("openvino")
SCHEME = capability_of("openvino").scheme
BOTH = pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2"])

pytestmark = pytest.mark.skipif(SCHEME is None, reason="this processor has no int8 arithmetic")


def clip_of(graph, seed=0):
    shape = [int(size) for size in graph.graph.inputs[0].shape.numpy()]
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def run(model, clip):
    return evaluate(model, {model.graph.inputs[0].name: clip})[0]


def quantized(graph, scheme=SCHEME, **kwargs):
    watched = graph.clone()
    values = {value.name: value for node in watched.graph for value in node.outputs}
    watched.graph.outputs.extend(values[name] for name in points(graph))
    _, *seen = evaluate(watched, {watched.graph.inputs[0].name: clip_of(graph)})
    thresholds = {name: float(abs(array).max()) for name, array in zip(points(graph), seen, strict=True)}
    return quantize(graph, thresholds, scheme, **kwargs)


def compiled_int8(folder, model, lowering="negative_pad", batch=1):
    folder.mkdir(exist_ok=True)
    options = CompileOptions(HOST, folder, "int8", batch, lowering, RunSettings(threads=1))
    return targets.find("openvino").compile(lower(model, lowering), options)


@BOTH
@pytest.mark.parametrize(("batch", "lowering"), [(1, "negative_pad"), (1, "fused_pad"), (2, "fused_pad")])
def test_every_layer_runs_in_int8_and_computes_what_the_graph_says(tmp_path, backbone, batch, lowering):
    graph = canonical(batch, backbone)
    model = quantized(graph)
    with targets.find("openvino").open(compiled_int8(tmp_path, model, lowering, batch)) as session:
        layers = session.layers()
        clip = clips_for(session, seed=1)
        difference = compare(session.run(clip), run(model, clip))
    expected = Counter(node.op_type for node in graph.graph if node.op_type in ("Conv", "Gemm"))
    assert Counter(layer.kind for layer in layers) == {"Conv": expected["Conv"], "Dense": expected["Gemm"]}
    assert {layer.precision for layer in layers} == {"int8"}
    assert difference.sqnr > 20


@BOTH
def test_layers_are_named_as_in_the_graph(tmp_path, backbone):
    graph = canonical(1, backbone)
    names = {node.name for node in graph.graph if node.op_type in ("Conv", "Gemm")}
    with targets.find("openvino").open(compiled_int8(tmp_path, quantized(graph))) as session:
        assert {layer.name for layer in session.layers()} == names


def test_a_layer_that_was_kept_in_float_is_reported_so(tmp_path):
    graph = canonical(1, "resnet50")
    kept = [node.name for node in graph.graph if node.op_type == "Conv"][4]
    model = quantized(graph, float_layers=[kept])
    with targets.find("openvino").open(compiled_int8(tmp_path, model)) as session:
        assert {layer.name for layer in session.layers() if layer.precision != "int8"} == {kept}


def test_a_float_graph_is_no_int8_network(tmp_path):
    with pytest.raises(TargetError, match="no quantized"):
        compiled("openvino", tmp_path, precision="int8", lowering="negative_pad")


def test_float32_artifacts_have_float32_layers(tmp_path):
    artifact = compiled("openvino", tmp_path, lowering="negative_pad")
    with targets.find("openvino").open(artifact) as session:
        assert {layer.precision for layer in session.layers()} == {"fp32"}


def test_weights_have_seven_bits_where_the_processor_cannot_sum_bytes_in_32():
    without = replace(HOST, isa=tuple(flag for flag in HOST.isa if "vnni" not in flag and "amx" not in flag))
    assert targets.find("openvino").probe(without).scheme.weight_bits == 7
    with_vnni = replace(HOST, isa=("avx2", "avx512_vnni"), is_this_machine=False)
    assert targets.find("openvino").probe(with_vnni).scheme.weight_bits == 8


@pytest.mark.parametrize("name", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
@pytest.mark.parametrize("isa", ["AVX2", "AVX512_CORE"])
def test_onednns_own_limit_is_heeded_on_this_machine(monkeypatch, name, isa):
    monkeypatch.setenv(name, isa)
    assert targets.find("openvino").probe(HOST).scheme.weight_bits == 7


def test_weights_that_would_saturate_here_are_not_opened(monkeypatch, tmp_path):
    artifact = compiled_int8(tmp_path / "b", quantized(canonical()))
    monkeypatch.setenv("DNNL_MAX_CPU_ISA", "AVX2")
    for bits in (0, 7):
        targets.find("openvino").open(replace(artifact, weight_bits=bits)).close()
    with pytest.raises(TargetError, match="the weights have 8 bits, and this processor sums"):
        targets.find("openvino").open(replace(artifact, weight_bits=8))


SATURATING = """
import json, sys
sys.path[:0] = sys.argv[2:]
from test_openvino_int8 import saturation
print(json.dumps(saturation(sys.argv[1])))
"""


ONE_CONVOLUTION = """
<ir_version: 10, opset_import: ["" : 20]>
g (uint8[1, 1, 8, 8, 64] clip) => (float[1, 16] logits) {
    floats = Cast<to = 1>(clip)
    planes = Transpose<perm = [0, 1, 4, 2, 3]>(floats)
    stacked = Reshape(planes, shape)
    frames = Relu(stacked)
    sums = Conv(frames, weight)
    logits = ReduceMean<keepdims = 0>(sums, axes)
}
"""


def saturation(folder):
    """By bits a weight, all large and of one sign: do the answers pass as those of the int8 graph?"""
    random = np.random.default_rng(0)
    proto = onnx.parser.parse_model(ONE_CONVOLUTION)
    constants = {
        "weight": random.uniform(0.9, 1, (16, 64, 1, 1)).astype(np.float32),
        "shape": np.array([1, 64, 8, 8]),
        "axes": np.array([2, 3]),
    }
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(each, name) for name, each in constants.items()
    )
    graph = ir.from_proto(onnx.shape_inference.infer_shapes(proto))
    clips = random.integers(200, 256, (2, 1, 8, 8, 64)).astype(np.uint8)
    clips[1] //= 2
    found = {}
    for bits in (8, 7):
        model = quantize(graph, {"frames": 255.0, "sums": 2e4}, replace(SCHEME, weight_bits=bits))
        artifact = compiled_int8(Path(folder) / str(bits), model)
        with targets.find("openvino").open(artifact) as session:
            wanted = np.concatenate([run(model, clip[None]) for clip in clips])
            found[bits] = verify(session, [Expectation("int8 graph", clips, wanted)], "int8").passed
    return found


@pytest.mark.parametrize("isa", ["AVX2", "AVX512_CORE"])
def test_eight_bits_that_saturate_are_caught_by_verify_and_seven_do_not_saturate(tmp_path, isa):
    """Sums of two products of bytes in 16 bits: what a processor without VNNI does."""
    environment, here = {**os.environ, "ONEDNN_MAX_CPU_ISA": isa}, Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", SATURATING, str(tmp_path), str(here), str(here.parent)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"8": False, "7": True}
