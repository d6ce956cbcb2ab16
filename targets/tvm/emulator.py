"""Programs for ARM boards on this machine: QEMU's user-mode emulation, under the board's own CPU model.

An instruction that the core lacks faults, as on the board. How long anything takes means nothing.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgevid.errors import MissingDependencyError, TargetError
from edgevid.targets.tvm.cpus import Cpu

__all__ = ["Emulator"]

_PROGRAMS = ("qemu-aarch64-static", "qemu-aarch64")
_CROSS_ROOT = Path("/usr/aarch64-linux-gnu")
"""C and C++ libraries of Debian's cross-compiler."""


@dataclass(frozen=True)
class Emulator:
    """A core, and the folder in which its programs find their C library.

    Attributes:
        cpu: which instructions there are.
        root: a folder with ``lib/ld-linux-aarch64.so.1``.
    """

    cpu: Cpu
    root: Path = _CROSS_ROOT

    def command(self, program: Path, *arguments: str) -> list[str]:
        """What this machine runs for a program of the board.

        Raises:
            MissingDependencyError: no emulator, or no C library for its programs.
            TargetError: QEMU has no model of this CPU.
        """
        if not self.cpu.qemu:
            raise TargetError("this CPU is not emulated", where=self.cpu.name)
        found = next(filter(None, map(shutil.which, _PROGRAMS)), None)
        if found is None:
            raise MissingDependencyError(
                "no emulator of aarch64 programs: qemu-aarch64-static",
                fix="install it, on Debian or Ubuntu: apt-get install qemu-user-static",
            )
        if not (self.root / "lib" / "ld-linux-aarch64.so.1").exists():
            raise MissingDependencyError(
                "no C library for aarch64 programs",
                where=self.root,
                fix="install it, on Debian or Ubuntu: apt-get install g++-aarch64-linux-gnu",
            )
        return [found, "-cpu", self.cpu.qemu, "-L", str(self.root), str(program), *arguments]

    def run(self, program: Path, *arguments: str, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Run to the end; the caller looks at the exit status.

        Raises:
            MissingDependencyError, TargetError: as `command`, or it takes longer than ``timeout`` seconds.
        """
        command = self.command(program, *arguments)
        try:
            return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        except subprocess.TimeoutExpired as error:
            raise TargetError(
                f"the emulated program took more than {timeout:g} s", where=" ".join(command)
            ) from error
