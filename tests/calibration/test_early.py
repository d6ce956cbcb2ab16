"""Early recognition: what is right when only the beginning of each video has been seen."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from compare_fakes import SAMPLING, SHAPE, Numbered, WrittenBundle, one_hot

from edgevid import show_compare
from edgevid.bench.statistics import Interval
from edgevid.bench.summary import Estimate as Timing
from edgevid.calibration.compare import compare
from edgevid.calibration.comparison import load_comparison
from edgevid.calibration.data import Sample, Videos
from edgevid.calibration.latency import Latency
from edgevid.calibration.open_data import open_videos
from edgevid.calibration.pack import pack
from edgevid.calibration.report import render
from edgevid.contract import Streaming
from edgevid.errors import ConfigError
from edgevid.video.datasets import Item

LABELS = [0, 1, 2] * 4
LATE = [0] * 12
"""What is answered early: 0, whatever there is."""


@dataclass(frozen=True)
class Begun(Videos):
    """Video n; the clip of its beginning k says ``n * beginnings + k``."""

    length: int | None = 100

    def read(self, start=0):
        for number, item in enumerate(self.items[start:], start):
            clips = np.zeros((len(self.shares), *SHAPE), np.uint8)
            clips[:, 0, 0, 0, 0] = number * len(self.shares) + np.arange(len(self.shares))
            yield Sample(str(item.path), item.label, clips, self.length)


def begun(labels=LABELS, shares=(0.25, 1.0), **changes):
    items = tuple(Item(Path(f"video {number}"), label) for number, label in enumerate(labels))
    return Begun("videos", items, SAMPLING, shares=shares, **changes)


def answers(*beginnings):
    """Logits of what is answered to each beginning of all videos."""
    return one_hot(np.array(beginnings).T.ravel())


@pytest.fixture
def run(tmp_path):
    def call(data, *logits, streaming=(), **options):
        bundles = {}
        for index, each in enumerate(logits):
            path = tmp_path / f"network{index}"
            how = streaming[index] if streaming else None
            bundles[path] = WrittenBundle(path, each, labels=["a", "b", "c"], streaming=how)
        return compare(list(bundles), data, opener=bundles.__getitem__, **{"timing": None, **options})

    return call


def test_each_beginning_has_its_own_accuracy_of_each_network(run):
    found = run(begun(), answers(LATE, LABELS), answers(LABELS, LABELS))
    assert [part.share for part in found.early] == [0.25, 1]
    assert [[share.value for share in part.top1] for part in found.early] == [
        [pytest.approx(1 / 3), 1],
        [1, 1],
    ]
    assert found.early[0].top1[0].low < 1 / 3 < found.early[0].top1[0].high
    assert [part.repeating for part in found.early] == [0, 0]


def test_the_comparison_itself_is_of_whole_videos(run):
    found = run(begun(), answers(LATE, LABELS), answers(LABELS, LATE))
    alone = run(begun(shares=(1.0,)), one_hot(LABELS), one_hot(LATE))
    assert found.pairs == alone.pairs
    assert found.videos == alone.videos
    assert [variant.top1 for variant in found.variants] == [variant.top1 for variant in alone.variants]
    assert found.data.views == 12


def test_videos_too_short_for_a_clip_are_counted_and_told(run):
    found = run(begun(length=5), answers(LATE, LABELS), answers(LATE, LABELS))
    assert [part.repeating for part in found.early] == [12, 0]
    assert (
        "the first 25 % of 12 of 12 videos are too short for 2 frames: their clips repeat some"
    ) in found.notes
    unknown = run(begun(length=None), answers(LATE, LABELS), answers(LATE, LABELS))
    assert [part.repeating for part in unknown.early] == [0, 0]


def test_an_interrupted_curve_goes_on_where_it_stopped(run, tmp_path):
    def interrupt(stage, done, total):
        if done == 5:
            raise KeyboardInterrupt

    networks, output = (answers(LATE, LABELS), answers(LABELS, LATE)), tmp_path / "c.json"
    whole = run(begun(length=5), *networks)
    with pytest.raises(KeyboardInterrupt):
        run(begun(length=5), *networks, output=output, progress=interrupt)
    found = run(begun(length=5), *networks, output=output)
    assert any("5 videos were done by an earlier run" in note for note in found.notes)
    assert found.early == whole.early
    assert load_comparison(output) == found


def test_other_beginnings_are_another_comparison():
    assert begun().sha256 != begun(shares=(0.5, 1.0)).sha256
    assert begun(shares=()).sha256 != begun(shares=(1.0,)).sha256


def test_without_labels_there_is_no_curve(run):
    with pytest.raises(ConfigError, match="without labels") as caught:
        run(begun(labels=[None] * 12), answers(LATE, LABELS), answers(LATE, LABELS))
    assert "--early" in caught.value.fix


def test_packed_clips_have_no_beginnings(tmp_path):
    pack(Numbered(LABELS), tmp_path / "clips")
    with pytest.raises(ConfigError, match="packed clips") as caught:
        open_videos(tmp_path / "clips", SAMPLING, shares=(0.5, 1.0))
    assert caught.value.where == "--early"
    assert open_videos(tmp_path / "clips", SAMPLING, shares=()).labels == LABELS


def test_the_curve_is_printed_and_drawn(run, capsys):
    found = run(begun(), answers(LATE, LABELS), answers(LABELS, LABELS))
    show_compare.comparison(found)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [*lines[next(i for i, line in enumerate(lines) if line[:1] == ["seen"])]] == [
        "seen",
        "network0",
        "network1",
    ]
    (first,) = [line for line in lines if line[:2] == ["25", "%"]]
    assert (first[2], first[4]) == ("33.33", "100.00")
    page = render(found)
    assert 'alt="Early recognition"' in page
    assert "first 25 %" in page
    assert "Early recognition" not in render(found.model_copy(update={"early": ()}))


def test_a_network_that_takes_frame_by_frame_has_the_time_of_a_frame(run, monkeypatch, capsys):
    interval = Interval(6.0, 10.0, 0.95, "order statistics")
    timed = {f"network{index}": Timing(median=8.0, interval=interval) for index in range(3)}
    ratio = {"network1": Timing(median=1.5, interval=Interval(1.4, 1.6, 0.95, "order statistics"))}
    monkeypatch.setattr(
        "edgevid.calibration.compare.measure_latency", lambda *_, **__: Latency(None, timed, ratio)
    )
    streaming = (None, Streaming(2, ()), Streaming(2, (), delay=2))
    data = Numbered(LABELS)
    found = run(data, *[one_hot(LABELS)] * 3, streaming=streaming, timing=object())
    assert found.variants[0].frame_ms is None
    assert [variant.frame_ms.median for variant in found.variants[1:]] == [4, 2]
    assert (found.variants[1].frame_ms.interval.low, found.variants[1].frame_ms.interval.high) == (3, 5)
    assert sum("takes frame by frame" in note for note in found.notes) == 2
    show_compare.comparison(found)
    printed, page = capsys.readouterr().out, render(found)
    assert "ms a frame" in printed
    assert "ms a frame" in page
    assert "a run takes 1.500x (1.400..1.600) that of network0" in printed
    assert "1.40..1.60 of its time" in page
    still = run(data, *[one_hot(LABELS)] * 3, timing=object())
    assert "ms a frame" not in render(still)
