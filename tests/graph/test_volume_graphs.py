"""Networks over volumes as canonical graphs, and what of them stays in float in int8."""

from functools import cache

import numpy as np
import pytest
import torch
from volume_members import CLASSES, FRAMES, MEMBERS, SIZE, member

from edgevid.calibration.calibrate import calibrate
from edgevid.calibration.clips import Arrays
from edgevid.calibration.points import edges, layers_named, points
from edgevid.calibration.quantize import quantize
from edgevid.contract import Normalization
from edgevid.graph.export import export
from edgevid.graph.prelude import with_uint8_clips
from edgevid.graph.shift_op import shift_nodes
from edgevid.int8 import Int8, kept_in_float
from edgevid.models import NetworkConfig, build
from edgevid.models.gate_config import GateConfig
from edgevid.models.registry import preset, preset_names
from edgevid.targets._schemes import SCHEMES
from edgevid.targets.onnxruntime import evaluate


@cache
def exported(name):
    return export(member(name))


@cache
def gated(norm):
    torch.manual_seed(0)
    gate = GateConfig(count=2, norm=norm)
    config = NetworkConfig(backbone="bn_inception", classes=5, segments=4, size=64, width="1/16", gate=gate)
    return export(build(config).eval())


@pytest.mark.parametrize("name", MEMBERS)
def test_a_network_over_volumes_exports_to_a_canonical_graph_that_computes_the_same(name):
    graph = exported(name)
    clip = torch.randn(1, FRAMES, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        wanted = member(name)(clip).numpy()
    (found,) = evaluate(graph, {"frames": clip.numpy()})
    assert found.shape == (1, CLASSES)
    assert np.allclose(found, wanted, rtol=1e-4, atol=1e-5)
    assert not shift_nodes(graph)
    assert not {node.op_type for node in graph.graph} & {"BatchNormalization", "Dropout"}


@pytest.mark.parametrize("name", ["s3d-g", "howto100m"])
@pytest.mark.parametrize("target", ["openvino", "tensorrt", "tvm"])
def test_gates_stay_in_float(name, target):
    graph = with_uint8_clips(exported(name), Normalization())
    scheme = SCHEMES[target]
    gates = layers_named(graph, ["gates"])
    dense = [node for node in graph.graph if node.op_type == "Gemm"]
    assert list(gates) == [node.name for node in dense[:-1]]
    means = [edge.node for edge in edges(graph) if edge.node.op_type == "ReduceMean"]
    assert len(means) == 1
    kept = kept_in_float(graph, Int8(calibration=None), scheme)
    assert "gate" in kept[dense[0].name]
    quantized = quantize(graph, dict.fromkeys(points(graph), 1.0), scheme, float_layers=tuple(kept))
    made = [node for node in quantized.graph if node.op_type == "Gemm"]
    sources = [node.inputs[1].producer() for node in made]
    assert [source is not None for source in sources] == [False] * len(gates) + [True]
    convolutions = [node for node in quantized.graph if node.op_type == "Conv"]
    assert all(node.inputs[1].producer() is not None for node in convolutions)


@pytest.mark.parametrize(
    "norm", [pytest.param(True, id="norm"), pytest.param(False, id="plain", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("target", ["openvino", "tensorrt", "tvm"])
def test_convolutions_that_make_gates_of_gate_shift_stay_in_float_and_all_others_do_not(target, norm):
    """A gate is a 3x3 convolution, a shift and a sum of taps in front of the tanh."""
    graph = with_uint8_clips(gated(norm), Normalization())
    scheme = SCHEMES[target]
    kept = kept_in_float(graph, Int8(calibration=None), scheme)
    quantized = quantize(graph, dict.fromkeys(points(graph), 1.0), scheme, float_layers=tuple(kept))
    layers = [node for node in quantized.graph if node.op_type in ("Conv", "Gemm")]
    in_float = [node.outputs[0].shape[1] for node in layers if node.inputs[1].producer() is None]
    assert in_float == [6, 2, 6, 2]
    assert len(layers) > 60


@pytest.mark.parametrize("method", ["minmax", "entropy"])
def test_ranges_of_volumes_are_found(method):
    graph = with_uint8_clips(exported("s3d-g"), Normalization())
    pixels = np.random.default_rng(0).integers(0, 256, (3, FRAMES, SIZE, SIZE, 3), np.uint8)
    table = calibrate(graph, Arrays(pixels), method=method, count=3)
    assert list(table.thresholds) == list(points(graph))
    assert all(np.isfinite(bound) and bound > 0 for bound in table.thresholds.values())


VOLUMES = [name for name in preset_names() if preset(name).config.volumes is not None]


@pytest.mark.slow
@pytest.mark.parametrize("name", VOLUMES)
def test_every_preset_over_volumes_exports_at_its_full_size(name):
    config = preset(name).config
    graph = export(build(config).eval()).graph
    assert graph.inputs[0].shape == (1, config.segments, 3, config.size, config.size)
    assert graph.outputs[0].shape == (1, config.classes)
