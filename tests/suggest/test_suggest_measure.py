"""One network measured process by process: what is kept, gone on with, and measured anew."""

import pytest
from suggest_fakes import numbers, run_of

from edgevid.bench.settings import Settings
from edgevid.bench.storage import load_result
from edgevid.errors import BenchmarkError, LoweringError, TargetError
from edgevid.suggest import measure as measuring
from edgevid.suggest.measure import Workshop, measure_run, networks_of

SETTINGS = Settings(rounds=12, warmup=1, processes=2)


@pytest.fixture
def told():
    return []


@pytest.fixture
def measure(machine, tmp_path, told):
    def run(asked=None, reference=None, settings=SETTINGS):
        machine.took = {"slow": 25.0}
        shop = Workshop(tmp_path / f"shop{len(machine.compiled)}")
        return measure_run(
            asked or run_of(), reference, tmp_path / "r.json", settings, shop, tell=told.append
        )

    return run


def test_a_network_is_measured_beside_its_reference(measure, machine, tmp_path):
    result = measure(reference=run_of("first"))
    assert [variant.name for variant in result.variants] == ["first", "first (A/A)", "slow"]
    assert machine.compiled == ["first", "slow"]
    assert result.verdict.valid
    assert result.peak_memory == {"slow": 50_000_000}
    assert load_result(tmp_path / "r.json") == result
    said = networks_of(result)["slow"]
    assert (said["preset"], said["lowering"], said["macs"]) == ("slow", "function", 2_000_000_000)


def test_a_network_without_a_reference_is_its_own_baseline(measure):
    result = measure()
    assert [variant.name for variant in result.variants] == ["slow", "slow (A/A)"]
    assert result.status == "complete"


def test_a_finished_one_is_not_measured_again(measure, machine, told):
    measure()
    measure()
    assert (machine.runs, machine.compiled) == (2, ["slow"])
    assert told == ["slow on reference, fp32, batch 1: finished by an earlier run"]


def test_a_killed_one_goes_on_with_its_finished_processes(measure, machine, told):
    machine.status = ["complete", BenchmarkError("a measuring process was killed by signal 9")]
    with pytest.raises(BenchmarkError, match="signal 9"):
        measure()
    assert numbers(measure()) == [1, 3]
    assert told == ["slow on reference, fp32, batch 1: goes on after 1 process(es) of an earlier run"]


def test_ctrl_c_keeps_whole_processes_and_repeats_the_one_it_cut(measure, machine, tmp_path):
    machine.status = ["complete", "interrupted"]
    with pytest.raises(KeyboardInterrupt):
        measure()
    assert numbers(load_result(tmp_path / "r.json")) == [1, 2]
    assert numbers(measure()) == [1, 3]


def test_more_processes_are_added(measure):
    measure()
    assert numbers(measure(settings=SETTINGS.model_copy(update={"processes": 3}))) == [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"settings": Settings(rounds=13, warmup=1, processes=2)}, "rounds 12 is now 13"),
        ({"settings": Settings(rounds=12, warmup=1, processes=2, within=0.5)}, "within None is now 0.5"),
        ({"reference": run_of("first")}, "reference None is now"),
        ({"asked": run_of(batch=2)}, "batch 1 is now 2"),
        ({"asked": run_of(one_frame=True)}, "network"),
    ],
)
def test_samples_of_something_else_are_not_mixed(measure, told, changes, word):
    measure()
    assert numbers(measure(**changes)) == [3, 4]
    assert "measured anew" in told[0]
    assert word in told[0]


def test_samples_of_other_code_are_not_mixed(measure, monkeypatch):
    measure()
    monkeypatch.setattr("edgevid.overhead.identity._code", lambda: "another")
    assert numbers(measure()) == [3, 4]


def test_a_damaged_file_counts_as_nothing(measure, told, tmp_path):
    measure()
    (tmp_path / "r.json").write_text("{")
    assert numbers(measure()) == [3, 4]
    assert "counts as not measured" in told[0]


def test_memory_that_cannot_be_measured_is_noted(measure, monkeypatch):
    def fails(*_):
        raise BenchmarkError("killed")

    monkeypatch.setattr(measuring, "peak_memory", fails)
    result = measure()
    assert result.peak_memory == {}
    assert "peak memory: not measured: killed" in result.notes


@pytest.mark.parametrize(
    ("device", "reason"), [("jetson-tx2", "compile only"), ("xeon-e5-2690", "is not this machine")]
)
def test_a_device_that_is_not_here_is_refused(measure, machine, device, reason):
    with pytest.raises(TargetError, match=reason):
        measure(asked=run_of(device=device))
    assert machine.compiled == []


def test_a_reference_that_does_not_compile_is_tried_once(machine, tmp_path):
    machine.broken = {"first"}
    shop = Workshop(tmp_path / "shop")
    for name in ("a", "b"):
        with pytest.raises(LoweringError):
            measure_run(run_of(name), run_of("first"), tmp_path / f"{name}.json", SETTINGS, shop)
    assert machine.compiled == ["first"]


def test_what_is_discarded_leaves_no_files(machine, tmp_path):
    shop = Workshop(tmp_path / "shop")
    shop.compiled(run_of())
    shop.discard(run_of())
    shop.discard(run_of("never compiled"))
    assert list((tmp_path / "shop").iterdir()) == []
