"""Smoothing is off unless asked for, and what it does is told."""

import numpy as np
import pytest

from edgevid.errors import ConfigError
from edgevid.live import Smoothing


def shares(*values):
    return np.array(values, np.float64)


def labels(smoothing, *answers):
    return [smoothing.add(shares(*answer)).label for answer in answers]


A, B, C = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.1, 0.1, 0.8)


def test_nothing_is_smoothed_by_default():
    smoothing = Smoothing.parse([])
    for answer, label in ((A, 0), (B, 1), (A, 0)):
        smoothed = smoothing.add(shares(*answer))
        assert smoothed.label == label
        assert smoothed.probabilities.tolist() == list(answer)
        assert smoothed.state == ""


def test_an_average_is_the_mean_of_the_last_answers():
    smoothing = Smoothing.parse(["average:2"])
    means = [smoothing.add(shares(*answer)).probabilities.tolist() for answer in (A, B, C)]
    assert means[0] == list(A)
    assert means[1] == pytest.approx([0.45, 0.45, 0.1])
    assert means[2] == pytest.approx([0.1, 0.45, 0.45])


def test_an_average_outlives_one_odd_answer():
    assert labels(Smoothing.parse(["average:3"]), A, A, B, A) == [0, 0, 0, 0]


def test_the_state_tells_how_full_the_average_is():
    smoothing = Smoothing.parse(["average:3"])
    assert [smoothing.add(shares(*A)).state for _ in range(4)] == [
        *("average of 1/3", "average of 2/3", "average of 3/3", "average of 3/3"),
    ]


def test_hysteresis_keeps_the_label_until_another_one_is_more_probable_by_the_margin():
    smoothing = Smoothing.parse(["hysteresis:0.2"])
    assert labels(smoothing, (0.5, 0.4, 0.1), (0.4, 0.5, 0.1), (0.3, 0.6, 0.1)) == [0, 0, 1]


def test_a_label_that_is_above_by_exactly_the_margin_does_not_replace_it():
    assert labels(Smoothing.parse(["hysteresis:0.25"]), (1, 0, 0), (0.25, 0.5, 0.25)) == [0, 0]


def test_hysteresis_waits_for_as_many_answers_in_a_row_as_it_is_told():
    assert labels(Smoothing.parse(["hysteresis:0.2:3"]), A, B, B, A, B, B, B, B) == [0, 0, 0, 0, 0, 0, 1, 1]


def test_two_other_labels_in_turn_do_not_add_up():
    assert labels(Smoothing.parse(["hysteresis:0.2:2"]), A, B, C, B, C, C) == [0, 0, 0, 0, 0, 2]


def test_the_state_tells_how_near_a_change_is():
    smoothing = Smoothing.parse(["hysteresis:.2:2"])
    assert [smoothing.add(shares(*answer)).state for answer in (A, B, B)] == [
        "hysteresis 0.2, change 0/2",
        "hysteresis 0.2, change 1/2",
        "hysteresis 0.2, change 0/2",
    ]


def test_probabilities_are_shown_as_they_are_though_the_label_is_held():
    smoothing = Smoothing.parse(["hysteresis:0.9"])
    smoothing.add(shares(*A))
    smoothed = smoothing.add(shares(*B))
    assert smoothed.label == 0
    assert smoothed.probabilities.tolist() == list(B)


def test_both_together_hold_the_label_of_the_average():
    smoothing = Smoothing.parse(["hysteresis:0.1", "average:2"])
    assert labels(smoothing, A, B, B) == [0, 0, 1]
    assert smoothing.add(shares(*B)).state == "average of 2/2; hysteresis 0.1, change 0/1"


def test_a_new_sequence_forgets_all_answers():
    smoothing = Smoothing.parse(["average:3", "hysteresis:0.5:3"])
    labels(smoothing, A, A, A)
    smoothing.reset()
    smoothed = smoothing.add(shares(*B))
    assert smoothed.label == 1
    assert smoothed.probabilities.tolist() == list(B)


@pytest.mark.parametrize(
    "texts",
    [
        *(["average"], ["average:0"], ["average:-1"], ["average:x"], ["average:99999"], ["average:2:3"]),
        *(["hysteresis:1"], ["hysteresis:-0.1"], ["hysteresis:nan"], ["hysteresis:0.1:0"], ["hysteresis:"]),
        *(["median:3"], [""], ["average:2", "average:3"], ["hysteresis:0.1", "hysteresis:0.2"]),
    ],
)
def test_anything_else_is_refused_with_the_way_out(texts):
    with pytest.raises(ConfigError, match="no smoothing") as caught:
        Smoothing.parse(texts)
    assert "average:N" in caught.value.fix
