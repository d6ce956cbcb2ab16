"""Boards that several files share."""

import boards
import pytest
from emulated_python import emulated_python

from edgevid.targets.tvm.cpus import cpu

LONG = (
    *("test_demo_on_arm.py", "test_rpc.py", "test_tuning_board.py", "test_runner.py", "test_operations.py"),
    *("test_int8_on_arm.py", "test_int8_convolutions.py", "test_int8_network.py", "test_emulator.py"),
)
"""Emulated boards, and kernels compiled by the hundred: of ``make test-slow``."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name in LONG:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def tracker_port():
    """Of a tracker of TVM on this machine."""
    with boards.tracker() as port:
        yield port


@pytest.fixture(scope="session")
def emulated_board(tracker_port):
    """The place of an emulated Raspberry Pi 5."""
    with boards.server(tracker_port, "emulated", python=emulated_python(), cpu=cpu("cortex-a76")) as (
        _,
        place,
    ):
        yield place
