"""Streaming networks in ONNX Runtime: caches that are bound, not passed.

A stream holds one set of caches, and the session one more, which a step writes. Then the two change
places, so that nothing is copied between frames.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Artifact, Layer
from edgevid.errors import TargetError
from edgevid.targets._artifact import VALID
from edgevid.targets._install import require
from edgevid.targets._onnxruntime_layers import layers_of
from edgevid.targets._streaming import StreamingSession, filled

__all__ = ["OnnxRuntimeStreamingSession"]


class _Bound:
    """An array, and the same memory as the runtime binds it."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self.value = require("onnxruntime", "compile").OrtValue.ortvalue_from_numpy(array)


class OnnxRuntimeStreamingSession(StreamingSession):
    """An ``InferenceSession`` that takes a frame a call."""

    def __init__(self, artifact: Artifact, session: Any) -> None:
        super().__init__(artifact)
        self._session = session
        self._binding = session.io_binding()
        self._frame = _Bound(np.zeros(artifact.input.shape, artifact.input.dtype))
        self._valid = _Bound(np.zeros(len(self.streaming.gates), np.uint8))
        self._logits = _Bound(np.zeros(self.output.shape, np.float32))
        self._binding.bind_ortvalue_input(artifact.input.name, self._frame.value)
        if self.streaming.gates:
            self._binding.bind_ortvalue_input(VALID, self._valid.value)
        self._binding.bind_ortvalue_output(self.output.name, self._logits.value)
        self._spare = self.new_caches()

    def layers(self) -> tuple[Layer, ...]:
        """As the graph says it: what is run is the graph, operation by operation."""
        return layers_of(self.artifact.path)

    def new_caches(self) -> list[_Bound]:
        """One set."""
        return [_Bound(filled(cache)) for cache in self.streaming.caches]

    def _advance(
        self, caches: list[_Bound], frame: NDArray[Any], valid: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        self._frame.array[...] = frame
        self._valid.array[...] = valid
        for cache, now, following in zip(self.streaming.caches, caches, self._spare, strict=True):
            self._binding.bind_ortvalue_input(cache.name, now.value)
            self._binding.bind_ortvalue_output(cache.next, following.value)
        try:
            self._session.run_with_iobinding(self._binding)
        except Exception as error:  # the runtime's exceptions share no public base
            raise TargetError(f"ONNX Runtime fails: {error}", where=self.artifact.path) from error
        caches[:], self._spare = self._spare, caches[:]
        return self._logits.array.copy()

    def read_caches(self, caches: list[_Bound]) -> tuple[NDArray[Any], ...]:
        """Copies."""
        return tuple(cache.array.copy() for cache in caches)

    def write_caches(self, caches: list[_Bound], values: tuple[NDArray[Any], ...]) -> None:
        """Into the memory that is bound."""
        for cache, value in zip(caches, values, strict=True):
            cache.array[...] = value

    def _release(self) -> None:
        del self._binding, self._session
