import tracemalloc
from dataclasses import dataclass, replace

import numpy as np
import onnx_ir as ir
import pytest
from broken_clips import Broken
from int8_graphs import clips, observed, tiny_graph
from written_graphs import overflowing, volumes

from edgevid.calibration.calibrate import calibrate
from edgevid.calibration.clips import Arrays
from edgevid.calibration.data import Sample, find_videos
from edgevid.calibration.histogram import Histogram
from edgevid.calibration.points import points
from edgevid.calibration.table import METHODS
from edgevid.contract import Sampling
from edgevid.demo.files import write_videos
from edgevid.errors import ConfigError, GraphError, VideoError

SEVEN = Arrays(clips(7), [0, 1, 2, 3, 4, 5, 0])
SAMPLING = Sampling(segments=4, resize=32, crop=32)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_videos(folder, "hard", 16, size=48)
    return folder


def test_minmax_takes_the_largest_magnitude_of_all_clips():
    table = calibrate(tiny_graph(), SEVEN)
    seen = [observed(tiny_graph(), clip[None]) for clip in SEVEN.pixels]
    assert tuple(table.tensors) == points(tiny_graph())
    for name, found in table.tensors.items():
        values = np.stack([each[name] for each in seen])
        assert found.threshold == pytest.approx(np.abs(values).max(), rel=1e-5)
        assert found.amax == pytest.approx(values.max(), rel=1e-5, abs=1e-6)
        assert found.amin in (pytest.approx(values.min(), rel=1e-5, abs=1e-6), 0)


def test_average_averages_the_extremes_of_the_clips():
    table = calibrate(tiny_graph(), SEVEN, method="average")
    seen = [observed(tiny_graph(), clip[None]) for clip in SEVEN.pixels]
    for name, found in table.tensors.items():
        low = min(np.mean([each[name].min() for each in seen]), 0)
        high = np.mean([each[name].max() for each in seen])
        assert found.threshold == pytest.approx(max(-low, high), rel=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_neither_the_batch_nor_the_threads_change_a_bound(method):
    tables = [
        calibrate(tiny_graph("resnet50", batch), SEVEN, method=method, threads=threads).thresholds
        for batch, threads in ((1, 1), (3, 2), (5, 1))
    ]
    for table in tables[1:]:
        assert table == pytest.approx(tables[0], rel=1e-6)


@pytest.mark.parametrize("workers", [1, 3])
def test_the_threads_that_decode_do_not_change_the_table(videos, workers):
    table = calibrate(tiny_graph(), found(videos, workers), method="mse", count=5)
    assert table == calibrate(tiny_graph(), found(videos, 2), method="mse", count=5)


def found(videos, workers=1):
    # The videos have eight classes, the network six.
    data = find_videos(videos, SAMPLING, workers=workers)
    return replace(data, items=tuple(item for item in data.items if item.label < 6))


def test_chosen_videos_are_spread_over_the_classes(videos):
    table = calibrate(tiny_graph(), found(videos), count=6)
    assert table.classes == len(table.clips) == 6
    assert sorted(clip.label for clip in table.clips) == list(range(6))


def test_a_broken_video_is_skipped_by_name_and_another_one_taken(videos, tmp_path):
    data = found(videos)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    first = calibrate(tiny_graph(), data, count=6).clips[0].name
    items = tuple(replace(i, path=broken) if str(i.path) == first else i for i in data.items)
    table = calibrate(tiny_graph(), replace(data, items=items), count=6)
    assert list(table.skipped) == [str(broken)]
    assert len(table.clips) == 6


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("unreadable", [(0,), (2, 3), (6,), (0, 1, 2, 3, 4, 5)])
def test_what_cannot_be_read_changes_nothing_else(batch, unreadable):
    graph = tiny_graph("resnet50", batch)
    table = calibrate(graph, Broken(SEVEN, unreadable=unreadable))
    kept = [number for number in range(7) if number not in unreadable]
    alone = calibrate(tiny_graph(), Arrays(SEVEN.pixels[kept]))
    assert table.thresholds == pytest.approx(alone.thresholds, rel=1e-6)
    assert list(table.skipped) == [f"clips[{number}]" for number in unreadable]
    assert [clip.sha256 for clip in table.clips] == [clip.sha256 for clip in alone.clips]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("method", ["average", "entropy"])
def test_an_interrupted_run_is_taken_up_and_gives_the_same_bits(tmp_path, method, batch):
    graph, partial = tiny_graph("resnet50", batch), tmp_path / "t.json.partial"
    whole = calibrate(graph, Broken(SEVEN, unreadable=(1,)), method=method)
    for stop in (4, 6):
        with pytest.raises(KeyboardInterrupt):
            calibrate(graph, Broken(SEVEN, unreadable=(1,), stops_at=stop), method=method, partial=partial)
    started = []
    data = Broken(SEVEN, unreadable=(1,))
    resumed = calibrate(
        graph, data, method=method, partial=partial, progress=lambda *args: started.append(args[1])
    )
    assert resumed == whole
    assert started[0] >= 3
    told = []
    again = calibrate(graph, data, method=method, partial=partial, progress=lambda *args: told.append(args))
    assert again == whole
    assert not told, "what was finished and not yet written as a table is not done again"


@pytest.mark.parametrize("earlier", [False, True])
def test_an_interrupt_between_two_counts_of_a_clip_leaves_nothing_half_counted(
    tmp_path, monkeypatch, earlier
):
    partial = tmp_path / "t.json.partial"
    whole = calibrate(tiny_graph(), SEVEN, method="mse")
    if earlier:
        with pytest.raises(KeyboardInterrupt):
            calibrate(tiny_graph(), Broken(SEVEN, stops_at=2), method="mse", partial=partial)
    add, calls = Histogram.add, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 5 * len(whole.tensors) // 2:
            raise KeyboardInterrupt
        add(*arguments)

    monkeypatch.setattr(Histogram, "add", interrupted)
    with pytest.raises(KeyboardInterrupt):
        calibrate(tiny_graph(), SEVEN, method="mse", partial=partial)
    assert partial.exists() == earlier
    monkeypatch.setattr(Histogram, "add", add)
    assert calibrate(tiny_graph(), SEVEN, method="mse", partial=partial) == whole


@pytest.mark.parametrize("change", ["clips", "count", "graph", "points", "histograms"])
def test_what_an_interrupted_run_left_serves_no_other_run(tmp_path, change):
    partial = tmp_path / "t.json.partial"
    with pytest.raises(KeyboardInterrupt):
        calibrate(tiny_graph(), Broken(SEVEN, stops_at=5), partial=partial)
    other = {
        "clips": ((tiny_graph(), Arrays(SEVEN.pixels[::-1])), {}),
        "count": ((tiny_graph(), SEVEN), {"count": 6}),
        "graph": ((tiny_graph("resnet50", 1, False), SEVEN), {}),
        "points": ((tiny_graph(), SEVEN), {"points": points(tiny_graph())[:4]}),
        "histograms": ((tiny_graph(), SEVEN), {"method": "mse"}),
    }
    arguments, settings = other[change]
    assert calibrate(*arguments, partial=partial, **settings) == calibrate(*arguments, **settings)


@pytest.mark.parametrize(
    "damage", [lambda text: b"", lambda text: text[:-3], lambda text: text.replace(b"0", b"1", 1)]
)
def test_a_damaged_rest_of_an_interrupted_run_is_begun_anew(tmp_path, damage):
    partial = tmp_path / "t.json.partial"
    with pytest.raises(KeyboardInterrupt):
        calibrate(tiny_graph(), Broken(SEVEN, stops_at=5), partial=partial)
    partial.write_bytes(damage(partial.read_bytes()))
    assert calibrate(tiny_graph(), SEVEN, partial=partial) == calibrate(tiny_graph(), SEVEN)


def test_few_clips_and_tensors_that_say_nothing_are_warned_about():
    graph = tiny_graph().clone()
    behind = [node for node in graph.graph if node.op_type == "Relu"]
    relus = [node for node in behind if node.inputs[0].producer().op_type == "Conv"][1:3]
    for relu, bias in zip(relus, (-1.0, 2.0), strict=True):
        _, weight, offset = relu.inputs[0].producer().inputs
        weight.const_value = ir.tensor(np.zeros(weight.shape.numpy(), np.float32))
        offset.const_value = ir.tensor(np.full(offset.shape.numpy(), bias, np.float32))
    table = calibrate(graph, SEVEN)
    few, zero, constant = table.warnings
    assert few.startswith("only 7 clips")
    names = [relu.outputs[0].name for relu in relus]
    assert names[0] in zero
    assert names[1] in constant
    assert table.tensors[names[0]].zero
    assert table.tensors[names[1]].constant
    assert table.tensors[names[1]].threshold == 2
    assert not any(values.constant for name, values in table.tensors.items() if name == points(graph)[0])


def test_enough_lively_clips_are_not_warned_about():
    assert calibrate(tiny_graph(), Arrays(clips(100))).warnings == ()


def with_weight(value):
    graph = tiny_graph().clone()
    layer = [node for node in graph.graph if node.op_type == "Conv"][3]
    weights = layer.inputs[1].const_value.numpy().copy()
    weights[0, 0, 0, 0] = value
    layer.inputs[1].const_value = ir.tensor(weights)
    return graph, layer


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_is_named_with_its_layer(value):
    graph, layer = with_weight(value)
    with pytest.raises(GraphError, match="a weight is not finite") as error:
        calibrate(graph, SEVEN)
    assert layer.inputs[1].name in error.value.where
    assert layer.name in error.value.where


def test_an_activation_that_is_not_finite_is_named_with_its_layer_and_clip():
    graph, layer = with_weight(3e38)
    data = Arrays(np.concatenate([np.zeros_like(clips(1)) + 124, clips(2)]))
    with pytest.raises(GraphError, match="an activation is not finite") as error:
        calibrate(graph, data)
    assert layer.name in error.value.where
    assert layer.outputs[0].name in error.value.where
    assert "clips[" in error.value.where


@pytest.mark.parametrize("cut", ["Clip(sums, low, high)", "Relu(sums)", "GlobalMaxPool(sums)"])
def test_an_overflow_that_is_cut_before_any_range_is_named(cut):
    pixels = np.random.default_rng(0).integers(1, 256, (1, 2, 6, 6, 3)).astype(np.uint8)
    with pytest.raises(GraphError, match="not finite") as error:
        calibrate(overflowing(cut), Arrays(pixels))
    assert error.value.where.startswith("sums, the result of Conv")


def test_averages_that_cancel_leave_the_largest_value():
    pixels = np.stack([np.full((2, 6, 6, 3), value, np.uint8) for value in (120, 136)])
    graph = volumes(3, centre=128)
    found = calibrate(graph, Arrays(pixels), method="average").tensors[points(graph)[0]]
    assert (found.amin, found.amax, found.threshold) == (-1 / 16, 1 / 16, 1 / 16)


def test_logits_that_are_not_finite_are_found_though_no_point_is_behind_them():
    graph = tiny_graph().clone()
    layer = next(node for node in graph.graph if node.op_type == "Gemm")
    layer.inputs[1].const_value = ir.tensor(np.full(layer.inputs[1].shape.numpy(), 3e38, np.float32))
    with pytest.raises(GraphError) as error:
        calibrate(graph, SEVEN)
    assert layer.name in error.value.where


def test_a_clip_of_the_wrong_size_is_named():
    data = Arrays(np.zeros((2, 4, 30, 32, 3), np.uint8), source="small.npy")
    with pytest.raises(ConfigError, match=r"\[4, 30, 32, 3\], the network takes \[4, 32, 32, 3\]") as error:
        calibrate(tiny_graph(), data)
    assert error.value.where == "small.npy[0]"


def test_a_label_beyond_the_classes_is_refused():
    with pytest.raises(ConfigError, match="label 6"):
        calibrate(tiny_graph(), Arrays(clips(2), [0, 6]))


def test_no_clips_are_refused():
    with pytest.raises(ConfigError, match="no clips"):
        calibrate(tiny_graph(), Arrays(clips(0)))


def test_clips_of_which_none_can_be_read_are_refused_with_the_first_reason():
    with pytest.raises(VideoError, match="none of 7 videos can be read; the first: it is broken"):
        calibrate(tiny_graph(), Broken(SEVEN, unreadable=tuple(range(7))))


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"method": "median"}, "unknown method"),
        ({"method": "percentile", "percentile": 0.0}, "percentile of 0"),
        ({"stride": 5}, "stride of 5"),
        ({"count": 0}, "0 clips"),
    ],
)
def test_senseless_settings_are_refused(settings, what):
    with pytest.raises(ConfigError, match=what):
        calibrate(tiny_graph(), SEVEN, **settings)


@dataclass(frozen=True)
class Drawn:
    """As many clips as wanted, drawn when they are read."""

    count: int
    source = "drawn"
    sha256 = ""
    sampling = SAMPLING

    @property
    def labels(self):
        return [None] * self.count

    def read(self, start=0):
        for number in range(start, self.count):
            yield Sample(str(number), None, clips(seed=number))


def test_memory_does_not_grow_with_the_clips():
    peaks = []
    for count in (20, 20, 200):
        tracemalloc.start()
        calibrate(tiny_graph(), Drawn(count), method="entropy")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    per_clip = (peaks[2] - peaks[1]) / 180
    assert per_clip < clips().nbytes / 4, "what grows is the list of their names and hashes"
