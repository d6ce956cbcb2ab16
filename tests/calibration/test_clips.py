import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.calibration.clips import Arrays, choose, spread, without
from edgevid.calibration.data import Videos
from edgevid.contract import Sampling
from edgevid.errors import ConfigError, VideoError
from edgevid.video.datasets import Item


def arrays(count, labels=None):
    pixels = np.zeros((count, 2, 4, 4, 3), np.uint8)
    pixels[:, 0, 0, 0, 0] = np.arange(count)
    return Arrays(pixels, labels)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2, 7, None]), max_size=40))
def test_every_beginning_holds_as_many_of_each_class_as_can_be(labels):
    order = spread(labels)
    assert sorted(order) == list(range(len(labels)))
    assert order == spread(labels)
    total = {label: labels.count(label) for label in set(labels)}
    for stop in range(len(labels) + 1):
        taken = [labels[number] for number in order[:stop]]
        unfinished = [taken.count(label) for label in total if taken.count(label) < total[label]]
        assert not taken or max(map(taken.count, set(taken))) - min(unfinished, default=10**9) <= 1


def test_clips_without_labels_are_taken_from_the_whole_list():
    chosen = spread([None] * 1000)[:50]
    assert min(chosen) < 100
    assert max(chosen) > 900


def test_a_choice_reads_its_clips_alone_and_goes_on_anywhere():
    data = choose(arrays(20, [0] * 10 + [1] * 10), 6)
    assert sorted(data.labels) == [0, 0, 0, 1, 1, 1]
    everything = [sample.name for sample in data.read()]
    assert len(everything) == 6
    for start in range(7):
        assert [sample.name for sample in data.read(start)] == everything[start:]
    assert [sample.label for sample in data.read()] == list(data.labels)


def test_another_choice_has_another_hash():
    whole = arrays(20)
    assert len({choose(whole, count).sha256 for count in (5, 6, 20, None)}) == 3


def test_all_of_few_clips_stay_in_their_order():
    data = arrays(5)
    assert choose(data, 5) is data
    assert choose(data) is data


def test_videos_show_one_clip_of_one_crop_and_wrong_lines_come_first():
    error = VideoError("a line")
    items = (*(Item(f"{number}.mp4", number % 3) for number in range(9)), Item("list.txt", None, error=error))
    chosen = choose(Videos("list.txt", items, Sampling(clips=10, crops=3)), 4)
    assert (chosen.sampling.clips, chosen.sampling.crops) == (1, 1)
    assert chosen.items[0].error is error
    assert [item.label for item in chosen.items[1:4]] == [0, 1, 2]
    assert len(chosen.items) == 10, "the rest stands by for those that cannot be read"


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((2, 4, 4, 3), np.uint8), np.zeros((1, 2, 4, 4, 3), np.float32), np.zeros((1, 2, 3, 4, 4))],
)
def test_arrays_that_are_no_clips_are_refused(pixels):
    with pytest.raises(ConfigError, match="the clips are"):
        Arrays(pixels)


def test_labels_that_are_not_one_a_clip_are_refused():
    with pytest.raises(ConfigError, match="2 labels for 3 clips"):
        arrays(3, [0, 1])


@pytest.mark.parametrize("count", [3, 8, 100])
def test_what_is_left_is_all_that_was_not_chosen(count):
    data = Arrays(np.zeros((10, 1, 4, 4, 3), np.uint8), [0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    parts = choose(data, count), without(data, count)
    chosen, left = ([each.name for each in part.read()] for part in parts)
    assert not set(chosen) & set(left)
    assert len(chosen) + len(left) == 10
