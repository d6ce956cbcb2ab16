import bench_fakes as fakes
import pytest

from edgevid.bench.compare import compare
from edgevid.bench.load import Load, LoadMeter, Reading, read_linux
from edgevid.bench.protocol import Comparison, Variant
from edgevid.bench.settings import Settings
from edgevid.bench.validity import judge


def machine(*readings):
    """A load meter over these counters."""
    left = [Reading(*values, cpus=4) for values in readings]
    waits = []
    return LoadMeter(read=lambda: left.pop(0), sleep=waits.append), waits


def test_a_quiet_machine_and_an_equal_pair_are_valid():
    verdict = judge([fakes.run_of([[100, 101] * 10, [101, 100] * 10])])
    assert verdict.valid
    assert str(verdict) == "VALID"


@pytest.mark.parametrize(("twin", "valid"), [(10_050, True), (10_051, False), (9_950, True), (9_949, False)])
def test_the_a_a_pair_may_differ_by_half_a_percent_either_way(twin, valid):
    verdict = judge([fakes.run_of([[10_000] * 20, [twin] * 20])])
    assert verdict.valid is valid
    assert valid or str(verdict).startswith("INVALID: the A/A pair differs by 0.51% (limit 0.5%)")


def test_the_a_a_pair_is_judged_by_paired_ratios_not_by_medians_of_each():
    # The machine doubles its speed half way; within each round the two are equal.
    drift = [2000] * 10 + [1000] * 11
    assert judge([fakes.run_of([drift, drift])]).valid


def test_the_a_a_pair_is_pooled_over_processes():
    slow = fakes.run_of([[1000] * 10, [1100] * 10])
    equal = fakes.run_of([[1000] * 30, [1000] * 30])
    assert judge([slow, equal]).valid
    assert not judge([slow, slow]).valid


def test_a_deliberately_slower_twin_makes_a_real_measurement_invalid():
    result = compare(
        Comparison(Variant("plain", fakes.busy(1.0)), twin=fakes.busy(1.5)),
        Settings(rounds=12),
        title="a twin that is none",
        load_meter=LoadMeter(read=lambda: None),
    )
    assert not result.verdict.valid
    assert "the A/A pair differs by" in str(result.verdict)


def test_a_machine_under_load_makes_the_result_invalid_and_names_the_load():
    meter, _ = machine((0.0, 100.0, 10.0), (10.0, 118.0, 19.0))  # 18 s busy, 9 s of them ours, of 40 s
    result = compare(
        Comparison(Variant("plain", fakes.busy(1.0))), Settings(rounds=12), title="loaded", load_meter=meter
    )
    assert "the machine was under load: others used 22% of its 4 CPUs (limit 5%)" in str(result.verdict)
    assert result.runs[0].load == Load(wall_seconds=10.0, others_seconds=9.0, own_seconds=9.0, cpus=4)


def test_load_up_to_the_limit_and_load_that_cannot_be_read_are_accepted():
    walls = [[1000] * 20, [1000] * 20]
    at_limit = Load(wall_seconds=10.0, others_seconds=2.0, own_seconds=9.0, cpus=4)
    above = at_limit.model_copy(update={"others_seconds": 2.1})
    assert judge([fakes.run_of(walls, load=at_limit)]).valid
    assert judge([fakes.run_of(walls, load=None)]).valid
    assert not judge([fakes.run_of(walls, load=above)]).valid
    assert not judge([fakes.run_of(walls), fakes.run_of(walls, load=above)]).valid


def test_too_few_rounds_are_counted_over_all_processes():
    five = fakes.run_of([[1000] * 5, [1000] * 5])
    assert str(judge([five])) == "INVALID: too few rounds: 5 finished, 10 needed"
    assert judge([five, five]).valid


def test_all_reasons_are_given():
    verdict = judge([fakes.run_of([[1000] * 5, [2000] * 5], idle={"plain": 1.0})])
    assert len(verdict.reasons) == 3


def test_a_thread_that_spins_while_idle_is_noticed(monkeypatch):
    monkeypatch.setattr("edgevid.bench.protocol.idle_share", lambda: 1.0)
    result = compare(
        Comparison(Variant("plain", fakes.busy(1.0))),
        Settings(rounds=10, warmup=2),
        title="beside a spinning pool",
        load_meter=LoadMeter(read=lambda: None),
    )
    assert result.runs[0].idle["plain"] == 1.0
    assert "its thread pool spins" in str(result.verdict)


def test_sleeping_threads_are_not_called_spinning():
    result = compare(
        Comparison(Variant("plain", fakes.busy(1.0))),
        Settings(rounds=10, warmup=3),
        title="alone",
        load_meter=LoadMeter(read=lambda: None),
    )
    assert result.runs[0].idle["plain"] < 0.1
    assert "spins" not in str(result.verdict)


def test_the_meter_leaves_this_process_out_and_never_goes_below_zero():
    meter, _ = machine((0.0, 100.0, 10.0), (10.0, 104.0, 14.5))
    meter.start()
    assert meter.stop().others_seconds == 0.0


def test_a_run_too_short_for_the_kernels_ticks_is_watched_for_longer():
    meter, waits = machine((0.0, 100.0, 10.0), (0.1, 100.1, 10.1), (0.5, 100.5, 10.1))
    meter.start()
    load = meter.stop()
    assert waits == [pytest.approx(0.4)]
    assert load.wall_seconds == 0.5
    assert load.others_seconds == pytest.approx(0.4)


def test_the_kernels_counters_are_read_with_stolen_time_and_without_idle_time(tmp_path):
    stat = tmp_path / "stat"
    stat.write_text("cpu  100 10 50 5000 700 3 2 35 20 0\ncpu0 1 1 1\ncpu1 1 1 1\nintr 5 6\n")
    reading = read_linux(stat)
    assert reading.busy == pytest.approx(2.0)  # 200 ticks of 10 ms
    assert reading.cpus == 2
    assert reading.own > 0


@pytest.mark.parametrize("text", ["", "cpu a b c d\n", "cpu 1 2\n", None])
def test_counters_that_cannot_be_read_are_no_error(tmp_path, text):
    stat = tmp_path / "stat"
    if text is not None:
        stat.write_text(text)
    assert read_linux(stat) is None
