"""The program that runs on boards, against stand-ins of TensorRT and CUDA: no time here is a measurement."""

import json
import shutil
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

from edgevid.bench.storage import load_result
from edgevid.bench.summary import summarize
from edgevid.bundle import Bundle
from edgevid.calibration.clips import Arrays
from edgevid.calibration.logits import read_logits
from edgevid.calibration.pack import pack
from edgevid.errors import ConfigError
from edgevid.targets.tensorrt.board import build_engine

QUICK = ("--rounds", 12, "--warmup", 1)
ORIN = {"api": "10.3", "capability": "8.7"}
XAVIER = {"version": "8.2.1.8", "capability": "7.2"}


@pytest.fixture(scope="session")
def tx2(board_bundle):
    return board_bundle("jetson-tx2", "fp16")


@pytest.fixture
def copied(tx2, tmp_path):
    return shutil.copytree(tx2, tmp_path / "copied.bundle")


def refused(done, *words):
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    return True


def test_it_runs_to_its_end_and_frees_all_memory(tx2, on_board, tmp_path):
    done = on_board(tx2, *QUICK)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "engine").iterdir()) == [
        "engine.json", "model.engine", "result.json",
    ]  # fmt: skip
    assert (tmp_path / "ledger").read_text() == "0\n"
    assert "p99" in done.stdout


def test_a_bundle_says_that_it_was_compiled_and_not_executed(tx2):
    assert Bundle.open(tx2).manifest.status == "compiled, not executed"


def test_the_bundle_is_unchanged_by_it(tx2, on_board):
    on_board(tx2, "--no-bench")
    Bundle.open(tx2)


def test_its_result_is_read_like_any_other_and_is_no_measurement(tx2, on_board, tmp_path):
    on_board(tx2, *QUICK)
    result = load_result(tmp_path / "engine" / "result.json")
    assert result.device == "jetson-tx2"
    assert [(variant.role, variant.label) for variant in result.variants] == [
        ("baseline", "simulated"),
        ("twin", "simulated"),
    ]
    assert result.runs[0].rounds == 12
    assert any("not a measurement" in reason for reason in result.verdict.reasons)
    stages = result.parameters["stages_ms"]
    assert {name: len(values) for name, values in stages.items()} == dict.fromkeys(
        ("convert", "h2d", "compute", "d2h"), 24
    )
    assert result.variants[0].bundle.path == str(tx2)
    assert [summary.count for summary in summarize(result)] == [12, 12]


def test_its_limits_are_those_of_the_benchmark():
    from edgevid.bench.settings import MINIMUM_ROUNDS
    from edgevid.bench.validity import PAIR_LIMIT

    assert (build_engine.LEAST_ROUNDS, build_engine.PAIR_LIMIT) == (MINIMUM_ROUNDS, PAIR_LIMIT)


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_every_precision_of_a_tx2_agrees_with_the_golden_data(board_bundle, on_board, precision):
    done = on_board(board_bundle("jetson-tx2", precision), "--no-bench")
    assert done.returncode == 0, done.stderr
    assert "golden input: relative error" in done.stdout


def test_an_engine_that_gives_no_numbers_is_told_so(tx2, on_board):
    assert refused(on_board(tx2, wrong="nan"), "does not compute what the reference does", "inf")


def test_a_full_batch_is_checked_too(board_bundle, on_board):
    done = on_board(board_bundle("jetson-tx2", "fp16", 3), *QUICK)
    assert done.returncode == 0, done.stderr


def test_an_engine_that_computes_something_else_is_refused_and_not_left(tx2, on_board, tmp_path):
    assert refused(on_board(tx2, wrong=1), "does not compute what the reference does", "relative error")
    assert list((tmp_path / "engine").iterdir()) == []


def test_an_engine_that_was_good_once_does_not_stay_when_it_is_not_any_more(tx2, on_board, tmp_path):
    on_board(tx2, "--no-bench")
    assert refused(on_board(tx2, "--no-bench", wrong=1))
    assert not (tmp_path / "engine" / "model.engine").exists()


@pytest.mark.parametrize("version", ["8.0.1.6", "7.1.3"])
def test_a_tensorrt_older_than_the_boards_is_refused(tx2, on_board, version):
    assert refused(on_board(tx2, version=version), f"TensorRT {version} is too old", "8.2.1", "JetPack 4.6.1")


@pytest.mark.parametrize("version", ["9.3.0", "10.3.0", "11.0.0"])
def test_a_tensorrt_that_is_not_known_is_refused(tx2, on_board, version):
    assert refused(on_board(tx2, version=version), f"TensorRT {version} is not known")


def test_another_gpu_is_refused(tx2, on_board):
    assert refused(on_board(tx2, capability="5.3"), "compute capability 5.3", "NVIDIA Jetson TX2 (6.2)")


def test_no_gpu_is_refused_with_cudas_reason(tx2, on_board):
    assert refused(on_board(tx2, devices=0), "CUDA finds no GPU", "no CUDA-capable device is detected")


@pytest.mark.skipif(find_spec("tensorrt") is not None, reason="TensorRT is installed here")
def test_a_missing_tensorrt_is_told_with_the_package(tx2, on_board, tmp_path):
    assert refused(on_board(tx2, modules=tmp_path), "cannot be imported", "python3-libnvinfer")


def test_a_missing_cuda_is_told(monkeypatch):
    def missing(name):
        raise OSError(name)

    monkeypatch.setattr(build_engine.ctypes, "CDLL", missing)
    with pytest.raises(build_engine.BoardError, match="CUDA's runtime is not installed"):
        build_engine.Cuda()


def test_what_the_parser_refuses_is_told_with_node_and_reason(tx2, on_board):
    done = on_board(tx2, refuses_node="Concat")
    assert refused(done, "node ", "no importer registered for op: Concat", "edgevid lint model.onnx")


def test_too_little_workspace_is_told_with_the_way_out(tx2, on_board):
    assert refused(on_board(tx2, least_workspace_mb=4000), "try increasing the workspace", "--workspace more")
    assert on_board(tx2, "--no-bench", "--workspace", 50, least_workspace_mb=50).returncode == 0


def test_too_little_memory_is_told_before_anything_is_built(board_bundle, on_board):
    done = on_board(board_bundle("p100", "fp16"), version="8.6.1", capability="6.0", free_mb=100)
    assert refused(done, "building takes about", "100 MB are free")
    assert "building, which" not in done.stdout


def test_an_engine_that_finds_no_memory_is_told(tx2, on_board, tmp_path):
    assert refused(on_board(tx2, no_context=1), "too little memory", "Out of memory")
    assert (tmp_path / "ledger").read_text() == "0\n"


def test_a_gpu_without_float16_is_told(tx2, on_board):
    assert refused(on_board(tx2, no_fp16=1), "platform_has_fast_fp16", "--precision fp32")


@pytest.mark.parametrize("name", ["model.onnx", "build.json"])
def test_a_changed_file_is_refused(copied, on_board, name):
    with (copied / "artifacts" / "batch1" / name).open("ab") as file:
        file.write(b"\n")
    assert refused(on_board(copied), f"artifacts/batch1/{name} has changed")


def test_a_missing_golden_file_is_told_before_anything_is_built(copied, on_board):
    next((copied / "golden").glob("*.logits.npy")).unlink()
    done = on_board(copied)
    assert refused(done, "the bundle lacks golden/")
    assert "building, which" not in done.stdout


def test_a_manifest_of_something_else_is_told(copied, on_board):
    (copied / "manifest.json").write_text("{}")
    assert refused(on_board(copied), "is of no bundle")


@pytest.mark.parametrize("place", ["taken", "/proc/nowhere"])
def test_a_folder_that_cannot_be_made_is_told_before_anything_is_built(tx2, on_board, tmp_path, place):
    (tmp_path / "taken").write_text("")
    done = on_board(tx2, "-o", place)
    assert refused(done, f"{place} cannot be made", "-o")
    assert "building, which" not in done.stdout


def test_the_folder_alone_is_not_enough_and_it_says_so(copied, on_board, tmp_path):
    alone = shutil.copytree(copied / "artifacts", tmp_path / "elsewhere" / "artifacts")
    assert refused(on_board(alone.parent), "copy the whole bundle")


def test_an_engine_is_taken_again_by_the_same_board(tx2, on_board):
    on_board(tx2, "--no-bench")
    done = on_board(tx2, "--no-bench")
    assert done.returncode == 0
    assert "taking" in done.stdout
    assert "building, which" not in done.stdout
    assert "building, which" in on_board(tx2, "--no-bench", "--rebuild").stdout


@pytest.mark.parametrize("record", [None, "{", "[]"])
def test_an_engine_without_its_record_is_built_again(tx2, on_board, tmp_path, record):
    (tmp_path / "engine").mkdir()
    (tmp_path / "engine" / "model.engine").write_bytes(b"of a run that was stopped")
    if record is not None:
        (tmp_path / "engine" / "engine.json").write_text(record)
    done = on_board(tx2, "--no-bench")
    assert done.returncode == 0, done.stderr
    assert "not taking" in done.stdout


def test_an_engine_of_another_tensorrt_is_not_loaded_but_built_again(tx2, on_board):
    on_board(tx2, "--no-bench")
    done = on_board(tx2, "--no-bench", version="8.2.5.1")
    assert done.returncode == 0, done.stderr
    assert "not taking" in done.stdout
    assert "it is of tensorrt 8.2.1.8" in done.stdout


def test_the_same_folder_serves_tensorrt_10(board_bundle, on_board):
    done = on_board(board_bundle("jetson-orin-nx", "int8"), *QUICK, **ORIN)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("device", "found"), [("jetson-xavier", XAVIER), ("jetson-orin-nx", ORIN)])
def test_int8_is_made_of_the_calibration_cache(board_bundle, on_board, device, found):
    done = on_board(board_bundle(device, "int8"), "--no-bench", **found)
    assert done.returncode == 0, done.stderr
    assert "dB" in done.stdout


def test_a_gpu_without_int8_is_told(board_bundle, on_board):
    done = on_board(board_bundle("jetson-xavier", "int8"), no_int8=1, **XAVIER)
    assert refused(done, "platform_has_fast_int8 is false", "--precision fp16")


def test_a_calibration_cache_that_tensorrt_leaves_out_is_noticed(board_bundle, on_board):
    done = on_board(board_bundle("jetson-xavier", "int8"), drops_cache=1, **XAVIER)
    assert refused(done, "did not take the calibration cache")


def test_logits_of_packed_clips_are_read_by_compare_and_have_no_times(board_bundle, on_board, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (5, 4, 32, 32, 3)).astype(np.uint8)
    packed = pack(Arrays(pixels, [0, 1, 2, 3, 4]), tmp_path / "clips", shard_bytes=3 * pixels[0].nbytes)
    bundle = board_bundle("jetson-tx2", "fp16", 3)
    done = on_board(bundle, *QUICK, "--eval", packed.folder, "-o", "logits")
    assert done.returncode == 0, done.stderr
    assert load_result(tmp_path / "logits" / "result.json").runs[0].rounds == 12
    found = read_logits(tmp_path / "logits" / "logits.json", packed, 5)
    assert found.latency_ms == ()
    assert "not a measurement" in found.device
    alone = on_board(board_bundle("jetson-tx2", "fp32"), "--no-bench", "--eval", packed.folder, "-o", "again")
    assert alone.returncode == 0, alone.stderr
    other = read_logits(tmp_path / "again" / "logits.json", packed, 5)
    assert np.abs(other.logits - found.logits).max() < 0.02 * np.abs(found.logits).max()


def test_changed_clips_are_refused(tx2, on_board, tmp_path):
    packed = pack(Arrays(np.zeros((2, 4, 32, 32, 3), np.uint8), [0, 1]), tmp_path / "clips")
    with (packed.folder / "shard-00000.npy").open("r+b") as file:
        file.seek(200)
        file.write(b"\1")
    assert refused(on_board(tx2, "--eval", packed.folder), "has changed since it was packed")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda index: index.clear(), "holds no packed clips"),
        (lambda index: index.update(shards=5), "holds no packed clips"),
        (lambda index: index.update(shards=["shard"]), "holds no packed clips"),
        (lambda index: index["shards"][0].pop("sha256"), "holds no packed clips"),
        (lambda index: index.update(shape=4), "the clips are 4, the network takes [4, 32, 32, 3]"),
        (lambda index: index["shards"][0].update(file=7), "7 is missing"),
        (lambda index: index["shards"][0].update(file="index.json"), "has changed"),
    ],
)
def test_an_index_of_something_else_is_refused(tx2, on_board, tmp_path, change, said):
    packed = pack(Arrays(np.zeros((2, 4, 32, 32, 3), np.uint8), [0, 1]), tmp_path / "clips")
    place = packed.folder / "index.json"
    index = json.loads(place.read_text())
    change(index)
    place.write_text(json.dumps(index))
    assert refused(on_board(tx2, "--no-bench", "--eval", packed.folder), said)


def test_a_shard_of_other_clips_than_the_index_says_is_refused(tx2, on_board, tmp_path):
    packed = pack(Arrays(np.zeros((2, 4, 32, 32, 3), np.uint8), [0, 1]), tmp_path / "clips")
    np.save(packed.folder / "shard-00000.npy", np.zeros((2, 4, 16, 16, 3), np.float32))
    place = packed.folder / "index.json"
    index = json.loads(place.read_text())
    index["shards"][0]["sha256"] = build_engine.sha256(packed.folder / "shard-00000.npy")
    place.write_text(json.dumps(index))
    assert refused(on_board(tx2, "--no-bench", "--eval", packed.folder), "float32[2, 4, 16, 16, 3]")


def test_a_folder_without_packed_clips_is_refused(tx2, on_board, tmp_path):
    assert refused(on_board(tx2, "--eval", tmp_path / "nowhere"), "index.json cannot be read")


def test_logits_of_other_clips_are_refused_by_compare(tx2, on_board, tmp_path):
    one = pack(Arrays(np.zeros((1, 4, 32, 32, 3), np.uint8), [0]), tmp_path / "one")
    other = pack(Arrays(np.ones((1, 4, 32, 32, 3), np.uint8), [0]), tmp_path / "other")
    on_board(tx2, "--no-bench", "--eval", one.folder)
    with pytest.raises(ConfigError, match="of other clips"):
        read_logits(tmp_path / "engine" / "logits.json", other, 5)


def test_a_sustained_run_tells_power_temperature_and_clocks(tx2, on_board, tegrastats, tmp_path):
    done = on_board(tx2, *QUICK, "--sustained", 0.02, path=tegrastats)
    assert done.returncode == 0, done.stderr
    result = load_result(tmp_path / "engine" / "sustained.json")
    assert "sustained for 0.02 minutes" in result.title
    assert any("the last tenth of the runs took" in note for note in result.notes)
    first = result.parameters["tegrastats"][0]
    assert first["milliwatts"]["VDD_IN"] == 1791
    assert first["megahertz"] == {"EMC": 665, "GR3D": 1300}
    assert first["celsius"]["GPU"] == 33.5


def test_it_ends_with_a_word_when_it_is_interrupted(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(build_engine, "read_files", interrupted)
    assert build_engine.main() == 130
    assert "interrupted" in capsys.readouterr().err


def test_an_error_of_the_gpu_is_not_hidden_by_what_fails_after_it():
    class Broken(build_engine.Cuda):
        def __init__(self):
            self._library = SimpleNamespace(cudaFree=lambda place: 700)
            self._owned = [("cudaFree", 1)]

    with pytest.raises(ValueError, match="the first"), Broken():
        raise ValueError("the first")


def test_a_slower_end_of_a_sustained_run_is_throttling():
    measured = build_engine.Measured()
    measured.samples["engine"]["wall_ns"] = [100] * 90 + [120] * 10
    assert measured.slowdown() == 1.2 > build_engine.THROTTLED


def test_the_rails_of_an_agx_xavier_are_read_too():
    line = "RAM 1/15MB (lfb 7x4MB) SWAP 0/15MB GPU@37C CPU 311/320 SOC 932/932 CV 0/0 SYS5V 1482/1482"
    found = build_engine.read_tegrastats(line)
    assert found["milliwatts"] == {"CPU": 311, "SOC": 932, "CV": 0, "SYS5V": 1482}


def test_lines_of_newer_boards_are_read_too():
    line = (
        "RAM 2458/30536MB (lfb 5x4MB) CPU [1%@729,0%@729] GR3D_FREQ 12%@[611,611] cpu@48.5C gpu@45.093C "
        "tj@49C VDD_GPU_SOC 2400mW/2400mW VDD_CPU_CV 400mW/410mW VIN_SYS_5V0 3500mW/3600mW"
    )
    assert build_engine.read_tegrastats(line) == {
        "celsius": {"cpu": 48.5, "gpu": 45.093, "tj": 49.0},
        "milliwatts": {"VDD_GPU_SOC": 2400, "VDD_CPU_CV": 400, "VIN_SYS_5V0": 3500},
        "megahertz": {"GR3D": 611},
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ("--rounds", "0"),
        ("--sustained", "-1"),
        ("--sustained", "nan"),
        ("--sustained", "1", "--no-bench"),
        ("--nonsense",),
    ],
)
def test_wrong_arguments_end_with_2(tx2, on_board, arguments):
    assert on_board(tx2, *arguments).returncode == 2


def test_the_difference_is_the_one_that_edgevid_computes():
    from edgevid.graph.verify import compare

    random = np.random.default_rng(0)
    wanted = random.standard_normal((3, 5)).astype(np.float32)
    found = wanted + 0.01 * random.standard_normal((3, 5)).astype(np.float32)
    expected = compare(wanted, found)
    assert build_engine.difference(wanted, found) == pytest.approx((expected.max_relative, expected.sqnr))
    assert build_engine.difference(wanted, found * np.nan)[0] == np.inf


def test_the_settings_hold_the_tolerance_of_the_precision(tx2):
    settings = json.loads((tx2 / "artifacts" / "batch1" / "build.json").read_text())
    assert (settings["precision"], settings["tolerance"], settings["tensorrt"]) == ("fp16", 2e-2, ["8.2.1"])
