"""Inputs, an output and what computes between them, on a stream of its own and timed by CUDA events.

The functions are those of the CUDA Runtime API as the ``cuda-bindings`` package has them: each returns an
error code and then its results.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.errors import TargetError

__all__ = ["CudaPipeline", "StepTimes", "checked"]


@dataclass(frozen=True)
class StepTimes:
    """Milliseconds of one run between CUDA events: to the device, on it, and back."""

    h2d: float
    compute: float
    d2h: float

    @property
    def total(self) -> float:
        """From the first event to the last."""
        return self.h2d + self.compute + self.d2h


def checked(cuda: Any, answer: tuple[Any, ...]) -> Any:
    """The result of a call, or None where it has none.

    Raises:
        TargetError: the call failed; with CUDA's own reason.
    """
    code, *results = answer
    if int(code):
        _, reason = cuda.cudaGetErrorString(code)
        text = reason.decode() if isinstance(reason, bytes) else str(reason)
        raise TargetError(f"CUDA fails: {text}", where="this machine's GPU")
    return results[0] if results else None


@dataclass(frozen=True)
class _Buffer:
    """An array in pinned memory of the host, and as much memory of the device."""

    host: NDArray[Any]
    device: int


Spec = tuple[tuple[int, ...], np.dtype[Any]]
"""Shape and type of an array."""


class CudaPipeline:
    """Memory, stream and events of one network. `close` releases them, also after a failure."""

    def __init__(self, cuda: Any, given: Sequence[Spec], result: Spec) -> None:
        """Reserve memory for inputs and an output of these shapes and types.

        Raises:
            TargetError: there is not enough memory, or no GPU.
        """
        self._cuda = cuda
        self._held = ExitStack()
        self._launch: Callable[[], None] = lambda: None
        with ExitStack() as undo:
            undo.callback(self._held.close)
            self._stream = checked(cuda, cuda.cudaStreamCreate())
            self._held.callback(cuda.cudaStreamDestroy, self._stream)
            self._events = [self._event() for _ in range(4)]
            self._given, self._result = [self._buffer(*each) for each in given], self._buffer(*result)
            undo.pop_all()

    @property
    def stream(self) -> int:
        """Handle of the stream."""
        return int(self._stream)

    @property
    def addresses(self) -> tuple[int, ...]:
        """Of the inputs and then of the output on the device."""
        return *(each.device for each in self._given), self._result.device

    def prepare(self, enqueue: Callable[[], None], *, capture: bool) -> None:
        """Say what computes the output from the inputs, and ``capture`` it as a CUDA graph.

        It is called once before it is captured, since a first call may allocate (TensorRT documentation,
        "CUDA graphs").
        """
        enqueue()
        self._wait()
        self._launch = self.capture(enqueue) if capture else enqueue

    def capture(self, enqueue: Callable[[], None]) -> Callable[[], None]:
        """A CUDA graph of what ``enqueue`` puts on the stream, addresses included; called, it is launched."""
        cuda = self._cuda
        mode = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        checked(cuda, cuda.cudaStreamBeginCapture(self._stream, mode))
        try:
            enqueue()
        finally:
            ended = cuda.cudaStreamEndCapture(self._stream)
        graph = checked(cuda, ended)
        try:
            launchable = checked(cuda, cuda.cudaGraphInstantiate(graph, 0))
        finally:
            cuda.cudaGraphDestroy(graph)
        self._held.callback(cuda.cudaGraphExecDestroy, launchable)

        def launch() -> None:
            checked(cuda, cuda.cudaGraphLaunch(launchable, self._stream))

        return launch

    def run(self, *given: NDArray[Any], launch: Callable[[], None] | None = None) -> NDArray[Any]:
        """The output for the inputs, which are converted to the types that the network takes.

        ``launch`` computes it in place of what was prepared.
        """
        kind, result = self._cuda.cudaMemcpyKind, self._result
        for source, array in zip(self._given, given, strict=True):
            np.copyto(source.host, array, casting="safe")
        self._record(0)
        for source in self._given:
            size = source.host.nbytes
            self._copy(source.device, source.host.ctypes.data, size, kind.cudaMemcpyHostToDevice)
        self._record(1)
        (launch or self._launch)()
        self._record(2)
        self._copy(result.host.ctypes.data, result.device, result.host.nbytes, kind.cudaMemcpyDeviceToHost)
        self._record(3)
        self._wait()
        return result.host.copy()

    def reserve(self, size: int) -> int:
        """The address of ``size`` bytes more on the device.

        Raises:
            TargetError: there is not enough memory.
        """
        device = checked(self._cuda, self._cuda.cudaMalloc(size))
        self._held.callback(self._cuda.cudaFree, device)
        return int(device)

    def write(self, address: int, array: NDArray[Any]) -> None:
        """Copy a contiguous array to the device."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyHostToDevice
        self._copy(address, array.ctypes.data, array.nbytes, kind)
        self._wait()

    def read(self, address: int, array: NDArray[Any]) -> None:
        """Fill a contiguous array from the device."""
        kind = self._cuda.cudaMemcpyKind.cudaMemcpyDeviceToHost
        self._copy(array.ctypes.data, address, array.nbytes, kind)
        self._wait()

    def times(self) -> StepTimes:
        """Of the last run."""
        cuda, events = self._cuda, self._events
        return StepTimes(
            *(
                float(checked(cuda, cuda.cudaEventElapsedTime(first, second)))
                for first, second in pairwise(events)
            )
        )

    def close(self) -> None:
        """Release everything."""
        self._held.close()

    def _event(self) -> Any:
        event = checked(self._cuda, self._cuda.cudaEventCreate())
        self._held.callback(self._cuda.cudaEventDestroy, event)
        return event

    def _buffer(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> _Buffer:
        cuda, size = self._cuda, int(np.prod(shape)) * dtype.itemsize
        pinned = checked(cuda, cuda.cudaMallocHost(size))
        self._held.callback(cuda.cudaFreeHost, pinned)
        device = checked(cuda, cuda.cudaMalloc(size))
        self._held.callback(cuda.cudaFree, device)
        raw = (ctypes.c_byte * size).from_address(int(pinned))
        return _Buffer(np.frombuffer(memoryview(raw), dtype).reshape(shape), int(device))

    def _wait(self) -> None:
        checked(self._cuda, self._cuda.cudaStreamSynchronize(self._stream))

    def _copy(self, to: int, source: int, size: int, kind: Any) -> None:
        checked(self._cuda, self._cuda.cudaMemcpyAsync(to, source, size, kind, self._stream))

    def _record(self, number: int) -> None:
        checked(self._cuda, self._cuda.cudaEventRecord(self._events[number], self._stream))
