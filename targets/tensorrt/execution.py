"""An engine on this machine's GPU and a context to run it in: TensorRT 10 and 11, and TensorRT for RTX."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgevid.contract import Artifact
from edgevid.errors import TargetError
from edgevid.targets.tensorrt.engine import check_identity, load_identity
from edgevid.targets.tensorrt.gpu import this_gpu
from edgevid.targets.tensorrt.vendor import load_vendor

__all__ = ["Execution"]


class Execution:
    """What knows the vendor's objects; memory and stream are given to it.

    Attributes:
        identity: of the engine.
    """

    def __init__(self, artifact: Artifact, *, fixed: bool) -> None:
        """Check that the engine is for this GPU and this TensorRT, and only then load it.

        Args:
            artifact: of the engine.
            fixed: tensors keep their addresses from run to run, so that TensorRT for RTX may capture its
                kernels as a CUDA graph, which holds addresses.

        Raises:
            TargetError: it is for another, there is no GPU, or TensorRT refuses it.
            MissingDependencyError: TensorRT is not installed.
        """
        self._path = artifact.path
        self.identity = load_identity(artifact.folder)
        self._trt = load_vendor(self.identity.flavor)
        check_identity(self.identity, version=self._trt.__version__, gpu=this_gpu(), where=self._path)
        self._engine = self._load()
        self._context = self._new_context(fixed)

    @property
    def captures(self) -> bool:
        """Its kernels may be captured as a CUDA graph; TensorRT for RTX does so by itself."""
        return self.identity.flavor == "tensorrt"

    def inputs(self) -> list[str]:
        """Names."""
        return self._names(self._trt.TensorIOMode.INPUT)

    def outputs(self) -> list[str]:
        """Names."""
        return self._names(self._trt.TensorIOMode.OUTPUT)

    def dtype(self, name: str) -> np.dtype[Any]:
        """Of a tensor."""
        types = self._trt.DataType
        known = {types.FLOAT: np.float32, types.HALF: np.float16, types.UINT8: np.uint8, types.INT8: np.int8}
        found = self._engine.get_tensor_dtype(name)
        if found not in known:
            raise TargetError(f"the engine's tensor {name} is {found}", where=self._path)
        return np.dtype(known[found])

    def take_profile(self, clips: int, stream: int) -> None:
        """Choose the profile of that many clips, where there are profiles.

        Raises:
            TargetError: there is none of so many.
        """
        batches = self.identity.batches
        if not batches:
            return
        if clips not in batches:
            raise TargetError(
                f"the engine has no profile of {clips} clips",
                where=self._path,
                fix=f"take one of {', '.join(map(str, batches))}",
            )
        number = batches.index(clips)
        self._must(self._context.set_optimization_profile_async(number, stream), "take the profile")

    def set_shape(self, name: str, shape: tuple[int, ...]) -> None:
        """Of an input."""
        self._must(self._context.set_input_shape(name, shape), f"take {name} of {list(shape)}")

    def set_address(self, name: str, address: int) -> None:
        """Where a tensor lies on the GPU."""
        self._must(self._context.set_tensor_address(name, address), f"take an address for {name}")

    def enqueue(self, stream: int) -> None:
        """Run the network on a CUDA stream."""
        self._must(self._context.execute_async_v3(stream), "run the network")

    def release(self) -> None:
        """Let go of context and engine."""
        del self._context, self._engine

    def _names(self, mode: Any) -> list[str]:
        engine = self._engine
        names = [engine.get_tensor_name(number) for number in range(engine.num_io_tensors)]
        return [name for name in names if engine.get_tensor_mode(name) == mode]

    def _load(self) -> Any:
        self._logger = self._trt.Logger(self._trt.Logger.ERROR)
        try:
            data = self._path.read_bytes()
        except OSError as error:
            raise TargetError(f"the engine cannot be read: {error}", where=self._path) from error
        engine = self._trt.Runtime(self._logger).deserialize_cuda_engine(data)
        return self._made(engine, "does not load the engine: it may be damaged, or the GPU's memory full")

    def _new_context(self, fixed: bool) -> Any:
        engine = self._engine
        if self.identity.flavor == "tensorrt_rtx":
            context = _context_rtx(self._trt, engine, fixed)
        else:
            context = engine.create_execution_context()
        return self._made(context, "makes no execution context: the GPU's memory may be full")

    def _must(self, done: bool, what: str) -> None:
        if not done:
            raise TargetError(f"TensorRT does not {what}", where=self._path)

    def _made(self, found: Any, what: str) -> Any:
        if found is None:
            raise TargetError(
                f"{self.identity.flavor} {what}", where=self._path, fix="end what else uses the GPU"
            )
        return found


def _context_rtx(trt: Any, engine: Any, fixed: bool) -> Any:
    """One that captures CUDA graphs by itself, around what it compiles for the GPU when it first runs."""
    strategies = trt.CudaGraphStrategy
    config = engine.create_runtime_config()
    config.cuda_graph_strategy = strategies.WHOLE_GRAPH_CAPTURE if fixed else strategies.DISABLED
    return engine.create_execution_context(config)
