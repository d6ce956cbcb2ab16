"""`edgevid overhead`: what people type, what they read, and what lies in the folder."""

import json

import pytest
from typer.testing import CliRunner

from edgevid.cli import app
from edgevid.cli.overhead import _batches, _precisions, _words
from edgevid.errors import ConfigError

for name in ("torch", "onnxruntime", "matplotlib"):
    pytest.importorskip(name)


@pytest.fixture
def tiny(monkeypatch):
    """In place of a preset's network."""
    from edgevid.models.config import NetworkConfig, ShiftConfig

    config = NetworkConfig(
        backbone="resnet50",
        classes=100,
        segments=2,
        size=32,
        blocks=(1, 1, 1, 1),
        channels=(16, 8, 8, 16, 16),
        shift=ShiftConfig(),
    )
    monkeypatch.setattr("edgevid.overhead.model_config", lambda *_, **__: config)


def test_a_sweep_is_measured_shown_and_kept(tmp_path, tiny):
    done = CliRunner().invoke(
        app,
        [
            *("overhead", "--proportions", "1/4,1/1000", "--device", "reference,jetson-tx2", "--plain"),
            *("--rounds", "3", "--warmup", "1", "--processes", "1", "-o", str(tmp_path / "sweep")),
        ],
    )
    assert done.exit_code == 0, done.output
    for wanted in (
        "tsm-resnet50 on reference, fp32, batch 1, 1 thread",
        "no shift, default (A/A)",
        "plain export",
        "INVALID: too few rounds",
        "jetson-tx2, fp32, batch 1, p = 0, 1/1000, 1/4: failed: compile only",
        "reference, fp32, batch 1, p = 1/1000: failed: p = 1/1000: a proportion of 1/1000",
    ):
        assert wanted in done.stdout
    names = {path.name for path in (tmp_path / "sweep").iterdir()}
    assert {"reference-fp32-batch1.json", "sweep.json", "overhead.png", "overhead.svg"} <= names
    result = json.loads((tmp_path / "sweep" / "reference-fp32-batch1.json").read_text())
    parameters = result["parameters"]
    assert {name: parameters[name] for name in ("kind", "model", "precision", "segments", "size")} == {
        "kind": "overhead",
        "model": "tsm-resnet50",
        "precision": "fp32",
        "segments": 2,
        "size": 32,
    }
    assert [point["role"] for point in parameters["points"]] == ["no shift", "shift", "plain export"]
    assert parameters["default"] == parameters["best"] == "no shift"


def test_nothing_measured_is_status_one(tmp_path):
    result = CliRunner().invoke(app, ["overhead", "--device", "jetson-tx2", "-o", str(tmp_path)])
    assert result.exit_code == 1
    assert "failed: compile only" in " ".join(result.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--model", "tsm-resnet5"], "no preset named 'tsm-resnet5'"),
        (["--model", "tsn-resnet50"], "no shift"),
        (["--proportions", "a quarter"], "'a quarter', not a number"),
        (["--proportions", "0,3/2"], "3/2, outside 0 to 1"),
        (["--precision", "fp8"], "unknown precision 'fp8'"),
        (["--batch", "0"], "a batch of 0 clips"),
        (["--within", "wide"], "'wide' is no share"),
    ],
)
def test_mistakes_are_told_before_anything_is_written(tmp_path, arguments, told):
    result = CliRunner().invoke(app, ["overhead", *arguments, "-o", str(tmp_path / "sweep")])
    assert isinstance(result.exception, ConfigError)
    assert told in str(result.exception)
    assert result.exception.fix
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize("name", ["host-fp32-batch1.json", "overhead.png"])
def test_a_folder_where_a_file_would_go_is_refused_before_anything_is_measured(tmp_path, monkeypatch, name):
    monkeypatch.setattr("edgevid.overhead.measure_sweep", lambda *_, **__: pytest.fail("measured"))
    (tmp_path / name).mkdir()
    result = CliRunner().invoke(app, ["overhead", "-o", str(tmp_path)])
    assert isinstance(result.exception, ConfigError)
    assert "this is a folder" in str(result.exception)


def test_a_folder_for_tuned_kernels_is_refused_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr("edgevid.overhead.measure_sweep", lambda *_, **__: pytest.fail("measured"))
    arguments = ["overhead", "--records", str(tmp_path), "-o", str(tmp_path / "sweep")]
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, ConfigError)
    assert result.exception.where == str(tmp_path)


def test_lists_are_read():
    assert _words(["a,b", "b", " c"]) == ["a", "b", "c"]
    assert _precisions("int8, fp32") == ["fp32", "int8"]
    assert _batches("4,1,4") == [4, 1]
