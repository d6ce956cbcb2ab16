"""The script around NVIDIA's trtexec, run with a program in its place that shows its arguments."""

import subprocess

import pytest

from edgevid.targets.tensorrt.board.trtexec import trtexec_script

CACHE = "TRT-100300-EntropyCalibration2\ninput: 3c008912\n"


@pytest.fixture
def arguments(tmp_path):
    """What trtexec of a version is called with."""

    def run(version, *given):
        folder = tmp_path / "bundle with blanks"
        folder.mkdir(exist_ok=True)
        (folder / "calibration.cache").write_text(CACHE)
        (folder / "trtexec.sh").write_text(trtexec_script(*given))
        program = tmp_path / "trtexec"
        program.write_text(
            f'#!/bin/sh\necho "&&&& RUNNING TensorRT.trtexec [TensorRT v{version}] # x"\n'
            'for each in "$@"; do echo "$each"; done\n'
        )
        program.chmod(0o755)
        return subprocess.run(
            ["sh", folder / "trtexec.sh", "--verbose"],
            capture_output=True, text=True, check=False, cwd=tmp_path,
            env={"TRTEXEC": str(program), "PATH": "/usr/bin:/bin"},
        )  # fmt: skip

    return run


def test_a_tensorrt_8_gets_its_flags(arguments, tmp_path):
    lines = arguments("8201", "fp16", 1 << 30, []).stdout.splitlines()
    assert {"--workspace=1024", "--fp16", "--noTF32", "--verbose", "--exportTimes=times.json"} <= set(lines)
    assert f"--onnx={tmp_path}/bundle with blanks/model.onnx" in lines
    assert not any(line.startswith("--memPoolSize") for line in lines)


def test_a_tensorrt_10_gets_its_flags(arguments):
    lines = arguments("100300", "fp16", 1 << 29, []).stdout.splitlines()
    assert "--memPoolSize=workspace:512" in lines
    assert not any(line.startswith("--workspace") for line in lines)


@pytest.mark.parametrize("version", ["7103", "110000", ""])
def test_another_tensorrt_is_refused(arguments, version):
    done = arguments(version, "fp16", 1 << 30, [])
    assert done.returncode == 1
    assert "TensorRT 8 or 10 is wanted" in done.stderr


def test_layers_in_float_are_named_where_trtexec_can(arguments):
    held = "--layerPrecisions=/gate/Tanh:fp32,softmax 1:fp32"
    assert held in arguments("8502", "fp16", 1 << 30, ["/gate/Tanh", "softmax 1"]).stdout.splitlines()
    assert "layerPrecisions" not in arguments("8201", "fp16", 1 << 30, ["/gate/Tanh"]).stdout
    assert "layerPrecisions" not in arguments("8502", "fp32", 1 << 30, ["/gate/Tanh"]).stdout


def test_the_calibration_cache_is_given_the_version_of_this_trtexec(arguments, tmp_path):
    lines = arguments("8502", "int8", 1 << 30, []).stdout.splitlines()
    assert {"--int8", "--fp16", "--calib=calibration.cache"} <= set(lines)
    assert (tmp_path / "calibration.cache").read_text() == CACHE.replace("100300", "8502")
