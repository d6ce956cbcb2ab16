"""What `make results` wrote, and is kept beside the code, holds together."""

import subprocess
from pathlib import Path

import pytest

from edgevid.bench.report.markdown import write_markdown
from edgevid.bench.report.material import read_material

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def command():
    """The last line of `make results`, in words."""
    shown = subprocess.run(["make", "-n", "results"], cwd=ROOT, capture_output=True, text=True, check=True)
    (line,) = [each for each in shown.stdout.splitlines() if "bin/edgevid report " in each]
    return line.split()


@pytest.fixture(scope="module")
def material(command):
    folders = command[command.index("report") + 1 : command.index("--output")]
    return read_material([ROOT / folder for folder in folders])


def test_every_curve_is_valid_and_of_at_least_three_processes_of_forty_rounds(material):
    assert not material.invalid
    for measured in material.results:
        rounds = [run.rounds for run in measured.result.runs]
        assert len(rounds) >= 3
        assert set(rounds) == {40}


def test_the_tables_are_those_of_the_samples(command, material, tmp_path):
    committed = ROOT / command[command.index("--markdown") + 1]
    write_markdown(material, [], tmp_path / "README.md")
    assert committed.read_text(encoding="utf-8") == (tmp_path / "README.md").read_text(encoding="utf-8")
