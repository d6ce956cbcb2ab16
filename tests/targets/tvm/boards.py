"""A tracker, and servers that it knows: boards that are emulated, or this machine in the role of one."""

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time

import pytest

from edgevid.targets.tvm.tracker import Place

for_arm = pytest.mark.skipif(
    shutil.which("aarch64-linux-gnu-g++") is None or shutil.which("qemu-aarch64-static") is None,
    reason="no g++-aarch64-linux-gnu or no qemu-user-static",
)


@contextlib.contextmanager
def tiles_by_default():
    """Without the static rank, which compiles every candidate to look at its code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("edgevid.targets.tvm.tiles.static_choice", lambda *_: {})
        yield


_RUNTIME_ALONE = {**os.environ, "TVM_USE_RUNTIME_LIB": "1"}
_TRACKER = """
import sys
from tvm.rpc.tracker import PopenTrackerServerState
state = PopenTrackerServerState("127.0.0.1", 19190, 19390)
print("port", state.port, flush=True)
state.thread.join()
"""
_SERVER = """
import sys
from tvm.rpc.server import PopenRPCServerState
tracker = ("127.0.0.1", int(sys.argv[1]))
state = PopenRPCServerState("127.0.0.1", 19400, 19900, tracker_addr=tracker, key=sys.argv[2])
print("port", state.port, flush=True)
state.thread.join()
"""


@contextlib.contextmanager
def process(command, environment):
    """A program that prints its port; it ends with all that it started. Gives (process, port)."""
    started = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield started, _port(started)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        started.stdout.close()


def _port(started, patience=120):
    with selectors.DefaultSelector() as selector:
        selector.register(started.stdout, selectors.EVENT_READ)
        assert selector.select(patience), "no port within two minutes"
    line = started.stdout.readline()
    assert line.startswith("port "), f"it ended instead: {started.poll()}"
    return int(line.split()[1])


@contextlib.contextmanager
def tracker():
    """Gives its port."""
    with process([sys.executable, "-c", _TRACKER], _RUNTIME_ALONE) as (_, port):
        yield port


@contextlib.contextmanager
def server(tracker_port, key, *, python=None, cpu=None):
    """A board: this machine, or with ``python`` and ``cpu`` an emulated one. Gives its process and place."""
    arguments = ["-c", _SERVER, str(tracker_port), key]
    command = [sys.executable, *arguments] if python is None else python.command(cpu, *arguments)
    environment = _RUNTIME_ALONE if python is None else python.environment
    with process(command, environment) as (started, _):
        place = Place("127.0.0.1", tracker_port, key)
        _wait_until_known(place)
        yield started, place


def _wait_until_known(place, patience=60):
    from tvm.rpc import connect_tracker

    end = time.monotonic() + patience
    while time.monotonic() < end:
        client = connect_tracker(place.host, place.port)
        found = client.summary()["queue_info"].get(place.key, {}).get("free", 0)
        client.close()
        if found:
            return
        time.sleep(0.05)
    raise AssertionError("the tracker never heard of the board")
