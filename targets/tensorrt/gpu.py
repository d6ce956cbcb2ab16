"""The NVIDIA GPU of this machine, asked of the driver: no package is needed to learn that it is absent.

The functions are those of the CUDA Driver API reference, sections "Initialization", "Device Management"
and "Version Management".
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from edgevid.errors import TargetError

__all__ = ["WITHOUT_GPU", "Gpu", "this_gpu"]

WITHOUT_GPU = (
    "build and run on the machine of the GPU; without one, engines for RTX GPUs are still built "
    "(--device rtx-40), folders to build on a board made (--device jetson-orin-nx), and graphs linted"
)
"""The way out where there is no GPU."""

_LIBRARY = "libcuda.so.1"
_NO_DEVICE = 100
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76
"""Of ``CUdevice_attribute``."""


@dataclass(frozen=True)
class Gpu:
    """A GPU.

    Attributes:
        name: as the driver tells it, ``NVIDIA A10``.
        capability: compute capability, as ``8.6``.
        memory: bytes.
        cuda: newest CUDA that the driver supports, as ``12.8``.
    """

    name: str
    capability: str
    memory: int
    cuda: str


def this_gpu() -> Gpu:
    """The first GPU that this process sees.

    Raises:
        TargetError: there is no driver or no GPU, or they do not work; with the driver's own reason.
    """
    driver = _load()
    _call(driver, "cuInit", 0)
    device, version, memory = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    major, minor = ctypes.c_int(), ctypes.c_int()
    name = ctypes.create_string_buffer(256)
    _call(driver, "cuDeviceGet", ctypes.byref(device), 0)
    _call(driver, "cuDeviceGetName", name, len(name), device)
    _call(driver, "cuDeviceGetAttribute", ctypes.byref(major), _CAPABILITY_MAJOR, device)
    _call(driver, "cuDeviceGetAttribute", ctypes.byref(minor), _CAPABILITY_MINOR, device)
    _call(driver, "cuDeviceTotalMem_v2", ctypes.byref(memory), device)
    _call(driver, "cuDriverGetVersion", ctypes.byref(version))
    return Gpu(
        name=name.value.decode(errors="replace"),
        capability=f"{major.value}.{minor.value}",
        memory=memory.value,
        cuda=f"{version.value // 1000}.{version.value % 1000 // 10}",
    )


def _load() -> Any:
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise TargetError(
            f"there is no NVIDIA driver: {_LIBRARY} does not load", where="this machine", fix=WITHOUT_GPU
        ) from error


def _call(driver: Any, function: str, *arguments: Any) -> None:
    code = getattr(driver, function)(*arguments)
    if code == 0:
        return
    text = ctypes.c_char_p()
    driver.cuGetErrorString(code, ctypes.byref(text))
    reason = text.value.decode(errors="replace") if text.value else f"error {code}"
    what = "the NVIDIA driver sees no GPU" if code == _NO_DEVICE else f"the NVIDIA driver fails in {function}"
    raise TargetError(f"{what}: {reason}", where="this machine", fix=WITHOUT_GPU)
