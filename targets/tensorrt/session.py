"""An open engine of whole clips on this machine's GPU."""

from __future__ import annotations

from contextlib import ExitStack
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Artifact, Layer, RunSettings
from edgevid.errors import TargetError
from edgevid.targets._install import require
from edgevid.targets._session import CheckedSession, refuse_boards
from edgevid.targets.tensorrt.cuda_pipeline import CudaPipeline, StepTimes
from edgevid.targets.tensorrt.execution import Execution
from edgevid.targets.tensorrt.layer_report import load_report

__all__ = ["TensorRtSession"]


class TensorRtSession(CheckedSession):
    """An engine with one execution context, its memory and a CUDA graph of its kernels."""

    clock = "by CUDA events, transfers included"
    """What `latencies_ms` are measured with."""

    def __init__(self, artifact: Artifact, settings: RunSettings) -> None:
        """Check that the engine is for this GPU and this TensorRT, and only then load it.

        Raises:
            TargetError: it is for another, there is no GPU, or TensorRT refuses it.
            MissingDependencyError: TensorRT or ``cuda-bindings`` is not installed.
        """
        super().__init__(artifact)
        refuse_boards("tensorrt", settings)
        self._one_at_a_time = RLock()  # the context has one set of tensors
        with ExitStack() as held:
            self._execution = Execution(artifact, fixed=True)
            cuda = require("cuda.bindings.runtime", "tensorrt")
            given, result = self._tensors()
            shape = artifact.input.shape
            self._pipeline = CudaPipeline(
                cuda,
                [(shape, self._execution.dtype(given))],
                (artifact.output.shape, self._execution.dtype(result)),
            )
            held.callback(self._pipeline.close)
            self._execution.take_profile(shape[0], self._pipeline.stream)
            self._execution.set_shape(given, shape)
            for name, address in zip((given, result), self._pipeline.addresses, strict=True):
                self._execution.set_address(name, address)
            self._pipeline.prepare(self._enqueue, capture=self._execution.captures)
            held.pop_all()

    def times(self, clip: NDArray[Any], number: int) -> list[StepTimes]:
        """How long each of ``number`` runs took: to the GPU, on it, and back."""
        found = []
        for _ in range(number):
            with self._one_at_a_time:
                self.run(clip)
                found.append(self._pipeline.times())
        return found

    def latencies_ms(self, clip: NDArray[Any], number: int) -> list[float]:
        """Milliseconds of each of ``number`` runs, transfers included."""
        return [times.total for times in self.times(clip, number)]

    def layers(self) -> tuple[Layer, ...]:
        """As the builder told them: an engine has no choice when it runs."""
        batch = self.artifact.batch if self._execution.identity.batches else None
        return load_report(self.artifact.folder, batch).layers()

    def _run(self, clip: NDArray[Any]) -> NDArray[np.float32]:
        with self._one_at_a_time:
            return np.asarray(self._pipeline.run(clip), np.float32)

    def _release(self) -> None:
        self._pipeline.close()
        self._execution.release()

    def _tensors(self) -> tuple[str, str]:
        """The names of the input and the output."""
        given, result = self._execution.inputs(), self._execution.outputs()
        if len(given) != 1 or len(result) != 1:
            raise TargetError(
                f"the engine's tensors are {', '.join((*given, *result))}", where=self.artifact.path
            )
        return given[0], result[0]

    def _enqueue(self) -> None:
        self._execution.enqueue(self._pipeline.stream)
