"""What trtexec wrote, of older and newer versions, becomes a result with all of its runs."""

import json
import statistics
from itertools import pairwise

import pytest
from typer.testing import CliRunner

from edgevid.bench.statistics import percentile
from edgevid.bench.storage import load_result, save_result
from edgevid.bench.summary import summarize
from edgevid.bench.trtexec import import_trtexec, read_layers, read_times
from edgevid.cli import app
from edgevid.errors import BenchmarkError

PARTS = [(0.25, 3.0 + 0.01 * (number % 7), 0.125) for number in range(40)]


def older(parts=PARTS):
    """As sampleReporting.cpp of TensorRT 7 and early 8 writes it."""
    clock, runs = 0.0, []
    for copied, computed, returned in parts:
        marks = [clock, clock + copied, clock + copied + computed, clock + copied + computed + returned]
        runs.append(
            {
                "startInMs": marks[0],
                "endInMs": marks[1],
                "startComputeMs": marks[1],
                "endComputeMs": marks[2],
                "startOutMs": marks[2],
                "endOutMs": marks[3],
                "inMs": copied,
                "computeMs": computed,
                "outMs": returned,
                "latencyMs": copied + computed + returned,
                "endToEndMs": marks[3] - marks[0] + 0.5,
            }
        )
        clock = marks[3]
    return runs


def newer(parts=PARTS):
    """As sampleReporting.cpp of TensorRT 8.5 to 11 writes it."""
    runs = []
    for run in older(parts):
        begin = run["startComputeMs"]
        runs.append(
            {
                "startEnqMs": begin - 0.2,
                "endEnqMs": begin - 0.1,
                "startH2dMs": run["startInMs"],
                "endH2dMs": run["endInMs"],
                "startComputeMs": begin,
                "endComputeMs": run["endComputeMs"],
                "startD2hMs": run["startOutMs"],
                "endD2hMs": run["endOutMs"],
                "h2dMs": run["inMs"],
                "computeMs": run["computeMs"],
                "d2hMs": run["outMs"],
                "latencyMs": run["latencyMs"],
            }
        )
    return runs


def between(parts=PARTS):
    """As sampleReporting.cpp of TensorRT 8.2 to 8.4 writes it: names of today, and the time end to end."""
    return [
        {**run, "endToEndMs": early["endToEndMs"]}
        for run, early in zip(newer(parts), older(parts), strict=True)
    ]


PROFILE = [
    {"count": 40},
    {"name": "conv1 + relu1", "timeMs": 80.0, "averageMs": 2.0, "medianMs": 2.0, "percentage": 66.7},
    {"name": "shift1", "timeMs": 40.0, "averageMs": 1.0, "percentage": 33.3},
]


def written(folder, content, name="times.json"):
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("write", [older, between, newer])
def test_all_formats_give_the_same_times(tmp_path, write):
    times = read_times(written(tmp_path, write()))
    assert times.older is (write is older)
    assert list(zip(times.h2d, times.compute, times.d2h, strict=True)) == PARTS
    assert times.latency == pytest.approx([sum(parts) for parts in PARTS])
    assert not times.overlapping
    whole = [] if write is newer else [sum(parts) + 0.5 for parts in PARTS]
    assert times.end_to_end == pytest.approx(whole)
    assert times.enqueue == pytest.approx([] if write is older else [0.1] * len(PARTS))


@pytest.mark.parametrize("write", [older, newer])
def test_the_result_holds_every_run_and_its_figures_are_those_of_the_runs(tmp_path, write):
    result = import_trtexec(written(tmp_path, write()), name="r50", device="jetson-tx2")
    latencies = [sum(parts) for parts in PARTS]
    by_name = {summary.name: summary for summary in summarize(result)}
    whole = by_name["r50"]
    assert whole.count == len(PARTS)
    assert whole.wall_ms.median == pytest.approx(statistics.median(latencies), abs=1e-6)
    assert whole.percentiles[0].value == pytest.approx(percentile(latencies, 90.0).value, abs=1e-6)
    assert by_name["r50, compute"].wall_ms.median == pytest.approx(3.03, abs=1e-6)
    assert by_name["r50, H2D"].wall_ms.median == pytest.approx(0.25)
    assert by_name["r50, D2H"].wall_ms.median == pytest.approx(0.125)
    assert ("r50, end to end" in by_name) is (write is older)
    assert ("r50, enqueue" in by_name) is (write is newer)
    assert result.device == "jetson-tx2"
    assert result.verdict.valid


def test_the_result_is_stored_and_read_like_any_other(tmp_path):
    result = import_trtexec(written(tmp_path, newer()), profile=written(tmp_path, PROFILE, "profile.json"))
    save_result(result, tmp_path / "result.json")
    assert load_result(tmp_path / "result.json") == result
    assert any("shift1" in note and "33.3%" in note for note in result.notes)


def test_layers_are_read_with_or_without_medians(tmp_path):
    first, second = read_layers(written(tmp_path, PROFILE))
    assert (first.name, first.average) == ("conv1 + relu1", 2.0)
    assert (second.name, second.average) == ("shift1", 1.0)
    assert first.share == pytest.approx(2 / 3)


def test_without_transfers_only_what_was_measured_is_shown(tmp_path):
    result = import_trtexec(written(tmp_path, newer([(0.0, 3.0, 0.0)] * 12)), name="n")
    assert [variant.name for variant in result.variants] == ["n", "n (A/A)", "n, compute", "n, enqueue"]


def test_runs_of_several_streams_are_told(tmp_path):
    runs = newer()
    for before, run in pairwise(runs):
        run["startComputeMs"] = before["startComputeMs"] + 0.1
    for run in runs:
        run["startEnqMs"], run["endEnqMs"] = run["startComputeMs"] - 0.1, run["startComputeMs"]
    result = import_trtexec(written(tmp_path, runs))
    assert any("several streams" in note for note in result.notes)


def test_a_run_that_drifts_is_invalid(tmp_path):
    result = import_trtexec(written(tmp_path, newer([(0.1, 1.02**number, 0.1) for number in range(40)])))
    assert not result.verdict.valid


def changed(field, value):
    runs = newer()
    runs[3] = {**runs[3], field: value}
    return runs


def without(field):
    runs = newer()
    del runs[3][field]
    return runs


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "JSON"),
        ('[{"computeMs": 1.0', "cut off"),
        ("{}", "dict"),
        ("[]", "empty list"),
        ("[1, 2]", "h2dMs|without fields"),
        (PROFILE, "h2dMs"),
        (changed("computeMs", -1.0), "-1"),
        (changed("computeMs", "fast"), "'fast'"),
        (changed("h2dMs", True), "True"),
        (changed("h2dMs", 10**400), "not a number"),
        (changed("latencyMs", None), "None"),
        (json.dumps(newer()).replace("3.0,", "NaN,"), "NaN"),
        (without("computeMs"), "no computeMs"),
        (without("d2hMs"), "no d2hMs"),
    ],
)
def test_a_wrong_file_is_refused_and_named(tmp_path, content, said):
    path = written(tmp_path, content)
    with pytest.raises(BenchmarkError, match=said) as error:
        import_trtexec(path)
    assert str(path) in str(error.value)
    assert "what to do" in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BenchmarkError, match="cannot be read"):
        import_trtexec(tmp_path / "nowhere.json")


@pytest.mark.parametrize("content", [[{"count": 1}], [{"count": 1}, {"averageMs": 1.0}], [{"name": "a"}]])
def test_a_wrong_profile_is_refused(tmp_path, content):
    with pytest.raises(BenchmarkError):
        read_layers(written(tmp_path, content))


def test_the_command_line_shows_and_stores_it(tmp_path):
    times, place = written(tmp_path, older()), tmp_path / "result.json"
    done = CliRunner().invoke(app, ["import-trtexec", str(times), "--name", "r50", "-o", str(place)])
    assert done.exit_code == 0, done.output
    assert "r50, compute" in done.output
    assert len(load_result(place).runs[0].samples["r50"].wall_ns) == len(PARTS)
