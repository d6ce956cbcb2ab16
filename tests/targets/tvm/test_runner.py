import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from boards import for_arm
from tiny_module import export_sums, export_tiny, reference

from edgevid.calibration.data import Sample
from edgevid.calibration.logits import read_logits
from edgevid.calibration.pack import pack
from edgevid.contract import Sampling
from edgevid.errors import MissingDependencyError
from edgevid.targets.tvm import board_libraries
from edgevid.targets.tvm.board_libraries import LIBRARIES
from edgevid.targets.tvm.cpus import cpu
from edgevid.targets.tvm.elf import check_old_enough, read_needs
from edgevid.targets.tvm.emulator import Emulator
from edgevid.targets.tvm.runner import build_runner

ROWS = np.linspace(-1, 1, 32, dtype=np.float32).reshape(4, 8)
CLIP = (2, 4, 4, 3)


@dataclass(frozen=True)
class Noise:
    """Videos of random pixels."""

    views: Sequence[int]
    source: str = "noise"
    sha256: str = "0" * 64

    @property
    def sampling(self):
        return Sampling(segments=2, crop=4)

    @property
    def labels(self):
        return [0] * len(self.views)

    def read(self, start=0):
        for number, views in list(enumerate(self.views))[start:]:
            random = np.random.default_rng(number)
            yield Sample(f'{number} \u00fc"\\.mp4', 0, random.integers(0, 256, (views, *CLIP), np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A runner for this machine, and a network."""
    place = tmp_path_factory.mktemp("runner")
    build_runner(place, cpu("host"))
    export_tiny(cpu("host"), place / "model.so")
    export_sums(cpu("host"), place / "sums.so", 1)
    export_sums(cpu("host"), place / "sums2.so", 2)
    np.save(place / "rows.npy", ROWS)
    return place


def run(folder, *arguments):
    return subprocess.run(
        [folder / "run", *arguments], cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )


def test_the_output_is_numpys_and_latencies_are_json(folder, tmp_path):
    done = run(folder, "model.so", "rows.npy", str(tmp_path / "y.npy"), "--repeat", "20")
    assert (done.returncode, done.stderr) == (0, "")
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), reference(ROWS), rtol=1e-5)
    told = json.loads(done.stdout)
    assert len(told["latency_ms"]) == 20
    assert min(told["latency_ms"]) > 0
    assert told["device"]


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_npy_is_read(folder, tmp_path, version):
    with (tmp_path / "x.npy").open("wb") as file:
        np.lib.format.write_array(file, ROWS, version=version)
    assert run(folder, "model.so", str(tmp_path / "x.npy"), str(tmp_path / "y.npy")).returncode == 0
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), reference(ROWS), rtol=1e-5)


@pytest.mark.parametrize(("network", "batch"), [("sums.so", 1), ("sums2.so", 2)])
def test_logits_of_packed_clips_are_what_compare_reads(folder, tmp_path, network, batch):
    clips = pack(Noise((2, 1, 3, 1)), tmp_path / "clips", shard_bytes=3 * 96)
    assert len(clips.index.shards) == 3
    out = tmp_path / "logits"
    done = run(folder, network, "--eval", str(tmp_path / "clips"), "-o", str(out), "--batch", str(batch))
    assert done.returncode == 0, done.stderr
    measured = read_logits(out / "logits.json", clips, 3)
    pixels = np.concatenate([sample.clips for sample in clips.read()])
    np.testing.assert_array_equal(measured.logits, pixels.sum((1, 2, 3), dtype=np.float32))
    assert len(measured.latency_ms) >= 7 // batch
    assert measured.device


def test_a_changed_shard_is_refused(folder, tmp_path):
    clips = pack(Noise((1, 1)), tmp_path / "clips")
    shard = tmp_path / "clips" / clips.index.shards[0].file
    data = bytearray(shard.read_bytes())
    data[-1] ^= 1
    shard.write_bytes(data)
    done = run(folder, "sums.so", "--eval", str(tmp_path / "clips"), "-o", str(tmp_path / "logits"))
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{shard} has changed since it was packed" in done.stderr
    assert not (tmp_path / "logits").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text[:-20], "is damaged: not JSON"),
        (lambda text: text.replace("clips_sha256", "clips_md5"), 'there is no "clips_sha256"'),
        (lambda text: text.replace('"shape": [', '"shape": "x", "y": ['), '"shape" is of the wrong kind'),
        (lambda text: text.replace("shard-0", "../shard-0"), "outside the folder"),
        (lambda text: "[" * 100000, "is damaged: not JSON"),
        (lambda text: text.replace('"clips": 2', '"clips": 3'), "holds clips of shape [2, 2, 4, 4, 3]"),
    ],
)
def test_a_damaged_index_is_refused_with_the_reason(folder, tmp_path, change, told):
    pack(Noise((1, 1)), tmp_path / "clips")
    index = tmp_path / "clips" / "index.json"
    index.write_text(change(index.read_text()))
    done = run(folder, "sums.so", "--eval", str(tmp_path / "clips"), "-o", str(tmp_path / "logits"))
    assert done.returncode == 1
    assert told in done.stderr


def test_a_network_of_another_batch_is_refused_in_words(folder, tmp_path):
    pack(Noise((2,)), tmp_path / "clips")
    done = run(folder, "sums2.so", "--eval", str(tmp_path / "clips"), "-o", str(tmp_path / "logits"))
    assert done.returncode == 1
    assert "running the network" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "wrong number of files"),
        (("model.so", "rows.npy"), "wrong number of files"),
        (("model.so", "rows.npy", "y.npy", "--repeat"), "--repeat needs a value"),
        (("model.so", "rows.npy", "y.npy", "--repeat", "0"), "give a number from 1"),
        (("model.so", "rows.npy", "y.npy", "--repeat", "2x"), "give a number from 1"),
        (("model.so", "rows.npy", "y.npy", "--warm", "2"), "unknown option --warm"),
        (("model.so", "--eval", "clips"), "belong together"),
    ],
)
def test_wrong_arguments_end_with_the_usage_and_status_2(folder, arguments, told):
    done = run(folder, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "usage: run MODEL.so" in done.stderr


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (ROWS[:2], "running the network"),
        (ROWS.astype(np.float64), "running the network"),
        (np.asfortranarray(ROWS), "Fortran order"),
        (ROWS.astype(">f4"), "type >f4"),
        (ROWS.astype(np.complex64), "type <c8"),
        (np.array(["x"]), "type <U1"),
    ],
    ids=["shape", "type", "fortran", "big-endian", "complex", "text"],
)
def test_an_input_that_does_not_fit_is_refused_in_words(folder, tmp_path, array, told):
    np.save(tmp_path / "x.npy", array)
    done = run(folder, "model.so", str(tmp_path / "x.npy"), str(tmp_path / "y.npy"))
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr
    assert not (tmp_path / "y.npy").exists()


@pytest.mark.parametrize("size", [0, 5, 9, 40, 200])
def test_an_input_that_is_cut_short_is_refused(folder, tmp_path, size):
    (tmp_path / "x.npy").write_bytes((folder / "rows.npy").read_bytes()[:size])
    done = run(folder, "model.so", str(tmp_path / "x.npy"), str(tmp_path / "y.npy"))
    assert done.returncode == 1
    assert "x.npy is" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("no.so", "rows.npy", "y.npy"), "cannot open ./no.so"),
        (("model.so", "no.npy", "y.npy"), "cannot open no.npy"),
        (("model.so", "rows.npy", "no/y.npy"), "cannot write no/y.npy"),
        (("libtvm_ffi.so", "rows.npy", "y.npy"), "libtvm_ffi.so"),
        (("sums.so", "--eval", ".", "-o", "logits"), "cannot open ./index.json"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(folder, arguments, told):
    done = run(folder, *arguments)
    assert done.returncode == 1
    assert told in done.stderr


def test_threads_are_told_to_tvm(folder, tmp_path):
    done = run(folder, "model.so", "rows.npy", str(tmp_path / "y.npy"), "--threads", "1", "--repeat", "2")
    assert done.returncode == 0


# The boards' own.


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    place = tmp_path_factory.mktemp("board")
    build_runner(place, cpu("cortex-a57"))
    return place


@for_arm
def test_a_boards_runner_and_libraries_need_nothing_new(board):
    files = sorted(path.name for path in board.iterdir())
    assert files == ["libtvm_ffi.so", "libtvm_runtime.so", "run"]
    for name in files:
        assert read_needs(board / name).machine == "aarch64"
        check_old_enough(board / name)


@for_arm
@pytest.mark.parametrize(
    "name", ["cortex-a53", "cortex-a57", "cortex-a72", "cortex-a76", "neoverse-n1", "neoverse-v1"]
)
def test_every_core_computes_what_numpy_does_and_has_no_latencies(board, name, tmp_path):
    export_tiny(cpu(name), tmp_path / "model.so")
    np.save(tmp_path / "x.npy", ROWS)
    files = [str(tmp_path / file) for file in ("model.so", "x.npy", "y.npy")]
    done = Emulator(cpu(name)).run(board / "run", *files, "--repeat", "3")
    assert done.returncode == 0, done.stderr
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), reference(ROWS), rtol=1e-5)
    told = json.loads(done.stdout)
    assert told["emulated"] is True
    assert told["runs"] == 3
    assert "latency_ms" not in told


@for_arm
def test_a_core_that_lacks_an_instruction_says_so_instead_of_crashing(board, tmp_path):
    export_tiny(cpu("cortex-a76"), tmp_path / "model.so")
    np.save(tmp_path / "x.npy", ROWS)
    files = [str(tmp_path / file) for file in ("model.so", "x.npy", "y.npy")]
    done = Emulator(cpu("cortex-a72")).run(board / "run", *files)
    assert done.returncode == 1
    assert "this processor lacks asimddp asimdhp" in done.stderr


@for_arm
def test_logits_of_an_emulated_board_count_and_its_time_does_not(board, tmp_path):
    export_sums(cpu("cortex-a72"), tmp_path / "sums.so", 1)
    clips = pack(Noise((1, 2)), tmp_path / "clips")
    folders = [str(tmp_path / name) for name in ("clips", "logits")]
    done = Emulator(cpu("cortex-a72")).run(
        board / "run", str(tmp_path / "sums.so"), "--eval", folders[0], "-o", folders[1]
    )
    assert done.returncode == 0, done.stderr
    measured = read_logits(tmp_path / "logits" / "logits.json", clips, 3)
    pixels = np.concatenate([sample.clips for sample in clips.read()])
    np.testing.assert_array_equal(measured.logits, pixels.sum((1, 2, 3), dtype=np.float32))
    assert measured.latency_ms == ()
    assert measured.device.startswith("emulated")


def test_libraries_are_downloaded_once_for_a_version(tmp_path, monkeypatch):
    here = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgevid"
    monkeypatch.setattr(board_libraries.subprocess, "run", None)
    assert [path.name for path in board_libraries.board_libraries()] == [
        Path(p).name for p in LIBRARIES.values()
    ]
    assert board_libraries.cache_folder() == here


def test_without_a_connection_the_folder_to_fill_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(MissingDependencyError, match="cannot be downloaded") as caught:
        board_libraries.board_libraries()
    assert caught.value.where.startswith(str(tmp_path / "edgevid"))
    assert "libtvm_runtime.so and libtvm_ffi.so" in caught.value.fix
    assert not any(Path(caught.value.where).iterdir())
