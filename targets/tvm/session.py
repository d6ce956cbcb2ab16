"""An open TVM module on this machine."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Artifact, Layer, LayerTime, RunSettings
from edgevid.errors import TargetError
from edgevid.targets._install import require
from edgevid.targets._session import CheckedSession
from edgevid.targets._streaming import filled
from edgevid.targets.tvm.threads import Threads

__all__ = ["TvmSession", "check_processor", "first_state"]

_CPU, _POOLED = 1, 2
"""Of DLPack's devices, and of the virtual machine's allocators."""


class TvmSession(CheckedSession):
    """TVM's virtual machine with one module loaded. A clip of a streaming network is its first frame."""

    def __init__(self, artifact: Artifact, settings: RunSettings) -> None:
        super().__init__(artifact)
        self._tvm = require("tvm", "tvm")
        self._threads = Threads(settings.threads)
        # The virtual machine has one set of registers.
        self._one_at_a_time = Lock()
        try:
            library = self._tvm.runtime.load_module(str(artifact.path))
            check_processor(library, artifact)
            self._machine = library["vm_load_executable"]()
            self._machine["vm_initialization"](_CPU, 0, _POOLED)
        except (RuntimeError, OSError, ValueError) as error:
            raise TargetError(f"TVM refuses the module: {error}", where=artifact.path) from error

    def tensor(self, array: NDArray[Any]) -> Any:
        """A copy as TVM takes it."""
        return self._tvm.runtime.tensor(array)

    def call(self, *tensors: Any) -> NDArray[np.float32]:
        """The logits of a clip, or of a frame with its gates and caches, which become the next ones."""
        with self._one_at_a_time:
            self._threads.use()
            return np.asarray(self._machine["main"](*tensors).numpy(), np.float32)

    def _run(self, clip: NDArray[Any]) -> NDArray[np.float32]:
        return self.call(self.tensor(clip), *first_state(self.artifact, self.tensor))

    def layers(self) -> tuple[Layer, ...]:
        """As the module was made: its kernels have no choice when it runs."""
        from edgevid.targets.tvm.layer_list import computed, load_list

        return computed(load_list(self.artifact.folder))

    def times(self, clip: NDArray[Any]) -> list[tuple[str, float]]:
        """The functions of one run in order, each with its seconds."""
        calls: list[tuple[str, float]] = []
        # Functions that TVM made of an operation call others.
        began: list[float] = []

        def watch(_function: Any, name: str, before: bool, _result: Any, *_arguments: Any) -> None:
            if before:
                began.append(time.perf_counter())
            else:
                calls.append((name, time.perf_counter() - began.pop()))

        self.run(clip)  # also sees whether the session is open
        instrument = self._machine["set_instrument"]
        instrument(self._tvm.runtime.convert(watch))
        try:
            self.run(clip)
        finally:
            # Returns at once, so that later runs pay almost nothing.
            instrument(self._tvm.runtime.convert(lambda *_: None))
        return calls

    def layer_times(self, clip: NDArray[Any], runs: int) -> tuple[LayerTime, ...]:
        """Each layer, and TVM's own functions by their names, each with all of its calls."""
        from edgevid.targets.tvm.layer_list import load_list

        layers = load_list(self.artifact.folder)
        times: dict[tuple[str, str, str], list[float]] = {}
        for _ in range(runs + 1):
            own = iter(layers)
            layer = next(own, None)
            run: dict[tuple[str, str, str], float] = {}
            for function, seconds in self.times(clip):
                which = (function, "TVM", "")
                if layer is not None and function == layer.kernel:
                    which = (layer.name, layer.kind, f"{layer.family} {layer.precision}")
                    layer = next(own, None)
                run[which] = run.get(which, 0.0) + 1e3 * seconds
            for which, milliseconds in run.items():
                times.setdefault(which, []).append(milliseconds)
        return tuple(LayerTime(*which, statistics.median(each[1:])) for which, each in times.items())

    def _release(self) -> None:
        del self._machine


def first_state(artifact: Artifact, tensor: Callable[[NDArray[Any]], Any]) -> list[Any]:
    """What a streaming network takes beside its first frame: open gates, and caches before all frames."""
    if artifact.streaming is None:
        return []
    gates = [tensor(np.ones(len(artifact.streaming.gates), np.uint8))] if artifact.streaming.gates else []
    return gates + [tensor(filled(cache)) for cache in artifact.streaming.caches]


def check_processor(library: Any, artifact: Artifact) -> None:
    """Raise `TargetError` before an instruction that this processor lacks ends the process."""
    missing = json.loads(str(library.get_function("edgevid_board", query_imports=True)()))["missing"]
    if missing:
        raise TargetError(
            f"this machine lacks {', '.join(missing.split())}, which the module was compiled for",
            where=artifact.path,
            fix="compile for this machine: --device host-tvm",
        )
