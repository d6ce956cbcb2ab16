"""The null target: fulfils the contract without a runtime, for tests of what stands above it.

Its logits are the mean brightness of each clip, spread over the classes: deterministic,
different for different clips, and no network's. So it ``executes`` nothing, and a bundle made
with it says so.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Artifact, Capability, CompileOptions, Device, Precision, RunSettings
from edgevid.errors import TargetError
from edgevid.targets._artifact import describe
from edgevid.targets._session import CheckedSession, refuse_boards
from edgevid.targets._streaming import StreamingSession, filled

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["NullSession", "NullStreamingSession", "NullTarget", "target"]


class NullSession(CheckedSession):
    """Brightness instead of inference."""

    def _run(self, clip: NDArray[Any]) -> NDArray[np.float32]:
        batch, classes = self.output.shape
        brightness = clip.reshape(batch, -1).mean(axis=1, dtype=np.float64)
        return np.asarray(brightness[:, None] * np.linspace(-1, 1, classes), np.float32)

    def _release(self) -> None:
        """Nothing is held."""


class NullStreamingSession(StreamingSession):
    """Brightness of a frame and of the one before, which the caches remember."""

    def new_caches(self) -> list[NDArray[Any]]:
        """One set."""
        return [filled(cache) for cache in self.streaming.caches]

    def _advance(
        self, caches: list[NDArray[Any]], frame: NDArray[Any], valid: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        brightness = int(frame.mean())
        before = [cache.mean() for cache in caches]
        for cache in caches:
            cache[...] = brightness // 2  # so that int8 can hold it
        seen = np.mean([brightness, *before])
        return np.asarray(seen * np.linspace(-1, 1, self.output.shape[1]), np.float32)

    def read_caches(self, caches: list[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
        """Copies."""
        return tuple(cache.copy() for cache in caches)

    def write_caches(self, caches: list[NDArray[Any]], values: tuple[NDArray[Any], ...]) -> None:
        """In place."""
        for cache, value in zip(caches, values, strict=True):
            cache[...] = value

    def _release(self) -> None:
        """Nothing is held."""


class NullTarget:
    """Compiles to a file with the graph's shapes."""

    name = "null"

    def probe(self, device: Device) -> Capability:
        """Everything is possible, nothing is computed."""
        return Capability(
            compiles=True,
            executes=False,
            reason="the null target computes nothing: it is for tests",
            version="1",
            precisions=("fp32", "bf16", "fp16"),
            missing={"int8": "the null target has no quantized form"},
            opset=99,
            forbidden_ops=frozenset(),
            lowerings=("slice_concat",),
            batch_lowerings=("slice_concat",),
            stream_lowerings=("slice_concat",),
        )

    def default_lowering(self, graph: ir.Model, device: Device, precision: Precision, batch: int) -> str:
        """Any would do."""
        return "slice_concat"

    def compile(self, graph: ir.Model, options: CompileOptions) -> Artifact:
        """Write the shapes."""
        artifact = describe(self.name, "shapes.json", graph, options)
        shapes = {"input": artifact.input.shape, "output": artifact.output.shape}
        artifact.path.write_text(json.dumps(shapes), encoding="utf-8")
        return artifact

    def open(self, artifact: Artifact, settings: RunSettings | None = None) -> CheckedSession:
        """Open the shapes."""
        refuse_boards(self.name, settings or artifact.settings)
        try:
            json.loads(artifact.path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TargetError(f"not an artifact of the null target: {error}", where=artifact.path) from error
        return NullSession(artifact) if artifact.streaming is None else NullStreamingSession(artifact)


def target() -> NullTarget:
    """The target of this module."""
    return NullTarget()
