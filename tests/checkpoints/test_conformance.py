"""The published layouts, on weights whose logits the publishing projects computed themselves."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from edgevid.checkpoints import read
from edgevid.checkpoints.checkpoint import load
from edgevid.graph.export import export
from edgevid.graph.streaming import stream_graph
from edgevid.models.shift_module import Shift
from edgevid.shift import ShiftSpec
from edgevid.targets.onnxruntime import observer

CONFORMANCE = Path(__file__).resolve().parents[2].parent / "shared" / "conformance"
TOLERANCE = 1e-4
GATED = 1e-6
"""For networks with gates: with these weights Inception-V3's logits differ by 5e-6 where each shift goes
the other way, and by 1e-7 from the published ones."""
CASES = (
    "mit_tsn_resnet50_8f",
    "mit_tsm_resnet50_8f",
    "mit_tsm_resnet50_inplace_8f",
    "mit_tsm_mobilenetv2_8f",
    "mmaction2_tsm_resnet50_8f",
    "mmaction2_tsm_mobilenetv2_8f",
    "gsm_bninception_8f",
    "gsm_inceptionv3_8f",
)
MIT_BUFFERS = [
    (1, 3, 56, 56),
    *[(1, 4, 28, 28)] * 2,
    *[(1, 8, 14, 14)] * 3,
    *[(1, 12, 14, 14)] * 2,
    *[(1, 20, 7, 7)] * 2,
]
"""``shift_buffer`` of MIT's ``online_demo/main.py``."""


@pytest.fixture(scope="module")
def published():
    """The rule that makes the weights, from the folder that is shared beside the checkout."""
    if not CONFORMANCE.is_dir():
        pytest.skip("the conformance data is not beside this checkout")
    spec = importlib.util.spec_from_file_location("conformance_weights", CONFORMANCE / "weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=CASES)
def case(request, published, tmp_path_factory):
    """Name, weights and bare file of one published checkpoint, made once for all tests."""
    path = tmp_path_factory.mktemp("bare") / "weights.pth"
    state = tensors(published, request.param)
    torch.save(state, path)
    return request.param, state, path


def tensors(published, name):
    return {key: torch.from_numpy(np.asarray(value)) for key, value in published.weights(name).items()}


def difference(network, published, name):
    with torch.no_grad():
        logits = network(torch.from_numpy(published.clip(name))[None]).numpy()
    expected = published.expected(name)[0]
    return float(np.abs(logits - expected).max() / np.abs(expected).max())


def test_a_published_checkpoint_reproduces_its_logits(published, case):
    name, _, path = case
    assert difference(read(path).network(), published, name) <= TOLERANCE


def test_without_the_shift_or_with_its_direction_swapped_the_logits_differ(published, case):
    name, _, path = case
    checkpoint = read(path)
    if checkpoint.config.gate is not None:
        assert difference(checkpoint.network(), published, name) <= GATED
        for change in (ShiftSpec.without_moves, ShiftSpec.swapped):
            network = checkpoint.network()
            for layer in network.modules():
                if isinstance(layer, Shift):
                    layer.spec = change(layer.spec)
            assert difference(network, published, name) > 3 * GATED
        return
    if checkpoint.config.shift is None:
        assert "tsn" in name
        return
    for control in (checkpoint.config.without_shift(), checkpoint.config.with_swapped_shift()):
        assert difference(load(control, checkpoint.state), published, name) > TOLERANCE


def test_a_doubly_wrapped_shift_is_applied_twice(published, case):
    name, _, path = case
    checkpoint = read(path)
    if "mmaction2" not in name:
        assert checkpoint.config.shift is None or checkpoint.config.shift.repeats == 1
        return
    assert checkpoint.config.shift.repeats == 2
    once = checkpoint.config.shift.model_copy(update={"repeats": 1})
    control = checkpoint.config.model_copy(update={"shift": once})
    assert difference(load(control, checkpoint.state), published, name) > TOLERANCE


def test_a_published_checkpoint_is_the_same_under_state_dict_and_with_the_prefix_of_dataparallel(
    case, tmp_path
):
    _, state, path = case
    bare = read(path)
    prefixed = {f"module.{key}": value for key, value in state.items()}
    for contents in (
        {"epoch": 1, "state_dict": state, "best_prec1": 0.5},
        prefixed,
        {"state_dict": prefixed},
    ):
        torch.save(contents, tmp_path / "weights.pth")
        other = read(tmp_path / "weights.pth")
        assert other.config == bare.config
        assert other.state.keys() == bare.state.keys()
        assert all(torch.equal(other.state[key], value) for key, value in bare.state.items())


def test_the_online_checkpoint_gives_the_same_logits_frame_by_frame(published, tmp_path):
    name = "mit_online_mobilenetv2_12frames"
    torch.save(tensors(published, name), tmp_path / "weights.pth")
    checkpoint = read(tmp_path / "weights.pth", segments=12)
    assert checkpoint.layout == "mit-online"
    assert {"direction", "proportion"} <= set(checkpoint.assumptions)
    with torch.no_grad():
        logits = checkpoint.network().frame_logits(torch.from_numpy(published.clip(name))[None])[0]
    expected = published.expected(name)[0]
    assert np.abs(logits.numpy() - expected).max() / np.abs(expected).max() <= TOLERANCE


def test_the_online_checkpoint_streams_through_the_buffers_of_the_published_demo(published, tmp_path):
    name = "mit_online_mobilenetv2_12frames"
    torch.save(tensors(published, name), tmp_path / "weights.pth")
    streamed = stream_graph(export(read(tmp_path / "weights.pth").network()))
    caches = streamed.streaming.caches
    assert [cache.shape for cache in caches] == MIT_BUFFERS
    advance = observer(streamed.model, threads=1)
    state = [np.zeros(cache.shape, cache.dtype) for cache in caches]
    logits = []
    for frame in published.clip(name):
        kept = {cache.name: value for cache, value in zip(caches, state, strict=True)}
        answer, *state = advance({"frames": frame[None, None], **kept})
        logits.append(answer[0])
    expected = published.expected(name)[0]
    assert np.abs(np.array(logits) - expected).max() / np.abs(expected).max() <= TOLERANCE
