"""The second schema, and files of the first."""

import json

import bench_fakes as fakes
import pytest
from pydantic import ValidationError

from edgevid.bench.results import LayerTime, Result, Samples, Sustained, SustainedPoint
from edgevid.bench.storage import load_result, save_result
from edgevid.errors import BenchmarkError


@pytest.fixture
def full():
    walls = Samples(wall_ns=(5, 6), cpu_ns=(5, 6))
    return fakes.result_of(
        fakes.run_of([[100] * 12, [100] * 12]),
        layer_times={"plain": (LayerTime("conv1", "Convolution", "jit", 0.5),)},
        peak_memory={"plain": 123},
        stages={"plain": {"decode": walls, "whole": walls}},
        sustained=Sustained(
            variant="plain",
            wanted_seconds=60,
            points=(SustainedPoint(seconds=0, wall_ns=100, celsius=50.5),),
            notes=("energy: no counter on this machine",),
        ),
    )


def test_everything_beside_the_latencies_is_read_back(full, tmp_path):
    save_result(full, tmp_path / "r.json")
    assert load_result(tmp_path / "r.json") == full


def test_a_file_of_the_first_schema_is_read_with_the_new_fields_empty(full, tmp_path):
    path = tmp_path / "r.json"
    save_result(full, path)
    document = json.loads(path.read_text(encoding="utf-8"))
    for name in ("layer_times", "peak_memory", "stages", "sustained", "summary"):
        del document[name]
    for variant in document["runs"][0]["variants"]:
        del variant["clips"]
    del document["settings"]["within"]
    document["schema_version"] = 1
    path.write_text(json.dumps(document), encoding="utf-8")
    old = load_result(path)
    assert (old.layer_times, old.peak_memory, old.stages, old.sustained) == ({}, {}, {}, None)
    assert old.runs == full.runs
    assert old.settings.within is None


@pytest.mark.parametrize("version", [0, 3, 17])
def test_other_versions_are_refused_with_the_file(full, tmp_path, version):
    path = tmp_path / "r.json"
    save_result(full, path)
    document = json.loads(path.read_text(encoding="utf-8")) | {"schema_version": version}
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(BenchmarkError) as caught:
        load_result(path)
    assert caught.value.where == str(path)


def test_figures_of_something_that_was_not_measured_are_refused(full):
    with pytest.raises(ValidationError, match="'other', which is no variant"):
        Result.model_validate({**dict(full), "peak_memory": {"other": 1}})
    with pytest.raises(ValidationError, match="preprocess"):
        Result.model_validate({**dict(full), "stages": {"plain": {"boil": Samples()}}})


def test_a_result_of_version_1_is_read_inside_another_document_too(full):
    old = full.model_dump(mode="json") | {"schema_version": 1}
    for name in ("layer_times", "peak_memory", "stages", "sustained"):
        del old[name]
    assert Result.model_validate(old).runs == full.runs
