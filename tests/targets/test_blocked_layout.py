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
from edgevid.errors import LoweringError
from edgevid.graph.export import export
from edgevid.graph.lower import lower, lower_plain
from edgevid.graph.prelude import with_uint8_clips
from edgevid.graph.verify import compare, random_clips
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.targets import onnxruntime as reference_target
from edgevid.targets._machine import this_processor
from edgevid.targets._profiles import device
from edgevid.targets.openvino import target

HOST = device("host")
IN_PLACE = "volume_split_conv@blocked"
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
    assert target().default_lowering(bottlenecks, device(name), "fp32", 1) == IN_PLACE


def test_an_inplace_shift_defaults_to_split_volumes_too():
    graph = canonical("resnet50", 32, ShiftConfig(placement="inplace", proportion="1/2"))
    assert target().default_lowering(graph, AVX512, "fp32", 1) == IN_PLACE


def test_they_do_in_every_float_precision(bottlenecks):
    names = {target().default_lowering(bottlenecks, AVX512, kind, 1) for kind in ("fp32", "bf16", "fp16")}
    assert names == {IN_PLACE}


@pytest.mark.parametrize(("name", "precision"), [("xeon-e5-2690", "fp32"), ("xeon-icelake", "int8")])
def test_without_avx512_or_in_int8_the_default_is_a_pad(bottlenecks, name, precision):
    assert target().default_lowering(bottlenecks, device(name), precision, 1) == "negative_pad"


@pytest.mark.parametrize("clips", [2, 16])
def test_a_batch_of_clips_has_a_default_that_keeps_them_apart(clips):
    graph = canonical("resnet50", 32, ShiftConfig(), batch=clips)
    name = target().default_lowering(graph, AVX512, "fp32", clips)
    assert name in target().probe(AVX512).batch_lowerings
    assert (name == IN_PLACE) == (clips == 2)
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


@pytest.mark.parametrize("name", ["volume_split_conv", "negative_pad"])
def test_every_convolution_of_the_artifact_asks_for_blocked_kernels(bottlenecks, tmp_path, name):
    artifact = compiled(bottlenecks, tmp_path, f"{name}@blocked", AVX512)
    lowered = lower(bottlenecks, name)
    assert forced(artifact) == sum(node.op_type == "Conv" for node in lowered.graph)


def test_nothing_is_forced_where_the_name_does_not_say_so(bottlenecks, tmp_path):
    assert forced(compiled(bottlenecks, tmp_path, "volume_split_conv", AVX512)) == 0


@pytest.mark.parametrize(("name", "precision"), [("xeon-e5-2690", "fp32"), ("xeon-icelake", "int8")])
def test_a_layout_that_the_device_lacks_is_refused(bottlenecks, tmp_path, name, precision):
    with pytest.raises(LoweringError, match="no convolutions in blocked layouts"):
        compiled(bottlenecks, tmp_path, IN_PLACE, device(name), precision)
    if precision == "fp32":
        assert not any(form.endswith("@blocked") for form in target().probe(device(name)).plain_forms)


@needs_avx512
@pytest.mark.parametrize("clips", [1, 2])
def test_networks_without_a_shift_run_in_all_their_forms(tmp_path, clips):
    graph = canonical("resnet50", 32, None, batch=clips)
    logits = {}
    for form in target().probe(AVX512).plain_forms:
        folder = tmp_path / form
        folder.mkdir()
        options = CompileOptions(AVX512, folder, "fp32", batch=clips, lowering=form)
        artifact = target().compile(lower_plain(graph, form), options)
        assert bool(forced(artifact)) == form.endswith("@blocked")
        with target().open(artifact) as session:
            logits[form] = session.run(random_clips(artifact.input, clips, 0))
    assert set(logits) == {"none", "volume", "none@blocked", "volume@blocked"}
    for form, found in logits.items():
        assert compare(logits["none"], found).max_relative <= 1e-4, form


@needs_avx512
def test_forced_depthwise_convolutions_have_a_depthwise_kernel(inverted_residuals, tmp_path):
    with target().open(compiled(inverted_residuals, tmp_path, "negative_pad@blocked", AVX512)) as session:
        kernels = {kernel for kernel, _ in session.kernels()}
    assert kernels == {"jit_avx512_f32", "jit_avx512_dw_f32", "jit_avx512_1x1_f32"}


@needs_avx512
def test_the_forced_kernels_run_and_are_right(bottlenecks, tmp_path):
    (tmp_path / "artifact").mkdir()
    (tmp_path / "reference").mkdir()
    artifact = compiled(bottlenecks, tmp_path / "artifact", IN_PLACE, AVX512)
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
    artifact = compiled(bottlenecks, tmp_path / "artifact", IN_PLACE, AVX512)
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
