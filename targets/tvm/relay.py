"""A local port that passes everything on to a board, and hangs up when the board does not answer.

TVM's own client waits for ever. It runs as a process of its own, since that client blocks all threads
of its process while it waits; this file uses the standard library alone. An interrupt from the keyboard
reaches both, and ends the client's waiting by ending this.
"""

from __future__ import annotations

import contextlib
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

__all__ = ["Relay", "open_relay"]

CONNECT_SECONDS = 10.0
_ACCEPT_SECONDS = 30.0
_PART = 1 << 20


class Relay:
    """The process, seen from its parent."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._reason = ""
        self.port = 0
        """On 127.0.0.1; 0 where the board could not be reached."""
        first = self._line()
        if first.isdecimal():
            self.port = int(first)
        else:
            self._reason = first or "the relay did not start"

    def reason(self, wait: float = 1.0) -> str:
        """Why it hung up, in words; empty while it has not."""
        if not self._reason:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(wait)
                self._reason = self._line()
        return self._reason

    def _line(self) -> str:
        return self._process.stdout.readline().strip() if self._process.stdout else ""

    def close(self) -> None:
        """End the process."""
        self._reason = self._reason or "the session is closed"
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


def open_relay(host: str, port: int, patience: float) -> Relay:
    """Start passing on; ``patience`` is how many seconds a board may take for one answer."""
    command = [sys.executable, "-I", "-S", __file__, host, str(port), str(patience)]
    return Relay(subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True))


def _pass_on(client: socket.socket, board: socket.socket, patience: float) -> str:
    """Until one side hangs up; the reason if it was the board's fault."""
    asked: float | None = None
    while True:
        left = None if asked is None else asked + patience - time.monotonic()
        if left is not None and left <= 0:
            return f"the board did not answer within {patience:g} s"
        for one in select.select([client, board], [], [], left)[0]:
            try:
                part = one.recv(_PART)
                (board if one is client else client).sendall(part)
            except OSError as error:
                return (
                    "" if one is client else f"the connection to the board broke: {error.strerror or error}"
                )
            if not part:
                return "" if one is client else "the board hung up"
            asked = time.monotonic() if one is client else None


def _main(arguments: Sequence[str]) -> None:
    host, port, patience = arguments[0], int(arguments[1]), float(arguments[2])
    try:
        board = socket.create_connection((host, port), CONNECT_SECONDS)
    except OSError as error:
        print(f"the board cannot be reached at {host}:{port}: {error.strerror or error}", flush=True)
        return
    # A board that was unplugged says nothing at all: the kernel asks it every few seconds.
    board.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            board.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    board.settimeout(patience)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_ACCEPT_SECONDS)
        print(listener.getsockname()[1], flush=True)
        try:
            client, _ = listener.accept()
        except TimeoutError:
            return
    client.settimeout(patience)
    print(_pass_on(client, board, patience), flush=True)


if __name__ == "__main__":
    try:
        _main(sys.argv[1:])
    except KeyboardInterrupt:
        print("interrupted", flush=True)
