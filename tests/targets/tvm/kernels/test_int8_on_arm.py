"""Int8 kernels for other cores: their instructions, and on ARM their results under emulation."""

import shutil

import numpy as np
import pytest

pytest.importorskip("tvm")

import tvm
from emulated import run_on
from int8_reference import arguments, expected, packed, parameters
from reference import unpack

from edgevid.targets.tvm.cpus import cpu
from edgevid.targets.tvm.kernels.choose import candidates
from edgevid.targets.tvm.network import Convolution, Dense, Frames, Move, Quantization

emulation = pytest.mark.skipif(
    not (shutil.which("qemu-aarch64-static") and shutil.which("aarch64-linux-gnu-g++")),
    reason="needs qemu-user-static and g++-aarch64-linux-gnu",
)


def frames(channels, height, width, zero=-128, clips=1, segments=3):
    return Frames(clips, segments, channels, height, width, 4, "int8", Quantization(0.03, zero))


SHIFTED = Convolution(
    frames(21, 5, 6, zero=7),
    frames(30, 5, 6),
    moves=(Move(0, 5, 1), Move(5, 9, -1)),
    bounds=(0.0, 6.0),
    residual=frames(30, 5, 6, zero=3),
)
SPATIAL = Convolution(
    frames(9, 7, 9), frames(14, 4, 5, zero=0), (1, 3, 3), (1, 2, 2), (0, 1, 1), moves=(Move(2, 5, 0, 1, -1),)
)
DEPTHWISE = Convolution(
    frames(10, 6, 7), frames(10, 6, 7), (1, 5, 5), pads=(0, 2, 2), groups=10, bounds=(0.0, None)
)
VOLUME = Convolution(frames(5, 4, 4), Frames(1, 3, 6, 4, 4, 4), (3, 3, 3), pads=(1, 1, 1))
DENSE = Dense(frames(37, 1, 1, clips=4), Frames(4, 3, 11, 1, 1, 4))


@emulation
@pytest.mark.parametrize("name", ["cortex-a53", "cortex-a76"])
@pytest.mark.parametrize("operation", [SHIFTED, SPATIAL, DEPTHWISE, VOLUME, DENSE])
def test_emulated_kernels_are_exact(name, operation, tmp_path):
    kernel = candidates(operation, cpu(name))[0]
    weights, values = parameters(operation), arguments(operation)
    source, *skip = packed(operation, values)
    inputs = [source, *kernel.pack(weights), *skip]
    result = run_on(name, kernel.build("kernel"), inputs, operation.target, tmp_path)
    np.testing.assert_array_equal(unpack(result, operation.target), expected(operation, weights, *values))


@pytest.mark.parametrize(
    ("name", "instruction"),
    [
        ("cortex-a53", "smlal"),
        ("cortex-a57", "smlal"),
        ("cortex-a72", "smlal"),
        ("cortex-a76", "sdot"),
        ("neoverse-n1", "sdot"),
        ("neoverse-v1", "sdot"),
        ("avx2", "vpmaddwd"),
        ("avx2-vnni", "vpdpbusd"),
        ("avx512", "vpmaddwd"),
        ("avx512-vnni", "vpdpbusd"),
    ],
)
@pytest.mark.parametrize("groups", [1, 16])
def test_every_core_multiplies_bytes_by_its_own_instruction(name, instruction, groups):
    core = cpu(name)
    kind, zero = ("int8", -128) if core.architecture == "aarch64" else ("uint8", 0)
    of = Frames(1, 1, 16, 8, 8, core.lanes, kind, Quantization(0.1, zero))
    operation = Convolution(of, of, (1, 3, 3), pads=(0, 1, 1), groups=groups)
    kernel = candidates(operation, core)[0]
    module = tvm.compile(tvm.IRModule({"f": kernel.build("f")}), target=tvm.target.Target(core.llvm))
    assert f"\t{instruction}" in module.mod.inspect_source("asm")
