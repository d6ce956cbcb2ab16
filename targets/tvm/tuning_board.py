"""A board that kernels are timed on, one module of candidates after the other."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgevid.targets.tvm.connection import Connection
from edgevid.targets.tvm.cpus import Cpu
from edgevid.targets.tvm.cross import export
from edgevid.targets.tvm.tracker import parse_place

__all__ = ["TuningBoard", "tuning_board"]

_TIMING = "the board does not finish a kernel"


class TuningBoard:
    """``load`` and ``device``, as tuning asks them of every place where kernels are timed."""

    def __init__(self, connection: Connection, cpu: Cpu) -> None:
        self._connection, self._cpu = connection, cpu
        self._numbers = itertools.count()

    @property
    def device(self) -> Any:
        """TVM's name of the board's memory."""
        return self._connection.device

    def load(self, module: Any) -> _Loaded:
        """A compiled module, sent to the board.

        Raises:
            TargetError: it cannot be linked, or the board does not take it or is emulated.
            MissingDependencyError: no compiler for the board's system.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"candidates{next(self._numbers)}.so"
            export(module, self._cpu, path)
            library, board = self._connection.load(path)
        self._connection.refuse_emulated(board)
        return _Loaded(library, self._connection)

    def close(self) -> None:
        """Give the board back."""
        self._connection.close()


class _Loaded:
    """A module on the board whose errors say what happened there."""

    def __init__(self, library: Any, connection: Connection) -> None:
        self._library, self._connection = library, connection

    def __getitem__(self, name: str) -> Callable[..., Any]:
        with self._connection.asking(_TIMING):
            return self._guarded(self._library[name])

    def time_evaluator(self, name: str, device: Any, **settings: Any) -> Callable[..., Any]:
        """TVM's own."""
        with self._connection.asking(_TIMING):
            return self._guarded(self._library.time_evaluator(name, device, **settings))

    def _guarded(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            with self._connection.asking(_TIMING):
                return function(*arguments)

        return call


def tuning_board(address: str, cpu: Cpu) -> TuningBoard:
    """The board at ``rpc://HOST:PORT/KEY``; close it when tuning is over.

    Args:
        address: of its tracker, and its key.
        cpu: that kernels are compiled for.

    Raises:
        ConfigError: not such an address.
        TargetError: nobody listens, an unknown key, or a busy board.
    """
    return TuningBoard(Connection(parse_place(address)), cpu)
