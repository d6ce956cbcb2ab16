"""What the demonstration's networks are trained on: fresh clips in every step, from plain to difficult."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch

from edgevid.contract import Normalization
from edgevid.demo.evaluate import normalized, segment_centres
from edgevid.demo.hints import hints
from edgevid.demo.online import earlier, is_online, shuffled
from edgevid.models import NetworkConfig
from edgevid.video.synthetic import MOTIONS, SPLITS, Scene, Split, draw_scene

__all__ = ["BROAD", "SIZE", "TRAINING_SEED", "WARM_UP", "Batch", "Recipe", "batches", "training_scenes"]

SIZE = 48
"""Pixels of the side of the shipped networks' frames."""

TRAINING_SEED = 20_240

WARM_UP = Split(
    number=2,
    travel=(0.4, 1.0),
    contrast=(80.0, 120.0),
    texture=(0.0, 0.0),
    noise=(0.0, 4.0),
    shake=(0.0, 0.0),
    flicker=(0.0, 0.0),
    hidden=(0.0, 0.0),
    still=(0, 0),
    roaming=(0, 0),
)
"""What training begins with: nothing but the sprite."""

BROAD = replace(SPLITS["hard"], number=3)
"""The difficult half of the clips that it goes on with; the other half is easy."""


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Attributes:
        steps: updates of the weights.
        warm_up: of these, how many see clips of `WARM_UP` only.
        batch: clips an update.
        rate: highest learning rate; it rises for 30 steps and falls along a cosine to 0.
        decay: weight decay of AdamW (Loshchilov and Hutter, ICLR 2019).
        hint: weight of the hints' loss at the start; it falls to 0 (see `edgevid.demo.hints`).
        settling: further batches, over all of which the batch norms then take their statistics;
            with 0 they keep those of the last steps.
        seed: of the initial weights and of the clips.
    """

    steps: int = 2400
    warm_up: int = 700
    batch: int = 16
    rate: float = 4e-3
    decay: float = 0.01
    hint: float = 0.5
    settling: int = 0
    seed: int = TRAINING_SEED


@dataclass(frozen=True)
class Batch:
    """What one step sees.

    Attributes:
        clips: normalized, float32 ``[N, T, 3, H, W]``.
        labels: classes, int64 ``[N]``.
        hints: float32 ``[N, T, 17]``.
    """

    clips: torch.Tensor
    labels: torch.Tensor
    hints: torch.Tensor


def training_scenes(recipe: Recipe, step: int, size: int = SIZE) -> list[Scene]:
    """The scenes of one step, of one length from 24 to 32 frames of ``size`` pixels."""
    length = 24 + step % 9
    scenes = []
    for index in range(recipe.batch):
        split = WARM_UP if step < recipe.warm_up else BROAD if index % 16 < 8 else SPLITS["easy"]
        # Classes take turns with the index, so that each half holds all of them.
        scenes.append(draw_scene(split, recipe.seed, step * recipe.batch + index, length=length, size=size))
    return scenes


def batches(config: NetworkConfig, recipe: Recipe) -> Generator[Batch, None, None]:
    """One a step and then those for settling, each drawn while the one before it is used."""
    with ThreadPoolExecutor(1) as painter:
        drawn = _drawn(config, recipe)
        coming = painter.submit(_next, drawn)
        while (batch := coming.result()) is not None:
            coming = painter.submit(_next, drawn)
            yield batch


def _next(drawn: Iterator[Batch]) -> Batch | None:
    return next(drawn, None)


def _drawn(config: NetworkConfig, recipe: Recipe) -> Iterator[Batch]:
    online = is_online(config)
    for step in range(recipe.steps + recipe.settling):
        scenes = training_scenes(recipe, step, config.size)
        if online:
            scenes = shuffled(scenes, recipe.seed, step)
        frames = segment_centres(scenes[0].length, config.segments)
        clips = np.stack([scene.render(frames) for scene in scenes])
        moments = earlier(frames) if online else frames
        yield Batch(
            normalized(clips, Normalization()),
            torch.tensor([MOTIONS.index(scene.motion) for scene in scenes]),
            torch.from_numpy(hints(scenes, frames, moments)),
        )
