"""Engines that take frame by frame, built by TensorRT for RTX on this machine."""

import functools
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
import torch
from typed_graphs import BACKBONES, streamed

from edgevid import targets
from edgevid.calibration.clips import Arrays
from edgevid.calibration.points import layers_named, points
from edgevid.calibration.quantize import quantize
from edgevid.checkpoints import write
from edgevid.compiler import compile_checkpoint
from edgevid.contract import CompileOptions, Normalization
from edgevid.graph.export import export
from edgevid.graph.lower import lower
from edgevid.graph.prelude import with_uint8_clips
from edgevid.graph.streaming import stream_graph
from edgevid.int8 import Int8
from edgevid.models import build
from edgevid.models.config import NetworkConfig, ShiftConfig
from edgevid.targets._profiles import device
from edgevid.targets.tensorrt._target import scheme_of, typed
from edgevid.targets.tensorrt.boards import board
from edgevid.targets.tensorrt.build import build_plan
from edgevid.targets.tensorrt.cache_tensors import held
from edgevid.targets.tensorrt.layer_report import load_report, report_of

pytest.importorskip("tensorrt_rtx")

GPU = board("rtx-40")
BYTES = {"fp32": 4, "fp16": 2, "int8": 1}
TYPES = {"fp32": "float32", "fp16": "float16", "int8": "int8"}
PRECISIONS = pytest.mark.parametrize("precision", BYTES)
BOTH = pytest.mark.parametrize("backbone", BACKBONES)
FULL_SIZE = [
    ("mobilenet_v2", "fp32"),
    *(pytest.param(name, "fp16", marks=pytest.mark.slow) for name in ("resnet50", "mobilenet_v2")),
    pytest.param("resnet50", "fp32", marks=pytest.mark.slow),
]
CACHE_NUMBERS = {"resnet50": 702_464, "mobilenet_v2": 27_048}
"""Channels of 1/8 of each shifted tensor, times rows and columns, at 224 pixels."""


def compiled(backbone, precision, folder, direction="unidirectional"):
    stream = streamed(backbone, precision, direction)
    options = CompileOptions(
        device("rtx-40"), folder, precision, 1, "fused_slice_concat", streaming=stream.streaming
    )
    return targets.find("tensorrt").compile(stream.plain, options)


@BOTH
@PRECISIONS
def test_caches_are_inputs_and_outputs_of_their_type_and_no_byte_more(backbone, precision, tmp_path):
    artifact = compiled(backbone, precision, tmp_path)
    given, made = {}, {}
    for kernel in load_report(tmp_path).kernels:
        given |= {tensor.name: tensor for tensor in kernel.inputs}
        made |= {tensor.name: tensor for tensor in kernel.outputs}
    wanted = streamed(backbone).streaming.nbytes
    assert artifact.streaming.nbytes == wanted * BYTES[precision] // 4
    for cache in artifact.streaming.caches:
        assert cache.dtype == TYPES[precision]
        for tensor in (given[cache.name], made[cache.next]):
            assert (tensor.shape, tensor.bytes, tensor.type) == (cache.shape, cache.nbytes, precision)
    assert (artifact.input.shape, artifact.output.shape) == ((1, 1, 32, 32, 3), (1, 6))


@PRECISIONS
def test_a_network_that_looks_ahead_is_built_with_its_gates(precision, tmp_path):
    artifact = compiled("resnet50", precision, tmp_path, "bidirectional")
    assert artifact.streaming.delay > 0
    assert {cache.dtype for cache in artifact.streaming.caches} == {TYPES[precision]}
    assert '"valid"' in (tmp_path / "example.py").read_text()


def test_an_engine_says_how_many_bytes_its_notes_speak_of(tmp_path):
    (first, *_) = compiled("resnet50", "fp32", tmp_path).notes
    shifts = len(streamed("resnet50").streaming.caches)
    assert f"{shifts} of them for {shifts} shifts" in first


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_bundle_is_compiled_from_a_checkpoint_and_holds_its_caches_bytes(precision, tiny_network, tmp_path):
    shift = tiny_network.config.shift.model_copy(update={"direction": "unidirectional"})
    network = build(tiny_network.config.model_copy(update={"shift": shift}))
    network.load_state_dict(tiny_network.state_dict())
    write(tmp_path / "past.safetensors", network)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 32, 32, 3)).astype(np.uint8)
    bundle = compile_checkpoint(
        tmp_path / "past.safetensors",
        tmp_path / "past.bundle",
        device="rtx-40",
        precision=precision,
        int8=Int8(Arrays(pixels, [0, 1, 2, 3, 4, 0])) if precision == "int8" else None,
        streaming=True,
    )
    streaming = bundle.artifact().streaming
    assert {cache.dtype for cache in streaming.caches} == {TYPES[precision]}
    assert bundle.manifest.streaming.cache_bytes == streaming.nbytes
    assert bundle.manifest.status == "compiled, not executed" or Path("/dev/nvidia0").exists()


@functools.cache
def canonical(backbone, streaming):
    """Of the paper's size; without a shift one of a single frame."""
    torch.manual_seed(0)
    shift = ShiftConfig(direction="unidirectional", proportion=Fraction(1, 8) if streaming else 0)
    config = NetworkConfig(backbone=backbone, classes=400, segments=8 if streaming else 1, shift=shift)
    return with_uint8_clips(export(build(config).eval()), Normalization())


@functools.cache
def built(backbone, precision, streaming):
    graph, described = canonical(backbone, streaming), None
    if precision == "int8":
        ranges = {name: 1 + 0.01 * number for number, name in enumerate(points(graph))}
        scheme = replace(scheme_of(GPU), shift_side="integer" if streaming else "float")
        kept = layers_named(graph, ["depthwise"]) if backbone == "mobilenet_v2" else ()
        graph = quantize(graph, ranges, scheme, float_layers=kept)
    if streaming:
        made = stream_graph(graph)
        graph, described = lower(made.model, "slice_concat"), made.streaming
    network = typed(graph, precision, "tensorrt_rtx")
    plan = build_plan(
        ir.to_proto(network).SerializeToString(), flavor="tensorrt_rtx", capabilities=GPU.capabilities
    )
    return report_of(plan.log, network), described and held(described, network)


@pytest.mark.parametrize(("backbone", "precision"), FULL_SIZE)
def test_a_shift_costs_exactly_one_kernel_which_writes_the_next_cache_too(backbone, precision):
    (plain, _), (report, streaming) = (built(backbone, precision, each) for each in (False, True))
    shifts = len(streaming.caches)
    assert list(report.shifts.values()) == [1] * shifts
    assert len(report.kernels) <= len(plain.kernels) + shifts
    for cache in streaming.caches:
        (reader,) = (k for k in report.kernels if cache.name in [tensor.name for tensor in k.inputs])
        assert cache.next in [tensor.name for tensor in reader.outputs]


@BOTH
def test_in_int8_shifts_are_in_the_kernels_before_them(backbone):
    (plain, _), (report, _) = (built(backbone, "int8", each) for each in (False, True))
    assert sum(report.shifts.values()) <= 1
    assert len(report.kernels) <= len(plain.kernels) + 1


@pytest.mark.parametrize(
    ("backbone", "precision"), [*FULL_SIZE, ("mobilenet_v2", "int8"), ("resnet50", "int8")]
)
def test_caches_of_networks_of_the_papers_size_have_the_computed_bytes(backbone, precision):
    _, streaming = built(backbone, precision, True)
    assert streaming.nbytes == CACHE_NUMBERS[backbone] * BYTES[precision]
