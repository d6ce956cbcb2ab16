import itertools

import pytest

from edgevid.bench.compare import compare
from edgevid.bench.load import LoadMeter
from edgevid.bench.protocol import Comparison, Variant
from edgevid.bench.settings import MINIMUM_ROUNDS, Settings
from edgevid.bench.statistics import is_within
from edgevid.bench.timing import Elapsed
from edgevid.errors import ConfigError


def measured(walls, **settings):
    """A comparison whose baseline takes these nanoseconds, over and over."""
    endless = itertools.cycle(walls)
    comparison = Comparison(Variant("plain", lambda: Elapsed(next(endless))))
    meter = LoadMeter(read=lambda: None)
    return compare(comparison, Settings(warmup=0, **settings), title="", load_meter=meter)


def test_it_ends_as_soon_as_every_interval_is_narrow_enough():
    result = measured([1000], rounds=500, within=0.01)
    assert result.runs[0].rounds == MINIMUM_ROUNDS
    assert result.status == result.runs[0].status == "within"
    assert result.notes == (
        "the 95 % intervals of each process are within 1 % of the median, after 10 rounds",
    )


def test_intervals_that_stay_wide_take_all_rounds_and_say_so():
    result = measured([1000, 1000, 2000, 2000], rounds=43, within=0.01)
    assert result.runs[0].rounds == 43
    assert result.status == "complete"
    (note,) = result.notes
    assert note.startswith("the 95 % intervals are not within 1 % of the median after 43 rounds")
    assert "plain" in note


def test_a_time_budget_that_ends_it_first_is_told_together_with_the_width():
    result = measured([1000, 1000, 2000, 2000], rounds=10**6, within=0.01, budget_seconds=0.05)
    assert result.status == "budget"
    assert "time budget" in result.notes[0]
    assert "not within 1 %" in result.notes[1]


def test_without_it_all_rounds_run():
    result = measured([1000], rounds=20)
    assert (result.runs[0].rounds, result.status, result.notes) == (20, "complete", ())


def test_too_few_rounds_are_never_narrow():
    assert measured([1000], rounds=MINIMUM_ROUNDS - 1, within=0.01).status == "complete"
    assert not is_within([1000] * 5, 0.5)
    assert is_within([1000] * 6, 1e-9)
    assert not is_within([990] * 3 + [1000] * 3 + [1011] * 3, 0.01)
    assert is_within([990] * 3 + [1000] * 3 + [1011] * 3, 0.011)


@pytest.mark.parametrize("share", [0, -0.01, 1, 5, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match="interval within"):
        Settings(within=share)
