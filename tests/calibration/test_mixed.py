from contextlib import contextmanager

import numpy as np
import pytest
from compare_fakes import CLASSES, Numbered, WrittenSession, one_hot

from edgevid.calibration.mixed import float_layers_within, right_answers
from edgevid.errors import ConfigError, VerificationError, VideoError

LAYERS = tuple(f"layer {number}" for number in range(10))
LABELS = [number % CLASSES for number in range(200)]


class Networks:
    """A float network that is right, and an int8 one that is wrong on ``wrong(float layers)`` videos."""

    def __init__(self, wrong, labels=LABELS):
        self.wrong, self.labels, self.opened, self.open_now = wrong, labels, [], 0
        self.reference = WrittenSession(one_hot(labels))
        self.ranked = 0

    @contextmanager
    def open_int8(self, names):
        assert tuple(names) == LAYERS[: len(names)]
        self.opened.append(len(names))
        answers = np.array(self.labels)
        answers[: self.wrong(len(names))] += 1
        self.open_now += 1
        yield WrittenSession(one_hot(answers % CLASSES))
        self.open_now -= 1

    def rank(self):
        assert not self.open_now
        self.ranked += 1
        return LAYERS

    def within(self, limit, data=None, **options):
        data = Numbered(self.labels) if data is None else data
        return float_layers_within(limit, self.reference, self.open_int8, self.rank, data, **options)


def falling(needed, high=40, low=0):
    return lambda count: low if count >= needed else high


def test_normally_no_layer_goes_back_and_none_is_ranked():
    networks = Networks(lambda count: 1)
    found = networks.within(0.005)
    assert found.layers == ()
    assert (networks.opened, networks.ranked) == ([0], 0)
    assert (found.top1.lost, found.top1.gained, found.top1.count) == (1, 0, 200)


@pytest.mark.parametrize("needed", range(1, 10))
def test_the_fewest_of_the_most_sensitive_layers_go_back(needed):
    networks = Networks(falling(needed))
    found = networks.within(0.01)
    assert found.layers == LAYERS[:needed]
    assert networks.ranked == 1
    assert len(networks.opened) == len(set(networks.opened)) <= 9
    assert found.top1.drop.value == 0


def test_what_is_returned_was_measured_even_if_more_layers_are_no_better():
    networks = Networks(lambda count: {0: 40, 1: 30, 2: 2}.get(count, 9))
    found = networks.within(0.01)
    assert found.layers == LAYERS[:2]
    assert found.top1.lost == 2
    assert [(trial.float_layers, trial.top1.lost) for trial in found.trials] == [(0, 40), (1, 30), (2, 2)]


def test_more_is_refused_than_all_layers_in_float_can_give():
    networks = Networks(lambda count: 40 - count)
    with pytest.raises(VerificationError, match="with 9 of 10 layers in float") as caught:
        networks.within(0.1)
    assert "15.50 points" in caught.value.what
    assert "fp16" in caught.value.fix
    assert networks.opened == [0, 1, 2, 4, 8, 9]


def test_a_network_with_all_layers_in_float_is_no_int8():
    with pytest.raises(VerificationError, match="with 9 of 10 layers in float the top-1 drop is 20"):
        Networks(falling(10)).within(0.1)


def test_a_network_without_layers_to_return_is_refused_too():
    networks = Networks(lambda count: 40)
    for ranked in ((), LAYERS[:1]):
        with pytest.raises(VerificationError, match=f"with 0 of {len(ranked)} layers"):
            float_layers_within(
                0.1, networks.reference, networks.open_int8, lambda names=ranked: names, Numbered(LABELS)
            )


def test_a_drop_of_exactly_the_limit_is_allowed():
    assert Networks(lambda count: 2).within(0.01).layers == ()


@pytest.mark.parametrize(("videos", "verdict"), [(20, "too few to tell"), (3000, "within")])
def test_whether_the_data_can_tell_is_said(videos, verdict):
    labels = [number % CLASSES for number in range(videos)]
    found = Networks(lambda count: 0, labels).within(0.01)
    assert found.verdict == verdict
    assert str(videos) in found.remark or verdict == "within"


def test_videos_that_cannot_be_read_or_have_no_label_do_not_count():
    labels = [None if number % 2 else number % CLASSES for number in range(100)]
    networks = Networks(lambda count: 0, [label or 0 for label in labels])
    found = networks.within(0.01, Numbered(labels, broken=(0, 1, 2)))
    assert found.top1.count == 48


def test_the_views_of_a_video_answer_together():
    """Of two views one is wrong, and the other is sure."""
    logits = np.concatenate([one_hot([1], 4.0), one_hot([0], 9.0)])
    answers = right_answers(WrittenSession(logits), Numbered([0], views=2), "float")
    assert answers.tolist() == [1]


def test_progress_is_told_video_by_video():
    told = []
    right_answers(WrittenSession(one_hot([0, 1])), Numbered([0, 0]), "int8", lambda *all_: told.append(all_))
    assert told == [("int8", 1, 2), ("int8", 2, 2)]


def test_without_labels_there_is_no_drop():
    with pytest.raises(ConfigError, match="without labels"):
        Networks(lambda count: 0).within(0.01, Numbered([None, None]))


def test_labels_beyond_the_classes_are_refused():
    with pytest.raises(ConfigError, match=f"has label {CLASSES}"):
        Networks(lambda count: 0).within(0.01, Numbered([CLASSES]))


def test_videos_none_of_which_can_be_read_are_refused():
    with pytest.raises(VideoError, match="no labelled video"):
        Networks(lambda count: 0).within(0.01, Numbered([0, None], broken=(0,)))


def test_clips_of_another_shape_are_refused():
    session = WrittenSession(one_hot([0]))
    session.input = type(session.input)("clip", (1, 2, 8, 8, 3), "uint8")
    with pytest.raises(ConfigError, match="the network takes"):
        right_answers(session, Numbered([0]), "float")
