from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from int8_graphs import OPENVINO, TENSORRT, clips, run, thresholds, tiny_graph
from written_graphs import volumes

from edgevid.calibration.bias_correction import bias_corrections, with_corrected_biases
from edgevid.calibration.clips import Arrays
from edgevid.calibration.points import is_layer, points
from edgevid.calibration.quantize import quantize
from edgevid.errors import ConfigError, GraphError
from edgevid.graph.verify import compare
from edgevid.targets.onnxruntime import evaluate, observer

BOTH = pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2"])
COARSE = replace(TENSORRT, weight_bits=4)
"""So coarse that what weights lose is seen beside what activations lose."""

DATA = Arrays(clips(12, seed=7))


@cache
def corrections(backbone, scheme=COARSE, batch=1):
    return bias_corrections(tiny_graph(backbone, batch), thresholds_of(backbone, batch), scheme, DATA)


def thresholds_of(backbone, batch=1):
    return dict(zip(points(tiny_graph(backbone, batch)), thresholds(backbone).values(), strict=True))


def int8(backbone, scheme, corrected):
    graph = tiny_graph(backbone)
    graph = with_corrected_biases(graph, corrections(backbone, scheme)) if corrected else graph
    return quantize(graph, thresholds(backbone), scheme)


def errors(backbone, scheme, corrected):
    """Of the logits, ``[clips, classes]``."""
    name = tiny_graph(backbone).graph.inputs[0].name
    in_int8, in_float = map(observer, (int8(backbone, scheme, corrected), tiny_graph(backbone)))
    feeds = [{name: clip[None]} for clip in DATA.pixels]
    return np.concatenate([in_int8(each)[0] - in_float(each)[0] for each in feeds])


@BOTH
@pytest.mark.parametrize(
    "scheme",
    [
        pytest.param(COARSE, id="tensorrt", marks=pytest.mark.slow),
        pytest.param(replace(OPENVINO, weight_bits=4), id="openvino"),
    ],
)
def test_the_logits_are_right_on_average(backbone, scheme):
    before, after = errors(backbone, scheme, False), errors(backbone, scheme, True)
    assert np.abs(after.mean(0)).max() < 0.35 * np.abs(before.mean(0)).max()


@BOTH
def test_coarse_weights_lose_less(backbone):
    graph, clip = tiny_graph(backbone), clips(seed=1)
    before, after = (
        compare(run(graph, clip), run(int8(backbone, COARSE, c), clip)).sqnr for c in (False, True)
    )
    assert after > before


@BOTH
def test_every_layer_with_a_bias_is_corrected_once(backbone):
    graph = tiny_graph(backbone)
    found = corrections(backbone)
    assert list(found) == [node.name for node in graph.graph if is_layer(node) and node.op_type != "MatMul"]
    for node in graph.graph:
        if node.name in found:
            axis = 0 if node.op_type == "Conv" or node.attributes.get_int("transB", 0) else 1
            assert found[node.name].shape == (node.inputs[1].shape[axis],)


def test_an_error_of_one_layer_is_not_corrected_again_in_the_next():
    """With coarse weights in the first layer alone, only its own bias has to move."""
    graph = tiny_graph("resnet50")
    layers = [node.name for node in graph.graph if is_layer(node)]
    fine = bias_corrections(graph, thresholds(), TENSORRT, DATA, float_layers=layers[1:])
    assert list(fine) == layers[:1]
    both = bias_corrections(graph, thresholds(), COARSE, DATA, float_layers=layers[2:])
    alone = bias_corrections(graph, thresholds(), COARSE, DATA, float_layers=[layers[0], *layers[2:]])
    assert both[layers[1]] == pytest.approx(alone[layers[1]], abs=0.3 * float(abs(alone[layers[1]]).max()))


def test_layers_in_float_are_left_alone():
    graph = tiny_graph("resnet50")
    first = next(node.name for node in graph.graph if is_layer(node))
    assert first not in bias_corrections(graph, thresholds(), COARSE, DATA, float_layers=[first])


def test_the_batch_changes_nothing_though_the_last_one_is_filled_up():
    one, five = corrections("resnet50"), corrections("resnet50", COARSE, 5)
    for a, b in zip(one.values(), five.values(), strict=True):
        assert b == pytest.approx(a, abs=1e-3 * float(abs(a).max()))


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("rank", [1, 3])
def test_convolutions_over_one_and_three_axes_are_corrected(rank, batch):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 2, 6, 6, 3)).astype(np.uint8)
    graph = volumes(rank)
    ranges = dict.fromkeys(points(graph), 16.0)
    found = bias_corrections(volumes(rank, batch), ranges, COARSE, Arrays(pixels))
    assert [len(each) for each in found.values()] == [5, 6, 4]
    first, name = quantize(graph, ranges, COARSE), next(iter(found))
    results = []
    for model in (first, graph.clone()):
        layer = next(node for node in model.graph if node.name == name)
        model.graph.outputs.append(layer.outputs[0])
        results.append(np.concatenate([evaluate(model, {"clip": clip[None]})[1] for clip in pixels]))
    others = tuple(axis for axis in range(rank + 2) if axis != 1)
    assert found[name] == pytest.approx((results[0] - results[1]).mean(axis=others), abs=1e-5)


def test_corrections_fit_the_graphs_of_all_batches():
    found = corrections("mobilenet_v2")
    one, two = (with_corrected_biases(tiny_graph("mobilenet_v2", batch), found) for batch in (1, 2))
    pair = clips(2)
    assert run(two, pair) == pytest.approx(
        np.concatenate([run(one, clip[None]) for clip in pair]), rel=1e-4, abs=1e-4
    )


def test_a_layer_without_a_bias_gets_one():
    graph = tiny_graph("mobilenet_v2")
    (dense,) = [node for node in graph.graph if node.op_type == "Gemm"]
    assert len(dense.inputs) == 2
    found = with_corrected_biases(graph, {dense.name: np.ones(6, np.float32)})
    assert run(found, clips()) == pytest.approx(run(graph, clips()) - 1, abs=1e-5)


def test_only_as_many_clips_as_asked_for_are_looked_at():
    seen = []
    bias_corrections(
        tiny_graph("resnet50"), thresholds(), COARSE, DATA, count=3, progress=lambda *told: seen.append(told)
    )
    assert seen == [("correcting biases", number, 3) for number in (1, 2, 3)]


def test_a_correction_of_a_layer_that_there_is_not_is_refused():
    with pytest.raises(GraphError, match="no_layer"):
        with_corrected_biases(tiny_graph("resnet50"), {"no_layer": np.zeros(3, np.float32)})


def test_clips_of_another_size_are_refused():
    with pytest.raises(ConfigError, match="the network takes"):
        bias_corrections(
            tiny_graph("resnet50"), thresholds(), COARSE, Arrays(np.zeros((2, 4, 16, 16, 3), np.uint8))
        )
