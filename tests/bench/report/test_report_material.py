import json

import pytest
import report_results as made

from edgevid.bench.report.material import read_material, read_result
from edgevid.bench.storage import save_result
from edgevid.errors import BenchmarkError


@pytest.fixture
def bench(tmp_path):
    save_result(made.complete_result(), tmp_path / "bench.json")
    return tmp_path / "bench.json"


def written(path, document):
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def test_results_sweeps_and_comparisons_may_be_mixed(bench, tmp_path):
    sweep = made.write_sweep(tmp_path / "sweep", made.sweep_result(), made.sweep_result())
    made.save_comparison(made.comparison(), tmp_path / "compare.json")
    found = read_material([bench, sweep, tmp_path / "compare.json"])
    assert [each.file for each in found.results] == [
        "bench.json",
        "host-fp32-batch0.json",
        "host-fp32-batch1.json",
    ]
    assert [each.file for each in found.accuracies] == ["compare.json"]
    (hole,) = found.holes
    assert str(hole) == "tsm-resnet50 on tx2, fp32, batch 1, proportion 1/4: no such device"


def test_a_file_that_is_given_twice_is_shown_once(bench, tmp_path):
    sweep = made.write_sweep(tmp_path / "sweep", made.sweep_result())
    again = tmp_path / "sweep" / "host-fp32-batch0.json"
    assert len(read_material([bench, sweep, again, tmp_path / "." / "bench.json"]).results) == 2


def test_files_of_one_name_are_told_apart_by_as_many_folders_as_it_takes(bench, tmp_path):
    folders = [tmp_path / "new" / "a", tmp_path / "old" / "a", tmp_path / "old" / "b"]
    for folder in folders:
        folder.mkdir(parents=True)
        save_result(made.result({"a": 1.0}), folder / "host.json")
    assert [each.file for each in read_material([bench, *folders]).results] == [
        "bench.json",
        "new/a/host.json",
        "old/a/host.json",
        "b/host.json",
    ]


def test_the_latency_inside_of_a_comparison_is_a_result_too(tmp_path):
    made.save_comparison(made.comparison(latency=made.result({"a": 1.0, "b": 2.0})), tmp_path / "c.json")
    (inner,) = read_material([tmp_path / "c.json"]).results
    assert inner.summary["b"].wall_ms.median == pytest.approx(2.0, rel=0.01)


def test_a_result_of_the_first_schema_is_shown_beside_one_of_the_second(bench, tmp_path):
    old = json.loads(bench.read_text())
    for new in ("layer_times", "peak_memory", "stages", "sustained"):
        del old[new]
    written(tmp_path / "old.json", {**old, "schema_version": 1})
    first, second = read_material([tmp_path / "old.json", bench]).results
    assert first.result.runs == second.result.runs
    assert not first.result.layer_times
    assert second.result.layer_times


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("{", "not valid JSON"),
        ('{"schema_version": 2, "runs": [', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[]", "no file that a report is made of"),
        ('{"schema_version": 2}', "no file that a report is made of"),
        ('{"schema_version": 99, "runs": []}', "newer edgevid"),
        ('{"schema_version": 2, "runs": [], "settings": {}}', "does not fit schema"),
        ('{"kind": "overhead sweep", "points": [{"device": 1}]}', "record of the sweep is damaged"),
        ('{"kind": "overhead sweep"}', "record of the sweep is damaged"),
        ('{"kind": "overhead sweep", "points": []}', "record of the sweep is damaged"),
        ('{"variants": [], "pairs": []}', "comparison is damaged"),
        ('{"golden": []}', "manifest of a bundle: measure the bundle"),
        ('{"tensors": {}}', "table of ranges"),
        ('{"layers": [], "everything": {}}', "ranking of layers"),
    ],
)
def test_what_cannot_be_shown_is_named_with_what_it_is(bench, tmp_path, text, what):
    bad = written(tmp_path / "bad.json", text)
    with pytest.raises(BenchmarkError, match=what) as caught:
        read_material([bench, bad])
    assert caught.value.where.startswith(str(bad))


def test_bytes_that_are_no_text_are_named(tmp_path):
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BenchmarkError, match="not text") as caught:
        read_material([tmp_path / "bad.json"])
    assert caught.value.where == str(tmp_path / "bad.json")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BenchmarkError, match="cannot be read") as caught:
        read_material([tmp_path / "none.json"])
    assert caught.value.where == str(tmp_path / "none.json")


def test_a_damaged_comparison_names_the_key(tmp_path):
    made.save_comparison(made.comparison(), tmp_path / "c.json")
    document = json.loads((tmp_path / "c.json").read_text())
    del document["variants"][1]["sha256"]
    with pytest.raises(BenchmarkError, match="comparison is damaged") as caught:
        read_material([written(tmp_path / "c.json", document)])
    assert caught.value.where.endswith("c.json, variants.1.sha256")


def test_latencies_of_a_newer_schema_inside_of_a_comparison_are_refused(tmp_path):
    made.save_comparison(made.comparison(latency=made.result({"a": 1.0})), tmp_path / "c.json")
    document = json.loads((tmp_path / "c.json").read_text())
    document["latency"]["schema_version"] = 99
    with pytest.raises(BenchmarkError, match="have schema 99"):
        read_material([written(tmp_path / "c.json", document)])


@pytest.mark.parametrize("proportion", ["x", "1/0", "-1/4", "1.5", "nan", ""])
def test_a_hole_of_no_proportion_names_the_file_and_the_point(tmp_path, proportion):
    sweep = made.write_sweep(tmp_path / "sweep")
    document = json.loads((sweep / "sweep.json").read_text())
    document["points"][1]["proportion"] = proportion
    with pytest.raises(BenchmarkError, match="record of the sweep is damaged") as caught:
        read_material([written(sweep / "sweep.json", document)])
    assert caught.value.where == f"{sweep / 'sweep.json'}, points.1.proportion"


def test_settings_that_are_impossible_inside_of_a_comparison_name_the_file(tmp_path):
    made.save_comparison(made.comparison(latency=made.result({"a": 1.0})), tmp_path / "c.json")
    document = json.loads((tmp_path / "c.json").read_text())
    document["latency"]["settings"]["rounds"] = 0
    with pytest.raises(BenchmarkError, match="latency of the comparison is damaged: 0 rounds") as caught:
        read_material([written(tmp_path / "c.json", document)])
    assert caught.value.where == f"{tmp_path / 'c.json'}, rounds"


def test_a_bundle_and_an_empty_folder_are_told_apart(tmp_path):
    with pytest.raises(BenchmarkError, match="folder without results"):
        read_material([tmp_path])
    written(tmp_path / "manifest.json", {"golden": []})
    with pytest.raises(BenchmarkError, match="this is a bundle"):
        read_material([tmp_path])
    (tmp_path / "manifest.json").rename(tmp_path / "ensemble.json")
    with pytest.raises(BenchmarkError, match="this is a bundle"):
        read_material([tmp_path])


def test_a_sweep_of_which_nothing_was_measured_is_still_told(tmp_path):
    found = read_material([made.write_sweep(tmp_path / "sweep")])
    assert found.results == ()
    assert len(found.holes) == 1


def test_one_result_is_asked_for_where_a_folder_or_a_comparison_is_given(tmp_path):
    with pytest.raises(BenchmarkError, match="folder, not a result"):
        read_result(tmp_path)
    made.save_comparison(made.comparison(), tmp_path / "c.json")
    with pytest.raises(BenchmarkError, match="comparison of accuracy"):
        read_result(tmp_path / "c.json")
