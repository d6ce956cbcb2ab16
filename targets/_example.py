"""A short program beside each artifact that runs it with the vendor's API alone."""

from __future__ import annotations

from typing import Any

from edgevid.contract import Artifact

__all__ = ["write_example"]

_HEAD = '''"""Runs this artifact without edgevid: python example.py [CLIPS.npy]."""

import sys
from pathlib import Path

import numpy as np

clip = np.load(sys.argv[1]) if sys.argv[1:] else np.zeros({shape!r}, np.{dtype})
clip = np.resize(clip, {shape!r})  # the artifact takes this many clips
here = Path(__file__).parent
'''
_TAIL = """print("class", logits.argmax(axis=-1).tolist())
"""


def write_example(artifact: Artifact, body: str, **values: Any) -> None:
    """Write ``example.py``: ``body`` turns ``clip`` into ``logits``.

    ``body`` is a format string that may use ``entry``, ``input`` and whatever ``values`` names.
    """
    head = _HEAD.format(shape=artifact.input.shape, dtype=artifact.input.dtype)
    text = head + body.format(entry=artifact.entry, input=artifact.input.name, **values).lstrip() + _TAIL
    (artifact.folder / "example.py").write_text(text, encoding="utf-8")
