import random
import statistics

import pytest

from edgevid.bench.statistics import (
    interquartile_range,
    interval_over_processes,
    median,
    median_absolute_deviation,
    median_interval,
    percentile,
    samples_needed,
)
from edgevid.errors import BenchmarkError


@pytest.mark.parametrize(("q", "needed"), [(90, 64), (95, 130), (99, 662)])
def test_a_percentile_is_given_from_exactly_the_sample_size_that_can_bear_it(q, needed):
    assert samples_needed(q) == needed
    assert percentile(range(needed), q).value is not None
    short = percentile(range(needed - 1), q)
    assert short.value is None
    assert short.reason == f"needs {needed} samples, has {needed - 1}"


def test_a_percentile_is_a_sample_at_nearest_rank_whatever_the_order():
    values = list(range(1, 101))
    random.Random(0).shuffle(values)
    assert percentile(values, 90).value == 90


@pytest.mark.parametrize("q", [0, 50, 100, 120])
def test_a_percentile_outside_the_upper_half_is_refused(q):
    with pytest.raises(BenchmarkError, match="not an upper percentile"):
        percentile([1.0] * 1000, q)


def test_the_median_agrees_with_the_standard_library_and_refuses_no_samples():
    for count in (1, 2, 3, 10, 11):
        values = [random.Random(count).random() for _ in range(count)]
        assert median(values) == pytest.approx(statistics.median(values))
    with pytest.raises(BenchmarkError, match="no samples"):
        median([])


@pytest.mark.parametrize(
    ("count", "rank", "level"),
    [(6, 1, 0.96875), (8, 1, 0.9921875), (9, 2, 0.9609375), (20, 6, 0.9586105), (40, 14, 0.9615227)],
)
def test_the_interval_of_the_median_takes_the_tabulated_order_statistics(count, rank, level):
    interval = median_interval([float(value) for value in range(1, count + 1)])
    assert (interval.low, interval.high) == (rank, count + 1 - rank)
    assert interval.level == pytest.approx(level, abs=1e-6)


def test_five_samples_bear_no_interval_of_the_median():
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) is None
    assert median_interval([]) is None


def test_the_interval_for_many_samples_continues_the_exact_one():
    exact = median_interval(list(range(1000)))
    approximate = median_interval(list(range(1001)))
    assert abs(exact.low - approximate.low) <= 1
    assert abs(exact.high - approximate.high) <= 2


def test_the_interval_covers_the_true_median_of_a_skewed_distribution_about_as_often_as_it_says():
    generator = random.Random(1)
    true = 2**0.5  # median of 1/sqrt(uniform)
    hits = 0
    for _ in range(1000):
        interval = median_interval([generator.random() ** -0.5 for _ in range(15)])
        hits += interval.low <= true <= interval.high
    assert 0.94 <= hits / 1000 <= 0.99


def test_the_interval_over_processes_is_students_and_needs_two_of_them():
    interval = interval_over_processes([1.0, 2.0, 3.0])
    assert interval.low == pytest.approx(2 - 4.3027 / 3**0.5)
    assert interval.high == pytest.approx(2 + 4.3027 / 3**0.5)
    assert interval_over_processes([1.0]) is None


def test_the_interval_over_very_many_processes_uses_the_right_quantile():
    medians = [float(value % 2) for value in range(42)]
    interval = interval_over_processes(medians)
    half = (interval.high - interval.low) / 2
    assert half / (statistics.stdev(medians) / 42**0.5) == pytest.approx(2.0195, abs=2e-3)


def test_spread_figures_are_the_textbook_ones():
    values = [9.0, 1.0, 2.0, 4.0, 3.0]
    assert median_absolute_deviation(values) == 1.0
    assert interquartile_range(values) == 2.0
    assert interquartile_range([5.0]) == 0.0
