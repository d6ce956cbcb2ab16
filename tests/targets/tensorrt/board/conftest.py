"""Bundles for boards, and a machine that takes a board's place: TensorRT and CUDA by their stand-ins."""

import functools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgevid.calibration.clips import Arrays
from edgevid.checkpoints import write
from edgevid.compiler import compile_checkpoint
from edgevid.int8 import Int8
from edgevid.models import build

STAND_IN = Path(__file__).with_name("stand_in")
TX2_LINE = (
    "RAM 1564/7860MB (lfb 1083x4MB) SWAP 0/3930MB (cached 0MB) CPU [3%@345,off,off,0%@345,1%@345,1%@345] "
    "EMC_FREQ 0%@665 GR3D_FREQ 99%@1300 APE 150 PLL@35C MCPU@35C PMIC@100C Tboard@32C GPU@33.5C BCPU@35C "
    "thermal@34.3C Tdiode@32.75C VDD_SYS_GPU 152/152 VDD_IN 1791/1802 VDD_SYS_CPU 152/152"
)


@pytest.fixture(scope="session")
def board_bundle(tiny_checkpoint, tmp_path_factory):
    """A function that compiles the tiny network for a board, once. Do not change what it gives: copy it."""

    @functools.cache
    def make(device, precision, batch=1):
        pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 32, 32, 3)).astype(np.uint8)
        int8 = Int8(Arrays(pixels, [0, 1, 2, 3, 4, 0])) if precision == "int8" else None
        place = tmp_path_factory.mktemp("boards") / f"{device}-{precision}-{batch}.bundle"
        return compile_checkpoint(
            tiny_checkpoint, place, device=device, precision=precision, batches=(batch,), int8=int8
        ).path

    return make


@pytest.fixture(scope="session")
def streaming_bundle(tiny_network, tiny_checkpoint, tmp_path_factory):
    """A function that compiles a network that takes frame by frame for a board, once: copy what it gives.

    One that takes from the past alone, or with ``lookahead`` the bidirectional one.
    """
    past = tmp_path_factory.mktemp("past") / "past.safetensors"
    shift = tiny_network.config.shift.model_copy(update={"direction": "unidirectional"})
    network = build(tiny_network.config.model_copy(update={"shift": shift})).eval()
    network.load_state_dict(tiny_network.state_dict())
    write(past, network)

    @functools.cache
    def make(device, precision, lookahead=False):
        pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 32, 32, 3)).astype(np.uint8)
        int8 = Int8(Arrays(pixels, [0, 1, 2, 3, 4, 0])) if precision == "int8" else None
        place = tmp_path_factory.mktemp("streams") / f"{device}-{precision}-{lookahead}.bundle"
        checkpoint = tiny_checkpoint if lookahead else past
        return compile_checkpoint(
            checkpoint, place, device=device, precision=precision, int8=int8, streaming=True,
            lookahead=lookahead,
        ).path  # fmt: skip

    return make


@pytest.fixture(scope="session")
def cudart(tmp_path_factory):
    """A folder with the stand-in of CUDA's runtime library."""
    folder = tmp_path_factory.mktemp("cudart")
    command = ["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", folder / "libcudart.so"]
    subprocess.run([*command, STAND_IN / "cudart.c"], check=True)
    return folder


@pytest.fixture
def on_board(cudart, tmp_path):
    """Runs build_engine.py of a bundle in an empty folder; ``settings`` are STAND_IN_... variables."""

    def run(bundle, *arguments, libraries=cudart, modules=STAND_IN, path=None, **settings):
        batch = next((bundle / "artifacts").iterdir()).name
        environment = {
            **os.environ,
            "LD_LIBRARY_PATH": str(libraries),
            "PYTHONPATH": str(modules),
            "STAND_IN_LEDGER": str(tmp_path / "ledger"),
            "OMP_NUM_THREADS": "1",
            **{f"STAND_IN_{name.upper()}": str(value) for name, value in settings.items()},
        }
        if path is not None:
            environment["PATH"] = f"{path}:{environment['PATH']}"
        return subprocess.run(
            [sys.executable, bundle / "artifacts" / batch / "build_engine.py", *map(str, arguments)],
            capture_output=True, text=True, timeout=200, check=False, cwd=tmp_path, env=environment,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def tegrastats(tmp_path_factory):
    """A folder with a program that prints a TX2's line again and again."""
    folder = tmp_path_factory.mktemp("tegrastats")
    program = folder / "tegrastats"
    program.write_text(f"#!/bin/sh\nwhile true; do echo '{TX2_LINE}'; sleep 0.05; done\n")
    program.chmod(0o755)
    return folder
