"""When a curve ends, what is kept of it, and what is taken up again. Nothing is compiled or timed here."""

from dataclasses import replace
from fractions import Fraction

import pytest
import sweeps

from edgevid.bench.report.measured import Measured
from edgevid.bench.report.overhead import sweep_of
from edgevid.bench.settings import Settings
from edgevid.bench.storage import load_result
from edgevid.errors import BenchmarkError, ConfigError, LoweringError
from edgevid.overhead import curve_run, identity, measure_sweep
from edgevid.overhead.curve_run import MOST_PROCESSES
from edgevid.overhead.folder import SweepFolder
from edgevid.overhead.record import CurveId

CURVE = CurveId(device="reference", precision="fp32", batch=1)


class Machine:
    """Measures what it is told to, and remembers how often it was asked."""

    def __init__(self):
        self.timed = []
        self.runs, self.asked, self.shift_ms, self.status, self.points = 0, [], [104.0], [], sweeps.POINTS

    def measure(self, factory, settings, index=0, **_):
        self.asked.append((index, settings))
        self.runs += 1
        status = self.status.pop(0) if self.status else "complete"
        if isinstance(status, Exception):
            raise status
        took = self.shift_ms[(self.runs - 1) % len(self.shift_ms)]
        return sweeps.process_run(self.runs, shift_ms=took, status=status, points=self.points), ""

    def compile(self, *arguments):
        self.timed.append(arguments[-1])
        return sweeps.candidates(points=self.points)


@pytest.fixture
def machine(monkeypatch):
    made = Machine()
    monkeypatch.setattr(curve_run, "compile_candidates", made.compile)
    monkeypatch.setattr(curve_run, "measure_in_process", made.measure)
    monkeypatch.setattr(curve_run, "factory_of", lambda *_: None)
    return made


@pytest.fixture
def told():
    return []


@pytest.fixture
def measure(tmp_path, told):
    def run(**changes):
        record = measure_sweep(sweeps.sweep(**changes), tmp_path, tell=told.append)
        return record, load_result(tmp_path / f"{CURVE.name}.json")

    return run


def numbers(result):
    return [sweeps.number_of(run) for run in result.runs]


def test_overheads_are_counted_from_the_default_and_from_the_best_network_without_a_shift(machine, measure):
    _, result = measure()
    assert result.verdict.valid
    assert result.parameters["default"] == "no shift"
    assert result.parameters["best"] == sweeps.BLOCKED
    default, best, shifted = sweep_of(Measured(result, "a file")).costs
    assert (default.over_default.median, best.over_best.median) == (1, 1)
    assert default.over_best.median == pytest.approx(1.25)
    assert shifted.over_default.median == pytest.approx(1.04)
    assert shifted.over_best.median == pytest.approx(1.3)
    assert shifted.over_best.interval.low == pytest.approx(1.3)


def test_the_record_says_what_was_used_and_what_no_variant_was_left_for(machine, measure):
    record, _ = measure()
    assert [(p.proportion, p.state, p.used) for p in record.points] == [
        ("0", "done", 0.0),
        ("1/8", "failed", None),
        ("1/4", "done", 0.2),
    ]
    assert record.points[1].reason == "p = 1/8: no channel moves"
    assert {p.result for p in record.points} == {"reference-fp32-batch1.json", ""}


def test_a_finished_curve_is_not_measured_again(machine, measure, told):
    measure()
    measure()
    assert machine.runs == 2
    assert told == [f"{CURVE}: finished by an earlier run"]


def test_more_processes_are_added_to_those_that_are_there(machine, measure, told):
    measure()
    _, result = measure(settings=Settings(rounds=12, warmup=1, processes=3))
    assert numbers(result) == [1, 2, 3]
    assert machine.timed == [[], [point.variant for point in sweeps.POINTS]]
    assert told == [f"{CURVE}: goes on after 2 process(es) of an earlier run"]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"settings": Settings(rounds=13, warmup=1, processes=2)}, "rounds 12 is now 13"),
        ({"settings": Settings(rounds=12, warmup=2, processes=2)}, "warm-up 1 is now 2"),
        ({"proportions": (0, 1)}, "proportions ['0', '1/4'] is now ['0', '1']"),
        ({"lowering": "function"}, "lowering auto is now function"),
    ],
)
def test_samples_of_other_settings_are_not_mixed(machine, measure, told, changes, word):
    measure()
    _, result = measure(**changes)
    assert numbers(result) == [3, 4]
    assert told[0] == f"{CURVE}: measured anew, since of what is there {word}"


def test_what_is_measured_anew_takes_no_finished_samples_with_it(machine, measure, told, tmp_path):
    _, first = measure()
    old = tmp_path / f"{CURVE.name}.json.old"
    machine.status = [BenchmarkError("crashed"), "complete", BenchmarkError("crashed")]
    measure(proportions=(0, 1))
    assert not old.exists(), "nothing is there in its place yet"
    measure(proportions=(0, 1))
    assert told[-2] == f"{CURVE}: what was there is kept as {old}"
    assert load_result(old) == first
    measure()
    assert load_result(old) == first, "the unfinished one does not take its place"


def test_a_lowering_that_no_device_has_is_refused_before_anything_is_touched(machine, measure, tmp_path):
    measure()
    before = (tmp_path / "sweep.json").read_bytes()
    with pytest.raises(LoweringError, match="onnxruntime has no lowering 'nonsense'; it has function, "):
        measure(lowering="nonsense", devices=("jetson-tx2", "reference"))
    assert (tmp_path / "sweep.json").read_bytes() == before


def test_a_curve_that_fails_keeps_what_its_file_holds(machine, measure):
    measure()
    machine.status = [BenchmarkError("crashed")]
    record, _ = measure(proportions=(0, Fraction(1, 2)))
    points = {point.proportion: point for point in record.points}
    assert {name: point.state for name, point in points.items()} == {
        "0": "failed",
        "1/8": "failed",
        "1/4": "done",
        "1/2": "failed",
    }
    assert points["0"].reason == points["1/2"].reason == "crashed"
    assert points["0"].result == points["1/4"].result == f"{CURVE.name}.json"
    assert points["0"].verdict.startswith("VALID")
    assert points["1/2"].result == ""


def test_a_curve_that_waits_for_narrow_intervals_is_not_done_after_its_last_process(
    machine, measure, tmp_path
):
    states = []
    machine.shift_ms = [104.0, 110.0]

    def remember(folder, wanted, changes=(), update=SweepFolder.update):
        states.append({point.state for point in changes if point.proportion == "1/4"})
        return update(folder, wanted, changes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SweepFolder, "update", remember)
        measure(within=0.001)
    assert states[1:-2] == [{"missing"}] * MOST_PROCESSES
    assert states[-2:] == [{"done"}] * 2


@pytest.mark.parametrize("what", ["_code", "look_around"])
def test_samples_of_another_version_or_machine_are_not_mixed(machine, measure, told, monkeypatch, what):
    measure()
    other = identity.look_around().model_copy(update={"cpu": "another"})
    monkeypatch.setattr(identity, what, lambda: "another" if what == "_code" else other)
    _, result = measure()
    assert numbers(result) == [3, 4]
    assert "is now another" in told[0]


@pytest.fixture
def tuned(monkeypatch):
    """Kernels by operation, on a target that tunes."""
    kernels = {"first": "of 4 lanes"}
    reachable = curve_run._reachable

    def tunes(curve):
        device, capability = reachable(curve)
        return device, replace(capability, tunes=True)

    monkeypatch.setattr(curve_run, "_reachable", tunes)
    monkeypatch.setattr(curve_run, "tuned_kernels", lambda device, records: dict(kernels))
    return kernels


def test_samples_of_other_tuned_kernels_are_not_mixed(machine, measure, told, tuned):
    measure()
    tuned["first"] = "of 8 lanes"
    _, result = measure()
    assert numbers(result) == [3, 4]
    assert told[0] == f"{CURVE}: measured anew, since of what is there 1 of 1 tuned kernels are now others"


def test_kernels_that_are_tuned_for_another_network_change_nothing(machine, measure, tuned):
    measure()
    tuned["of another network"] = "of 4 lanes"
    measure()
    assert machine.runs == 2


def test_kernels_that_are_tuned_while_it_compiles_belong_to_the_samples(machine, measure, tuned, monkeypatch):
    def compile_(*arguments):
        tuned.setdefault("second", "of 4 lanes")
        return machine.compile(*arguments)

    monkeypatch.setattr(curve_run, "compile_candidates", compile_)
    measure()
    measure()
    assert machine.runs == 2
    tuned["second"] = "of 8 lanes"
    measure()
    assert machine.runs == 4


def test_other_variants_than_before_are_not_mixed(machine, measure, told):
    machine.status = ["complete", BenchmarkError("crashed")]
    measure()
    machine.points = sweeps.POINTS[:1] + sweeps.POINTS[2:]
    _, result = measure()
    assert len(result.variants) == 3
    assert "other variants passed than before" in told[1]


def test_a_process_that_crashes_leaves_a_hole_and_what_was_finished_is_taken_up(machine, measure, told):
    machine.status = ["complete", BenchmarkError("a measuring process was killed by signal 9")]
    record, partial = measure()
    assert {point.state for point in record.points} == {"failed"}
    assert "killed by signal 9" in record.points[0].reason
    assert partial.status == "interrupted"
    record, result = measure()
    assert numbers(result) == [1, 3]
    assert record.points[0].state == "done"


def test_an_interrupted_process_is_repeated_and_whole_ones_are_kept(machine, measure, tmp_path, told):
    machine.status = ["complete", "interrupted"]
    with pytest.raises(KeyboardInterrupt):
        measure()
    record, result = measure()
    assert numbers(result) == [1, 3]
    assert {point.state for point in record.points if point.proportion != "1/8"} == {"done"}


def test_further_processes_run_until_the_intervals_are_narrow(machine, measure):
    machine.shift_ms = [104.0, 110.0, 104.0, 104.0, 104.0, 104.0, 104.0, 104.0, 104.0]
    _, result = measure(within=0.03)
    assert 2 < len(result.runs) < MOST_PROCESSES
    assert "the 95 % interval of every ratio" in result.notes[-1]
    assert result.status == "complete"


def test_intervals_that_stay_wide_end_after_the_most_processes(machine, measure):
    machine.shift_ms = [104.0, 120.0]
    _, result = measure(within=0.001)
    assert len(result.runs) == MOST_PROCESSES
    assert f"{MOST_PROCESSES} processes, the most, ended it after 108 rounds" in result.notes[-1]
    assert sweeps.SHIFTED in result.notes[-1]


def test_the_time_budget_ends_it_too_and_is_shared_by_the_least_processes(machine, measure):
    machine.shift_ms = [104.0, 120.0]
    _, result = measure(
        within=0.001, settings=Settings(rounds=12, warmup=1, processes=2, budget_seconds=1e-9)
    )
    assert len(result.runs) == 2
    assert "the time budget of 1e-09 s ended it after 24 rounds in 2 processes" in result.notes[-1]
    assert [s.budget_seconds / s.processes for _, s in machine.asked] == [0.5e-9, 0.5e-9]


def test_a_damaged_result_counts_as_nothing(machine, measure, told, tmp_path):
    measure()
    (tmp_path / f"{CURVE.name}.json").write_text("{")
    _, result = measure()
    assert numbers(result) == [3, 4]
    assert "counts as not measured: the file is not valid JSON" in told[0]


def test_a_folder_of_another_network_is_refused(machine, measure):
    measure()
    with pytest.raises(ConfigError, match="a sweep with model tiny, this one has model other"):
        measure(model="other")
    assert machine.runs == 2


def test_a_damaged_record_is_refused_with_the_way_out(machine, measure, tmp_path):
    measure()
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(ConfigError, match="damaged") as caught:
        measure()
    assert "remove it" in caught.value.fix


def test_a_folder_that_cannot_be_made_is_told(machine, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        measure_sweep(sweeps.sweep(), tmp_path / "file" / "sweep")


def test_artifacts_of_two_curves_never_lie_at_the_same_path(tmp_path):
    """A library that a process loads again from the same path is the old one."""
    folder, places = SweepFolder(tmp_path, print), []
    for _ in range(2):
        with folder.workplace() as place:
            places.append(place)
            (place / "model.so").write_text("")
    assert len(set(places)) == 2
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_new_devices_and_batches_are_added_to_the_record(machine, measure):
    measure()
    record, _ = measure(batches=(2,))
    assert {(p.batch, p.state) for p in record.points if p.proportion == "1/4"} == {(1, "done"), (2, "done")}


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("jetson-tx2", "compile only"),
        ("nonsense", "unknown device"),
        ("xeon-e5-2690", "is not this machine"),
        ("tensorrt-simulated", "cannot run fp32"),
    ],
)
def test_a_device_that_is_not_here_leaves_a_hole_and_the_others_go_on(machine, measure, told, device, reason):
    record, _ = measure(devices=(device, "reference"))
    holes = [point for point in record.points if point.device == device]
    assert {point.proportion for point in holes} == {"0", "1/4"}
    assert all(point.state == "failed" and reason in point.reason for point in holes)
    assert {point.state for point in record.points if point.device == "reference"} == {"done", "failed"}
    assert told[0].startswith(f"{device}, fp32, batch 1 is not measured: ")
