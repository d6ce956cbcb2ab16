"""The command line: what people type, what they read, and how it fails."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from warm_command import edgevid

EDGEVID = [sys.executable, "-c", "from edgevid.cli import main; main()"]

QUICK = ("--lowering", "slice_concat")
"""Where it does not matter which: to find the fastest takes seconds."""


def test_help_comes_within_half_a_second():
    walls, cpu_before = [], resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run([*EDGEVID, "--help"], capture_output=True, text=True, check=False)
        walls.append(time.perf_counter() - start)
        assert done.returncode == 0
        assert "compile" in done.stdout
    cpu_after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = (cpu_after.ru_utime + cpu_after.ru_stime - cpu_before.ru_utime - cpu_before.ru_stime) / 3
    assert min(spent, *walls) <= 0.5


def test_compile_verify_and_bench_from_the_command_line(tiny_checkpoint, tmp_path):
    place = tmp_path / "b"
    done = edgevid("compile", tiny_checkpoint, "--device", "host", "--batch", "1,2", "-o", place)
    assert done.returncode == 0, done.stderr
    assert "status: verified on the device" in done.stdout
    assert done.stderr == "", "progress is silent in a pipe"
    done = edgevid("verify", place)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("passed") == 2
    results = tmp_path / "results.json"
    done = edgevid("bench", place, "--rounds", 10, "--threads", 1, "-o", results)
    assert done.returncode == 0, done.stderr
    assert "VALID" in done.stdout
    assert json.loads(results.read_text())["schema_version"] >= 1


def test_verify_fails_with_status_one_when_a_bundle_disagrees(tiny_checkpoint, tiny_bundle, tmp_path):
    other = tmp_path / "swapped"
    assert edgevid("compile", tiny_checkpoint, "--first", "past", *QUICK, "-o", other).returncode == 0
    done = edgevid("verify", other, "--against", tiny_bundle)
    assert done.returncode == 1
    assert "FAILED" in done.stdout
    assert "do not deploy it" in done.stderr


def test_inspect_shows_each_value_with_its_source(tiny_checkpoint):
    done = edgevid("inspect", tiny_checkpoint, "--mean", "1,2,3", "--json")
    facts = json.loads(done.stdout)
    assert facts["settings"]["mean"] == {"value": "(1.0, 2.0, 3.0)", "source": "flag"}
    assert facts["settings"]["segments"]["source"] == "file"
    assert len(facts["shifts"]) == 4
    text = edgevid("inspect", tiny_checkpoint).stdout
    assert "assumed, since nothing says it" in text
    assert "layer1.0" in text


PIXELS = ("--mean", "123.675,116.28,103.53", "--std", "58.395,57.12,57.375", "--color", "RGB")


def test_inspect_says_of_an_onnx_file_what_each_candidate_is_and_what_is_missing(tiny_onnx):
    text = edgevid("inspect", tiny_onnx).stdout
    assert "pytorch" in text
    assert "[batch, 12, 32, 32], read as [N,T*3,H,W]" in text
    assert text.count("  shift at ") == 4
    words = " ".join(text.split())
    assert "T = 4, channels 0 to 1 take the next frame, channels 2 to 3 take the previous frame" in words
    assert "1/4 of 16 channels move" in words
    assert "to compile it, give --mean, --std, --color" in text
    facts = json.loads(edgevid("inspect", tiny_onnx, *PIXELS, "--json").stdout)
    assert facts["missing"] == []
    assert facts["settings"]["mean"]["source"] == "flag"
    assert facts["settings"]["segments"] == {"value": "4", "source": "file"}
    assert [candidate["shift"] is not None for candidate in facts["candidates"]] == [True] * 4
    assert facts["bytes"] == tiny_onnx.stat().st_size
    assert facts["canonical_nodes"] < facts["nodes"]


def test_an_onnx_file_compiles_and_verifies_from_the_command_line(tiny_onnx, tiny_bundle, tmp_path):
    done = edgevid("compile", tiny_onnx, *PIXELS, *QUICK, "--batch", "1,2", "-o", tmp_path / "b")
    assert done.returncode == 0, done.stderr
    assert "status: verified on the device" in done.stdout
    done = edgevid("verify", tmp_path / "b", "--against", tiny_bundle)
    assert done.returncode == 0, done.stderr


def test_devices_lists_every_profile_with_reasons():
    records = json.loads(edgevid("devices", "--json").stdout)
    names = {record["device"] for record in records}
    assert names >= {"host", "xeon-e5-2690", "xeon-cascadelake", "xeon-icelake", "xeon-sapphirerapids"}
    assert all(record["precisions"] for record in records)
    assert all(reason for record in records for reason in record["missing"].values())
    rows = {line.split()[0] for line in edgevid("devices").stdout.splitlines() if ": no " not in line}
    assert names <= rows, "no name is cut in a pipe"


def test_doctor_names_the_command_for_what_is_missing():
    code = """
import importlib.metadata as metadata, sys
real = metadata.version
def version(name):
    if name == "openvino":
        raise metadata.PackageNotFoundError(name)
    return real(name)
metadata.version = version
sys.argv = ["edgevid", "doctor"]
from edgevid.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "not installed" in done.stdout
    assert "pip install 'edgevid[openvino]'" in done.stdout


def test_models_lists_presets_beside_the_papers_figures():
    records = {record["name"]: record for record in json.loads(edgevid("models", "--json").stdout)}
    resnet = records["tsm-resnet50"]
    assert resnet["parameters"] / 1e6 == pytest.approx(resnet["published_parameters_m"], rel=0.01)
    assert resnet["macs"] / 1e9 == pytest.approx(resnet["published_gmacs"], rel=0.01)
    assert (resnet["macs_difference"], resnet["remark"]) == (pytest.approx(-0.009, abs=0.001), "")
    mobilenet = records["stsm-mobilenetv2"]
    assert mobilenet["parameters_difference"] == pytest.approx(0.174, abs=0.001)
    assert "174 classes" in mobilenet["remark"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["inspect", "missing.pth"], "missing.pth"),
        (["compile", "{ckpt}", "-o", "b", "--device", "xeon-icelak"], "did you mean xeon-icelake"),
        (["compile", "{ckpt}", "-o", "b", "--precision", "int8", "--device", "reference"], "use one of fp32"),
        (
            ["compile", "{ckpt}", "-o", "b", "--precision", "int8", "--device", "xeon-icelake"],
            "give --calibration",
        ),
        (["compile", "{ckpt}", "-o", "b", "--batch", "one"], "--batch"),
        (["compile", "{ckpt}", "-o", "b", "--mean", "1,2"], "--mean"),
        (["compile", "{onnx}", "-o", "b"], "--mean"),
        (["compile", "{onnx}", "-o", "b", "--preset", "tsm-resnet50", "--segments", "16"], "16 frames"),
        (["compile", "{onnx}", "-o", "b", "--preset", "tsm-resnet50", "--output-name", "x"], "no output 'x'"),
        (["inspect", "{onnx}", "--proportion", "1/4"], "holds its network already"),
        (["inspect", "{onnx}", "--input-layout", "NCHW"], "--input-layout"),
        (["inspect", "missing.onnx"], "missing.onnx"),
        (["compile", "{ckpt}", "-o", "b", "--hint", "fast"], "latency or throughput"),
        (["compile", "{ckpt}", "-o", "b", "--preset", "tsm-resnet5"], "tsm-resnet50"),
        (["verify", "."], "no bundle there"),
        (["run", "nowhere", "video.mp4"], "no bundle there"),
        (["run", "{bundle}", "{ckpt}", "--crops", "2"], "--crops"),
        (["bench", "nowhere"], "no bundle there"),
    ],
)
def test_bad_input_gives_one_clear_message_and_no_traceback(
    arguments, told, tiny_checkpoint, tiny_onnx, tiny_bundle, tmp_path
):
    filled = [a.format(ckpt=tiny_checkpoint, onnx=tiny_onnx, bundle=tiny_bundle) for a in arguments]
    done = edgevid(*filled, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_is_named_with_the_command_that_installs_it(tiny_checkpoint, tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('No module named torch', name='torch')\n")
    done = subprocess.run(
        [*EDGEVID, "inspect", tiny_checkpoint],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "torch is not installed" in done.stderr
    assert "pip install 'edgevid[compile]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_too_long_for_the_disk_is_an_error_in_words(tiny_bundle):
    done = edgevid("verify", "x" * 300)
    assert done.returncode == 1
    assert "File name too long" in done.stderr
    assert "Traceback" not in done.stderr


def test_results_that_could_not_be_written_are_refused_before_measuring(tiny_bundle, tmp_path):
    done = edgevid("bench", tiny_bundle, "-o", tmp_path / "missing" / "x.json")
    assert done.returncode == 1
    assert "the folder of the results does not exist" in done.stderr


def test_a_closed_pipe_is_no_error(tiny_checkpoint):
    command = " ".join([sys.executable, "-m", "edgevid", "inspect", str(tiny_checkpoint), "--json"])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | head -1"], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "{"
    assert "Traceback" not in done.stderr


def test_python_dash_m_edgevid_is_the_same_program():
    done = subprocess.run(
        [sys.executable, "-m", "edgevid", "--help"], capture_output=True, text=True, check=True
    )
    assert "compile" in done.stdout


def test_a_bundle_opens_in_an_environment_without_torch_and_onnx(tiny_bundle, tmp_path):
    """A device has numpy, pydantic and one runtime; compile's packages are not there."""
    for name in ("torch", "onnx", "onnx_ir", "onnxscript", "onnxruntime", "safetensors"):
        (tmp_path / f"{name}.py").write_text(f"raise ImportError('{name} is not installed here')\n")
    code = """
import sys
from edgevid import Bundle
bundle = Bundle.open(sys.argv[1])
with bundle.session() as session:
    print(session.run(bundle.golden_clip).shape)
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code, tiny_bundle],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert done.stdout.strip() == "(1, 5)", done.stderr


def test_shared_clips_run_from_disk(tiny_bundle):
    folder = Path(__file__).resolve().parent.parent.parent / "shared" / "video"
    if not folder.is_dir():
        pytest.skip("the shared clips are not beside this checkout")
    videos = sorted(folder.iterdir())
    done = edgevid("run", tiny_bundle, *videos, "--json")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)["videos"]) == len(videos)
