"""Streaming networks in TVM: the caches of a stream are tensors that each call of the module writes in place.

Nothing is copied or changes places between frames, and no stream needs more than its caches.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Layer, LayerTime, Streaming
from edgevid.targets._streaming import StreamingSession, filled
from edgevid.targets.tvm.network import Frames, Network
from edgevid.targets.tvm.rpc import RpcSession
from edgevid.targets.tvm.session import TvmSession

__all__ = ["BoardStreamingSession", "TvmStreamingSession", "as_held"]


def as_held(streaming: Streaming, network: Network) -> Streaming:
    """The description of a graph's caches as those of a network that was read from it."""
    caches = []
    for cache in streaming.caches:
        frames = network.activations[cache.name]
        assert isinstance(frames, Frames)
        fill = cache.fill if frames.quantization is None else frames.quantization.zero
        caches.append(replace(cache, shape=frames.shape, dtype=frames.dtype, fill=fill))
    return replace(streaming, caches=tuple(caches))


class _StreamingSession(StreamingSession):
    """A session that takes a frame a call, with its caches where that one is."""

    in_place = True

    def __init__(self, session: TvmSession | RpcSession) -> None:
        super().__init__(session.artifact)
        self._session = session

    @property
    def emulated(self) -> bool:
        """Whether the device behind it is."""
        return self._session.emulated

    def layers(self) -> tuple[Layer, ...]:
        """As the module was made."""
        return self._session.layers()

    def new_caches(self) -> list[Any]:
        """One set."""
        return [self._session.tensor(filled(cache)) for cache in self.streaming.caches]

    def _advance(
        self, caches: list[Any], frame: NDArray[Any], valid: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        gates = [self._session.tensor(valid)] if self.streaming.gates else []
        return self._session.call(self._session.tensor(frame), *gates, *caches)

    def read_caches(self, caches: list[Any]) -> tuple[NDArray[Any], ...]:
        """Copies."""
        return tuple(cache.numpy() for cache in caches)

    def write_caches(self, caches: list[Any], values: tuple[NDArray[Any], ...]) -> None:
        """Into the memory that the module writes."""
        for cache, value in zip(caches, values, strict=True):
            cache.copyfrom(value)

    def _release(self) -> None:
        self._session.close()


class TvmStreamingSession(_StreamingSession):
    """A streaming network on this machine."""

    def __init__(self, session: TvmSession) -> None:
        super().__init__(session)
        self._here = session

    def layer_times(self, clip: NDArray[Any], runs: int) -> tuple[LayerTime, ...]:
        """Each layer at the first frame of a clip, and TVM's own functions by their names."""
        return self._here.layer_times(np.ascontiguousarray(clip[:, :1]), runs)


class BoardStreamingSession(_StreamingSession):
    """A streaming network on a board, where the caches live."""

    def __init__(self, session: RpcSession) -> None:
        super().__init__(session)
        self._there = session

    def read_caches(self, caches: list[Any]) -> tuple[NDArray[Any], ...]:
        """Copies, on this machine."""
        with self._there.asking():
            return super().read_caches(caches)

    def write_caches(self, caches: list[Any], values: tuple[NDArray[Any], ...]) -> None:
        """Into the board's memory."""
        with self._there.asking():
            super().write_caches(caches, values)

    def latencies_ms(self, clip: NDArray[Any], runs: int) -> tuple[float, ...]:
        """Milliseconds of all frames of a clip, each of ``runs`` times, by the board's own clock.

        Raises:
            TargetError: the board is emulated, or does not finish.
        """
        frames = [np.ascontiguousarray(clip[:, t : t + 1]) for t in range(clip.shape[1])]
        times = [self._there.latencies_ms(frame, runs) for frame in frames]
        return tuple(map(sum, zip(*times, strict=True)))
