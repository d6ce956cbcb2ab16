"""A short program beside each artifact that runs it with the vendor's API alone."""

from __future__ import annotations

from typing import Any

from edgevid.contract import Artifact, Streaming

__all__ = ["write_example"]

_HEAD = '''"""Runs this artifact without edgevid: python example.py [CLIPS.npy]."""

import sys
from pathlib import Path

import numpy as np

clip = np.load(sys.argv[1]) if sys.argv[1:] else np.zeros({shape!r}, np.{dtype})
clip = np.resize(clip, {shape!r})  # {note}
here = Path(__file__).parent
'''
_TAIL = """print("class", logits.argmax(axis=-1).tolist())
"""


def write_example(artifact: Artifact, body: str, **values: Any) -> None:
    """Write ``example.py``: ``body`` turns ``clip`` into ``logits``.

    ``body`` is a format string that may use ``entry``, ``input`` and whatever ``values`` names. For a
    streaming artifact ``clip`` holds two frames; ``body`` may use ``each``, a loop over them, and ``valid``
    and ``fills``, expressions for that input at a ``step`` and for what each cache begins with.
    """
    shape, note = artifact.input.shape, "the artifact takes this many clips"
    if artifact.streaming is not None:
        shape, note = (1, 2, *shape[2:]), "two frames, taken one by one"
        values = {**_of_steps(artifact.streaming), **values}
    head = _HEAD.format(shape=shape, dtype=artifact.input.dtype, note=note)
    text = head + body.format(entry=artifact.entry, input=artifact.input.name, **values).lstrip() + _TAIL
    (artifact.folder / "example.py").write_text(text, encoding="utf-8")


def _of_steps(streaming: Streaming) -> dict[str, str]:
    gates, fills = list(streaming.gates), [cache.fill for cache in streaming.caches]
    return {
        "each": "for step, frame in enumerate(clip[0])" if gates else "for frame in clip[0]",
        "valid": f"np.array([step >= gate for gate in {gates}], np.uint8)",
        "fills": f"[{fills[0]}] * {len(fills)}" if len(set(fills)) == 1 else repr(fills),
    }
