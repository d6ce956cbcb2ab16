"""Weights in float16, arithmetic in float32."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("tvm")

import tvm
from small_graphs import graph
from tvm import relax

from edgevid.errors import TargetError
from edgevid.targets.onnxruntime import evaluate
from edgevid.targets.tvm.assemble import assemble, build
from edgevid.targets.tvm.cpus import cpu, host_cpu
from edgevid.targets.tvm.half_weights import with_half_weights
from edgevid.targets.tvm.kernels.choose import candidates
from edgevid.targets.tvm.network import Convolution, Frames
from edgevid.targets.tvm.read_graph import read_graph

BODY = """
    c = Conv <pads = [1, 1, 1, 1]> (x, stem)  d = Conv (c, point)
    e = Conv <group = 8> (d, depth)
    f = Conv <group = 2> (e, groups)  g = GlobalAveragePool (f)  h = Flatten (g)
    y = Gemm <transB = 1> (h, rows)
"""
SHAPES = {
    "stem": (8, 3, 3, 3),
    "point": (8, 8, 1, 1),
    "depth": (8, 1, 3, 3),
    "groups": (6, 4, 1, 1),
    "rows": (5, 6),
}


def halved(scale=1.0):
    """A network of every family, its weights numbers that float16 holds, and what it computes."""
    rng = np.random.default_rng(0)
    weights = {
        name: (rng.standard_normal(shape) * scale).astype(np.float16).astype(np.float32)
        for name, shape in SHAPES.items()
    }
    model = graph(BODY, weights)
    return model, read_graph(model, host_cpu().lanes)


def test_weights_that_float16_holds_give_the_same_numbers():
    model, network = halved()
    machine = host_cpu()
    clips = np.random.default_rng(1).integers(0, 256, (1, 2, 5, 6, 3), np.uint8)
    (wanted,) = evaluate(model, {"clips": clips})
    module = assemble(with_half_weights(network), machine, wanted.shape)
    families = {kernel.family for _, kernel in module.kernels.values()}
    assert families >= {"spatial", "pointwise", "depthwise", "grouped", "dense"}
    packed = [
        kernel.pack(layer.weights)[0].dtype
        for layer in network.layers
        if layer.weights
        for kernel in [replace(module.kernels[layer.name][1])]
    ]
    assert set(packed) == {np.dtype(np.float16)}
    running = relax.VirtualMachine(build(module, machine), tvm.cpu())
    result = running["main"](tvm.runtime.tensor(clips)).numpy()
    assert np.abs(result - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_an_arm_core_widens_vectors_of_weights_when_it_loads_them():
    machine = cpu("cortex-a76")
    frames = Frames(1, 1, 16, 7, 7, machine.lanes)
    kernel = candidates(Convolution(frames, frames, weight_type="float16"), machine)[0]
    target = tvm.target.Target(machine.llvm)
    compiled = tvm.compile(tvm.IRModule({"k": kernel.build("k")}), target=target)
    assert "fcvtl" in compiled.mod.inspect_source("asm")


def test_a_weight_beyond_float16_is_named():
    _, network = halved()
    first = network.layers[0]
    large = replace(first, weights={**first.weights, "weight": first.weights["weight"] * 1e5})
    with pytest.raises(TargetError, match="65504") as raised:
        with_half_weights(replace(network, layers=(large, *network.layers[1:])))
    assert first.name in str(raised.value)
