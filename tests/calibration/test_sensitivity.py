import json
import math
import tracemalloc

import numpy as np
import onnx_ir as ir
import pytest
from broken_clips import Broken
from int8_graphs import OPENVINO, TENSORRT, clips, run, thresholds, tiny_graph

from edgevid.calibration import sensitivity as module
from edgevid.calibration.clips import Arrays
from edgevid.calibration.points import is_layer, points
from edgevid.calibration.quantize import quantize
from edgevid.calibration.ranking import load_ranking, save_ranking
from edgevid.calibration.ranking_plot import check_plot, draw
from edgevid.calibration.sensitivity import sensitivity
from edgevid.errors import ConfigError, GraphError, VideoError
from edgevid.graph.verify import compare

SEVEN = Arrays(clips(7), [0, 1, 2, 3, 4, 5, 0])
SCHEMES = pytest.mark.parametrize("scheme", [OPENVINO, TENSORRT], ids=["openvino", "tensorrt"])


def layers(backbone="resnet50"):
    return [node.name for node in tiny_graph(backbone).graph if is_layer(node)]


@pytest.fixture
def few(monkeypatch):
    """The first layers, which alone are ranked: each takes a session of its own."""
    names = layers()[:5]
    monkeypatch.setattr(module, "is_layer", lambda node: node.name in names)
    return names


def rank(backbone="resnet50", data=SEVEN, batch=1, bounds=None, **options):
    graph = tiny_graph(backbone, batch)
    named = dict(zip(points(graph), (bounds or thresholds(backbone)).values(), strict=True))
    return sensitivity(graph, named, TENSORRT, data, **options)


def spoilt(name):
    """Bounds of which that of the input of a layer is far too small."""
    node = next(node for node in tiny_graph("mobilenet_v2").graph if node.name == name)
    return {**thresholds("mobilenet_v2"), node.inputs[0].name: 1e-3}


@SCHEMES
@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2"])
def test_one_layer_is_in_int8_and_nothing_else_is(scheme, backbone):
    """Every layer in turn, those behind a shift or a maximum too."""
    graph = tiny_graph(backbone)
    weights = {node.name: node.inputs[1].name for node in graph.graph if is_layer(node)}
    for name in layers(backbone):
        alone = quantize(graph, thresholds(backbone), scheme, only=[name])
        assert [node.op_type for node in alone.graph].count("QuantizeLinear") == 1
        float_weights = {node.inputs[1].name for node in alone.graph if is_layer(node)}
        assert float_weights == set(weights.values()) - {weights[name]}


def test_the_noise_is_that_of_the_graph_run_operation_by_operation(few):
    found = rank()
    layer = found.layers[3]
    alone = quantize(tiny_graph(), thresholds(), TENSORRT, only=[layer.name])
    pairs = [(run(tiny_graph(), clip[None]), run(alone, clip[None])) for clip in SEVEN.pixels]
    float_, int8 = (np.concatenate(logits) for logits in zip(*pairs, strict=True))
    assert layer.effect.sqnr == pytest.approx(compare(float_, int8).sqnr, abs=1e-3)
    agreed = (float_.argmax(1) == int8.argmax(1)).mean()
    assert layer.effect.agreement.value == pytest.approx(agreed)


def test_all_layers_are_ranked_the_worst_first():
    found = rank()
    assert sorted(layer.name for layer in found.layers) == sorted(layers())
    noise = [layer.effect.decibels for layer in found.layers]
    assert noise == sorted(noise)
    assert found.everything.decibels < min(noise)


def test_a_layer_with_a_wrong_range_comes_first_and_costs_top1():
    """Labels are what the float network says, so that every other answer is a loss."""
    graph, name = tiny_graph("mobilenet_v2"), layers("mobilenet_v2")[2]
    answers = [int(run(graph, clip[None]).argmax()) for clip in SEVEN.pixels]
    found = rank("mobilenet_v2", Arrays(SEVEN.pixels, answers), bounds=spoilt(name))
    worst = found.layers[0]
    assert (worst.name, worst.kind) == (name, "Conv")
    assert worst.effect.decibels < found.layers[1].effect.decibels - 10
    assert found.top1.value == 1
    for layer in found.layers:
        drop = layer.effect.top1.drop.value
        assert drop == pytest.approx(1 - layer.effect.agreement.value)


def test_without_labels_the_answers_are_compared_alone(few):
    found = rank(data=Arrays(SEVEN.pixels))
    assert (found.labelled, found.top1) == (0, None)
    assert all(layer.effect.top1 is None for layer in found.layers)
    assert found.decibels == rank().decibels


def test_the_batch_and_the_size_of_a_chunk_change_nothing(few, monkeypatch):
    wanted = rank()
    assert rank(batch=2).decibels == pytest.approx(wanted.decibels, abs=0.1)
    monkeypatch.setattr(module, "_CHUNK_BYTES", 3 * SEVEN.pixels[0].nbytes)
    assert rank().decibels == pytest.approx(wanted.decibels, abs=1e-6)


def test_an_interrupted_run_goes_on_after_the_last_layer_that_was_done(few, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_BYTES", 3 * SEVEN.pixels[0].nbytes)
    file, wanted = tmp_path / "partial", rank()
    done = []

    def stop(stage, number, total):
        done.append(number)
        if len(done) == len(few) + 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rank(partial=file, progress=stop)
    again = []
    found = rank(partial=file, progress=lambda stage, number, total: again.append(number))
    assert found.layers == wanted.layers
    assert found.everything == wanted.everything
    assert again[0] > done[-1]
    assert len(done) + len(again) == 3 * (len(few) + 2)


def test_an_interrupted_run_of_something_else_is_not_taken_up(few, tmp_path):
    file = tmp_path / "partial"
    with pytest.raises(KeyboardInterrupt):
        rank(data=Broken(SEVEN, stops_at=5), partial=file, progress=None)
    told = []

    def stop(*progress):
        told.append(progress)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rank(partial=file, progress=stop)
    assert json.loads(file.read_text())["variants"] == 1
    found = rank(data=Arrays(SEVEN.pixels[:4], SEVEN.classes[:4]), partial=file)
    assert found.clips == 4


def test_a_video_that_cannot_be_read_is_named_and_left_out(few):
    found = rank(data=Broken(SEVEN, unreadable=(0, 6)))
    assert found.clips == 5
    assert set(found.skipped) == {"clips[0]", "clips[6]"}
    kept = Arrays(SEVEN.pixels[1:6], SEVEN.classes[1:6])
    assert found.layers == rank(data=kept).layers


@pytest.mark.slow
def test_memory_does_not_grow_with_the_clips(monkeypatch):
    monkeypatch.setattr(module, "_CHUNK_BYTES", 4 * SEVEN.pixels[0].nbytes)
    monkeypatch.setattr(module, "is_layer", lambda node: node.name == layers()[0])

    def peak(count):
        data = Arrays(np.broadcast_to(SEVEN.pixels[:1], (count, 4, 32, 32, 3)))
        tracemalloc.start()
        rank(data=data)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(64) < peak(16) + 20 * SEVEN.pixels[0].nbytes


@pytest.mark.parametrize("unreadable", [(), tuple(range(7))])
def test_no_clips_are_refused(unreadable):
    data = Broken(SEVEN, unreadable) if unreadable else Arrays(SEVEN.pixels[:0])
    with pytest.raises(VideoError, match="no clip can be read"):
        rank(data=data)


def test_labels_beyond_the_classes_are_refused():
    with pytest.raises(ConfigError, match="has label 6"):
        rank(data=Arrays(SEVEN.pixels[:1], [6]))


@pytest.mark.parametrize("other", [pytest.param("batch", marks=pytest.mark.slow), "chunk"])
def test_a_run_of_another_batch_or_chunk_is_not_taken_up(few, tmp_path, monkeypatch, other):
    monkeypatch.setattr(module, "_CHUNK_BYTES", 3 * SEVEN.pixels[0].nbytes)

    def stop(stage, number, total):
        if number > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rank(partial=tmp_path / "partial", progress=stop)
    batch = 2 if other == "batch" else 1
    if other == "chunk":
        monkeypatch.setattr(module, "_CHUNK_BYTES", 4 * SEVEN.pixels[0].nbytes)
    found = rank(batch=batch, partial=tmp_path / "partial")
    assert found.layers == rank(batch=batch).layers


def test_an_activation_that_is_not_finite_is_named_with_its_layer():
    graph = tiny_graph().clone()
    node = next(node for node in graph.graph if node.name == layers()[4])
    weight = np.full_like(node.inputs[1].const_value.numpy(), 3e38)
    node.inputs[1].const_value = ir.tensor(weight, name=node.inputs[1].name)
    with pytest.raises(GraphError, match="not finite") as caught:
        sensitivity(graph, thresholds(), TENSORRT, SEVEN)
    assert node.name in caught.value.where


def test_a_ranking_is_written_and_read_again(few, tmp_path):
    found = rank(count=2)
    save_ranking(found, tmp_path / "ranking.json")
    assert load_ranking(tmp_path / "ranking.json") == found


def test_a_layer_that_changes_nothing_has_no_noise(tmp_path):
    """Weights and inputs of nothing but zeros are exact."""
    graph = tiny_graph().clone()
    node = next(node for node in graph.graph if node.name == layers()[-1])
    zeros = np.zeros_like(node.inputs[1].const_value.numpy())
    node.inputs[1].const_value = ir.tensor(zeros, name=node.inputs[1].name)
    found = sensitivity(graph, thresholds(), TENSORRT, SEVEN, count=2)
    assert found.decibels[node.name] == math.inf
    save_ranking(found, tmp_path / "ranking.json")
    assert load_ranking(tmp_path / "ranking.json").layers[-1].effect.sqnr is None
    draw(found, tmp_path / "plot.png")


@pytest.mark.parametrize(
    ("text", "words"), [("{}", "damaged"), ("no JSON", "damaged"), (None, "cannot be read")]
)
def test_a_ranking_that_cannot_be_read_is_refused_by_name(tmp_path, text, words):
    file = tmp_path / "ranking.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        load_ranking(file)
    assert str(file) in caught.value.where


@pytest.mark.parametrize("data", [SEVEN, Arrays(SEVEN.pixels)], ids=["labelled", "unlabelled"])
def test_the_plot_is_drawn_as_the_name_says(few, tmp_path, data):
    found = rank(data=data, count=2)
    draw(found, tmp_path / "plot.svg")
    draw(found, tmp_path / "plot.PNG")
    text = (tmp_path / "plot.svg").read_text()
    assert found.layers[0].weight in text or "<path" in text
    assert (tmp_path / "plot.PNG").read_bytes().startswith(b"\x89PNG")
    again = tmp_path / "again.svg"
    draw(found, again)
    assert again.read_text() == text


@pytest.mark.parametrize("name", ["plot.gif", "plot"])
def test_a_plot_of_another_kind_is_refused_at_once(name, tmp_path):
    with pytest.raises(ConfigError, match="png"):
        check_plot(tmp_path / name)
