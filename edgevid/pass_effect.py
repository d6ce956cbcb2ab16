"""What a pass that was asked for to make int8 better did to the logits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgevid.bench.statistics import median, median_interval
from edgevid.calibration.clip_noise import clip_noise
from edgevid.calibration.clips import without
from edgevid.calibration.data import Data
from edgevid.manifest import PassRecord

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["EFFECT_CLIPS", "measured"]

EFFECT_CLIPS = 100
"""Calibration clips that the effect of a pass is measured on, and biases are corrected by."""

_FEWEST_UNSEEN = 16
"""Fewer clips that a pass was not fitted to tell less than those that it was."""


def measured(
    name: str, graph: ir.Model, before: ir.Model, after: ir.Model, clips: Data, *, fitted: int = 0
) -> PassRecord:
    """The record of a pass, measured on clips that it was not fitted to where there are enough.

    Args:
        name: of the pass.
        graph: canonical float graph.
        before: its int8 form without the pass.
        after: with it.
        clips: that int8 was calibrated with.
        fitted: how many of them, spread over the classes, the pass was fitted to.

    Raises:
        ConfigError: a clip of another shape.
        VideoError: no clip can be read.
    """
    unseen = without(clips, fitted) if fitted else clips
    held_out = not fitted or len(unseen.labels) >= _FEWEST_UNSEEN
    found = clip_noise(graph, [before, after], unseen if held_out else clips, count=EFFECT_CLIPS)
    gains = found.gains(0, 1)
    interval = median_interval(gains)
    return PassRecord(
        name=name,
        sqnr_before=found.sqnr(0),
        sqnr_after=found.sqnr(1),
        clips=len(gains),
        gain=median(gains),
        gain_interval=(interval.low, interval.high) if interval else None,
        held_out=held_out,
    )
