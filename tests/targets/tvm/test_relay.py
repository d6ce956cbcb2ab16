import contextlib
import os
import signal
import socket
import threading
import time

import pytest

from edgevid.targets.tvm.relay import open_relay


@pytest.fixture
def board():
    """Something that listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(20)
        yield listener


@pytest.fixture
def relayed(board):
    """A relay to it, and both ends."""
    relay = open_relay("127.0.0.1", board.getsockname()[1], patience=2)
    near = socket.create_connection(("127.0.0.1", relay.port), 20)
    far, _ = board.accept()
    far.settimeout(20)
    with near, far:
        yield relay, near, far
    relay.close()


def received(one, size):
    data = b""
    while len(data) < size and (part := one.recv(size - len(data))):
        data += part
    return data


def test_both_ways_everything_arrives(relayed):
    _, near, far = relayed
    sent = bytes(range(256)) * 20_000
    for one, other in ((near, far), (far, near)):
        sender = threading.Thread(target=one.sendall, args=(sent,))
        sender.start()
        assert received(other, len(sent)) == sent
        sender.join()


def test_a_board_that_does_not_answer_is_hung_up_on(relayed):
    relay, near, _ = relayed
    near.sendall(b"are you there?")
    assert near.recv(1) == b""
    assert relay.reason() == "the board did not answer within 2 s"


def test_a_board_may_be_silent_while_nothing_is_asked(relayed):
    relay, near, far = relayed
    near.sendall(b"?")
    far.sendall(b"!")
    assert near.recv(1) == b"!"
    time.sleep(2.5)
    assert relay.reason(0) == ""
    near.sendall(b"?")
    assert received(far, 2) == b"??"


def test_a_board_that_hangs_up_is_told_apart(relayed):
    relay, near, far = relayed
    far.close()
    assert near.recv(1) == b""
    assert relay.reason() == "the board hung up"


def test_our_own_end_is_no_fault_of_the_board(relayed):
    relay, near, far = relayed
    near.close()
    assert far.recv(1) == b""
    assert relay.reason() == ""


def test_a_board_out_of_reach_is_named(board):
    port = board.getsockname()[1]
    board.close()
    relay = open_relay("127.0.0.1", port, patience=2)
    assert relay.port == 0
    assert relay.reason() == f"the board cannot be reached at 127.0.0.1:{port}: Connection refused"
    relay.close()


def test_an_interrupt_ends_the_waiting(relayed):
    relay, near, _ = relayed
    near.sendall(b"?")
    os.kill(relay._process.pid, signal.SIGINT)
    with contextlib.suppress(ConnectionResetError):
        assert near.recv(1) == b""
    assert relay.reason() == "interrupted"


def test_closing_ends_the_process_and_says_so(relayed):
    relay, near, _ = relayed
    relay.close()
    with contextlib.suppress(ConnectionResetError):
        assert near.recv(1) == b""
    assert relay.reason() == "the session is closed"
    relay.close()
