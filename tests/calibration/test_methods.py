"""The methods against what they promise, computed another way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.calibration.histogram import Histogram
from edgevid.calibration.methods import entropy_bound, mse_bound, percentile_bound

METHODS = [entropy_bound, mse_bound]


def histogram_of(values):
    values = np.asarray(values, np.float32)
    largest = float(np.abs(values).max())
    histogram = Histogram()
    histogram.add(values, largest)
    return histogram, largest


def normal(count=200_000, seed=0):
    return np.random.default_rng(seed).normal(size=count)


def error(values, bound):
    step = bound / 127
    return float(np.mean((values - np.clip(np.rint(values / step), -127, 127) * step) ** 2))


@pytest.mark.parametrize("percentile", [50, 90, 99, 99.99, 100])
def test_a_percentile_is_numpys_within_a_bin(percentile):
    values = normal()
    histogram, largest = histogram_of(values)
    wanted = np.percentile(np.abs(values), percentile)
    assert percentile_bound(histogram, largest, percentile) == pytest.approx(wanted, abs=1e-3)


def test_the_hundredth_percentile_is_the_largest_value():
    histogram, largest = histogram_of(normal())
    assert percentile_bound(histogram, largest, 100) == largest


@pytest.mark.parametrize("draw", ["normal", "laplace", "uniform", "exponential"])
def test_no_bound_has_a_smaller_squared_error_than_that_of_mse(draw):
    values = getattr(np.random.default_rng(1), draw)(size=200_000).astype(np.float32)
    histogram, largest = histogram_of(values)
    least = min(error(values, bound) for bound in np.linspace(0.1, 1, 150) * largest)
    assert error(values, mse_bound(histogram, largest)) <= least * 1.02


def divergence(counts, kept):
    """One candidate, step by step as the talk describes it."""
    reference = [float(count) for count in counts[:kept]]
    reference[-1] += sum(counts[kept:])
    candidate = [0.0] * kept
    for level in range(128):
        members = [place for place in range(kept) if place * 128 // kept == level]
        filled = [place for place in members if counts[place]]
        for place in filled:
            candidate[place] = sum(counts[m] for m in members) / len(filled)
    total, other = sum(reference), sum(candidate)
    result = 0.0
    for p, q in zip(reference, candidate, strict=True):
        if p and not q:
            return float("inf")
        if p:
            result += p / total * np.log((p / total) / (q / other))
    return result


def test_no_candidate_diverges_less_than_the_one_of_entropy():
    values = np.random.default_rng(2).laplace(size=100_000)
    histogram, largest = histogram_of(values)
    edges = np.linspace(0, largest, 2049)
    counts = np.histogram(np.abs(values), edges)[0].astype(float)
    counts[0] = counts[1]
    divergences = {kept: divergence(counts, kept) for kept in range(128, 2049, 64)}
    chosen = round(entropy_bound(histogram, largest) / largest * 2048)
    assert divergence(counts, chosen) <= min(divergences.values()) * 1.05


@pytest.mark.parametrize("method", METHODS)
def test_a_lone_outlier_is_clipped(method):
    values = np.append(normal(), 40.0)
    assert method(*histogram_of(values)) < 20


@pytest.mark.parametrize("method", METHODS)
def test_values_that_are_all_as_likely_are_hardly_clipped(method):
    histogram, largest = histogram_of(np.linspace(-1, 1, 100_001))
    assert method(histogram, largest) > 0.95


def test_the_zeros_of_a_relu_do_not_move_the_bound_of_entropy():
    values = np.abs(normal())
    bounds = [entropy_bound(*histogram_of(np.append(values, np.zeros(n)))) for n in (0, 1_000_000)]
    assert bounds[0] == pytest.approx(bounds[1], rel=0.02)


EVERY = pytest.mark.parametrize("method", [*METHODS, lambda h, m: percentile_bound(h, m, 99)])


@EVERY
@pytest.mark.parametrize("count", [1, 50, 90])
def test_a_tensor_that_is_nearly_always_zero_keeps_its_largest_values(method, count):
    values = np.zeros(1_000_000)
    values[:count] = np.random.default_rng(0).uniform(2, 5, count)
    histogram, largest = histogram_of(values)
    assert 0.97 * largest < method(histogram, largest) <= largest


@EVERY
@pytest.mark.parametrize("rest", [0.0, 1e-4])
def test_a_largest_value_that_was_not_sampled_is_counted(method, rest):
    histogram = Histogram()
    histogram.add(np.full(10_000, rest, np.float32), 5.0)
    assert method(histogram, 5.0) == 5.0


def test_one_value_that_was_not_sampled_widens_the_bound_of_mse():
    values = np.linspace(0, 1, 10_000)
    histogram = Histogram()
    histogram.add(values.astype(np.float32), 1.3)
    bound = mse_bound(histogram, 1.3)
    assert error(np.append(values, 1.3), bound) <= error(np.append(values, 1.3), 1.3) * 1.02
    assert bound > 1.2


def test_of_bounds_that_cost_the_same_the_widest_is_taken():
    histogram, largest = histogram_of(np.repeat([0.0, 1.0], 1000))
    assert mse_bound(histogram, largest) == largest


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.floats(-(2.0**66), 2.0**66, width=32), min_size=1, max_size=50).filter(any))
def test_every_bound_is_above_zero_and_not_above_the_largest_value(values):
    histogram, largest = histogram_of(values)
    for method in (*METHODS, lambda h, m: percentile_bound(h, m, 99.99)):
        assert 0 < method(histogram, largest) <= largest
