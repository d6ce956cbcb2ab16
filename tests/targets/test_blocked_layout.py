import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx_ir as ir
import pytest
import torch

from edgevid.contract import CompileOptions, Normalization
from edgevid.graph.export import export
from edgevid.graph.lower import lower
from edgevid.graph.prelude import with_uint8_clips
from edgevid.graph.verify import compare, random_clips
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.targets import onnxruntime as reference_target
from edgevid.targets._blocked_layout import fits_blocked_layout
from edgevid.targets._machine import this_processor
from edgevid.targets._profiles import device
from edgevid.targets.openvino import target

HOST = device("host")
AVX512 = replace(HOST, isa=("avx2", "avx512f"))
needs_avx512 = pytest.mark.skipif(
    "avx512f" not in this_processor().flags, reason="this machine has no AVX-512, which the kernels need"
)


def canonical(backbone, width, shift, batch=1):
    widths = (width,) * (9 if backbone == "mobilenet_v2" else 5)
    blocks = (1, 2, 2, 1, 1, 1, 1) if backbone == "mobilenet_v2" else (1, 2, 1, 1)
    torch.manual_seed(0)
    config = NetworkConfig(
        backbone=backbone, classes=5, segments=4, size=32, blocks=blocks, channels=widths, shift=shift
    )
    network = build(config).eval()
    torch.nn.init.normal_(list(network.modules())[-1].weight, std=0.3)
    return with_uint8_clips(export(network, batch=batch), Normalization())


@pytest.fixture(scope="module")
def bottlenecks():
    return canonical("resnet50", 32, ShiftConfig())


@pytest.fixture(scope="module")
def inverted_residuals():
    return canonical("mobilenet_v2", 16, ShiftConfig())


def compiled(graph, folder, lowering, on=HOST, precision="fp32"):
    options = CompileOptions(on, folder, precision, lowering=lowering)
    return target().compile(lower(graph, lowering), options)


def forced(artifact):
    return artifact.path.read_text(encoding="utf-8").count("primitives_priority")


def reference_logits(graph, folder, clip):
    reference = reference_target.target()
    options = CompileOptions(device("reference"), folder, lowering="function")
    with reference.open(reference.compile(graph, options)) as session:
        return session.run(clip)


@pytest.mark.parametrize("name", ["xeon-cascadelake", "xeon-icelake", "xeon-sapphirerapids"])
def test_bottlenecks_default_to_split_volumes_on_cpus_with_avx512(bottlenecks, name):
    assert target().default_lowering(bottlenecks, device(name), "fp32", 1) == "volume_split_conv"


def test_an_inplace_shift_defaults_to_split_volumes_too():
    graph = canonical("resnet50", 32, ShiftConfig(placement="inplace", proportion="1/2"))
    assert target().default_lowering(graph, AVX512, "fp32", 1) == "volume_split_conv"


@pytest.mark.parametrize(
    ("name", "precision"),
    [("xeon-e5-2690", "fp32"), ("xeon-sapphirerapids", "bf16"), ("xeon-icelake", "fp16")],
)
def test_without_avx512_or_in_another_precision_the_default_is_a_pad(bottlenecks, name, precision):
    assert target().default_lowering(bottlenecks, device(name), precision, 1) == "negative_pad"


def test_a_batch_of_clips_has_a_default_that_keeps_them_apart():
    graph = canonical("resnet50", 32, ShiftConfig(), batch=2)
    name = target().default_lowering(graph, AVX512, "fp32", 2)
    assert name in target().probe(AVX512).batch_lowerings
    lower(graph, name)


@pytest.mark.parametrize(
    ("backbone", "width", "shift"),
    [
        ("mobilenet_v2", 16, ShiftConfig()),
        ("resnet50", 12, ShiftConfig()),
        ("resnet50", 16, ShiftConfig()),
        ("resnet18", 32, ShiftConfig()),
        ("resnet50", 32, None),
    ],
    ids=[
        "depthwise",
        "channels that fill no blocks",
        "one block for all moves",
        "3x3 convolutions",
        "no shift",
    ],
)
def test_networks_that_blocked_layouts_do_not_suit_default_to_a_pad(backbone, width, shift):
    graph = canonical(backbone, width, shift)
    assert target().default_lowering(graph, AVX512, "fp32", 1) == "negative_pad"


def test_every_convolution_of_the_artifact_asks_for_blocked_kernels(bottlenecks, tmp_path):
    artifact = compiled(bottlenecks, tmp_path, "volume_split_conv", AVX512)
    lowered = lower(bottlenecks, "volume_split_conv")
    assert forced(artifact) == sum(node.op_type == "Conv" for node in lowered.graph)


@pytest.mark.parametrize(
    ("lowering", "name", "precision"),
    [
        ("negative_pad", "xeon-icelake", "fp32"),
        ("volume_split_conv", "xeon-e5-2690", "fp32"),
        ("volume_split_conv", "xeon-sapphirerapids", "bf16"),
        ("volume_split_conv", "xeon-icelake", "fp16"),
    ],
)
def test_nothing_is_forced_for_another_lowering_device_or_precision(
    bottlenecks, tmp_path, lowering, name, precision
):
    assert forced(compiled(bottlenecks, tmp_path, lowering, device(name), precision)) == 0


def test_nothing_is_forced_where_it_would_lead_to_slow_kernels(inverted_residuals, tmp_path):
    assert not fits_blocked_layout(inverted_residuals, AVX512, "fp32")
    assert forced(compiled(inverted_residuals, tmp_path, "volume_split_conv", AVX512)) == 0


def test_a_network_without_shift_is_compiled_as_the_runtime_likes_it(tmp_path):
    graph = canonical("resnet50", 32, None)
    assert forced(compiled(graph, tmp_path, "volume_split_conv", AVX512)) == 0


@needs_avx512
def test_the_forced_kernels_run_and_are_right(bottlenecks, tmp_path):
    (tmp_path / "artifact").mkdir()
    (tmp_path / "reference").mkdir()
    artifact = compiled(bottlenecks, tmp_path / "artifact", "volume_split_conv", AVX512)
    clip = random_clips(artifact.input, 1, 0)
    with target().open(artifact) as session:
        logits, kernels = session.run(clip), session.kernels()
    assert {kernel for kernel, _ in kernels} == {"jit_avx512_f32", "jit_avx512_1x1_f32"}
    wanted = reference_logits(bottlenecks, tmp_path / "reference", clip)
    assert compare(wanted, logits).max_relative <= 1e-4


_RUN = """
import json, sys, numpy, openvino
path, clip = sys.argv[1:]
model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
print(json.dumps(model(numpy.load(clip))[0].tolist()))
"""


def test_the_artifact_runs_on_a_cpu_without_avx512(bottlenecks, tmp_path):
    (tmp_path / "artifact").mkdir()
    (tmp_path / "reference").mkdir()
    artifact = compiled(bottlenecks, tmp_path / "artifact", "volume_split_conv", AVX512)
    assert forced(artifact)
    clip = random_clips(artifact.input, 1, 0)
    np.save(tmp_path / "clip.npy", clip)
    finished = subprocess.run(
        [sys.executable, "-c", _RUN, artifact.path, tmp_path / "clip.npy"],
        env={**os.environ, "ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        check=True,
    )
    logits = np.array(json.loads(finished.stdout), np.float32)
    wanted = reference_logits(bottlenecks, tmp_path / "reference", clip)
    assert compare(wanted, logits).max_relative <= 1e-4


def test_the_graph_given_for_a_default_is_not_changed(bottlenecks):
    before = ir.to_proto(bottlenecks).SerializeToString()
    target().default_lowering(bottlenecks, AVX512, "fp32", 1)
    assert ir.to_proto(bottlenecks).SerializeToString() == before
