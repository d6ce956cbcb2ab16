"""Boards that several files share."""

import sys
from pathlib import Path

import boards
import pytest
from emulated_python import emulated_python

from edgevid.targets.tvm.cpus import cpu

sys.path.append(str(Path(__file__).parent.parent))  # of the networks that all targets are tested with


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
