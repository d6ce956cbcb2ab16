"""`edgevid bench` as people type it."""

import json
import sys
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner
from warm_command import edgevid

from edgevid.cli.program import app
from edgevid.errors import ConfigError


def test_several_batches_and_streams_are_comparisons_of_their_own(tiny_bundle, tmp_path):
    done = edgevid(
        *("bench", tiny_bundle, "--batch", "1,2", "--streams", "1,2", "--threads", 1),
        *("--rounds", 2, "--warmup", 0, "-o", tmp_path / "r.json"),
    )
    assert done.returncode == 0, done.stderr
    names = {f"r-batch{batch}-threads1-streams{streams}.json" for batch in (1, 2) for streams in (1, 2)}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert done.stdout.count("clips a second") == 4
    two = json.loads((tmp_path / "r-batch2-threads1-streams2.json").read_text(encoding="utf-8"))
    assert two["parameters"] == {"batch": 2, "threads": 1, "streams": 2}
    assert two["runs"][0]["variants"][0]["clips"] == 16


def test_it_ends_within_a_share_of_the_median_and_says_which_end_it_was(tiny_bundle, tmp_path):
    done = edgevid("bench", tiny_bundle, "--within", "90%", "--rounds", 200, "-o", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert result["settings"]["within"] == 0.9
    assert "within 90 % of the median" in " ".join(done.stdout.split())
    assert result["runs"][0]["status"] in ("within", "complete")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--batch", "0"], "different numbers from 1"),
        (["--threads", "1,1"], "different numbers from 1"),
        (["--streams", "many"], "no list of numbers"),
        (["--within", "narrow"], "no share"),
        (["--within", "200%"], "no share below 100 %"),
        (["--network", "x.safetensors"], "nothing to compare"),
        (["--against", "peers"], "peers are measured against one bundle"),
        (["--against", "caffe", "--network", "x"], "no peers"),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_is_measured(tiny_bundle, arguments, what):
    done = edgevid("bench", tiny_bundle, *arguments)
    assert done.returncode == 1
    assert what in done.stderr
    assert "Traceback" not in done.stderr


def bench(*arguments):
    """In this process, so that what it calls can be replaced."""
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def test_results_that_would_go_to_a_folder_are_refused_before_anything_is_measured(
    tiny_bundle, tmp_path, monkeypatch
):
    monkeypatch.setattr("edgevid.bench.bundles.bench_bundles", lambda *_, **__: pytest.fail("measured"))
    (tmp_path / "r-threads2.json").mkdir()
    arguments = ["--threads", "1,2"]
    for place, more in ((tmp_path, []), (tmp_path / "r.json", arguments)):
        done = bench(tiny_bundle, *more, "-o", place)
        assert done.exit_code == 1
        assert isinstance(done.exception, ConfigError)
        assert "this is a folder" in str(done.exception)


def test_results_in_a_place_without_files_are_refused_before_anything_is_measured(tiny_bundle, monkeypatch):
    monkeypatch.setattr("edgevid.bench.bundles.bench_bundles", lambda *_, **__: pytest.fail("measured"))
    done = bench(tiny_bundle, "-o", "/proc/r.json")
    assert isinstance(done.exception, ConfigError)
    assert "the results cannot be written there" in str(done.exception)


def ctrl_c(*_, **__):
    raise KeyboardInterrupt


def stages_cut_short(*_, **__):
    return {}, True


@pytest.mark.parametrize(
    ("what", "ending", "missing"),
    [
        ("peak_memory", ctrl_c, "peak memory, stages"),
        ("time_stages", ctrl_c, "stages"),
        ("time_stages", stages_cut_short, "stages"),
    ],
)
def test_ctrl_c_after_the_latencies_keeps_them_and_measures_no_other_setting(
    tiny_bundle, tmp_path, monkeypatch, what, ending, missing
):
    monkeypatch.setattr("edgevid.bench.extended.peak_memory", lambda *_: None)
    monkeypatch.setattr("edgevid.bench.extended._check_video", lambda *_: None)
    monkeypatch.setattr(f"edgevid.bench.extended.{what}", ending)
    done = bench(
        *(tiny_bundle, "--threads", "1,2", "--rounds", 2, "--warmup", 0),
        *("--video", tmp_path / "v.mp4", "-o", tmp_path / "r.json"),
    )
    assert done.exit_code == 130, done.output
    (written,) = tmp_path.iterdir()
    assert written.name == "r-threads1.json"
    result = json.loads(written.read_text(encoding="utf-8"))
    assert len(result["runs"][0]["orders"]) == 2
    assert f"interrupted: not measured, or not to its end: {missing}" in result["notes"]


def test_latencies_are_on_disk_before_what_else_is_measured(tiny_bundle, tmp_path, monkeypatch):
    def killed(*_):
        sys.exit(143)

    place = tmp_path / "r.json"
    monkeypatch.setattr("edgevid.bench.extended.peak_memory", killed)
    done = bench(tiny_bundle, "--rounds", 2, "--warmup", 0, "--layers", "-o", place)
    assert done.exit_code == 143, done.output
    result = json.loads(place.read_text(encoding="utf-8"))
    assert len(result["runs"][0]["orders"]) == 2
    assert "still to come, or it never came: peak memory, layer times" in result["notes"]


def test_a_result_with_all_that_was_asked_for_lacks_nothing(tiny_bundle, tmp_path):
    place = tmp_path / "r.json"
    done = bench(tiny_bundle, "--rounds", 2, "--warmup", 0, "-o", place)
    assert done.exit_code == 0, done.output
    result = json.loads(place.read_text(encoding="utf-8"))
    assert len(result["peak_memory"]) == 1
    assert not any("still to come" in note for note in result["notes"])


def test_a_hint_alone_reaches_the_measurement(tiny_bundle, tmp_path):
    place = tmp_path / "r.json"
    done = bench(tiny_bundle, "--hint", "throughput", "--rounds", 2, "--warmup", 0, "-o", place)
    assert done.exit_code == 0, done.output
    assert json.loads(place.read_text(encoding="utf-8"))["parameters"]["hint"] == "throughput"


def test_every_batch_is_verified_on_a_board(tiny_bundle, monkeypatch):
    verified = []

    @contextmanager
    def session(batch, settings):
        yield SimpleNamespace(emulated=batch == 2)

    def verify(bundle, *, batch, on):
        verified.append(batch)
        return {}

    monkeypatch.setattr("edgevid.verification.verify_bundle", verify)
    monkeypatch.setattr(
        "edgevid.bundle.Bundle.open", lambda path: SimpleNamespace(batches=(4,), session=session)
    )
    done = bench(tiny_bundle, "--batch", "2,1", "--on", "rpc://localhost:1/x")
    assert done.exit_code == 0, done.output
    assert verified == [2, 1]
    assert "the board is emulated" in " ".join(done.output.split())
