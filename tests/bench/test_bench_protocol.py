import time

import bench_fakes as fakes
import pytest

from edgevid.bench.compare import compare
from edgevid.bench.load import LoadMeter
from edgevid.bench.protocol import Comparison, Variant, measure, order_of_round
from edgevid.bench.settings import Settings
from edgevid.errors import BenchmarkError, ConfigError

NO_LOAD = LoadMeter(read=lambda: None)


class Counted:
    """Calls that write their name into one list."""

    def __init__(self):
        self.calls = []

    def variant(self, name):
        return Variant(name, lambda: self.calls.append(name))


@pytest.mark.parametrize("count", [2, 3, 4, 7])
def test_every_variant_stands_equally_often_at_every_place(count):
    places = [[0] * count for _ in range(count)]
    for index in range(2 * count):
        order = order_of_round(index, count)
        assert sorted(order) == list(range(count))
        for place, variant in enumerate(order):
            places[variant][place] += 1
    assert places == [[2] * count] * count


def test_each_round_runs_everything_once_and_the_next_one_in_reverse():
    counted = Counted()
    twin = counted.variant("twin").run
    comparison = Comparison(counted.variant("a"), [counted.variant("b")], twin=twin)
    run = measure(comparison, Settings(rounds=4, warmup=0), load_meter=NO_LOAD)
    rounds = [counted.calls[start : start + 3] for start in range(0, 12, 3)]
    assert [sorted(calls) for calls in rounds] == [["a", "b", "twin"]] * 4
    assert rounds[1] == rounds[0][::-1]
    assert rounds[3] == rounds[2][::-1]
    assert rounds[2] != rounds[0]
    assert [[("a", "twin", "b")[index] for index in order] for order in run.orders] == rounds


def test_every_comparison_has_an_a_a_pair_even_of_a_single_variant():
    counted = Counted()
    run = measure(Comparison(counted.variant("a")), Settings(rounds=5, warmup=0), load_meter=NO_LOAD)
    assert [(variant.name, variant.role) for variant in run.variants] == [
        ("a", "baseline"),
        ("a (A/A)", "twin"),
    ]
    assert len(counted.calls) == 10


def test_an_independently_opened_twin_is_measured_in_place_of_the_baselines_own_callable():
    counted = Counted()
    comparison = Comparison(counted.variant("a"), twin=counted.variant("second").run)
    measure(comparison, Settings(rounds=3, warmup=0), load_meter=NO_LOAD)
    assert counted.calls.count("second") == 3


def test_samples_hold_the_wall_time_and_the_cpu_time_of_each_run():
    comparison = Comparison(Variant("busy", fakes.busy(5)), [Variant("asleep", lambda: time.sleep(0.01))])
    run = measure(comparison, Settings(rounds=3, warmup=0), load_meter=NO_LOAD)
    assert min(run.samples["busy"].wall_ns) >= 5e6
    assert max(run.samples["busy"].cpu_ns) > 2e6
    assert min(run.samples["asleep"].wall_ns) >= 10e6
    assert min(run.samples["asleep"].cpu_ns) < 2e6


def test_warm_up_runs_are_kept_apart_from_the_rounds():
    counted = Counted()
    run = measure(Comparison(counted.variant("a")), Settings(rounds=5, warmup=2), load_meter=NO_LOAD)
    assert len(run.warmup["a"].wall_ns) == 2
    assert len(run.samples["a"].wall_ns) == 5
    assert len(counted.calls) == 2 * 7


def test_stable_warm_up_waits_until_a_variant_stops_getting_faster():
    calls = []

    def cooling():
        calls.append(None)
        time.sleep(max(0.035 - 0.0015 * len(calls), 0.005))

    run = measure(Comparison(Variant("a", cooling)), Settings(rounds=1, warmup="stable"), load_meter=NO_LOAD)
    # Two calls a round: the tenth is the first at full speed.
    assert 10 < len(run.warmup["a"].wall_ns) <= 30


def test_stable_warm_up_gives_up_on_a_variant_that_never_settles():
    calls = []

    def ever_slower():
        calls.append(None)
        time.sleep(2e-5 * len(calls))

    settings = Settings(rounds=1, warmup="stable")
    run = measure(Comparison(Variant("a", ever_slower)), settings, load_meter=NO_LOAD)
    assert len(run.warmup["a"].wall_ns) == 30


def test_a_used_up_time_budget_ends_early_and_says_so():
    result = compare(
        Comparison(Variant("a", fakes.busy(10))),
        Settings(rounds=1000, warmup=1, budget_seconds=0.3),
        title="short",
        load_meter=NO_LOAD,
    )
    assert result.status == "budget"
    assert 1 <= result.runs[0].rounds < 20
    assert result.notes == (
        f"the time budget of 0.3 s ended it after {result.runs[0].rounds} of 1000 rounds",
    )


def test_even_a_tiny_budget_finishes_one_round():
    settings = Settings(rounds=9, warmup="stable", budget_seconds=1e-6)
    run = measure(Comparison(Variant("a", fakes.nothing)), settings, load_meter=NO_LOAD)
    assert run.rounds == 1


def test_ctrl_c_keeps_the_finished_rounds_and_marks_the_result():
    calls = []

    def run():
        calls.append(None)
        if len(calls) == 2 * 7 + 2:  # in the middle of the eighth round
            raise KeyboardInterrupt

    result = compare(
        Comparison(Variant("a", run)), Settings(rounds=40, warmup=0), title="cut", load_meter=NO_LOAD
    )
    assert result.status == "interrupted"
    assert result.runs[0].rounds == 7
    assert len(result.runs[0].samples["a"].wall_ns) == 7
    assert "interrupted after 7 of 40 rounds" in result.notes
    assert "too few rounds: 7 finished, 10 needed" in str(result.verdict)


def test_ctrl_c_during_warm_up_gives_a_result_without_rounds():
    def run():
        raise KeyboardInterrupt

    result = compare(Comparison(Variant("a", run)), title="cut", load_meter=NO_LOAD)
    assert result.status == "interrupted"
    assert result.runs[0].rounds == 0
    assert not result.verdict.valid


def test_a_variant_that_fails_is_named():
    def run():
        raise RuntimeError("no memory left")

    with pytest.raises(BenchmarkError, match="no memory left") as caught:
        measure(Comparison(Variant("a", fakes.nothing), [Variant("bad one", run)]), Settings())
    assert caught.value.where == "bad one"
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_two_variants_of_one_name_are_refused():
    with pytest.raises(ConfigError, match="same name"):
        measure(Comparison(Variant("a", fakes.nothing), [Variant("a", fakes.nothing)]), Settings())


def test_progress_is_told_for_warm_up_and_rounds_up_to_the_end():
    events = []
    settings = Settings(rounds=3, warmup=2)
    measure(Comparison(Variant("a", fakes.nothing)), settings, progress=events.append, load_meter=NO_LOAD)
    assert [(event.stage, event.done, event.total) for event in events] == [
        ("warm-up", 0, 2),
        ("warm-up", 1, 2),
        ("rounds", 0, 3),
        ("rounds", 1, 3),
        ("rounds", 2, 3),
        ("rounds", 3, 3),
    ]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("rounds", 0),
        ("warmup", -1),
        ("budget_seconds", 0.0),
        ("budget_seconds", float("nan")),
        ("processes", 0),
    ],
)
def test_a_setting_out_of_range_is_named(setting, value):
    with pytest.raises(ConfigError) as caught:
        Settings(**{setting: value})
    assert caught.value.where == setting
    assert caught.value.fix
