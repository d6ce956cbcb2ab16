"""Intervals and tests against published tables, first principles and their own promise."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgevid.calibration.statistics import cosine, mcnemar, paired, sqnr, wilson
from edgevid.errors import ConfigError

quick = settings(derandomize=True, deadline=None)


@pytest.mark.parametrize(
    ("successes", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilsons_interval_is_the_one_in_newcombes_table(successes, count, low, high):
    # Statistics in Medicine 17, 1998, 857, table I, method 3.
    found = wilson(successes, count)
    assert found.value == successes / count
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


def test_a_perfect_and_a_hopeless_network_have_intervals_too():
    assert wilson(50, 50).high == 1.0
    assert wilson(50, 50).low == pytest.approx(50 / (50 + 1.959964**2))
    assert wilson(0, 50).low == 0.0


def test_tangos_interval_is_the_published_one():
    # Airway reactivity of 21 children, 1 and 7 changed (Fagerland et al., Statistics in Medicine 33, 2014).
    found = paired(1, 7, 21)
    assert found.drop.value == pytest.approx(-6 / 21)
    assert (found.drop.low, found.drop.high) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert found.p == pytest.approx(2 * (1 + 8) / 2**8)


def test_no_changed_answer_leaves_an_interval_as_wide_as_the_number_of_answers_allows():
    # With nothing changed the score equation is n d^2 = z^2 |d| (1 - |d|), solved by z^2 / (n + z^2).
    found = paired(0, 0, 400)
    limit = 1.959964**2 / (400 + 1.959964**2)
    assert (found.drop.low, found.drop.high) == pytest.approx((-limit, limit), rel=1e-5)
    assert found.p == 1.0


@pytest.mark.parametrize(("lost", "gained", "count"), [(6, 16, 161), (3, 0, 50), (40, 20, 160)])
def test_the_ends_of_the_interval_are_where_the_constrained_likelihood_says(lost, gained, count):
    """The same statistic, with the most likely probabilities searched instead of solved for."""
    found = paired(lost, gained, count)
    for end, score in ((found.drop.low, 1.959964), (found.drop.high, -1.959964)):
        gains = np.linspace(max(0.0, -end), (1 - end) / 2, 2_000_001)[1:-1]
        losses = gains + end
        likelihood = (
            lost * np.log(losses)
            + gained * np.log(gains)
            + (count - lost - gained) * np.log(1 - gains - losses)
        )
        best = int(likelihood.argmax())
        deviation = math.sqrt(count * (gains[best] + losses[best] - end**2))
        assert (lost - gained - count * end) / deviation == pytest.approx(score, abs=2e-3)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 4000))
@quick
def test_the_paired_interval_holds_its_estimate_and_turns_round_with_the_roles(lost, gained, same):
    count = lost + gained + same
    if not count:
        return
    found, turned = paired(lost, gained, count), paired(gained, lost, count)
    assert -1 <= found.drop.low <= found.drop.value <= found.drop.high <= 1
    assert found.drop.low == pytest.approx(-turned.drop.high, abs=1e-9)
    assert found.p == turned.p


@pytest.mark.parametrize(
    ("lost", "gained", "count"), [(0.02, 0.01, 400), (0.05, 0.05, 200), (0.004, 0.0, 500)]
)
def test_the_paired_interval_covers_the_truth_as_often_as_it_promises(lost, gained, count):
    random = np.random.default_rng(5)
    draws = random.multinomial(count, [lost, gained, 1 - lost - gained], size=4000)
    intervals = {pair: paired(*pair, count).drop for pair in {(int(a), int(b)) for a, b, _ in draws}}
    covered = [intervals[int(a), int(b)] for a, b, _ in draws]
    share = np.mean([found.low <= lost - gained <= found.high for found in covered])
    assert share >= 0.94


def test_wilsons_interval_covers_the_truth_as_often_as_it_promises():
    random = np.random.default_rng(6)
    for share, count in ((0.5, 100), (0.9, 300), (0.97, 200)):
        found = [wilson(int(successes), count) for successes in random.binomial(count, share, size=4000)]
        assert np.mean([interval.low <= share <= interval.high for interval in found]) >= 0.935


@pytest.mark.parametrize(
    ("lost", "gained", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 2 / 32),
        (10, 2, 2 * (1 + 12 + 66) / 4096),
        (6, 6, 1.0),
        (10, 0, 2**-9),
    ],
)
def test_mcnemars_test_counts_the_ways_to_be_at_least_as_uneven(lost, gained, p):
    assert mcnemar(lost, gained) == mcnemar(gained, lost) == pytest.approx(p, rel=1e-12)


def test_mcnemars_test_takes_thousands_of_changes():
    exact = 2 * sum(math.comb(3000, k) for k in range(1401)) / 2**3000
    assert mcnemar(1400, 1600) == pytest.approx(exact, rel=1e-8)
    assert 0 <= mcnemar(0, 5000) < 1e-300


def test_the_number_of_videos_that_would_tell_narrows_the_interval_to_the_gap():
    few = paired(6, 3, 200)  # a drop of 1.5 points, with 4.5 % of the answers changed
    more = few.needed(0.005)
    assert more > 200
    scaled = paired(round(more * 0.03), round(more * 0.015), more)
    assert scaled.drop.low == pytest.approx(0.005, abs=1e-3)
    assert paired(1, 0, 200).needed(0.005) is None
    assert paired(0, 0, 200).needed(0.0) is None
    unchanged = paired(0, 0, 200).needed(0.005)
    assert paired(0, 0, unchanged).drop.high <= 0.005 < paired(0, 0, unchanged - 1).drop.high


def test_counts_that_are_no_counts_are_refused():
    for wrong in ((3, 2), (-1, 2), (0, 0)):
        with pytest.raises(ConfigError, match="no share"):
            wilson(*wrong)
    for wrong in ((3, 2, 4), (-1, 0, 4), (0, 0, 0)):
        with pytest.raises(ConfigError, match="gained"):
            paired(*wrong)


def test_sqnr_is_the_ratio_of_powers_in_decibels():
    reference = np.array([[3.0, 4.0], [0.0, 5.0]], np.float32)
    assert sqnr(reference, reference * np.float32(0.9)) == pytest.approx(20, abs=1e-4)
    assert sqnr(reference, reference) == math.inf


def test_cosine_is_averaged_over_clips():
    reference = np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]], np.float32)
    candidate = np.array([[0.0, 2.0], [3.0, 3.0], [0.0, 0.0], [1.0, 0.0]], np.float32)
    assert cosine(reference, candidate) == pytest.approx((0 + 1 + 1 + 0) / 4)
