"""The demonstration: eight generated motions, a small TSM that tells them apart, its no-shift twin, and
one that takes from the past alone, to follow a video.

`edgevid.video.synthetic` draws the clips, `write_videos` and `write_sequence` turn them into H.264 files,
``python -m edgevid.demo.train`` trains the networks shipped here and
``python -m edgevid.demo.evaluate`` prints how well they do. Small members of other papers' families are
trained alike, see `edgevid.demo.families`; `edgevid.demo.flow_start` makes a network of optical flow of one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from edgevid.demo.files import write_sequence, write_videos
from edgevid.video.synthetic import MOTIONS

__all__ = ["LABELS", "checkpoint", "write_sequence", "write_videos"]

LABELS: tuple[str, ...] = MOTIONS
"""Names of the classes, in the order of the logits."""


def checkpoint(name: Literal["tsm", "tsn", "online"] = "tsm") -> Path:
    """The shipped checkpoint: ``tsm`` with the shift, ``tsn`` without it, ``online`` from the past alone."""
    return Path(__file__).with_name(f"{name}.safetensors")
