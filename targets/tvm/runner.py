"""The C++ runner: a program that runs a compiled network where there is no Python.

Its source is in ``runner/``; ``./run`` without arguments tells how it is used.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from edgevid.targets._install import require
from edgevid.targets.tvm.board_libraries import LIBRARIES, board_libraries
from edgevid.targets.tvm.cpus import Cpu
from edgevid.targets.tvm.cross import SOURCES, build, headers

__all__ = ["build_runner"]


def build_runner(folder: Path, cpu: Cpu) -> Path:
    """Write the program ``run`` and the two libraries of TVM that it needs into ``folder``.

    Returns:
        The program. It finds its libraries beside itself.

    Raises:
        MissingDependencyError: no compiler for this processor's system, or no libraries.
        TargetError: it cannot be compiled, or older boards could not load it.
    """
    libraries = board_libraries() if cpu.architecture == "aarch64" else _installed_libraries()
    folder.mkdir(parents=True, exist_ok=True)
    for library in libraries:
        shutil.copy(library, folder / library.name)
    build(
        cpu,
        [
            *("-O2", "-s", *headers()),
            *(str(SOURCES / name) for name in ("run.cc", "old_glibc.cc")),
            # Kept though no symbol of it is used: loading it is what registers the virtual machine.
            *("-Wl,--no-as-needed", *(str(folder / library.name) for library in libraries)),
            *("-Wl,-rpath,$ORIGIN", "-Wl,--as-needed"),
        ],
        folder / "run",
    )
    return folder / "run"


def _installed_libraries() -> tuple[Path, ...]:
    """Of this machine's wheels."""
    packages = (require("tvm", "tvm"), require("tvm_ffi", "tvm"))
    return tuple(
        Path(package.__file__).parent.parent / inside
        for package, inside in zip(packages, LIBRARIES.values(), strict=True)
    )
