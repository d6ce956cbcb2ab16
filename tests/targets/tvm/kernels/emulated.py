"""One kernel for an ARM core, emulated: linked with a program that stands for TVM's runtime."""

import subprocess
from pathlib import Path

import numpy as np
import tvm

from edgevid.targets.tvm.cpus import cpu
from edgevid.targets.tvm.cross import compiler, headers
from edgevid.targets.tvm.emulator import Emulator

HARNESS = Path(__file__).with_name("one_kernel.cc")
CODES = {"i": 0, "u": 1, "f": 2}


def run_on(name, function, inputs, target, folder):
    """The result of a kernel for arrays as they stand in memory, on the core of that name."""
    core = cpu(name)
    library = tvm.compile(tvm.IRModule({"kernel": function}), target=tvm.target.Target(core.llvm))
    library.mod.write_to_file(str(folder / "kernel.o"))
    program, data = folder / "program", folder / "data"
    command = [compiler(core), *headers(), "-static", "-o", program, HARNESS, folder / "kernel.o"]
    subprocess.run(command, check=True)
    arrays = [np.ascontiguousarray(value) for value in (*inputs, np.zeros(target.shape, target.dtype))]
    data.write_bytes(np.int64(len(arrays)).tobytes() + b"".join(map(_told, arrays)))
    done = Emulator(core).run(program, str(data))
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    last = arrays[-1]
    return np.frombuffer(data.read_bytes()[-last.nbytes :], last.dtype).reshape(last.shape)


def _told(array):
    facts = [CODES[array.dtype.kind], array.dtype.itemsize * 8, array.ndim, *array.shape, array.nbytes]
    return np.array(facts, np.int64).tobytes() + array.tobytes()
