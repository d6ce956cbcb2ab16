"""`edgevid bench --table` as people type it."""

import json

import pytest
from typer.testing import CliRunner

from edgevid.cli.program import app
from edgevid.errors import ConfigError, TargetError

ON = ("--device", "reference", "--rounds", "12", "--warmup", "1")


def bench(*arguments):
    return CliRunner().invoke(app, ["bench", *map(str, arguments)])


def test_a_table_is_measured_printed_and_kept(machine, tmp_path):
    machine.took = {"BN-Inception": 40.0, "10 gates": 50.0}
    done = bench("--table", "gsm-2", *ON, "-o", tmp_path / "gsm")
    assert done.exit_code == 0, done.output
    words = " ".join(done.stdout.split())
    assert "GSM (CVPR 2020) table 2" in words
    assert "1.250" in words
    record = json.loads((tmp_path / "gsm" / "gsm-2-reference-fp32.json").read_text(encoding="utf-8"))
    assert [row["title"] for row in record["rows"]] == ["BN-Inception", "1 gate", "5 gates", "10 gates"]
    assert record["rows"][3]["published"]["gmacs"] == 16.46
    assert (tmp_path / "gsm" / "gsm-2-reference-fp32.md").is_file()


def test_some_rows_at_some_batches(machine, tmp_path):
    done = bench("--table", "tsm-4", "--rows", "tsm-*", "--batch", "16", *ON, "-o", tmp_path / "t")
    assert done.exit_code == 0, done.output
    assert set(machine.compiled) == {"TSM-8F", "TSM-16F"}
    names = {path.name for path in (tmp_path / "t" / "samples").glob("*.json")}
    assert names == {"tsm-8f-reference-fp32-batch16.json", "tsm-16f-reference-fp32-batch16.json"}


def test_nothing_measured_is_status_one(machine, tmp_path):
    machine.broken = {"BN-Inception"}
    done = bench("--table", "gsm-2", *ON, "-o", tmp_path / "gsm")
    assert done.exit_code == 1
    assert "no form of it holds" in " ".join(done.stdout.split())


def test_ctrl_c_tells_where_it_goes_on(machine, tmp_path):
    machine.status = ["interrupted"]
    done = bench("--table", "gsm-2", *ON, "-o", tmp_path / "gsm")
    assert done.exit_code == 130
    assert "the same command goes on there" in " ".join(done.output.split())


@pytest.mark.parametrize(
    ("arguments", "kind", "told"),
    [
        (["--table", "tsm-3"], ConfigError, "no table named 'tsm-3'"),
        (["--table", "tsm-4", "--rows", "x*"], ConfigError, "fits no row"),
        (["--table", "tsm-4", "--batch", "3"], ConfigError, "the table has no batch 3"),
        (["--table", "tsm-4", "--threads", "1,2"], ConfigError, "several numbers of threads"),
        (["--table", "tsm-4", "a.bundle"], ConfigError, "bundles beside a table"),
        (["--table", "tsm-4", "--layers", "--streams", "2"], ConfigError, "--streams, --layers beside"),
        (["--table", "tsm-4", "--device", "xeon-e5-2690"], TargetError, "is not this machine"),
        (["a.bundle", "--device", "host"], ConfigError, "--device without a table"),
    ],
)
def test_what_makes_no_sense_is_told(arguments, kind, told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = bench(*arguments)
    assert isinstance(done.exception, kind)
    assert told in str(done.exception)
    assert list(tmp_path.iterdir()) == []


def test_neither_bundle_nor_table_is_wrong_usage():
    done = bench()
    assert done.exit_code == 2
    assert "name at least one bundle" in " ".join(done.output.split())
