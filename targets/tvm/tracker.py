"""Asking TVM's tracker for a free board, with a time limit on everything.

The protocol is that of ``tvm.rpc.tracker``: four bytes of greeting, then JSON with its length before it.
"""

from __future__ import annotations

import ipaddress
import json
import re
import socket
import struct
from dataclasses import dataclass
from typing import Any

from edgevid.errors import ConfigError, TargetError

__all__ = ["Place", "Ticket", "parse_place", "request_board"]

_GREETING = struct.pack("<i", 0x2F271)
_SUCCESS, _REQUEST, _SUMMARY = 0, 4, 6
_ANSWER_SECONDS = 10.0
_LONGEST_ANSWER = 1 << 20


class _NoTracker(Exception):  # noqa: N818  (said to whoever asked as a TargetError)
    """What answers does not answer as a tracker does."""


@dataclass(frozen=True)
class Place:
    """A tracker, and the key under which it knows the boards of one kind."""

    host: str
    port: int
    key: str

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"rpc://{host}:{self.port}/{self.key}"


@dataclass(frozen=True)
class Ticket:
    """A board that is ours now: where it listens, and the word it lets us in for."""

    host: str
    port: int
    word: str


def parse_place(text: str) -> Place:
    """Read ``rpc://HOST:PORT/KEY``.

    Raises:
        ConfigError: it is something else.
    """
    found = re.fullmatch(r"rpc://(\[[0-9a-fA-F:.]+\]|[^/:\s]+):(\d{1,5})/([^/\s]+)", text)
    if found is None or not 0 < int(found[2]) < 65536:
        raise ConfigError(
            f"not the place of a board: {text!r}",
            where="--on",
            fix="give rpc://HOST:PORT/KEY: the tracker's address and the key of the board",
        )
    return Place(found[1].strip("[]"), int(found[2]), found[3])


def request_board(place: Place, wait: float = 60) -> Ticket:
    """A board of that key, waiting at most ``wait`` seconds for one that is busy.

    Raises:
        TargetError: nobody listens there, it is no tracker, no board has this key, or all stay busy.
    """
    try:
        with socket.create_connection((place.host, place.port), _ANSWER_SECONDS) as connection:
            connection.sendall(_GREETING)
            if _receive(connection, 4) != _GREETING:
                raise _NoTracker("it does not greet as a tracker does")
            boards = [info["key"] for info in _ask(connection, [_SUMMARY])["server_info"]]
            if f"server:{place.key}" not in boards:
                keys = sorted({key.removeprefix("server:") for key in boards})
                raise TargetError(
                    f"the tracker knows no board {place.key!r}",
                    where=place,
                    fix=f"its boards: {', '.join(keys) or 'none'}; start one there with python -m "
                    f"tvm.exec.rpc_server --tracker={place.host}:{place.port} --key={place.key}",
                )
            connection.settimeout(wait)
            try:
                host, port, word = _ask(connection, [_REQUEST, place.key, "", 1])
            except TimeoutError as error:
                raise TargetError(
                    f"the board is busy: none of {boards.count(f'server:{place.key}')} became free "
                    f"in {wait:g} s",
                    where=place,
                    fix="wait for the other session to end, or start another board",
                ) from error
            return Ticket(_seen_from_here(str(host), place.host), int(port), str(word))
    except (OSError, ValueError, KeyError, TypeError, struct.error, _NoTracker) as error:
        what = "this is no tracker of TVM"
        if isinstance(error, ConnectionRefusedError | socket.gaierror):
            what = "nobody listens"
        elif isinstance(error, TimeoutError):
            what = "nobody answers in time"
        raise TargetError(
            f"{what}: {error}",
            where=place,
            fix="start a tracker: python -m tvm.exec.rpc_tracker --host=0.0.0.0 --port=9190 --port-end=9191",
        ) from error


def _ask(connection: socket.socket, question: list[Any]) -> Any:
    text = json.dumps(question).encode()
    connection.sendall(struct.pack("<i", len(text)) + text)
    (size,) = struct.unpack("<i", _receive(connection, 4))
    if not 0 < size < _LONGEST_ANSWER:
        raise _NoTracker(f"an answer of {size} bytes")
    code, answer = json.loads(_receive(connection, size))
    if code != _SUCCESS:
        raise _NoTracker(f"it answers {code} {answer}")
    return answer


def _receive(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise _NoTracker("it hangs up")
        data += part
    return data


def _seen_from_here(board: str, tracker: str) -> str:
    """A board on the tracker's own machine is known to it as localhost."""
    try:
        return tracker if ipaddress.ip_address(board).is_loopback else board
    except ValueError:
        return board
