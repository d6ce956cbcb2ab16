"""Claims between any two variants, by what was measured."""

import bench_fakes as fakes
import pytest

from edgevid.bench.claims import Claim, paired_ratio, takes_at_least, takes_at_most, told
from edgevid.errors import BenchmarkError

FAST, SLOW = "candidate 0", "candidate 1"


def result(*factors, runs=1):
    """Rounds of a machine that gets slower by ten per cent in each; the ratios within rounds stay."""
    rounds = [1e6 * 1.1**index for index in range(10)]
    walls = [[round(factor * wall) for wall in rounds] for factor in (1.0, 1.0, *factors)]
    return fakes.result_of(*[fakes.run_of(walls)] * runs)


def test_variants_are_compared_within_rounds_neither_of_them_the_baseline():
    ratio = paired_ratio(result(2.0, 5.0), SLOW, FAST)
    assert ratio.median == pytest.approx(2.5, rel=1e-5)
    assert ratio.interval.low == pytest.approx(2.5, rel=1e-5)


def test_several_processes_give_an_interval_over_processes():
    ratio = paired_ratio(result(2.0, 5.0, runs=3), SLOW, FAST)
    assert ratio.interval.method == "Student t over processes"


def test_the_figure_lies_in_its_interval_though_one_process_has_most_of_the_rounds():
    runs = [fakes.run_of([[100], [100], [100], [200]])] * 5
    runs.append(fakes.run_of([[100] * 40, [100] * 40, [100] * 40, [300] * 40]))
    ratio = paired_ratio(fakes.result_of(*runs), SLOW, FAST)
    assert ratio.interval.low <= ratio.median == ratio.interval.high == 3


def test_rounds_too_short_for_the_clock_say_nothing():
    walls = [[100, 100], [100, 100], [0, 100], [200, 200]]
    assert paired_ratio(fakes.result_of(fakes.run_of(walls)), SLOW, FAST).median == 2
    with pytest.raises(BenchmarkError, match="no round in which candidate 1 and candidate 0"):
        paired_ratio(fakes.result_of(fakes.run_of([[100], [100], [0], [200]])), SLOW, FAST)


@pytest.mark.parametrize(("limit", "met"), [(2.4, False), (2.6, True)])
def test_at_most_is_met_from_below(limit, met):
    assert takes_at_most(result(2.0, 5.0), SLOW, FAST, limit).met is met
    assert takes_at_least(result(2.0, 5.0), SLOW, FAST, limit).met is not met


def test_a_claim_is_told_with_its_figure_and_what_is_wanted():
    claims = [takes_at_most(result(2.0, 5.0), SLOW, FAST, 1.05), Claim("one", "all", True)]
    assert told(claims) == (
        "NOT MET candidate 1 takes 2.500 (2.500..2.500) times as long as candidate 0 (wanted: at most 1.05)\n"
        "met     one (wanted: all)"
    )
