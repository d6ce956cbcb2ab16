"""What the network is told during training besides the class: where the sprite is and how it changes.

A single frame says nothing about the class, so that the class alone gives a fresh network no
gradient worth following: it has to find the sprite and to compare frames at the same time,
and stays at chance for hundreds of steps. A second, linear head that predicts the sprite's
state in every frame, which single frames do show, breaks this within about 100 steps. The
head is thrown away after training, and its loss fades to nothing before the end.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from edgevid.video.synthetic import LARGEST, SMALLEST, Scene

__all__ = ["HINTS", "hint_loss", "hints"]

HINTS = 17
"""Cosine and sine of the column, the row and the angle; the size; four speeds; where the
sprite's front is and how it moves."""


def hints(
    scenes: Sequence[Scene], frames: Sequence[int], moments: Sequence[int] | None = None
) -> NDArray[np.float32]:
    """Targets ``[N, T, 17]`` for the given frames of scenes of one length.

    Positions and angles are on cycles and given by their cosine and sine. Speeds are in cycles
    a clip, about -1 to 1, from each frame, or each of ``moments``, to the next one of the scene.
    """
    chosen = list(frames)
    moving = chosen if moments is None else list(moments)
    cycles = np.stack([_cycles(scene) for scene in scenes])
    fronts = np.stack([_front(scene) for scene in scenes])
    turns = 2 * np.pi * cycles[:, chosen, :3]
    front_turns = 2 * np.pi * fronts[:, chosen]
    size = 2 * cycles[:, chosen, 3:] - 1
    parts = [np.cos(turns), np.sin(turns), size, _speeds(cycles)[:, moving]]
    parts += [np.cos(front_turns), np.sin(front_turns), _speeds(fronts)[:, moving]]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def hint_loss(predicted: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Squared error of ``[N*T, 17]`` against ``[N, T, 17]``, averaged over frames, summed over hints."""
    return (predicted - targets.flatten(0, 1)).square().mean(0).sum()


def _cycles(scene: Scene) -> NDArray[np.float64]:
    """Column, row, angle and size of each frame, ``[T, 4]``, all in cycles."""
    size = np.log(scene.radius / SMALLEST) / np.log(LARGEST / SMALLEST)
    return np.stack([scene.x, scene.y, scene.angle, size], axis=1)


def _front(scene: Scene) -> NDArray[np.float64]:
    """Column and row of a point in the sprite's front, ``[T, 2]``, in shares of the side."""
    reach, turn = 0.55 * scene.radius, 2 * np.pi * scene.angle
    return np.stack([scene.x + reach * np.cos(turn), scene.y + reach * np.sin(turn)], axis=1)


def _speeds(cycles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Change to the next frame in cycles a clip, ``[N, T - 1, ...]``, the shorter way round."""
    change = (np.diff(cycles, axis=1) + 0.5) % 1 - 0.5
    return np.asarray(np.clip(change * cycles.shape[1], -2, 2))
