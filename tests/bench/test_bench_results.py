import json
import os

import bench_fakes as fakes
import pytest
from pydantic import ValidationError

from edgevid.bench.results import LABELS, SCHEMA_VERSION, ProcessRun, Result, Samples
from edgevid.bench.storage import load_result, save_result
from edgevid.bench.summary import summarize
from edgevid.errors import BenchmarkError


@pytest.fixture
def result():
    return fakes.result_of(
        fakes.run_of([[100, 110, 120] * 5, [101, 109, 120] * 5, [200, 230, 230] * 5], idle={"plain": 0.01}),
        fakes.run_of([[90] * 15, [90] * 15, [180] * 15]),
        parameters={"batch": 1, "proportion": "1/4"},
        notes=("a note with an umlaut: ü",),
        device="host",
    )


@pytest.fixture
def saved(result, tmp_path):
    path = tmp_path / "result.json"
    save_result(result, path)
    return path


def edit(path, **changes):
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**document, **changes}), encoding="utf-8")


def test_a_saved_result_is_read_back_with_every_raw_sample(result, saved):
    assert load_result(saved) == result
    document = json.loads(saved.read_text(encoding="utf-8"))
    assert document["schema_version"] == SCHEMA_VERSION
    assert document["runs"][0]["samples"]["candidate 0"]["wall_ns"] == [200, 230, 230] * 5
    assert document["runs"][0]["samples"]["candidate 0"]["cpu_ns"] == [400, 460, 460] * 5
    assert document["command"] == ["edgevid", "bench"]
    assert document["runs"][0]["environment"]["python"]
    assert document["verdict"]["reasons"] == []


def test_the_file_carries_the_figures_for_other_readers_and_reading_ignores_them(result, saved):
    document = json.loads(saved.read_text(encoding="utf-8"))
    assert document["summary"][2]["wall_ratio"]["median"] == 2.0
    edit(saved, summary="anything")
    assert load_result(saved) == result


def test_saving_leaves_nothing_else_in_the_folder_and_replaces_the_old_file(result, saved):
    save_result(result.model_copy(update={"title": "second"}), saved)
    assert [path.name for path in saved.parent.iterdir()] == ["result.json"]
    assert load_result(saved).title == "second"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_full_disk_or_ctrl_c_while_writing_keeps_the_old_file(result, saved, monkeypatch, error):
    before = saved.read_bytes()

    def fail(_):
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises((BenchmarkError, KeyboardInterrupt)) as caught:
        save_result(result.model_copy(update={"title": "second"}), saved)
    if isinstance(error, OSError):
        assert "No space left on device" in str(caught.value)
        assert str(saved) in str(caught.value)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == ["result.json"]


def test_saving_into_a_folder_that_is_not_there_names_the_path(result, tmp_path):
    path = tmp_path / "missing" / "result.json"
    with pytest.raises(BenchmarkError, match="cannot be written") as caught:
        save_result(result, path)
    assert caught.value.where == str(path)


def test_a_newer_schema_is_refused_with_the_way_out(saved):
    edit(saved, schema_version=SCHEMA_VERSION + 1, something_new=1)
    with pytest.raises(BenchmarkError, match="newer edgevid") as caught:
        load_result(saved)
    assert caught.value.where == str(saved)
    assert "update edgevid" in caught.value.fix


@pytest.mark.parametrize("text", ["", "{", '{"schema_version": 1', "\0"])
def test_broken_json_names_the_file(saved, text):
    saved.write_text(text)
    with pytest.raises(BenchmarkError, match="not valid JSON") as caught:
        load_result(saved)
    assert caught.value.where == str(saved)


def test_a_file_that_is_not_text_is_refused(saved):
    saved.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BenchmarkError, match="not valid JSON"):
        load_result(saved)


@pytest.mark.parametrize(
    "text", ["[]", "{}", '"text"', '{"schema_version": "1"}', '{"schema_version": true}']
)
def test_json_that_is_no_result_is_refused(saved, text):
    saved.write_text(text)
    with pytest.raises(BenchmarkError, match="not a benchmark result"):
        load_result(saved)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BenchmarkError, match="cannot be read") as caught:
        load_result(tmp_path / "none.json")
    assert caught.value.where == str(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"title": 5}, "title"),
        ({"unknown": 5}, "unknown"),
        ({"runs": []}, "runs"),
        ({"settings": {"rounds": 0}}, "rounds"),
    ],
)
def test_a_result_that_does_not_fit_the_schema_names_file_and_key(saved, changes, named):
    edit(saved, **changes)
    with pytest.raises(BenchmarkError, match=named) as caught:
        load_result(saved)
    assert caught.value.where == str(saved)


def test_samples_that_do_not_fit_the_rounds_are_refused():
    run = fakes.run_of([[100] * 3, [100] * 3])
    short = {**run.samples, "plain": Samples(wall_ns=(1,), cpu_ns=(1,))}
    with pytest.raises(ValidationError, match="1 samples in 3 rounds"):
        ProcessRun(**{**dict(run), "samples": short})
    with pytest.raises(ValidationError, match="1 CPU times"):
        Samples(wall_ns=(1, 2), cpu_ns=(1,))
    with pytest.raises(ValidationError, match="not every variant ran once"):
        ProcessRun(**{**dict(run), "orders": ((0, 0),) * 3})


def test_a_result_without_an_a_a_pair_is_refused():
    run = fakes.run_of([[100] * 3, [100] * 3])
    swapped = (run.variants[0], run.variants[1].model_copy(update={"role": "candidate"}))
    with pytest.raises(ValidationError, match="baseline and its twin"):
        ProcessRun(**{**dict(run), "variants": swapped})


def test_processes_that_measured_different_things_are_refused():
    one, other = fakes.run_of([[1]] * 2), fakes.run_of([[1]] * 3)
    with pytest.raises(ValidationError, match="different variants"):
        fakes.result_of(one, other)


def test_every_label_is_explained():
    schema = Result.model_json_schema()
    labels = schema["$defs"]["VariantRecord"]["properties"]["label"]["enum"]
    assert set(labels) == set(LABELS)
    assert all(LABELS.values())


def test_figures_are_pooled_over_processes_and_the_interval_is_over_them():
    result = fakes.result_of(
        fakes.run_of([[1_000_000] * 9, [1_000_000] * 9, [1_100_000] * 9]),
        fakes.run_of([[2_000_000] * 3, [2_000_000] * 3, [2_600_000] * 3]),
    )
    candidate = summarize(result)[2]
    assert candidate.count == 12
    assert candidate.wall_ms.median == pytest.approx(1.1)
    assert candidate.cpu_ms.median == pytest.approx(2.2)
    assert candidate.wall_ratio.median == pytest.approx(1.1)
    assert candidate.overhead == pytest.approx(0.1)
    # two processes with medians 1.1 and 1.3: mean 1.2, 12.7062 standard errors of 0.1
    assert candidate.wall_ratio.interval.low == pytest.approx(1.2 - 1.27062)
    assert candidate.wall_ratio.interval.method == "Student t over processes"


def test_a_paired_ratio_sees_through_a_machine_that_drifts():
    drift = [1000 * (10 + index) for index in range(20)]
    slower = [round(value * 1.02) for value in drift]
    summaries = summarize(fakes.result_of(fakes.run_of([drift, drift, slower])))
    assert summaries[0].wall_ratio is None
    assert summaries[2].wall_ratio.median == pytest.approx(1.02)
    interval = summaries[2].wall_ratio.interval
    assert (interval.low, interval.high) == (pytest.approx(1.02), pytest.approx(1.02))
    assert interval.method == "order statistics"


def test_a_clock_too_coarse_for_the_cpu_time_leaves_the_ratio_out():
    run = fakes.run_of([[100] * 10, [100] * 10])
    samples = {name: Samples(wall_ns=(100,) * 10, cpu_ns=(0,) * 10) for name in run.samples}
    twin = summarize(fakes.result_of(run.model_copy(update={"samples": samples})))[1]
    assert twin.wall_ratio.median == 1.0
    assert twin.cpu_ratio is None


def test_a_result_without_rounds_has_no_figures_and_can_be_saved(tmp_path):
    empty = fakes.result_of(fakes.run_of([[], []], status="interrupted"))
    assert [summary.wall_ms for summary in summarize(empty)] == [None, None]
    save_result(empty, tmp_path / "empty.json")
    assert load_result(tmp_path / "empty.json").status == "interrupted"
