"""Streaming networks in OpenVINO: one compiled model, many streams."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Artifact, Cache, Layer, RunSettings
from edgevid.errors import TargetError
from edgevid.targets._install import require
from edgevid.targets._openvino_caches import element_type, first_cache
from edgevid.targets._openvino_model import kernels_of, layers_of, open_model
from edgevid.targets._streaming import StreamingSession

__all__ = ["EXAMPLE", "OpenVinoStreamingSession"]

EXAMPLE = """
import openvino

settings = {settings!r}
request = openvino.Core().compile_model(here / {entry!r}, "CPU", settings).create_infer_request()
ports = request.model_inputs[{first}:]
now, after = ([openvino.Tensor(port.element_type, port.shape) for port in ports] for _ in range(2))
for cache, fill in zip(now, {fills}):
    cache.data[...] = fill
{each}:
    for number, (taken, given) in enumerate(zip(now, after)):
        request.set_input_tensor({first} + number, taken)
        request.set_output_tensor(1 + number, given)
    logits = request.infer({{0: frame[None, None]{gates}}})[0]
    now, after = after, now
"""
"""A body for `edgevid.targets._example.write_example`; ``gates`` is empty or ``, 1: {valid}``."""


_LINE = 64
"""Bytes of a line of the processor's cache, at which each tensor begins."""

_Set = NDArray[np.uint8]
"""Memory of all caches: sixteen tensors of their own would take kilobytes more a stream."""


@dataclass
class _Caches:
    """The set that a stream has at the moment."""

    held: _Set


@dataclass
class _Bound:
    """An inference request and the sets that it reads and writes."""

    request: Any
    taken: _Set | None = None
    given: _Set | None = None


class OpenVinoStreamingSession(StreamingSession):
    """A compiled model that takes a frame a call.

    A step writes the caches into a spare set, which then becomes the stream's. One stream so goes to and
    fro between two sets, and there is a request for either way: to bind sixteen tensors anew takes as long
    as some layers.
    """

    def __init__(self, artifact: Artifact, settings: RunSettings) -> None:
        super().__init__(artifact)
        self._model = open_model(artifact, settings)
        self._tensor = require("openvino", "openvino").Tensor
        self._frame = self._tensor(np.zeros(artifact.input.shape, artifact.input.dtype))
        self._logits = self._tensor(np.zeros(self.output.shape, np.float32))
        self._valid = self._tensor(np.zeros(len(self.streaming.gates), np.uint8))
        self._one = artifact.lowering == "one_cache"
        sizes = [cache.nbytes if self._one else _in_lines(cache.nbytes) for cache in self.streaming.caches]
        self._begins = [0, *np.cumsum(sizes)]
        self._requests = [self._new_request(), self._new_request()]
        self._spare = self.new_caches().held

    def kernels(self) -> Counter[tuple[str, str]]:
        """See `kernels_of`."""
        return kernels_of(self._model)

    def layers(self) -> tuple[Layer, ...]:
        """Each convolution and dense layer with the precision that its primitive is named after."""
        return layers_of(self._model)

    def new_caches(self) -> _Caches:
        """One set."""
        memory = np.empty(int(self._begins[-1]) + _LINE, np.uint8)
        return _Caches(memory[-memory.ctypes.data % _LINE :][: self._begins[-1]])

    def _advance(self, caches: _Caches, frame: NDArray[Any], valid: NDArray[np.uint8]) -> NDArray[np.float32]:
        request = self._bound(caches.held, self._spare)
        self._frame.data[...] = frame
        self._valid.data[...] = valid
        # In this thread: another one would have to be woken.
        try:
            request.infer(share_outputs=True)
        except RuntimeError as error:
            raise TargetError(f"OpenVINO fails: {error}", where=self.artifact.path) from error
        caches.held, self._spare = self._spare, caches.held
        return np.array(self._logits.data, np.float32)

    def _bound(self, taken: _Set, given: _Set) -> Any:
        """A request that reads one set and writes the other."""
        for bound in self._requests:
            if bound.taken is taken and bound.given is given:
                return bound.request
        bound = self._requests.pop(0)
        self._requests.append(bound)
        first = first_cache(self.streaming)
        for number, (now, following) in enumerate(
            zip(self._tensors(taken), self._tensors(given), strict=True)
        ):
            bound.request.set_input_tensor(first + number, now)
            bound.request.set_output_tensor(1 + number, following)
        bound.taken, bound.given = taken, given
        return bound.request

    def _new_request(self) -> _Bound:
        request = self._model.create_infer_request()
        request.set_input_tensor(0, self._frame)
        request.set_output_tensor(0, self._logits)
        if self.streaming.gates:
            request.set_input_tensor(1, self._valid)
        return _Bound(request)

    def read_caches(self, caches: _Caches) -> tuple[NDArray[Any], ...]:
        """Copies."""
        return tuple(array.copy() for array in self._arrays(caches.held))

    def write_caches(self, caches: _Caches, values: tuple[NDArray[Any], ...]) -> None:
        """Into the tensors' memory."""
        for array, value in zip(self._arrays(caches.held), values, strict=True):
            array[...] = value

    def _arrays(self, held: _Set) -> list[NDArray[Any]]:
        """The caches in their memory."""
        return [
            held[begin : begin + cache.nbytes].view(_dtype_of(cache)).reshape(cache.shape)
            for begin, cache in zip(self._begins[:-1], self.streaming.caches, strict=True)
        ]

    def _tensors(self, held: _Set) -> list[Any]:
        if self._one:
            dtype = _dtype_of(self.streaming.caches[0])
            array = held.view(dtype)
            return [self._tensor(array, list(array.shape), element_type(self.streaming.caches[0]))]
        return [
            self._tensor(array, list(cache.shape), element_type(cache))
            for array, cache in zip(self._arrays(held), self.streaming.caches, strict=True)
        ]

    def _release(self) -> None:
        del self._requests, self._model


def _in_lines(size: int) -> int:
    return -(-size // _LINE) * _LINE


def _dtype_of(cache: Cache) -> str:
    """numpy's; it has no bfloat16."""
    return "uint16" if cache.dtype == "bfloat16" else cache.dtype
