"""A thousand damaged checkpoints (most in a slow test): each is refused in words, or is a network that runs.

They are read in one process with 4 GB of memory, so that a crash, a hang and a flood show.
"""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import checkpoint_layouts as layouts
import pytest
import torch

from edgevid.checkpoints import read, write
from edgevid.errors import CheckpointError

HERE = Path(__file__).parent


def write_sources(folder):
    """Checkpoints of several layouts and containers."""
    torch.manual_seed(0)
    resnet = layouts.network(layouts.small(shift=layouts.shifted()))
    mobilenet = layouts.network(layouts.small("mobilenet_v2", shift=layouts.shifted()))
    torch.save({"epoch": 3, "state_dict": layouts.mit(resnet)}, folder / "source1.pth")
    torch.save(layouts.mmaction2(mobilenet), folder / "source2.pth")
    torch.save(layouts.mit(resnet), folder / "source3.pth", _use_new_zipfile_serialization=False)
    write(folder / "source4.safetensors", resnet)


@pytest.mark.parametrize(("first", "files"), [(0, 100), pytest.param(10**6, 800, marks=pytest.mark.slow)])
def test_damaged_checkpoints_are_refused_in_words_or_are_networks(tmp_path, first, files):
    write_sources(tmp_path)
    done = subprocess.run(
        [sys.executable, HERE / "mutated_checkpoints.py", tmp_path, str(files), str(first)],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join((str(HERE), str(HERE.parent)))},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads(done.stdout.splitlines()[-1])
    assert report["wrong"] == []
    sound = report["counts"]["read"]
    print(f"{files - sound} refused, {sound} read, {report['MiB']} MiB at most")
    assert sum(report["counts"].values()) == files
    assert files // 20 < sound < files * 4 // 5


def test_an_archive_that_claims_more_than_it_can_hold_is_refused(tmp_path):
    path = tmp_path / "bomb.pth"
    torch.save({"weight": torch.zeros(2**20)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(CheckpointError, match="claims to hold"):
        read(path)
