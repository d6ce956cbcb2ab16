"""What streams take in memory: each that is added, and one that goes on for long."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from edgevid import targets
from edgevid.bench.fresh_process import Keep, Told, call_apart
from edgevid.bench.memory import resident_of_this_process
from edgevid.contract import Artifact, Stream

__all__ = ["STREAMS", "add_streams", "memory_a_stream", "memory_over_steps", "take_steps"]

STREAMS = 50
BYTES = 1 << 27
_ARTIFACT = TypeAdapter(Artifact)
_SEED = 0


def memory_a_stream(artifact: Artifact, streams: int | None = None) -> int | None:
    """Bytes that the resident memory of a fresh process grows by with each stream of a session.

    Args:
        artifact: a streaming one.
        streams: how many are added, after as many others; each takes a frame. If not given at least
            `STREAMS`, and so many that their caches have `BYTES`.

    Returns:
        ``None`` where the kernel does not tell.

    Raises:
        EdgevidError: it cannot be opened or run.
    """
    assert artifact.streaming is not None
    streams = streams or max(STREAMS, BYTES // max(artifact.streaming.nbytes, 1))
    arguments = {"artifact": _ARTIFACT.dump_python(artifact, mode="json"), "streams": streams}
    answer = call_apart(f"{__name__}:add_streams", arguments, label=f"streams of {artifact.path}")
    before, after = json.loads(answer.text)
    return None if before is None else (after - before) // streams


def memory_over_steps(artifact: Artifact, steps: int, points: int = 10) -> list[tuple[int, int | None]]:
    """Resident bytes of a fresh process while one stream takes ``steps`` frames, at so many points.

    Returns:
        Frames taken, and bytes; fewer points if Ctrl-C ended it.

    Raises:
        EdgevidError: it cannot be opened or run.
    """
    arguments = {
        "artifact": _ARTIFACT.dump_python(artifact, mode="json"),
        "steps": steps,
        "points": points,
    }
    answer = call_apart(f"{__name__}:take_steps", arguments, label=f"steps of {artifact.path}")
    return [(taken, size) for taken, size in json.loads(answer.text)]


def add_streams(artifact: Mapping[str, Any], streams: int, *, keep: Keep, tell: Told) -> None:
    """What the fresh process calls."""
    opened = _ARTIFACT.validate_python(artifact)
    frame = np.zeros(opened.input.shape[2:], opened.input.dtype)
    with targets.find(opened.target).open(opened) as session:

        def added() -> list[Stream]:
            new = [session.stream() for _ in range(streams)]
            for stream in new:
                stream.step(frame)
            return new

        # The first find room in what was needed to open the network, and given back since.
        first, before = added(), resident_of_this_process()
        second, after = added(), resident_of_this_process()
        keep(json.dumps([before, after]))
        del first, second


def take_steps(artifact: Mapping[str, Any], steps: int, points: int, *, keep: Keep, tell: Told) -> None:
    """What the fresh process calls."""
    opened = _ARTIFACT.validate_python(artifact)
    frames = np.random.default_rng(_SEED).integers(0, 256, (16, *opened.input.shape[2:]), np.uint8)
    found: list[tuple[int, int | None]] = []
    stops = {round(steps * (point + 1) / points) for point in range(points)}
    with targets.find(opened.target).open(opened) as session:
        for taken in range(1, steps + 1):
            session.step(frames[taken % len(frames)])
            if taken in stops:
                found.append((taken, resident_of_this_process()))
                keep(json.dumps(found))
                tell({"done": taken, "total": steps})
