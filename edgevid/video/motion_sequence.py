"""Generated videos in which several motions follow one another, to be recognized as they run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgevid.errors import ConfigError
from edgevid.video.synthetic import MOTIONS, SPLITS, Scene, draw_scene

__all__ = ["draw_sequence"]

_CLIP = 28
"""Frames in which the sprite of a clip covers the travel of its split."""


def draw_sequence(split: str, seed: int, count: int = 6, *, length: int = 48, size: int = 48) -> list[Scene]:
    """``count`` scenes of one seed; what moves, how and before what changes with each.

    Neighbours are of different classes, all eight of which come before one comes again. Sprites are as fast
    as those of clips of 28 frames, whatever the length.

    Args:
        split: a name in `edgevid.video.synthetic.SPLITS`.
        seed: not negative.
        count: of scenes, at least 1.
        length: frames of each scene, at least 2.
        size: pixels of the square frame's side, at least 16.

    Raises:
        ConfigError: an unknown split, or a number out of its range.
    """
    if count < 1:
        raise ConfigError(f"a sequence of {count} motions", where="count", fix="use at least 1")
    if split not in SPLITS or seed < 0:
        draw_scene(split, seed, 0)  # refuses them
    low, high = SPLITS[split].travel
    level = replace(SPLITS[split], travel=(low * length / _CLIP, high * length / _CLIP))
    order = np.random.default_rng([seed, count]).permutation(len(MOTIONS))
    motions = [MOTIONS[order[index % len(MOTIONS)]] for index in range(count)]
    return [
        draw_scene(level, seed, index, motion=motion, length=length, size=size)
        for index, motion in enumerate(motions)
    ]
