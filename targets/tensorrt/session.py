"""An open TensorRT engine on this machine's GPU: TensorRT 10, TensorRT 11 or TensorRT for RTX."""

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
from edgevid.targets.tensorrt.engine import check_identity, load_identity
from edgevid.targets.tensorrt.gpu import this_gpu
from edgevid.targets.tensorrt.layer_report import load_report
from edgevid.targets.tensorrt.vendor import load_vendor

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
        self._identity = load_identity(artifact.folder)
        flavor = self._identity.flavor
        self._trt = load_vendor(flavor)
        check_identity(self._identity, version=self._trt.__version__, gpu=this_gpu(), where=artifact.path)
        cuda = require("cuda.bindings.runtime", "tensorrt")
        self._one_at_a_time = RLock()  # the context has one set of tensors
        with ExitStack() as held:
            self._engine = self._load()
            self._context = self._new_context()
            given, result = self._tensors()
            self._pipeline = CudaPipeline(
                cuda, (artifact.input.shape, self._type(given)), (artifact.output.shape, self._type(result))
            )
            held.callback(self._pipeline.close)
            self._bind(given, result)
            # TensorRT for RTX captures by itself, as its context was told.
            self._pipeline.prepare(self._enqueue, capture=flavor == "tensorrt")
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
        batch = self.artifact.batch if self._identity.batches else None
        return load_report(self.artifact.folder, batch).layers()

    def _run(self, clip: NDArray[Any]) -> NDArray[np.float32]:
        with self._one_at_a_time:
            return np.asarray(self._pipeline.run(clip), np.float32)

    def _release(self) -> None:
        self._pipeline.close()
        del self._context, self._engine

    def _load(self) -> Any:
        path = self.artifact.path
        self._logger = self._trt.Logger(self._trt.Logger.ERROR)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise TargetError(f"the engine cannot be read: {error}", where=path) from error
        engine = self._trt.Runtime(self._logger).deserialize_cuda_engine(data)
        return self._made(engine, "does not load the engine: it may be damaged, or the GPU's memory full")

    def _new_context(self) -> Any:
        engine = self._engine
        if self._identity.flavor == "tensorrt_rtx":
            context = _context_rtx(self._trt, engine)
        else:
            context = engine.create_execution_context()
        return self._made(context, "makes no execution context: the GPU's memory may be full")

    def _tensors(self) -> tuple[str, str]:
        """The names of the input and the output."""
        engine, kinds = self._engine, self._trt.TensorIOMode
        names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
        given = [name for name in names if engine.get_tensor_mode(name) == kinds.INPUT]
        result = [name for name in names if engine.get_tensor_mode(name) == kinds.OUTPUT]
        if len(given) != 1 or len(result) != 1:
            raise TargetError(f"the engine's tensors are {', '.join(names)}", where=self.artifact.path)
        return given[0], result[0]

    def _type(self, name: str) -> np.dtype[Any]:
        types = self._trt.DataType
        known = {types.FLOAT: np.float32, types.HALF: np.float16, types.UINT8: np.uint8}
        found = self._engine.get_tensor_dtype(name)
        if found not in known:
            raise TargetError(f"the engine's tensor {name} is {found}", where=self.artifact.path)
        return np.dtype(known[found])

    def _bind(self, given: str, result: str) -> None:
        context, shape, batches = self._context, self.artifact.input.shape, self._identity.batches
        if batches:
            if shape[0] not in batches:
                raise TargetError(
                    f"the engine has no profile of {shape[0]} clips",
                    where=self.artifact.path,
                    fix=f"take one of {', '.join(map(str, batches))}",
                )
            number = batches.index(shape[0])
            self._must(
                context.set_optimization_profile_async(number, self._pipeline.stream), "take the profile"
            )
        self._must(context.set_input_shape(given, shape), f"take clips of {list(shape)}")
        for name, address in zip((given, result), self._pipeline.addresses, strict=True):
            self._must(context.set_tensor_address(name, address), f"take an address for {name}")

    def _enqueue(self) -> None:
        self._must(self._context.execute_async_v3(self._pipeline.stream), "run the network")

    def _must(self, done: bool, what: str) -> None:
        if not done:
            raise TargetError(f"TensorRT does not {what}", where=self.artifact.path)

    def _made(self, found: Any, what: str) -> Any:
        if found is None:
            raise TargetError(
                f"{self._identity.flavor} {what}", where=self.artifact.path, fix="end what else uses the GPU"
            )
        return found


def _context_rtx(trt: Any, engine: Any) -> Any:
    """One that captures CUDA graphs by itself, around what it compiles for the GPU when it first runs."""
    config = engine.create_runtime_config()
    config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
    return engine.create_execution_context(config)
