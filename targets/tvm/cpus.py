"""The processors that kernels are written for: what LLVM is told of them, and their registers.

ARM: Technical Reference Manuals of the cores. ARMv8.0 cores (A53, A57, A72) have neither products of
bytes summed in 32 bits (``sdot``, FEAT_DotProd) nor float16 arithmetic (FEAT_FP16); ARMv8.2 ones have.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Literal

from edgevid.errors import ConfigError
from edgevid.targets._machine import Processor, this_processor

__all__ = ["Cpu", "Dot", "cpu", "cpu_names", "host_cpu"]

Dot = Literal["vnni512", "vnni256", "madd512", "madd256", "sdot", "smull"]
"""How products of bytes are summed in 32 bits: by one instruction (``vnni``, ``sdot``) or by widening."""

_KERNEL_NAMES = {
    "neon": "asimd",
    "dotprod": "asimddp",
    "fullfp16": "asimdhp",
    "avx512vnni": "avx512_vnni",
    "avxvnni": "avx_vnni",
}
"""LLVM's names of features to those of Linux, where they differ."""

_ARM, _X86 = "aarch64-linux-gnu", "x86_64-linux-gnu"


@dataclass(frozen=True)
class Cpu:
    """One kind of core.

    Attributes:
        name: as `cpu` takes it.
        title: in words.
        triple: LLVM's and the cross-compiler's name of the system.
        mcpu: LLVM's name of the core.
        features: LLVM's names of instruction sets that kernels may count on.
        lanes: float32 numbers of one vector register.
        registers: vector registers.
        dot: how products of bytes are summed.
        fp16: has float16 arithmetic.
        cores: of a usual board.
        qemu: the emulator's name of it, empty where it is not emulated.
    """

    name: str
    title: str
    triple: str
    mcpu: str
    features: tuple[str, ...]
    lanes: int
    registers: int
    dot: Dot
    fp16: bool
    cores: int
    qemu: str = ""

    @property
    def architecture(self) -> str:
        """``aarch64`` or ``x86_64``."""
        return self.triple.partition("-")[0]

    @property
    def llvm(self) -> dict[str, Any]:
        """What ``tvm.target.Target`` takes."""
        return {
            "kind": "llvm",
            "mtriple": self.triple,
            "mcpu": self.mcpu,
            "mattr": [f"+{feature}" for feature in self.features],
            "num-cores": self.cores,
        }

    @property
    def kernel_flags(self) -> frozenset[str]:
        """The features as ``/proc/cpuinfo`` names them."""
        return frozenset(_KERNEL_NAMES.get(feature, feature) for feature in self.features)

    def require(self, feature: str) -> None:
        """Raise `ConfigError` unless the core has ``feature``, by LLVM's name."""
        if feature in self.features:
            return
        have = [other for other in _CPUS if feature in other.features and other.triple == self.triple]
        raise ConfigError(
            f"{self.title} has no {feature}",
            where=self.name,
            fix=f"it has {', '.join(self.features)}"
            + (f"; CPUs with {feature}: {', '.join(other.name for other in have)}" if have else ""),
        )


def _arm(name: str, title: str, cores: int, *more: str, qemu: str = "") -> Cpu:
    return Cpu(
        name=name,
        title=title,
        triple=_ARM,
        mcpu=name,
        features=("neon", *more),
        lanes=4,
        registers=32,
        dot="sdot" if "dotprod" in more else "smull",
        fp16="fullfp16" in more,
        cores=cores,
        qemu=qemu or name,
    )


_AVX2 = ("avx2", "fma", "f16c")
_AVX512 = (*_AVX2, "avx512f", "avx512bw", "avx512dq", "avx512vl")

_CPUS = (
    _arm("cortex-a53", "Arm Cortex-A53", 4),
    _arm("cortex-a57", "Arm Cortex-A57 (the Jetson TX2's)", 4),
    _arm("cortex-a72", "Arm Cortex-A72 (Raspberry Pi 4)", 4),
    _arm("cortex-a76", "Arm Cortex-A76 (Raspberry Pi 5)", 4, "dotprod", "fullfp16"),
    _arm("neoverse-n1", "Arm Neoverse N1", 4, "dotprod", "fullfp16"),
    # The emulator does not know it by name: `max` has all that it has, and more.
    _arm("neoverse-v1", "Arm Neoverse V1", 4, "dotprod", "fullfp16", "sve", "bf16", "i8mm", qemu="max"),
    Cpu("avx2", "x86-64 with AVX2", _X86, "haswell", _AVX2, 8, 16, "madd256", False, 4),
    Cpu(
        "avx2-vnni",
        "x86-64 with AVX-VNNI",
        _X86,
        "alderlake",
        (*_AVX2, "avxvnni"),
        8,
        16,
        "vnni256",
        False,
        4,
    ),
    Cpu("avx512", "x86-64 with AVX-512", _X86, "skylake-avx512", _AVX512, 16, 32, "madd512", False, 4),
    Cpu(
        *("avx512-vnni", "x86-64 with AVX-512 VNNI", _X86, "cascadelake", (*_AVX512, "avx512vnni")),
        *(16, 32, "vnni512", False, 4),
    ),
)


def cpu_names() -> tuple[str, ...]:
    """All that `cpu` knows."""
    return (*(one.name for one in _CPUS), "host")


def cpu(name: str) -> Cpu:
    """The processor of that name; ``host`` is this machine's.

    Raises:
        ConfigError: unknown; the nearest known names are suggested.
    """
    if name == "host":
        return host_cpu()
    for one in _CPUS:
        if one.name == name:
            return one
    close = get_close_matches(name.lower(), cpu_names(), 2, 0.5)
    raise ConfigError(
        f"unknown CPU {name!r}",
        fix=(f"did you mean {' or '.join(close)}? " if close else "") + f"CPUs: {', '.join(cpu_names())}",
    )


def host_cpu(processor: Processor | None = None) -> Cpu:
    """This machine's processor: the most capable known one whose instructions it has.

    Args:
        processor: of another machine, for tests.

    Raises:
        ConfigError: it has neither AVX2 nor NEON.
    """
    processor = processor or this_processor()
    for name in _MOST_CAPABLE_FIRST:
        found = cpu(name)
        if found.kernel_flags <= processor.flags:
            # LLVM avoids vectors of 512 bits for Intel's cores, which slow down; Zen 4 does not.
            zen = found.dot == "vnni512" and processor.flags >= _ZEN4
            return replace(
                found,
                name="host",
                title=f"this machine: {processor.model_name}",
                mcpu="znver4" if zen else found.mcpu,
                cores=os.cpu_count() or 1,
                qemu="",
            )
    raise ConfigError(
        "this machine's processor has neither AVX2 and FMA nor NEON",
        where=processor.model_name,
        fix=f"compile for another one: {', '.join(one.name for one in _CPUS)}",
    )


_ZEN4 = frozenset({"sse4a", "avx512_bf16", "avx512_vbmi2", "avx512_bitalg", "avx512ifma", "gfni", "vaes"})

_MOST_CAPABLE_FIRST = ("avx512-vnni", "avx512", "avx2-vnni", "avx2", "cortex-a76", "cortex-a72")
"""Of Arm's, those whose code runs wherever the features are."""
