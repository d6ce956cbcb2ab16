"""`edgevid suggest` as people type it."""

import json

import pytest
import typer
from typer.testing import CliRunner

from edgevid.cli.suggest import suggest
from edgevid.errors import BenchmarkError, ConfigError, UnknownDeviceError, UnsupportedPrecisionError

app = typer.Typer()
app.command()(suggest)

ON = ("--device", "reference", "--model", "*-mobilenetv2", "--rounds", "12", "--processes", "1")


def run(*arguments):
    return CliRunner().invoke(app, [*map(str, arguments)])


def test_without_results_everything_is_not_measured(tmp_path):
    done = run(*ON, "--max-latency", "50ms")
    assert done.exit_code == 0, done.output
    lines = [line for line in done.stdout.splitlines() if "mobilenetv2" in line]
    assert len(lines) == 4
    assert all("not measured" in line for line in lines)
    assert "nothing is estimated" in done.stdout


def test_what_is_measured_is_ranked_and_drawn(machine, tmp_path):
    pytest.importorskip("matplotlib")
    machine.took = {"tsn-mobilenetv2": 70.0, "tsm-mobilenetv2": 30.0}
    folder, plot = tmp_path / "m", tmp_path / "plot.png"
    arguments = (*ON, "--max-latency", "50ms", "--max-memory", "100MB")
    done = run(*arguments, "--measure", "-o", folder, "--plot", plot)
    assert done.exit_code == 0, done.output
    assert plot.read_bytes().startswith(b"\x89PNG")
    found = json.loads(run(*arguments, "--results", folder, "--json").stdout)
    states = {each["preset"]: each["state"] for each in found}
    assert states["tsn-mobilenetv2"] == "too slow"
    assert states["tsm-mobilenetv2"] == states["mmaction2-tsm-mobilenetv2"] == "fits"
    assert found[0]["state"] == "fits"
    assert found[0]["peak_memory"] == 50_000_000
    again = run(*arguments, "-o", folder, "--json")
    assert json.loads(again.stdout) == found, "the folder of measurements is read without --measure too"


def test_only_what_is_missing_is_measured(machine, tmp_path):
    for _ in range(2):
        done = run(*ON, "--max-latency", "50ms", "--measure", "-o", tmp_path / "m")
        assert done.exit_code == 0, done.output
    assert len(machine.compiled) == len(set(machine.compiled))


def test_nothing_that_could_be_measured_is_status_one_with_the_reasons(machine, tmp_path):
    machine.broken = {"tsn-mobilenetv2"}
    done = run(
        *("--device", "reference", "--model", "tsn-mobilenetv2", "--max-latency", "50ms"),
        *("--measure", "-o", tmp_path / "m"),
    )
    assert done.exit_code == 1
    assert "tsn-mobilenetv2, fp32: no form of it holds" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        (["--max-latency", "50"], ConfigError, "no unit"),
        (["--max-latency", "50ms", "--max-memory", "much"], ConfigError, "no number with a unit"),
        (["--max-latency", "50ms", "--model", "tsm-resnet5"], ConfigError, "no preset named"),
        (["--max-latency", "50ms", "--precision", "fp8"], UnsupportedPrecisionError, "fp8"),
        (["--max-latency", "50ms", "--plot", "plot.svg"], ConfigError, "a PNG file"),
        (["--max-latency", "50ms", "--results", "nothing.json"], BenchmarkError, "cannot be read"),
        (["--max-latency", "50ms", "-o", "nowhere"], ConfigError, "nothing to measure"),
    ],
)
def test_mistakes_are_told(arguments, kind, told):
    done = run("--device", "reference", *arguments)
    assert isinstance(done.exception, kind)
    assert told in str(done.exception)


def test_an_unknown_device_is_told():
    assert isinstance(run("--device", "toaster", "--max-latency", "1s").exception, UnknownDeviceError)
