"""The machine and the process that something was measured on."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

import edgevid

__all__ = ["Environment", "huge_pages", "look_around", "quiet_thread_pools"]

ISA_OF_INTEREST = (
    *("sse4_2", "avx", "f16c", "fma", "avx2", "avx_vnni"),
    *("avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_bf16", "amx_int8", "amx_fp16"),
    *("asimd", "asimdhp", "asimddp", "fphp", "i8mm", "bf16", "sve", "sve2"),
)
"""CPU flags that decide which kernels a runtime takes, x86 first, then Arm."""

RUNTIMES = (
    *("numpy", "onnx", "onnxruntime", "openvino", "apache-tvm", "tensorrt", "tensorrt-rtx"),
    *("torch", "onnx-ir", "onnxscript", "onnxsim", "opencv-python-headless", "av"),
)
"""Distributions whose versions are recorded when they are installed. None is imported."""

VARIABLES = (
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES", "GOMP_SPINCOUNT"),
    *("GOMP_CPU_AFFINITY", "KMP_BLOCKTIME", "KMP_AFFINITY", "MKL_NUM_THREADS"),
    *("OPENBLAS_NUM_THREADS", "OPENBLAS_THREAD_TIMEOUT", "OPENBLAS_CORETYPE"),
    *("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "ONEDNN_DEFAULT_FPMATH_MODE"),
    *("TVM_NUM_THREADS", "TVM_BIND_THREADS", "TVM_THREAD_POOL_SPIN_COUNT"),
    *("ORT_INTRA_OP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "CUDA_MODULE_LOADING"),
    *("GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "LD_PRELOAD"),
)
"""Environment variables that change how fast a runtime is."""


class Environment(BaseModel):
    """What a reader needs to know to repeat a measurement. ``None`` means that it cannot be read here.

    Attributes:
        cpu: name of the CPU model.
        isa: those of its flags that decide which kernels run.
        cpus: logical CPUs of the machine.
        affinity: CPUs that this process may use.
        governor: of the first CPU that this process may use.
        frequency_khz: lowest and highest frequency of that CPU.
        memory_bytes: of the machine.
        load_average: over 1, 5 and 15 minutes.
        virtualization: hints that this is a virtual machine or a container.
        packages: version of each installed runtime.
        variables: environment variables that change the speed of a runtime.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cpu: str | None
    isa: tuple[str, ...]
    cpus: int | None
    affinity: tuple[int, ...] | None
    governor: str | None
    frequency_khz: tuple[int, int] | None
    memory_bytes: int | None
    load_average: tuple[float, float, float] | None
    architecture: str
    kernel: str
    system: str
    virtualization: tuple[str, ...]
    python: str
    edgevid: str
    packages: dict[str, str]
    variables: dict[str, str]


def look_around(root: Path = Path("/"), variables: Mapping[str, str] | None = None) -> Environment:
    """Describe this machine and this process.

    Args:
        root: where ``proc``, ``sys`` and ``etc`` are looked for.
        variables: taken for ``os.environ``.
    """
    environ = os.environ if variables is None else variables
    information = _text(root / "proc/cpuinfo") or ""
    affinity = _affinity()
    clock = root / f"sys/devices/system/cpu/cpu{affinity[0] if affinity else 0}/cpufreq"
    return Environment(
        cpu=_cpu_model(information, root),
        isa=_isa(information),
        cpus=os.cpu_count(),
        affinity=affinity,
        governor=_text(clock / "scaling_governor"),
        frequency_khz=_frequencies(clock),
        memory_bytes=_memory(_text(root / "proc/meminfo") or ""),
        load_average=_load_average(),
        architecture=platform.machine(),
        kernel=f"{platform.system()} {platform.release()}",
        system=_system(_text(root / "etc/os-release") or "") or platform.system(),
        virtualization=_virtualization(information, root, environ),
        python=f"{platform.python_implementation()} {platform.python_version()}",
        edgevid=edgevid.__version__,
        packages=_versions(RUNTIMES),
        variables={name: environ[name] for name in VARIABLES if name in environ},
    )


def quiet_thread_pools() -> dict[str, str]:
    """Environment variables that let idle thread pools sleep instead of spin.

    A runtime's threads that wait busily for their next piece of work take the CPU from whichever variant
    runs next. The variables are read when each library is loaded, so they must be set before the process
    starts:

    - ``OMP_WAIT_POLICY``: every OpenMP runtime (OpenMP 5.2, section 21.5); torch brings GNU's;
    - ``GOMP_SPINCOUNT``: GNU's OpenMP alone, iterations before a waiting thread sleeps;
    - ``KMP_BLOCKTIME``: Intel's and LLVM's OpenMP, milliseconds before it sleeps, 200 by default;
    - ``OPENBLAS_THREAD_TIMEOUT``: OpenBLAS in numpy and OpenCV, 2 to this power cycles, 4 being the least;
    - ``TVM_THREAD_POOL_SPIN_COUNT``: TVM's own pool, 300 000 iterations by default.

    ONNX Runtime reads none of them: its sessions need ``session.intra_op.allow_spinning`` and
    ``session.inter_op.allow_spinning`` set to ``0``. OpenVINO's TBB threads fall asleep
    by themselves, about a millisecond after their work.
    """
    return {
        "OMP_WAIT_POLICY": "PASSIVE",
        "GOMP_SPINCOUNT": "0",
        "KMP_BLOCKTIME": "0",
        "OPENBLAS_THREAD_TIMEOUT": "4",
        "TVM_THREAD_POOL_SPIN_COUNT": "0",
    }


def huge_pages(inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment variables that make a process keep its tensors in transparent huge pages.

    With small pages a network's speed depends on which pages the kernel happened to give to it: copies of one
    network in one process, and the same network in several, differ steadily by 1 to 3 %, more than an A/A
    pair may. In huge pages the copies agree, and networks are 2 to 3 % faster on the machine where that was
    found (OpenVINO, ResNet-50 and MobileNetV2).

    GNU's C library reads ``GLIBC_TUNABLES`` when a process starts ("Memory Allocation Tunables" of its
    manual, from version 2.35 on): ``hugetlb=1`` asks for huge pages by ``madvise``, and the other three let
    large blocks lie in one growing heap instead of each in a mapping of its own, so that pages are whole.
    Other C libraries and kernels without transparent huge pages are as they were.

    Args:
        inherited: taken for ``os.environ``; what it sets for the allocator stays.
    """
    if "GLIBC_TUNABLES" in (os.environ if inherited is None else inherited):
        return {}
    tunables = {
        "hugetlb": 1,
        "mmap_threshold": 32 << 20,  # the largest that the library takes
        "trim_threshold": 2_000_000_000,
        "top_pad": 256 << 20,
    }
    return {"GLIBC_TUNABLES": ":".join(f"glibc.malloc.{name}={value}" for name, value in tunables.items())}


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "replace").strip().strip("\0")
    except OSError:
        return None


def _field(text: str, name: str) -> str | None:
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _cpu_model(information: str, root: Path) -> str | None:
    # Arm kernels give no name; a device tree names the board, and the part number the core.
    board = _text(root / "proc/device-tree/model")
    part = _field(information, "CPU part")
    core = f"implementer {_field(information, 'CPU implementer')} part {part}" if part else None
    return _field(information, "model name") or ", ".join(filter(None, (board, core))) or None


def _isa(information: str) -> tuple[str, ...]:
    flags = (_field(information, "flags") or _field(information, "Features") or "").split()
    return tuple(flag for flag in ISA_OF_INTEREST if flag in flags)


def _affinity() -> tuple[int, ...] | None:
    if sys.platform != "linux":
        return None
    return tuple(sorted(os.sched_getaffinity(0)))


def _frequencies(clock: Path) -> tuple[int, int] | None:
    low, high = _text(clock / "scaling_min_freq"), _text(clock / "scaling_max_freq")
    return (int(low), int(high)) if low and high and low.isdigit() and high.isdigit() else None


def _memory(information: str) -> int | None:
    total = (_field(information, "MemTotal") or "").split()
    return int(total[0]) * 1024 if total and total[0].isdigit() else None


def _load_average() -> tuple[float, float, float] | None:
    try:
        return os.getloadavg()
    except OSError:
        return None


def _system(release: str) -> str | None:
    for line in release.splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip("\"'")
    return None


def _virtualization(information: str, root: Path, environ: Mapping[str, str]) -> tuple[str, ...]:
    hints = []
    if "hypervisor" in (_field(information, "flags") or "").split():
        product = _text(root / "sys/class/dmi/id/product_name")
        hints.append(f"virtual machine ({product})" if product else "virtual machine")
    if (root / ".dockerenv").exists():
        hints.append("container (docker)")
    elif (root / "run/.containerenv").exists():
        hints.append("container (podman)")
    elif environ.get("KUBERNETES_SERVICE_HOST"):
        hints.append("container (kubernetes)")
    return tuple(hints)


def _versions(names: Iterable[str]) -> dict[str, str]:
    return {name: version for name in names if (version := _version(name)) is not None}


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
