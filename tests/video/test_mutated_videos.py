"""Whatever happens to the bytes of a video: it is read, or refused in words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from making_videos import SHARED

CLIPS = SHARED / "video"


def read_mutated_copies(scratch, seed, count):
    if not CLIPS.is_dir():
        pytest.skip("the shared clips are not beside this checkout")
    script = Path(__file__).with_name("mutating_videos.py")
    command = [sys.executable, "-X", "faulthandler", script, scratch, str(seed), str(count)]
    done = subprocess.run(
        [*command, *sorted(CLIPS.iterdir())],
        capture_output=True,
        text=True,
        timeout=count + 100,
        check=False,
        env=os.environ | {"PYTHONPATH": str(script.parent.parent)},
    )
    culprits = sorted(path.name for path in scratch.iterdir())
    assert done.returncode == 0, f"while reading {culprits}: {done.stderr}"
    assert culprits == []
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("seed", "count"), [(0, 80), pytest.param(1, 1000, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)
def test_mutated_copies_cause_no_crash_no_hang_and_no_flood_of_memory(tmp_path, seed, count):
    told = read_mutated_copies(tmp_path, seed, count)
    assert sum(told["outcomes"].values()) == count
    assert told["outcomes"]["read"] > count / 10
    assert told["outcomes"]["warned"] > count / 10
    assert told["outcomes"]["damaged"] + told["outcomes"]["cut off"] > count / 10
    assert "too slow" not in told["outcomes"]
    assert "other" not in told["outcomes"], "every kind of damage has a name"
    assert told["peak_megabytes"] < 1500
