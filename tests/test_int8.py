"""The int8 part of the journey from a checkpoint to a bundle."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edgevid.bundle import Bundle
from edgevid.calibration.clips import Arrays
from edgevid.calibration.points import points
from edgevid.calibration.table import load_table
from edgevid.compiler import compile_checkpoint
from edgevid.errors import BundleError, ConfigError, EdgevidError, GraphError, VerificationError
from edgevid.graph.prelude import with_uint8_clips
from edgevid.int8 import TABLE, Int8, quantized
from edgevid.source import open_source
from edgevid.targets import find
from edgevid.targets._profiles import device
from edgevid.verification import verify_bundle

HOST = find(device("host").target).probe(device("host"))
needs_int8 = pytest.mark.skipif("int8" not in HOST.precisions, reason="this processor has no int8 arithmetic")


@pytest.fixture(scope="module")
def clips():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 32, 32, 3)).astype(np.uint8)
    return Arrays(pixels, [0, 1, 2, 3, 4, 0])


@pytest.fixture(scope="module")
def simulated(tiny_checkpoint, clips, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "simulated.bundle"
    return compile_checkpoint(
        tiny_checkpoint, path, device="tensorrt-simulated", precision="int8", int8=Int8(clips)
    )


@pytest.fixture(scope="module")
def graph(tiny_checkpoint):
    source = open_source(tiny_checkpoint)
    return with_uint8_clips(source.graph(1), source.normalization)


@needs_int8
def test_every_layer_of_an_int8_bundle_is_int8_in_every_batch(tiny_checkpoint, clips, tmp_path):
    bundle = compile_checkpoint(
        tiny_checkpoint, tmp_path / "int8.bundle", precision="int8", batches=(1, 2), int8=Int8(clips)
    )
    for artifact in bundle.manifest.artifacts:
        assert {layer.precision for layer in artifact.layers} == {"int8"}
        assert len(artifact.layers) == 18
    assert all(result.passed for result in verify_bundle(bundle).values())
    assert any("int8 graph" in check.name for check in bundle.manifest.artifacts[0].checks)


@needs_int8
def test_a_layer_that_is_kept_in_float_is_recorded_with_the_reason(tiny_checkpoint, clips, graph, tmp_path):
    name = next(node.name for node in graph.graph if node.op_type == "Conv")
    request = Int8(clips, float_layers={name: "asked for"})
    bundle = compile_checkpoint(
        tiny_checkpoint, tmp_path / "b", precision="int8", int8=request, lowering="fused_pad"
    )
    kept = [layer for layer in bundle.manifest.artifacts[0].layers if layer.precision != "int8"]
    assert [(layer.name, layer.precision, layer.reason) for layer in kept] == [(name, "fp32", "asked for")]
    assert bundle.manifest.quantization.float_layers == {name: "asked for"}


def test_the_ranges_stand_in_the_bundle_and_serve_the_next_one(simulated, tiny_checkpoint, tmp_path):
    file = simulated.path / TABLE
    table = load_table(file)
    assert len(table.clips) == 6
    assert simulated.manifest.quantization.graph_sha256 == table.graph_sha256
    again = compile_checkpoint(
        tiny_checkpoint, tmp_path / "b", device="tensorrt-simulated", precision="int8", int8=Int8(file)
    )
    with simulated.session() as first, again.session() as second:
        clip = simulated.golden_clip[:1]
        assert np.array_equal(first.run(clip), second.run(clip))


def test_a_bundle_whose_ranges_were_changed_is_refused(simulated, tmp_path):
    import shutil

    copy = tmp_path / "copy.bundle"
    shutil.copytree(simulated.path, copy)
    facts = json.loads((copy / TABLE).read_text())
    facts["tensors"][next(iter(facts["tensors"]))]["threshold"] = 1.0
    (copy / TABLE).write_text(json.dumps(facts))
    with pytest.raises(BundleError):
        Bundle.open(copy)


def test_a_simulation_says_so(simulated, capsys):
    from edgevid import show

    assert simulated.manifest.status == "simulated"
    assert simulated.simulated == "tensorrt"
    show.bundle(simulated)
    printed = capsys.readouterr().out
    assert "status: simulated" in printed
    assert "17 of 17 convolutions in int8" in printed
    assert "warning: only 6 clips" in printed


@pytest.mark.parametrize("every_layer", [False, True])
def test_the_report_counts_layers_and_lists_all_when_asked(simulated, capsys, every_layer):
    from edgevid import show

    show.bundle(simulated, every_layer=every_layer)
    printed = capsys.readouterr().out
    layers = simulated.manifest.artifacts[0].layers
    assert "1 of 1 dense layers in int8" in printed
    listed = [f"{layer.name} in int8 (onnxruntime)" in printed for layer in layers]
    assert len(listed) == 18
    assert set(listed) == {every_layer}


def test_ranges_of_another_network_are_refused(simulated, tiny_network, tmp_path):
    import copy

    import torch

    from edgevid.checkpoints import write

    other = copy.deepcopy(tiny_network)
    with torch.no_grad():
        next(other.parameters()).add_(0.01)
    write(tmp_path / "other.safetensors", other)
    with pytest.raises(ConfigError, match="is of network") as caught:
        compile_checkpoint(
            tmp_path / "other.safetensors",
            tmp_path / "b",
            device="tensorrt-simulated",
            precision="int8",
            int8=Int8(simulated.path / TABLE),
        )
    assert str(simulated.path / TABLE) in str(caught.value)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("precision", "request_", "words"),
    [("int8", None, "int8 without the ranges"), ("fp32", "clips", "which needs none")],
)
def test_calibration_is_asked_for_with_int8_and_only_then(
    tiny_checkpoint, clips, tmp_path, precision, request_, words
):
    name = "tensorrt-simulated" if precision == "int8" else "host"
    int8 = Int8(clips) if request_ else None
    with pytest.raises(ConfigError, match=words):
        compile_checkpoint(tiny_checkpoint, tmp_path / "b", device=name, precision=precision, int8=int8)


def test_int8_for_a_device_without_it_is_refused_with_the_way_out(tiny_checkpoint, clips, tmp_path):
    with pytest.raises(EdgevidError, match="no int8 arithmetic") as caught:
        compile_checkpoint(
            tiny_checkpoint, tmp_path / "b", device="xeon-e5-2690", precision="int8", int8=Int8(clips)
        )
    assert "fp16" in caught.value.fix


def test_an_unknown_float_layer_is_refused(tiny_checkpoint, clips, tmp_path):
    with pytest.raises(GraphError, match="no_layer"):
        compile_checkpoint(
            tiny_checkpoint,
            tmp_path / "b",
            device="tensorrt-simulated",
            precision="int8",
            int8=Int8(clips, float_layers={"no_layer": "asked for"}),
        )


def test_ranges_that_are_far_too_small_do_not_pass_verification(simulated, tiny_checkpoint, tmp_path):
    table = load_table(simulated.path / TABLE)
    small = {
        name: each.model_copy(update={"threshold": each.threshold / 20})
        for name, each in table.tensors.items()
    }
    with pytest.raises(VerificationError):
        compile_checkpoint(
            tiny_checkpoint,
            tmp_path / "b",
            device="tensorrt-simulated",
            precision="int8",
            int8=Int8(table.model_copy(update={"tensors": small})),
        )


def test_clips_of_another_size_are_refused(tiny_checkpoint, tmp_path):
    wrong = Arrays(np.zeros((2, 4, 16, 16, 3), np.uint8))
    with pytest.raises(ConfigError) as caught:
        compile_checkpoint(
            tiny_checkpoint, tmp_path / "b", device="tensorrt-simulated", precision="int8", int8=Int8(wrong)
        )
    assert "16" in str(caught.value)


def test_ranges_fit_every_batch_of_one_network(simulated, tiny_checkpoint):
    source = open_source(tiny_checkpoint)
    batch = with_uint8_clips(source.graph(3), source.normalization)
    table = load_table(simulated.path / TABLE)
    model = quantized(batch, table, replace(_scheme(), weight_bits=7), {})
    assert len(points(batch)) == len(table.tensors)
    assert sum(node.op_type == "QuantizeLinear" for node in model.graph) > 15


def _scheme():
    return find("onnxruntime").probe(device("tensorrt-simulated")).scheme
