"""One input, one output and what computes between them, on a stream of its own and timed by CUDA events.

The functions are those of the CUDA Runtime API as the ``cuda-bindings`` package has them: each returns an
error code and then its results.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
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


class CudaPipeline:
    """Memory, stream and events of one network. `close` releases them, also after a failure."""

    def __init__(
        self,
        cuda: Any,
        given: tuple[tuple[int, ...], np.dtype[Any]],
        result: tuple[tuple[int, ...], np.dtype[Any]],
    ) -> None:
        """Reserve memory for an input and an output of these shapes and types.

        Raises:
            TargetError: there is not enough memory, or no GPU.
        """
        self._cuda = cuda
        self._held = ExitStack()
        self._graph: Any = None
        self._enqueue: Callable[[], None] = lambda: None
        with ExitStack() as undo:
            undo.callback(self._held.close)
            self._stream = checked(cuda, cuda.cudaStreamCreate())
            self._held.callback(cuda.cudaStreamDestroy, self._stream)
            self._events = [self._event() for _ in range(4)]
            self._given, self._result = self._buffer(*given), self._buffer(*result)
            undo.pop_all()

    @property
    def stream(self) -> int:
        """Handle of the stream."""
        return int(self._stream)

    @property
    def addresses(self) -> tuple[int, int]:
        """Of the input and the output on the device."""
        return self._given.device, self._result.device

    @property
    def captured(self) -> bool:
        """What is computed was captured as a CUDA graph."""
        return self._graph is not None

    def prepare(self, enqueue: Callable[[], None], *, capture: bool) -> None:
        """Say what computes the output from the input, and ``capture`` it as a CUDA graph.

        It is called once before it is captured, since a first call may allocate (TensorRT documentation,
        "CUDA graphs").
        """
        cuda = self._cuda
        self._enqueue = enqueue
        enqueue()
        checked(cuda, cuda.cudaStreamSynchronize(self._stream))
        if not capture:
            return
        mode = cuda.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        checked(cuda, cuda.cudaStreamBeginCapture(self._stream, mode))
        enqueue()
        graph = checked(cuda, cuda.cudaStreamEndCapture(self._stream))
        try:
            self._graph = checked(cuda, cuda.cudaGraphInstantiate(graph, 0))
        finally:
            cuda.cudaGraphDestroy(graph)
        self._held.callback(cuda.cudaGraphExecDestroy, self._graph)

    def run(self, given: NDArray[Any]) -> NDArray[Any]:
        """The output for one input, converted to the type that the network takes."""
        cuda, kind = self._cuda, self._cuda.cudaMemcpyKind
        source, result = self._given, self._result
        np.copyto(source.host, given, casting="safe")
        self._record(0)
        self._copy(source.device, source.host.ctypes.data, source.host.nbytes, kind.cudaMemcpyHostToDevice)
        self._record(1)
        if self._graph is None:
            self._enqueue()
        else:
            checked(cuda, cuda.cudaGraphLaunch(self._graph, self._stream))
        self._record(2)
        self._copy(result.host.ctypes.data, result.device, result.host.nbytes, kind.cudaMemcpyDeviceToHost)
        self._record(3)
        checked(cuda, cuda.cudaStreamSynchronize(self._stream))
        return result.host.copy()

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

    def _copy(self, to: int, source: int, size: int, kind: Any) -> None:
        checked(self._cuda, self._cuda.cudaMemcpyAsync(to, source, size, kind, self._stream))

    def _record(self, number: int) -> None:
        checked(self._cuda, self._cuda.cudaEventRecord(self._events[number], self._stream))
