"""`edgevid bench` as people type it."""

import json
import subprocess
import sys

import pytest

EDGEVID = [sys.executable, "-c", "from edgevid.cli import main; main()"]


def edgevid(*arguments):
    return subprocess.run(
        [*EDGEVID, *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False
    )


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
        (["--within", "200%"], "interval within 2"),
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
