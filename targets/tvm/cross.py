"""From a compiled module to a shared library for a processor, this machine's or another one's."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgevid.errors import MissingDependencyError, TargetError
from edgevid.targets._install import require
from edgevid.targets.tvm.cpus import Cpu
from edgevid.targets.tvm.elf import check_old_enough, read_needs

__all__ = ["SOURCES", "build", "compiler", "export", "headers"]

SOURCES = Path(__file__).parent / "runner"
"""Of the programs that run on boards."""

_PACKAGES = {"aarch64": "g++-aarch64-linux-gnu", "x86_64": "g++-x86-64-linux-gnu"}
"""Of Debian and Ubuntu."""

_PATIENCE_SECONDS = 600


def compiler(cpu: Cpu) -> str:
    """The C++ compiler for a processor's system: ``$CXX`` or ``g++`` where it is this machine's.

    Raises:
        MissingDependencyError: there is none; the message names the package.
    """
    native = platform.machine() == cpu.architecture
    named = os.environ.get("CXX", "") if native else ""
    wanted = [named] if named else ["g++", "c++", "clang++"] if native else [f"{cpu.triple}-g++"]
    for name in wanted:
        if found := shutil.which(name):
            return found
    package = "g++" if native else _PACKAGES[cpu.architecture]
    raise MissingDependencyError(
        f"no C++ compiler for {cpu.architecture}: {' or '.join(wanted)}",
        where=cpu.name,
        fix=f"install it, on Debian or Ubuntu: apt-get install {package}",
    )


def export(executable: Any, cpu: Cpu, path: Path) -> None:
    """Write an executable of TVM as a shared library, which can tell what board it was loaded on.

    Args:
        executable: what ``tvm.compile`` returned.
        cpu: that it was compiled for.
        path: of the library.

    Raises:
        MissingDependencyError: no compiler for this processor's system.
        TargetError: it cannot be linked, or older boards could not load it.
    """

    def link(output: str, objects: Sequence[str], **_: Any) -> None:
        needs = f'-DEDGEVID_NEEDS="{" ".join(sorted(cpu.kernel_flags))}"'
        probe = [*headers(), needs, str(SOURCES / "probe.cc")]
        build(cpu, ["-shared", "-fPIC", "-O2", *probe, *objects], Path(output))

    executable.export_library(str(path), fcompile=link)


def headers() -> list[str]:
    """GCC's arguments for programs that use TVM."""
    ffi = require("tvm_ffi.libinfo", "tvm")
    return ["-std=c++17", f"-I{ffi.find_include_path()}", f"-I{ffi.find_dlpack_include_path()}"]


def build(cpu: Cpu, arguments: Sequence[str], path: Path) -> None:
    """Compile or link with GCC's arguments; what is for ARM must run on boards with old systems.

    Raises:
        MissingDependencyError, TargetError: as `export`.
    """
    command = [compiler(cpu), *arguments, "-o", str(path)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TargetError(f"the compiler cannot be run: {error}", where=command[0]) from error
    if done.returncode:
        said = done.stderr.strip().splitlines()
        wrong = [line for line in said if "error" in line] or said or [f"exit status {done.returncode}"]
        raise TargetError(
            f"the compiler fails: {wrong[0]}",
            where=" ".join(command),
            fix="see that it is GCC 9 or later, with its C and C++ libraries",
        )
    if read_needs(path).machine != cpu.architecture:
        raise TargetError(
            f"the compiler made {read_needs(path).machine} of it, not {cpu.architecture}",
            where=command[0],
            fix="unset CXX",
        )
    if cpu.architecture == "aarch64":
        check_old_enough(path)
