"""A board over TVM's remote procedure calls: what it tells of itself, and errors that say what happened."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from typing_extensions import Self

from edgevid.errors import TargetError
from edgevid.targets._install import installed_version, require
from edgevid.targets.tvm.relay import open_relay
from edgevid.targets.tvm.tracker import Place, request_board

__all__ = ["Board", "Connection"]

_RAISED = (RuntimeError, OSError, ValueError, TypeError, AttributeError, KeyError)
"""What TVM's client raises when a board or the way to it fails, or when a module tells nothing of it."""

_CONNECT = "see that the board runs, and is in reach of this machine; then try again"
_SAME = "compile for the board's processor, with the TVM that runs there"


@dataclass(frozen=True)
class Board:
    """What a board tells of itself.

    Attributes:
        name: its make, or its host name.
        emulated: its kernel runs on another kind of processor than its programs are made for; what
            it computes counts, how long it takes does not.
        tvm: version, empty where it was not installed as a wheel.
        missing: features that the module was compiled for and the processor lacks, by the kernel's names.
    """

    name: str
    emulated: bool
    tvm: str
    missing: tuple[str, ...]


class Connection:
    """A board that is ours until it is closed.

    Attributes:
        remote: TVM's own session; use it within `asking`.
    """

    def __init__(self, place: Place, *, wait: float = 60, patience: float = 600) -> None:
        """Ask the tracker for a board.

        Args:
            place: of the tracker.
            wait: seconds to wait for a busy board.
            patience: seconds that the board may take for one answer, as one run of a network.

        Raises:
            TargetError: nobody listens, an unknown key, a busy board, or one that cannot be reached.
        """
        rpc = require("tvm.rpc", "tvm")
        self.place = place
        ticket = request_board(place, wait)
        self._relay = open_relay(ticket.host, ticket.port, patience)
        self.remote: Any = None
        try:
            if not self._relay.port:
                raise TargetError(self._relay.reason(), where=place, fix=_CONNECT)
            with self.asking("the board does not let us in"):
                self.remote = rpc.connect("127.0.0.1", self._relay.port, ticket.word)
        except BaseException:
            self.close()
            raise

    @property
    def device(self) -> Any:
        """TVM's name of the board's memory."""
        return self.remote.cpu(0)

    def load(self, path: Path) -> tuple[Any, Board]:
        """Send a library that `edgevid.targets.tvm.cross.export` wrote, and look at what loaded it.

        Args:
            path: of the library.

        Raises:
            TargetError: a board of another TVM or processor, or one that drops the connection.
        """
        with self.asking("the board does not take the module"):
            self.remote.upload(str(path), path.name)
            library = self.remote.load_module(path.name)
            told = json.loads(str(library.get_function("edgevid_board", query_imports=True)()))
            board = Board(told["name"], told["emulated"], told["tvm"], tuple(told["missing"].split()))
        here = installed_version("apache-tvm")
        if board.tvm and board.tvm != here:
            raise TargetError(
                f"the board runs TVM {board.tvm}, this machine {here}",
                where=self.place,
                fix=f"install the same on both: pip install apache-tvm=={here}",
            )
        if board.missing:
            raise TargetError(
                f"{board.name} lacks {', '.join(board.missing)}, which the module was compiled for",
                where=self.place,
                fix="compile for the board's own processor",
            )
        return library, board

    def refuse_emulated(self, board: Board) -> None:
        """Raise `TargetError` if how long the board takes means nothing."""
        if board.emulated:
            raise TargetError(
                "the board is emulated: how long it takes means nothing",
                where=self.place,
                fix="measure on a real board; an emulated one serves `run` and `verify`",
            )

    @contextmanager
    def asking(self, trouble: str) -> Generator[None, None, None]:
        """Turn what TVM's client raises into what happened to the board."""
        try:
            yield
        except _RAISED as error:
            said = str(error).strip().splitlines() or [type(error).__name__]
            reason = self._relay.reason()
            raise TargetError(
                f"{trouble}: {reason or said[-1]}", where=self.place, fix=_CONNECT if reason else _SAME
            ) from error

    def close(self) -> None:
        """Give the board back. What lives there should be dropped before."""
        self.remote = None
        self._relay.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
