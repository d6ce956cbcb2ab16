"""The demo network in int8, by our own kernels, against ONNX Runtime's result for the same Q/DQ graph."""

from importlib.resources import files

import numpy as np
import pytest

pytest.importorskip("tvm")

import tvm
from tvm import relax

from edgevid.calibration.calibrate import calibrate
from edgevid.calibration.clips import Arrays
from edgevid.calibration.quantize import quantize
from edgevid.graph.prelude import with_uint8_clips
from edgevid.source import open_source
from edgevid.targets._schemes import SCHEMES
from edgevid.targets.onnxruntime import evaluate
from edgevid.targets.tvm.assemble import assemble, build
from edgevid.targets.tvm.byte_type import with_byte_type
from edgevid.targets.tvm.cpus import host_cpu
from edgevid.targets.tvm.kernels._dot import activation_type
from edgevid.targets.tvm.network import Convolution
from edgevid.targets.tvm.read_graph import read_graph
from edgevid.video.synthetic import make_clips


@pytest.fixture(scope="module")
def demo():
    """The float graph, its thresholds, and clips that it was not calibrated with."""
    source = open_source(str(files("edgevid.demo") / "tsm.safetensors"))
    graph = with_uint8_clips(source.graph(1), source.normalization)
    _, length, size, _, _ = (int(axis) for axis in graph.graph.inputs[0].shape.numpy())
    clips = make_clips("hard", 16, 0, length=length, size=size)[0]
    return graph, calibrate(graph, Arrays(clips[:8]), threads=1).thresholds, clips[8:]


def sqnr(result, wanted):
    return 10 * np.log10((wanted**2).sum() / ((result - wanted) ** 2).sum())


def layers_kept_in_float(graph):
    """A pointwise, a depthwise and the first convolution."""
    convolutions = [node for node in graph.graph if node.op_type == "Conv"]
    depthwise = next(node for node in convolutions if node.attributes.get_int("group", 1) > 1)
    return (convolutions[0].name, convolutions[9].name, depthwise.name)


@pytest.mark.parametrize("mixed", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_demo_network_computes_what_its_quantized_graph_says(demo, mixed):
    graph, thresholds, clips = demo
    kept = layers_kept_in_float(graph) if mixed else ()
    quantized = quantize(graph, thresholds, SCHEMES["tvm"], float_layers=kept)
    cpu = host_cpu()
    network = with_byte_type(read_graph(quantized, cpu.lanes), activation_type(cpu.dot))
    in_int8 = [
        layer.operation.source.quantization is not None
        for layer in network.layers
        if isinstance(layer.operation, Convolution)
    ]
    assert in_int8.count(False) == len(kept)
    module = assemble(network, cpu, quantized.graph.outputs[0].shape.numpy())
    machine = relax.VirtualMachine(build(module, cpu), tvm.cpu())
    results = np.concatenate([machine["main"](tvm.runtime.tensor(clip[None])).numpy() for clip in clips])
    wanted = np.concatenate([evaluate(quantized, {"clips": clip[None]})[0] for clip in clips])
    assert sqnr(results, wanted) > 35
    np.testing.assert_array_equal(results.argmax(1), wanted.argmax(1))


def test_layers_that_differ_in_scales_alone_share_a_function(demo):
    graph, thresholds, _ = demo
    cpu = host_cpu()
    quantized = quantize(graph, thresholds, SCHEMES["tvm"])
    network = with_byte_type(read_graph(quantized, cpu.lanes), activation_type(cpu.dot))
    module = assemble(network, cpu, quantized.graph.outputs[0].shape.numpy())
    names = {name for name, _ in module.kernels.values()}
    assert len({layer.operation for layer in network.layers}) > 1.3 * len(names)
