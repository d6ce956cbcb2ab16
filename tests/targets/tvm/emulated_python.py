"""A Python for aarch64 with TVM's runtime, made once and kept with the downloads; run under emulation."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from edgevid.targets.tvm.board_libraries import cache_folder
from edgevid.targets.tvm.emulator import Emulator

_UNUSED = ("tvm/lib/libtvm_compiler.so", "tvm/lib/libtvm_runtime_cuda.so", "tvm/3rdparty")


class EmulatedPython:
    """``root`` is a small Debian; ``packages`` holds TVM, its runtime alone, and numpy."""

    def __init__(self, folder):
        self.root, self.packages = folder / "root", folder / "packages"
        self.environment = {"PYTHONPATH": str(self.packages), "TVM_USE_RUNTIME_LIB": "1", "PATH": "/usr/bin"}

    def command(self, cpu, *arguments):
        program = self.root / "usr" / "bin" / "python3.11"
        return Emulator(cpu, self.root).command(program, *arguments)


def emulated_python():
    """Make it, or take the one that is there; skip the test where neither can be."""
    tvm, ffi = metadata.version("apache-tvm"), metadata.version("apache-tvm-ffi")
    cache_folder().mkdir(parents=True, exist_ok=True)
    folder = cache_folder() / f"python-arm64-tvm-{tvm}-ffi-{ffi}-numpy-{np.__version__}"
    # Several processes of one test run want it at the same time.
    with (cache_folder() / "python-arm64.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            if shutil.which("debootstrap") is None or os.geteuid() != 0:
                pytest.skip("debootstrap is not installed, or we are not root")
            with tempfile.TemporaryDirectory(dir=cache_folder()) as name:
                draft = Path(name) / "draft"
                _debian(draft / "root")
                _packages(
                    draft / "packages",
                    [f"apache-tvm=={tvm}", f"apache-tvm-ffi=={ffi}", f"numpy=={np.__version__}"],
                )
                draft.rename(folder)
    return EmulatedPython(folder)


def _debian(root):
    _run(
        "debootstrap", "--foreign", "--arch=arm64", "--variant=minbase", "--include=python3", "bookworm", root
    )
    # The second stage would run the system's own programs: unpacking is all that is needed.
    archives = root / "var" / "cache" / "apt" / "archives"
    for package in archives.glob("*.deb"):
        _run("dpkg-deb", "-x", package, root)
    shutil.rmtree(archives)


def _packages(folder, wanted):
    _run(
        *(sys.executable, "-m", "pip", "install", "--quiet", "--target", folder, "--only-binary=:all:"),
        *("--platform=manylinux_2_28_aarch64", "--python-version=3.11", *wanted),
    )
    for name in _UNUSED:
        path = folder / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=500, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]} fails, so there is no Python for aarch64: {done.stderr[-300:]}")
