"""Which frames a network sees that was trained at another frame rate."""

import random

import pytest
from live_fakes import picture

from edgevid.live import TimedFrame
from edgevid.live.resample import LONGEST_GAP, ROUNDING, resampled


def numbers(times, interval, *, resumed=()):
    source = (TimedFrame(time, n, picture(0), n in resumed) for n, time in enumerate(times))
    return [frame.number for group in resampled(source, interval) for frame in group]


def nearest(times, interval):
    """By the definition: for each multiple the nearest frame, of two the earlier."""
    found, step = [], 0
    while True:
        target = step * interval
        best = min((abs(time - target), number) for number, time in enumerate(times))[1]
        if target > times[-1] + ROUNDING and (best in found or target - times[-1] > interval / 2):
            return found
        found.append(best)
        step += 1


def test_without_an_interval_every_frame_counts_once():
    assert numbers([0, 0.1, 0.11, 7], None) == [0, 1, 2, 3]


def test_a_source_of_the_same_rate_is_left_as_it_is():
    assert numbers([n / 25 for n in range(100)], 1 / 25) == list(range(100))


@pytest.mark.parametrize("unit", [1000, 90000, 12800])
def test_rounded_time_stamps_neither_drop_nor_repeat_a_frame(unit):
    times = [round(n / 30 * unit) / unit for n in range(300)]
    assert numbers(times, 1 / 30) == list(range(300))


def test_a_frame_just_before_its_multiple_is_not_held_back_until_the_next():
    read = []

    def source():
        for number, time in enumerate([0.0, 0.0395, 0.08]):
            read.append(number)
            yield TimedFrame(time, number, picture(0))

    groups = resampled(source(), 0.04)
    assert [(next(groups)[0].number, len(read)) for _ in range(3)] == [(0, 1), (1, 2), (2, 3)]


def test_of_thirty_frames_a_second_five_are_left_out_for_twenty_five():
    taken = numbers([n / 30 for n in range(30)], 1 / 25)
    assert len(taken) == 25
    assert taken == nearest([n / 30 for n in range(30)], 1 / 25)
    assert taken[:8] == [0, 1, 2, 4, 5, 6, 7, 8]


def test_a_slower_source_repeats_frames():
    assert numbers([0, 0.5, 1.0], 0.25) == [0, 0, 1, 1, 2]


def test_of_two_frames_equally_near_the_earlier_is_taken():
    assert numbers([0, 0.25, 0.75, 1.0], 0.5) == [0, 1, 3]


@pytest.mark.parametrize("seed", range(20))
def test_a_variable_rate_gives_the_frame_nearest_to_each_multiple(seed):
    draw = random.Random(seed)
    times = [0.0]
    while len(times) < 60:
        times.append(times[-1] + draw.choice([0.004, 0.017, 0.033, 0.041, 0.2, draw.uniform(0.01, 0.1)]))
    interval = draw.choice([0.04, 1 / 12, 1 / 30])
    assert numbers(times, interval) == nearest(times, interval)


def test_the_last_frame_is_taken_if_it_lies_just_before_its_multiple():
    assert numbers([0, 0.1, 0.197], 0.1) == [0, 1, 2]
    assert numbers([0, 0.1, 0.14], 0.1) == [0, 1]


def test_what_is_due_with_one_frame_of_the_source_is_one_group():
    source = [TimedFrame(time, n, picture(0)) for n, time in enumerate([0.0, 0.1, 0.2])]
    assert [len(group) for group in resampled(source, 0.05)] == [1, 2, 2]


def test_a_source_that_was_away_begins_its_multiples_anew():
    source = [TimedFrame(t, n, picture(0), resumed=n == 2) for n, t in enumerate([0.0, 0.1, 3.03, 3.13])]
    taken = [frame for group in resampled(source, 0.1) for frame in group]
    assert [frame.number for frame in taken] == [0, 1, 2, 3]
    assert [frame.resumed for frame in taken] == [False, False, True, False]


def test_slow_sources_and_long_intervals_are_one_sequence():
    source = [TimedFrame(20.0 * n, n, picture(0)) for n in range(3)]
    for interval, longest in ((12.0, LONGEST_GAP), (5.0, 40.0)):
        taken = [frame for group in resampled(source, interval, longest) for frame in group]
        assert not any(frame.resumed for frame in taken)
        assert {frame.number for frame in taken} == {0, 1, 2}


def test_after_a_long_gap_a_new_sequence_begins_in_place_of_repeats():
    source = [TimedFrame(t, n, picture(0)) for n, t in enumerate([0.0, LONGEST_GAP + 1, LONGEST_GAP + 1.5])]
    taken = [frame for group in resampled(source, 0.25) for frame in group]
    assert [frame.number for frame in taken] == [0, 1, 1, 2]
    assert [frame.resumed for frame in taken] == [False, True, False, False]
