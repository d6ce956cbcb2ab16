"""Measuring processes in which a peer is killed, as a system does that runs out of memory."""

import os
import signal
from contextlib import contextmanager
from dataclasses import replace

from edgevid.peers import measure
from edgevid.peers.catalogue import PEERS

NAME = "eager"


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def dying_at_once(request):
    die()
    yield


@contextmanager
def dying_later(request):
    yield die


@contextmanager
def opening_with(opener, arguments):
    measure.PEERS = {**PEERS, NAME: replace(PEERS[NAME], open=opener)}
    with measure.open_with_peers(**arguments) as comparison:
        yield comparison


def while_opened(**arguments):
    return opening_with(dying_at_once, arguments)


def while_all_run(**arguments):
    return opening_with(dying_later, arguments)
