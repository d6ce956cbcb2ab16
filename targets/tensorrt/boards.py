"""What is known of each GPU and board that TensorRT runs on, every fact with its source.

A profile under ``targets/devices`` names an entry here with ``gpu = "..."``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal

from edgevid.contract import Precision
from edgevid.errors import ConfigError

__all__ = ["BOARDS", "Board", "Family", "Stack", "board"]

Family = Literal["rtx", "server", "board"]
"""``rtx``: engines are built ahead of time on any machine. ``server``: they are built on the host of the
GPU. ``board``: a folder is made that the device builds from."""


@dataclass(frozen=True)
class Stack:
    """Versions that come together on a board.

    Attributes:
        name: of the release, as ``JetPack 4.6.1``; empty where there is none.
        tensorrt: version, as ``8.2.1``.
        cuda: version, as ``10.2``.
        python: version, as ``3.6``.
        source: the vendor's document that says so.
    """

    name: str
    tensorrt: str
    cuda: str
    python: str
    source: str


@dataclass(frozen=True)
class Board:
    """A GPU, or a board with one.

    Attributes:
        family: how engines for it come to be.
        capabilities: its compute capability, as ``("6.2",)``; several where one engine serves several GPUs.
        memory: bytes of the module of that plain name, else of the smallest; of a Jetson what CPU and
            GPU share.
        shared: CPU and GPU share the memory.
        precisions: those with hardware for them.
        stacks: versions to be found on it, the newest first.
        source: the vendor's document for capability and memory.
        refused: what it lacks, and why.
        note: what a user of it should know.
    """

    title: str
    family: Family
    capabilities: tuple[str, ...]
    memory: int
    shared: bool
    precisions: tuple[Precision, ...]
    stacks: tuple[Stack, ...]
    source: str
    refused: Mapping[Precision, str] = field(default_factory=dict)
    note: str = ""


_GIB = 1 << 30
_FLOATS: tuple[Precision, ...] = ("fp32", "fp16")
_ALL: tuple[Precision, ...] = (*_FLOATS, "int8")

_CAPABILITIES = "developer.nvidia.com/cuda-gpus and cuda-legacy-gpus, compute capability"
_MATRIX = "TensorRT 8.2.5 and 8.5.3 Support Matrix, Hardware and Precision"
_JETSON = f"developer.nvidia.com/embedded/jetson-modules, technical specifications; {_CAPABILITIES}"
_SERVER = f"data sheet of the product; {_CAPABILITIES}"

# JetPack 4 stands on Ubuntu 18.04, JetPack 5 on 20.04, JetPack 6 on 22.04: hence their Python.
_JETPACK_4 = Stack(
    "JetPack 4.6.1", "8.2.1", "10.2", "3.6", "developer.nvidia.com/embedded/jetpack-sdk-461, Key Features"
)
_JETPACK_50 = Stack(
    "JetPack 5.0.2", "8.4.1", "11.4", "3.8", "developer.nvidia.com/embedded/jetpack-sdk-502, Key Features"
)
_JETPACK_51 = Stack(
    "JetPack 5.1", "8.5.2", "11.4", "3.8", "developer.nvidia.com/embedded/jetpack-sdk-51, Key Features"
)
_JETPACK_60 = Stack(
    "JetPack 6.0", "8.6.2", "12.2", "3.10", "developer.nvidia.com/embedded/jetpack-sdk-60, Key Features"
)
_JETPACK_62 = Stack(
    "JetPack 6.2",
    "10.3.0",
    "12.6",
    "3.10",
    "developer.nvidia.com/embedded/jetpack-sdk-62, Key Features; JetPack 6.1 has the same",
)
_ORIN_STACKS = (_JETPACK_62, _JETPACK_60, _JETPACK_51)
_XAVIER_STACKS = (_JETPACK_51, _JETPACK_50, _JETPACK_4)

_TENSORRT_10 = Stack(
    "", "10.16", "13.2", "3.10", "TensorRT 10.x Support Matrix, Compiler and Python Versions"
)
_TENSORRT_11 = Stack(
    "", "11.4", "13.4", "3.10", "TensorRT 11.x Support Matrix; Release Notes 11.3.0, Announcements"
)
_SERVER_STACKS = (_TENSORRT_11, _TENSORRT_10)
_LAST_FOR_VOLTA = Stack(
    "", "10.4", "12.6", "3.8", "TensorRT 10.5.0 Release Notes, Announcements: NVIDIA Volta Support Removed"
)
_LAST_FOR_PASCAL = Stack(
    "",
    "8.6.1",
    "11.8",
    "3.8",
    "TensorRT 8.6.1 Support Matrix; that of 10.1.0 asks for a compute capability of 7.0",
)
_RTX_17 = Stack(
    "TensorRT for RTX 1.7",
    "1.7",
    "13.0",
    "3.10",
    "metadata of tensorrt-rtx-cu13 1.7.1.116 in the Python Package Index",
)

_NO_INT8 = "{} has no integer dot product (compute capability {}): TensorRT offers no int8 there"


def _jetson(
    title: str,
    capability: str,
    gib: int,
    stacks: tuple[Stack, ...],
    precisions: tuple[Precision, ...] = _ALL,
    note: str = "",
) -> Board:
    refused: dict[Precision, str] = {}
    if "int8" not in precisions:
        refused["int8"] = _NO_INT8.format(title, capability)
    return Board(
        title,
        "board",
        (capability,),
        gib * _GIB,
        True,
        precisions,
        stacks,
        f"{_JETSON}; {_MATRIX}",
        refused,
        note,
    )


def _server(
    title: str, capability: str, gib: int, stacks: tuple[Stack, ...] = _SERVER_STACKS, note: str = ""
) -> Board:
    return Board(
        title, "server", (capability,), gib * _GIB, False, _ALL, stacks, f"{_SERVER}; {_MATRIX}", {}, note
    )


def _rtx(title: str, capability: str, gib: int, *, shared: bool = False) -> Board:
    return Board(
        title,
        "rtx",
        (capability,),
        gib * _GIB,
        shared,
        _ALL,
        (_RTX_17,),
        f"TensorRT for RTX 1.5 Support Matrix, Hardware and Precision; {_CAPABILITIES}",
    )


BOARDS: Mapping[str, Board] = MappingProxyType(
    {
        "jetson-tx2": _jetson(
            "NVIDIA Jetson TX2",
            "6.2",
            8,
            (_JETPACK_4,),
            _FLOATS,
            "JetPack 4.6.1 or later; JetPack 4.6 has TensorRT 8.0.1, which is too old.",
        ),
        "jetson-nano": _jetson("NVIDIA Jetson Nano", "5.3", 4, (_JETPACK_4,), _FLOATS),
        "jetson-xavier-nx": _jetson("NVIDIA Jetson Xavier NX", "7.2", 8, _XAVIER_STACKS),
        "jetson-xavier": _jetson("NVIDIA Jetson AGX Xavier", "7.2", 32, _XAVIER_STACKS),
        "jetson-orin-nano": _jetson("NVIDIA Jetson Orin Nano", "8.7", 4, _ORIN_STACKS),
        "jetson-orin-nx": _jetson("NVIDIA Jetson Orin NX", "8.7", 8, _ORIN_STACKS),
        "jetson-orin-agx": _jetson("NVIDIA Jetson AGX Orin", "8.7", 32, (*_ORIN_STACKS, _JETPACK_50)),
        "p100": Board(
            "NVIDIA Tesla P100",
            "board",
            ("6.0",),
            12 * _GIB,
            False,
            _FLOATS,
            (_LAST_FOR_PASCAL,),
            f"{_SERVER}; {_MATRIX}",
            {"int8": _NO_INT8.format("NVIDIA Tesla P100", "6.0")},
            "TensorRT 10 and 11 do not support it; this bundle is built on its host with TensorRT 8.",
        ),
        "v100": _server(
            "NVIDIA Tesla V100",
            "7.0",
            16,
            (_LAST_FOR_VOLTA,),
            "TensorRT 10.0 to 10.4 only: 10.5 removed compute capability 7.0.",
        ),
        "t4": _server("NVIDIA T4", "7.5", 16),
        "a100": _server("NVIDIA A100", "8.0", 40),
        "a10": _server("NVIDIA A10", "8.6", 24),
        "l4": _server("NVIDIA L4", "8.9", 24),
        "h100": _server("NVIDIA H100", "9.0", 80),
        "rtx-20": Board(
            "NVIDIA GeForce RTX 20 (Turing)",
            "rtx",
            ("7.5",),
            6 * _GIB,
            False,
            ("fp16",),
            (_RTX_17,),
            f"TensorRT for RTX 1.5 Support Matrix, Hardware and Precision; {_CAPABILITIES}",
            {
                "fp32": "TensorRT for RTX compiles fp16 alone for compute capability 7.5",
                "int8": "TensorRT for RTX has no int8 for compute capability 7.5",
            },
        ),
        "rtx-a100": _rtx("NVIDIA A100, by TensorRT for RTX", "8.0", 40),
        "rtx-30": _rtx("NVIDIA GeForce RTX 30 (Ampere)", "8.6", 4),
        "rtx-40": _rtx("NVIDIA GeForce RTX 40 (Ada)", "8.9", 6),
        "rtx-50": _rtx("NVIDIA GeForce RTX 50 (Blackwell)", "12.0", 8),
        "rtx-spark": _rtx("NVIDIA DGX Spark (GB10)", "12.1", 128, shared=True),
    }
)


def board(gpu: str) -> Board:
    """The entry of that name; of several RTX GPUs, joined by a plus, what they have in common.

    Raises:
        ConfigError: no such entry, or some that one engine cannot serve.
    """
    names = gpu.split("+")
    if unknown := [name for name in names if name not in BOARDS]:
        raise ConfigError(f"no GPU is called {unknown[0]!r}", where="gpu", fix=f"one of {', '.join(BOARDS)}")
    first, *others = (BOARDS[name] for name in names)
    if not others:
        return first
    if any(each.family != "rtx" for each in (first, *others)):
        raise ConfigError(
            "one engine for several GPUs is for those of TensorRT for RTX",
            where=gpu,
            fix=f"join {', '.join(name for name, each in BOARDS.items() if each.family == 'rtx')}",
        )
    missing: dict[Precision, str] = {}
    for each in others:
        missing |= each.refused
    return replace(
        first,
        title=" + ".join(BOARDS[name].title for name in names),
        capabilities=tuple(capability for name in names for capability in BOARDS[name].capabilities),
        memory=min(BOARDS[name].memory for name in names),
        shared=all(BOARDS[name].shared for name in names),
        precisions=tuple(
            kind for kind in first.precisions if all(kind in each.precisions for each in others)
        ),
        refused={**missing, **first.refused},
    )
