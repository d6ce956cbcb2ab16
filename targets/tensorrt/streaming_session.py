"""An open engine that takes frame by frame: its caches stay on the GPU and change places with each frame."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Artifact, Layer, RunSettings
from edgevid.errors import TargetError
from edgevid.targets._artifact import VALID
from edgevid.targets._install import require
from edgevid.targets._session import refuse_boards
from edgevid.targets._streaming import StreamingSession, filled
from edgevid.targets.tensorrt.cuda_pipeline import CudaPipeline
from edgevid.targets.tensorrt.execution import Execution
from edgevid.targets.tensorrt.layer_report import load_report

__all__ = ["CacheSet", "TensorRtStreamingSession"]

_ALIGNMENT = 256
"""Bytes that addresses of tensors are multiples of (IExecutionContext.set_tensor_address)."""
_MOST_GRAPHS = 16
"""CUDA graphs that are kept: one holds for one pair of places, of which n streams in turn have n + 1."""


class CacheSet:
    """Where the caches of one stream lie on the GPU. Every frame they change places with the spare set.

    Attributes:
        place: address of the first cache.
    """

    def __init__(self, place: int, free: list[int]) -> None:
        self.place, self._free = place, free

    def __del__(self) -> None:
        # The memory is the session's; the next stream takes it.
        self._free.append(self.place)


class TensorRtStreamingSession(StreamingSession):
    """An engine with one execution context; each stream has a set of caches, and all share a spare one."""

    def __init__(self, artifact: Artifact, settings: RunSettings) -> None:
        """Check that the engine is for this GPU and this TensorRT, and only then load it.

        Raises:
            TargetError: it is for another, there is no GPU, TensorRT refuses it, or its caches are others.
            MissingDependencyError: TensorRT or ``cuda-bindings`` is not installed.
        """
        super().__init__(artifact)
        refuse_boards("tensorrt", settings)
        self._graphs: dict[tuple[int, int], Callable[[], None]] = {}
        self._free: list[int] = []
        with ExitStack() as held:
            self._execution = execution = Execution(artifact, fixed=False)
            cuda = require("cuda.bindings.runtime", "tensorrt")
            shapes = {artifact.input.name: artifact.input.shape}
            if self.streaming.gates:
                shapes[VALID] = (len(self.streaming.gates),)
            self._check_tensors(list(shapes))
            result = artifact.output
            self._pipeline = CudaPipeline(
                cuda,
                [(shape, execution.dtype(name)) for name, shape in shapes.items()],
                (result.shape, execution.dtype(result.name)),
            )
            held.callback(self._pipeline.close)
            for name, address in zip((*shapes, result.name), self._pipeline.addresses, strict=True):
                execution.set_address(name, address)
            self._offsets, self._size = self._layout()
            first, self._spare = self._pipeline.reserve(self._size), self._pipeline.reserve(self._size)
            self._free.append(first)
            self._pipeline.prepare(self._enqueue(first, self._spare), capture=False)
            held.pop_all()

    def layers(self) -> tuple[Layer, ...]:
        """As the builder told them: an engine has no choice when it runs."""
        return load_report(self.artifact.folder).layers()

    def new_caches(self) -> CacheSet:
        """Memory of a stream that is gone, or more of it."""
        with self._one_at_a_time:
            place = self._free.pop() if self._free else self._pipeline.reserve(self._size)
        return CacheSet(place, self._free)

    def read_caches(self, caches: CacheSet) -> tuple[NDArray[Any], ...]:
        """Copies from the GPU."""
        arrays = tuple(map(filled, self.streaming.caches))
        with self._one_at_a_time:
            for array, offset in zip(arrays, self._offsets, strict=True):
                self._pipeline.read(caches.place + offset, array)
        return arrays

    def write_caches(self, caches: CacheSet, values: tuple[NDArray[Any], ...]) -> None:
        """Copy them to the GPU."""
        self.check_open()
        with self._one_at_a_time:
            for value, offset in zip(values, self._offsets, strict=True):
                self._pipeline.write(caches.place + offset, np.ascontiguousarray(value))

    def _advance(
        self, caches: CacheSet, frame: NDArray[Any], valid: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        inputs = (frame, valid) if self.streaming.gates else (frame,)
        given, following = caches.place, self._spare
        logits = self._pipeline.run(*inputs, launch=self._launch(given, following))
        caches.place, self._spare = following, given
        return np.asarray(logits, np.float32)

    def _launch(self, given: int, following: int) -> Callable[[], None]:
        """What computes a frame with the caches at ``given``, and writes the next ones to ``following``."""
        places = given, following
        enqueue = self._enqueue(given, following)
        if places not in self._graphs and self._execution.captures and len(self._graphs) < _MOST_GRAPHS:
            self._graphs[places] = self._pipeline.capture(enqueue)
        return self._graphs.get(places, enqueue)

    def _enqueue(self, given: int, following: int) -> Callable[[], None]:
        def enqueue() -> None:
            for cache, offset in zip(self.streaming.caches, self._offsets, strict=True):
                self._execution.set_address(cache.name, given + offset)
                self._execution.set_address(cache.next, following + offset)
            self._execution.enqueue(self._pipeline.stream)

        return enqueue

    def _layout(self) -> tuple[list[int], int]:
        """Where each cache of a set begins, and the bytes of a set."""
        sizes = [-(-cache.nbytes // _ALIGNMENT) * _ALIGNMENT for cache in self.streaming.caches]
        *offsets, size = itertools.accumulate(sizes, initial=0)
        return offsets, max(size, _ALIGNMENT)

    def _check_tensors(self, given: list[str]) -> None:
        """Raise `TargetError` unless the engine has these inputs, the logits and the caches."""
        execution, caches = self._execution, self.streaming.caches
        inputs, outputs = set(execution.inputs()), set(execution.outputs())
        same = inputs == {*given, *(cache.name for cache in caches)}
        same = same and outputs == {self.artifact.output.name, *(cache.next for cache in caches)}
        if not same or any(
            {execution.dtype(cache.name), execution.dtype(cache.next)} != {filled(cache).dtype}
            for cache in caches
        ):
            raise TargetError(
                f"the engine's tensors {', '.join(sorted(inputs | outputs))} are others than those that its "
                "description speaks of",
                where=self.artifact.path,
                fix="compile the bundle again",
            )

    def _release(self) -> None:
        self._pipeline.close()
        self._execution.release()
