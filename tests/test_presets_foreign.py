"""Every preset as a foreign file, with fewer pixels alone: its shifts are found and it computes the same."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

from edgevid.checkpoints import read
from edgevid.demo import families_speed
from edgevid.demo.evaluate import normalized
from edgevid.foreign import read_foreign
from edgevid.graph.export import export
from edgevid.graph.shift_op import shift_nodes, spec_of
from edgevid.models.registry import preset, preset_names
from edgevid.targets.onnxruntime import evaluate

PIXELS = {"mean": (127.5,) * 3, "std": (127.5,) * 3, "color": "RGB"}
SMALLEST = {"inception_v3": 101}


def movements(graph):
    """What moves, whatever it is called and in whatever order."""
    return sorted((spec.segments, spec.flat) for spec in map(spec_of, shift_nodes(graph)))


@pytest.mark.slow
@pytest.mark.parametrize("name", preset_names())
def test_the_shifts_of_a_preset_are_found_in_a_foreign_file(name, tmp_path, monkeypatch):
    known = preset(name)
    config = known.config.model_copy(update={"size": SMALLEST.get(known.config.backbone, 64)})
    monkeypatch.setattr(families_speed, "preset", lambda _: replace(known, config=config))
    families_speed.random_checkpoint(name, tmp_path / "network.safetensors")
    checkpoint = read(tmp_path / "network.safetensors")
    network = checkpoint.network().eval()
    shape = (1, config.segments, config.size, config.size, 3)
    pixels = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    clip = normalized(pixels, checkpoint.normalization).contiguous()
    path = tmp_path / "foreign.onnx"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (clip,), str(path), opset_version=18, dynamo=False)
        wanted = network(clip).numpy()
    graph = read_foreign(path, **PIXELS).graph(1)
    assert movements(graph) == movements(export(network))
    (found,) = evaluate(graph, {graph.graph.inputs[0].name: clip.numpy()})
    assert np.abs(found - wanted).max() <= 1e-4 * np.abs(wanted).max()
    path.unlink()
