"""Channels that wait for the next frame as tensors of their own, all along a stage."""

from functools import cache

import numpy as np
import onnx_ir as ir
import pytest
import torch
from exported_once import export
from stream_graphs import video

from edgevid.contract import Normalization
from edgevid.graph.lower import lower
from edgevid.graph.prelude import with_uint8_clips
from edgevid.graph.streaming import stream_graph
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.targets._openvino_apart import keep_moved_channels_apart
from edgevid.targets.onnxruntime import evaluate


@cache
def stream(backbone="resnet50", blocks=(1, 3, 2, 1), **shift):
    """A streaming graph in plain operations, and its caches."""
    torch.manual_seed(0)
    channels = (16, 8, 16, 16, 8) if backbone.startswith("resnet") else (16, 8, 8, 8, 8, 8, 16, 16, 32)
    config = NetworkConfig(
        backbone=backbone,
        classes=5,
        segments=4,
        size=32,
        shift=ShiftConfig(direction="unidirectional", proportion="1/8", **shift),
        blocks=blocks,
        channels=channels,
    )
    network = build(config).eval()
    made = stream_graph(with_uint8_clips(export(network), Normalization()))
    return lower(made.model, "fused_slice_concat"), made.streaming


def apart(graph, streaming):
    return keep_moved_channels_apart(graph, {cache.name for cache in streaming.caches})


def kinds(graph, kind):
    return [node.name for node in graph.graph if node.op_type == kind]


def follow(graph, streaming, frames):
    caches, rows = [np.zeros(cache.shape, cache.dtype) for cache in streaming.caches], []
    names = [str(value.name) for value in graph.graph.inputs]
    for frame in frames:
        logits, *caches = evaluate(graph, dict(zip(names, [frame[None, None], *caches], strict=True)))
        rows.append(logits)
    return np.concatenate(rows), caches


@pytest.mark.parametrize(
    ("blocks", "sums"),
    # Where the width changes a shift takes them out; those behind it find them apart.
    [((1, 3, 2, 1), 3), ((1, 1, 1, 1), 0), ((2, 1, 1, 2), 1)],
)
def test_a_stage_computes_the_same_with_less_to_take_out(blocks, sums):
    graph, streaming = stream(blocks=blocks)
    changed = apart(graph, streaming)
    assert len(kinds(graph, "Slice")) == 2 * len(streaming.caches)
    assert len(kinds(changed, "Slice")) == 2 * (len(streaming.caches) - sums)
    assert len([name for name in kinds(changed, "Conv") if name.endswith(".moved")]) == sums
    frames = video(6)
    wanted, found = follow(graph, streaming, frames), follow(changed, streaming, frames)
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-4, atol=1e-5)
    for before, after in zip(wanted[1], found[1], strict=True):
        np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-5)


def test_inputs_and_outputs_keep_their_names_and_the_graph_is_a_copy():
    graph, streaming = stream()
    before = [node.name for node in graph.graph]
    changed = apart(graph, streaming)
    assert [node.name for node in graph.graph] == before
    for side in ("inputs", "outputs"):
        assert [v.name for v in getattr(changed.graph, side)] == [v.name for v in getattr(graph.graph, side)]


def test_no_convolution_is_computed_twice():
    graph, streaming = stream()

    def macs(model):
        return sum(
            int(np.prod(node.inputs[1].shape.numpy())) * int(np.prod(node.outputs[0].shape.numpy()[2:]))
            for node in model.graph
            if node.op_type == "Conv"
        )

    assert macs(apart(graph, streaming)) == macs(graph)


@pytest.mark.parametrize(
    ("backbone", "blocks", "shift"),
    [
        ("mobilenet_v2", (1, 2, 2, 1, 1, 1, 1), {}),  # six times as many channels behind the convolution
        ("resnet18", (1, 2, 2, 1), {}),  # as many behind it as before it
        ("resnet50", (1, 3, 2, 1), {"placement": "inplace"}),  # the shortcut needs them together
    ],
)
def test_where_nothing_is_gained_nothing_changes(backbone, blocks, shift):
    graph, streaming = stream(backbone, blocks, **shift)
    changed = apart(graph, streaming)
    assert [node.name for node in changed.graph] == [node.name for node in graph.graph]


def test_a_damaged_order_of_the_parts_would_be_seen():
    graph, streaming = stream()
    changed = apart(graph, streaming)
    frames = video(4)
    right = follow(changed, streaming, frames)[0]
    together = next(node for node in changed.graph if node.name.endswith(".together"))
    assert isinstance(together, ir.Node)
    first, last = together.inputs
    together.replace_input_with(0, last)
    together.replace_input_with(1, first)
    assert np.abs(follow(changed, streaming, frames)[0] - right).max() > 1e-3
