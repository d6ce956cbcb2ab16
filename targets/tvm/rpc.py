"""A network on a board, over TVM's remote procedure calls: the same session as on this machine."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Artifact, Layer, RunSettings
from edgevid.targets._install import require
from edgevid.targets._session import CheckedSession
from edgevid.targets.tvm.connection import Connection
from edgevid.targets.tvm.session import first_state
from edgevid.targets.tvm.tracker import Place

__all__ = ["RpcSession"]

_CPU, _POOLED = 1, 2
_ANY_CORE = 1
_RUNNING = "the board does not finish the run"


class RpcSession(CheckedSession):
    """An artifact that was sent to a board.

    Attributes:
        board: what runs it.
    """

    def __init__(
        self,
        artifact: Artifact,
        place: Place,
        settings: RunSettings | None = None,
        *,
        wait: float = 60,
        patience: float = 600,
    ) -> None:
        """Ask the tracker for a board and send it the artifact.

        Args:
            artifact: of this target.
            place: of the tracker.
            settings: how many threads; by default the artifact's.
            wait: seconds to wait for a busy board.
            patience: seconds that the board may take for one answer, as one run of the network.

        Raises:
            TargetError: nobody listens, an unknown key, a busy board, one of another TVM or processor, or
                one that drops the connection or does not answer.
        """
        super().__init__(artifact)
        self._tvm = require("tvm", "tvm")
        threads = (settings or artifact.settings).threads
        self._connection = Connection(place, wait=wait, patience=patience)
        self._machine: Any = None
        try:
            library, self.board = self._connection.load(artifact.path)
            with self._connection.asking("the board cannot start the module"):
                if threads is not None:
                    self._connection.remote.get_function("runtime.config_threadpool")(_ANY_CORE, threads)
                self._machine = library["vm_load_executable"]()
                self._machine["vm_initialization"](_CPU, 0, _POOLED)
        except BaseException:
            self.close()
            raise

    def asking(self) -> AbstractContextManager[None]:
        """Within it, errors of the board's tensors say what happened."""
        return self._connection.asking(_RUNNING)

    def tensor(self, array: NDArray[Any]) -> Any:
        """A copy on the board."""
        with self._connection.asking(_RUNNING):
            return self._tvm.runtime.tensor(np.ascontiguousarray(array), self._connection.device)

    def call(self, *tensors: Any) -> NDArray[np.float32]:
        """The logits of a clip, or of a frame with its gates and caches, which become the next ones there."""
        with self._connection.asking(_RUNNING):
            return np.asarray(self._machine["main"](*tensors).numpy(), np.float32)

    def _run(self, clip: NDArray[Any]) -> NDArray[np.float32]:
        return self.call(self.tensor(clip), *first_state(self.artifact, self.tensor))

    @property
    def emulated(self) -> bool:
        """What the board tells of itself."""
        return self.board.emulated

    def layers(self) -> tuple[Layer, ...]:
        """As the module was made: its kernels have no choice when it runs."""
        from edgevid.targets.tvm.layer_list import computed, load_list

        return computed(load_list(self.artifact.folder))

    def latencies_ms(self, clip: NDArray[Any], runs: int) -> tuple[float, ...]:
        """Milliseconds of each of ``runs`` runs, by the board's own clock, after one to warm up.

        Raises:
            TargetError: the board is emulated, or as `run`.
        """
        self.run(clip)
        self._connection.refuse_emulated(self.board)
        sent = [self.tensor(clip), *first_state(self.artifact, self.tensor)]
        with self._connection.asking(_RUNNING):
            timer = self._machine.time_evaluator("main", self._connection.device, number=1, repeat=1)
            # One call a run: it is each run that must not take for ever, not all of them.
            return tuple(1000 * float(timer(*sent).results[0]) for _ in range(runs))

    def _release(self) -> None:
        # What lives on the board is freed there while the connection stands.
        self._machine = None
        self._connection.close()
