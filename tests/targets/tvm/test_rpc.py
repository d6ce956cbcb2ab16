import os
import signal
import socket
import subprocess
import threading
from contextlib import closing

import boards
import numpy as np
import pytest
from emulated_python import emulated_python
from tiny_module import export_tiny, reference

from edgevid.contract import Artifact, RunSettings, TensorSpec
from edgevid.errors import ConfigError, TargetError
from edgevid.targets.tvm.cpus import cpu
from edgevid.targets.tvm.rpc import RpcSession
from edgevid.targets.tvm.tracker import Place, parse_place, request_board

ROWS = np.linspace(-1, 1, 32, dtype=np.float32).reshape(4, 8)


def artifact_for(name, folder):
    export_tiny(cpu(name), folder / "model.so")
    return Artifact(
        *("tvm", folder, "model.so", "fp32", 4, "keep"),
        input=TensorSpec("x", (4, 8), "float32"),
        output=TensorSpec("y", (4, 5), "float32"),
    )


@pytest.fixture(scope="module")
def native(tmp_path_factory):
    return artifact_for("host", tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="module")
def board(tracker_port):
    """This machine in the role of a board."""
    with boards.server(tracker_port, "native") as (_, place):
        yield place


def test_a_board_computes_what_numpy_does(native, board):
    with RpcSession(native, board) as session:
        np.testing.assert_allclose(session.run(ROWS), reference(ROWS), rtol=1e-5, atol=1e-6)
        assert session.board.tvm == __import__("tvm").__version__
        assert not session.board.emulated
        latencies = session.latencies_ms(ROWS, 5)
    assert len(latencies) == 5
    assert min(latencies) > 0


def test_a_board_that_was_given_back_can_be_taken_again(native, board):
    for _ in range(3):
        with RpcSession(native, board) as session:
            session.run(ROWS)


def test_threads_are_set_on_the_board(native, board):
    with RpcSession(native, board, RunSettings(threads=1)) as session:
        assert session._connection.remote.get_function("runtime.NumThreads")() == 1


@boards.for_arm
def test_an_emulated_board_computes_and_has_no_latencies(emulated_board, tmp_path):
    artifact = artifact_for("cortex-a76", tmp_path)
    with RpcSession(artifact, emulated_board) as session:
        np.testing.assert_allclose(session.run(ROWS), reference(ROWS), rtol=1e-5, atol=1e-6)
        assert session.board.emulated
        with pytest.raises(TargetError, match="means nothing"):
            session.latencies_ms(ROWS, 1)


@boards.for_arm
def test_an_artifact_for_another_processor_is_refused_by_the_board(native, emulated_board):
    with pytest.raises(TargetError, match="does not take the module"):
        RpcSession(native, emulated_board)


def test_a_clip_of_another_shape_is_refused_before_it_is_sent(native, board):
    with RpcSession(native, board) as session, pytest.raises(TargetError, match="the network takes"):
        session.run(ROWS[:2])


@pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGSTOP])
def test_a_board_that_is_unplugged_or_hangs_is_an_error(native, tracker_port, what):
    with (
        boards.server(tracker_port, f"doomed-{what}") as (process, place),
        RpcSession(native, place, patience=3) as session,
    ):
        session.run(ROWS)
        members = subprocess.run(["ps", "-o", "pid=", "-g", str(process.pid)], capture_output=True, text=True)
        for member in members.stdout.split():
            os.kill(int(member), what)
        with pytest.raises(TargetError, match=r"did not answer|broke|hung up") as caught:
            session.run(ROWS)
        assert caught.value.where == str(place)
        with pytest.raises(TargetError):
            session.run(ROWS)


def test_a_busy_board_is_waited_for_and_no_longer_than_asked(native, board):
    with RpcSession(native, board), pytest.raises(TargetError, match="the board is busy"):
        RpcSession(native, board, wait=1)
    with RpcSession(native, board) as session:
        session.run(ROWS)


def test_another_tvm_on_the_board_is_named(native, board, monkeypatch):
    monkeypatch.setattr("edgevid.targets.tvm.connection.installed_version", lambda _: "0.26.0")
    with pytest.raises(TargetError, match=r"the board runs TVM 0\.27.*this machine 0\.26\.0") as caught:
        RpcSession(native, board)
    assert "pip install apache-tvm==0.26.0" in caught.value.fix


@boards.for_arm
def test_a_board_without_the_instructions_is_named(tracker_port, tmp_path):
    artifact = artifact_for("cortex-a76", tmp_path)
    with (
        boards.server(tracker_port, "old", python=emulated_python(), cpu=cpu("cortex-a53")) as (_, place),
        pytest.raises(TargetError, match="lacks asimddp, asimdhp, which the module") as caught,
    ):
        RpcSession(artifact, place)
    assert "compile for the board's own processor" in caught.value.fix


def test_an_unknown_key_names_the_boards_there_are(native, board):
    with pytest.raises(TargetError, match="no board 'rpi'") as caught:
        RpcSession(native, Place("127.0.0.1", board.port, "rpi"))
    assert "native" in caught.value.fix


def test_nobody_listening_is_an_error_with_the_command_that_helps():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(TargetError, match="nobody listens") as caught:
        request_board(Place("127.0.0.1", port, "x"))
    assert "tvm.exec.rpc_tracker" in caught.value.fix


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n", b"\x71\xf2\x02\x00" + b"\xff" * 8, b"\x71\xf2\x02\x00{}"]
)
def test_something_else_that_listens_is_no_tracker(answer):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def reply():
            connection, _ = server.accept()
            with closing(connection):
                connection.recv(100)
                connection.sendall(answer)

        thread = threading.Thread(target=reply)
        thread.start()
        with pytest.raises(TargetError, match="no tracker"):
            request_board(Place("127.0.0.1", server.getsockname()[1], "x"))
        thread.join()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("rpc://pi.local:9190/pi", Place("pi.local", 9190, "pi")),
        ("rpc://[::1]:9190/a.b", Place("::1", 9190, "a.b")),
    ],
)
def test_a_place_is_read_and_told(text, place):
    assert parse_place(text) == place
    assert str(place) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "pi", "rpc://pi", "rpc://pi:9190", "rpc://pi:9190/", "rpc://pi:0/k", "rpc://pi:99999/k"),
        *("http://pi:9190/k", "rpc://pi:x/k", "rpc://a b:1/k"),
    ],
)
def test_what_is_no_place_is_refused_with_the_form(text):
    with pytest.raises(ConfigError, match="not the place of a board") as caught:
        parse_place(text)
    assert "rpc://HOST:PORT/KEY" in caught.value.fix
