import ctypes

import pytest

from edgevid.errors import TargetError
from edgevid.targets.tensorrt import gpu
from edgevid.targets.tensorrt.gpu import Gpu, this_gpu


class Driver:
    """Answers as the driver of a machine with one L4 does, or with an error."""

    def __init__(self, fails="", code=0, text=b"no CUDA-capable device is detected"):
        self.fails, self.code, self.text = fails, code, text

    def __getattr__(self, function):
        def call(*arguments):
            if function == self.fails:
                return self.code
            getattr(self, f"_{function}")(*arguments)
            return 0

        return call

    def _cuInit(self, flags):
        pass

    def _cuDeviceGet(self, device, number):
        device._obj.value = number

    def _cuDeviceGetName(self, name, size, device):
        name.value = b"NVIDIA L4"

    def _cuDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = {75: 8, 76: 9}[attribute]

    def _cuDeviceTotalMem_v2(self, size, device):
        size._obj.value = 23034 << 20

    def _cuDriverGetVersion(self, version):
        version._obj.value = 12080

    def _cuGetErrorString(self, code, text):
        text._obj.value = self.text


def test_the_driver_tells_what_gpu_there_is(monkeypatch):
    monkeypatch.setattr(gpu, "_load", Driver)
    assert this_gpu() == Gpu("NVIDIA L4", "8.9", 23034 << 20, "12.8")


def test_no_gpu_is_told_in_the_drivers_words_with_what_still_works(monkeypatch):
    monkeypatch.setattr(gpu, "_load", lambda: Driver("cuInit", 100))
    with pytest.raises(TargetError, match="sees no GPU: no CUDA-capable device is detected") as refused:
        this_gpu()
    assert "--device rtx-40" in refused.value.fix


def test_a_driver_that_fails_is_told_with_the_function(monkeypatch):
    monkeypatch.setattr(
        gpu, "_load", lambda: Driver("cuDeviceGet", 803, b"system has unsupported display driver")
    )
    with pytest.raises(TargetError, match="fails in cuDeviceGet: system has unsupported display driver"):
        this_gpu()


def test_an_error_that_the_driver_has_no_words_for_keeps_its_number(monkeypatch):
    monkeypatch.setattr(gpu, "_load", lambda: Driver("cuInit", 4711, None))
    with pytest.raises(TargetError, match="error 4711"):
        this_gpu()


def test_a_machine_without_a_driver_is_told_which_library_is_missing(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    with pytest.raises(TargetError, match=r"no NVIDIA driver: libcuda\.so\.1") as refused:
        this_gpu()
    assert "--device rtx-40" in refused.value.fix
