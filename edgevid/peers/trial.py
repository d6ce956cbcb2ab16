"""Each peer made and tried in a process of its own, so that what fails takes nothing with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from edgevid.bench.fresh_process import Keep, Told, call_apart
from edgevid.bench.memory import peak_of_this_process
from edgevid.peers.catalogue import PEERS
from edgevid.peers.request import PeerRequest

__all__ = ["Trial", "make_peer", "run_peer", "try_peer"]


class Trial(BaseModel):
    """What a peer computed.

    Attributes:
        logits: file of ``[clips, classes]``.
        peak_memory: bytes of the process that did nothing else; ``None`` where the kernel does not tell.
    """

    logits: Path
    peak_memory: int | None

    def read(self) -> NDArray[np.float32]:
        """The logits."""
        return np.asarray(np.load(self.logits, allow_pickle=False), np.float32)


def try_peer(name: str, request: PeerRequest) -> Trial:
    """Make a peer and run it on the request's clips, each in a fresh process.

    Raises:
        EdgevidError: it cannot be made, opened or run.
        KeyboardInterrupt: Ctrl-C.
    """
    arguments = {"name": name, "request": request.model_dump(mode="json")}
    made = call_apart(f"{__name__}:make_peer", arguments, label=f"making {PEERS[name].title}")
    if made.interrupted:
        raise KeyboardInterrupt
    tried = call_apart(f"{__name__}:run_peer", arguments, label=f"trying {PEERS[name].title}")
    if tried.interrupted:
        raise KeyboardInterrupt
    return Trial.model_validate_json(tried.text)


def make_peer(name: str, request: dict[str, Any], *, keep: Keep, tell: Told) -> None:
    """What the first process calls."""
    PEERS[name].make(PeerRequest.model_validate(request))
    keep("null")


def run_peer(name: str, request: dict[str, Any], *, keep: Keep, tell: Told) -> None:
    """What the second process calls."""
    asked = PeerRequest.model_validate(request)
    clips = asked.clips()
    with PEERS[name].open(asked) as run:
        logits = np.concatenate([run(part) for part in np.split(clips, len(clips) // asked.batch)])
        place = asked.folder / f"{name}.logits.npy"
        np.save(place, logits, allow_pickle=False)
        keep(Trial(logits=place, peak_memory=peak_of_this_process()).model_dump_json())
