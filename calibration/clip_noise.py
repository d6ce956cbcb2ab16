"""How far variants of a network are from the network itself at the logits, clip by clip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid.calibration.chunks import batch_of, chunks, clip_shape, filled
from edgevid.calibration.data import Data
from edgevid.targets.onnxruntime import observer

__all__ = ["ClipNoise", "clip_noise"]

_LEAST = 1e-15
"""Noise below this share of the signal is none."""


@dataclass(frozen=True)
class ClipNoise:
    """Sums over the logits of each clip.

    Attributes:
        signal: of the network's squared logits, ``[clips]``.
        noise: of squared differences to them, ``[variants, clips]``.
    """

    signal: NDArray[np.float64]
    noise: NDArray[np.float64]

    def sqnr(self, variant: int) -> float | None:
        """Over all clips, in dB; None if the logits are the same."""
        noise = float(self.noise[variant].sum())
        return 10 * math.log10(max(float(self.signal.sum()), 1e-300) / noise) if noise else None

    def gains(self, before: int, after: int) -> list[float]:
        """What each clip gains from one variant to another, in dB."""
        noise = np.maximum(self.noise, np.maximum(_LEAST * self.signal, 1e-300))
        return (10 * np.log10(noise[before] / noise[after])).tolist()  # type: ignore[no-any-return]


def clip_noise(
    reference: ir.Model, variants: Sequence[ir.Model], data: Data, *, count: int | None = None
) -> ClipNoise:
    """Run a network and its variants on the same clips.

    Args:
        reference: canonical float graph.
        variants: of the same batch; Q/DQ pairs are computed operation by operation.
        data: clips.
        count: how many clips are enough, spread over the classes; all by default.

    Raises:
        ConfigError: a clip of another shape.
        VideoError: no clip can be read.
    """
    runs, batch = [observer(model) for model in (reference, *variants)], batch_of(reference)
    name = str(reference.graph.inputs[0].name)
    signal, noise = [], []
    for chunk in chunks(data, clip_shape(reference), batch, count=count):
        for clips, counted in filled(chunk.clips, batch):
            wanted, *found = (run({name: clips})[0][:counted].astype(np.float64) for run in runs)
            signal.append(np.sum(wanted**2, axis=1))
            noise.append([np.sum((wanted - each) ** 2, axis=1) for each in found])
    return ClipNoise(np.concatenate(signal), np.concatenate(noise, axis=1))
