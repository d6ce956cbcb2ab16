"""Every preset in full size, from the checkpoint to verified bundles: hours of `make test-slow`."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from edgevid.checkpoints import read
from edgevid.compiler import compile_checkpoint
from edgevid.demo.evaluate import normalized
from edgevid.demo.families_speed import random_checkpoint
from edgevid.graph.shift_op import shift_nodes
from edgevid.models.registry import preset, preset_names
from edgevid.source import open_source
from edgevid.targets.onnxruntime import evaluate

DEVICES = ("host", "reference")


@pytest.fixture
def folder(tmp_path):
    """Gone after each test: all presets are tens of gigabytes."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def relative(one, other):
    return float((one - other).abs().max() / other.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize("name", preset_names())
def test_a_preset_verifies_in_openvino_and_onnxruntime_at_its_full_size(name, folder):
    random_checkpoint(name, folder / "network.safetensors")
    checkpoint = read(folder / "network.safetensors")
    config, network = checkpoint.config, checkpoint.network().eval()
    assert config == preset(name).config
    shape = (1, config.segments, config.size, config.size, 3)
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    clip = normalized(pixels, checkpoint.normalization).contiguous()
    with torch.no_grad():
        logits, backwards = network(clip), network(clip.flip(1))
    assert (relative(backwards, logits) > 1e-4) == config.mixes_time

    source = open_source(checkpoint)
    graph = source.graph(1)
    (found,) = evaluate(graph, {"frames": clip.numpy()})
    assert relative(torch.from_numpy(found), logits) < 1e-4
    assert len(shift_nodes(graph)) == len(source.shifts)

    once = replace(source, graph=lambda _: graph.clone())
    for device in DEVICES:
        lowering = "fused_slice_concat" if source.shifts else "none"
        bundle = compile_checkpoint(once, folder / device, device=device, lowering=lowering)
        (artifact,) = bundle.manifest.artifacts
        assert artifact.output.shape == (1, config.classes)
        assert artifact.checks
        assert all(check.passed for check in artifact.checks)
        shutil.rmtree(folder / device)
