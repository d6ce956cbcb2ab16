"""Generated clips whose class is a motion, so that only the order of the frames can tell it.

A sprite moves left, right, up or down, rotates or changes its size over a background. The
classes come in pairs that are each other's time reversal, and a clip of one class is
literally a clip of its partner played backwards (`Scene.reversed`). Three consequences:

* The frames of a clip without their order say nothing about which class of a pair it is: a
  network without temporal mixing answers at most half of the clips correctly.
* Position, orientation and size run on cycles (what leaves on the right enters on the
  left, what has grown to the largest size starts again from the smallest) with a uniformly
  random start, so that a single frame has the same distribution in all eight classes: adding
  up what is seen in each frame alone tells hardly more than guessing.
* Whatever else changes with time (camera shake, distractors, flicker, noise) is as likely
  forwards as backwards.

Clips are ``uint8`` RGB of shape ``[T, H, W, 3]`` and depend only on the arguments: clip
``index`` of a seed is the same whichever others are drawn beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edgevid.errors import ConfigError
from edgevid.video.scene import MOTIONS, Scene, partner
from edgevid.video.sprites import SHAPES, Floats, paint, shape_distance, sprite_axes

__all__ = [
    "LARGEST",
    "MOTIONS",
    "SMALLEST",
    "SPLITS",
    "Scene",
    "Split",
    "draw_scene",
    "make_clips",
    "partner",
]

_INCREASING = ("move_right", "move_down", "rotate_clockwise", "grow")
SMALLEST, LARGEST = 0.12, 0.42
"""Radius of the sprite as a share of the frame's side."""

_Range = tuple[float, float]


@dataclass(frozen=True)
class Split:
    """How difficult clips are. Ranges are drawn from uniformly, once a clip.

    Attributes:
        number: enters the seed, so that splits of one seed share nothing.
        travel: cycles that the moving quantity runs through in a clip: widths of the frame,
            turns, or two thirds of the passes from the smallest to the largest size.
        contrast: grey levels between sprite and background.
        texture: amplitude of the background's pattern in grey levels.
        noise: standard deviation of each frame's noise in grey levels.
        shake: standard deviation of the camera's position in pixels of a 64-pixel frame.
        flicker: standard deviation of each frame's brightness in grey levels.
        hidden: share of the frames that the sprite is missing from.
        still: number of distracting sprites that do not move, from and to.
        roaming: number of distracting discs on a random walk, from and to.
    """

    number: int
    travel: _Range
    contrast: _Range
    texture: _Range
    noise: _Range
    shake: _Range
    flicker: _Range
    hidden: _Range
    still: tuple[int, int]
    roaming: tuple[int, int]


SPLITS: Mapping[str, Split] = MappingProxyType(
    {
        "easy": Split(
            number=0,
            travel=(0.4, 1.0),
            contrast=(60.0, 110.0),
            texture=(0.0, 24.0),
            noise=(0.0, 8.0),
            shake=(0.0, 0.4),
            flicker=(0.0, 3.0),
            hidden=(0.0, 0.0),
            still=(0, 1),
            roaming=(0, 0),
        ),
        "hard": Split(
            number=1,
            travel=(0.2, 0.8),
            contrast=(28.0, 80.0),
            texture=(8.0, 30.0),
            noise=(8.0, 26.0),
            shake=(0.3, 1.5),
            flicker=(2.0, 8.0),
            hidden=(0.0, 0.35),
            still=(0, 3),
            roaming=(0, 3),
        ),
    }
)
"""The two published levels of difficulty."""


def draw_scene(
    split: str | Split,
    seed: int,
    index: int,
    *,
    motion: str | None = None,
    length: int = 28,
    size: int = 48,
) -> Scene:
    """Scene ``index`` of a seed.

    Args:
        split: a name in `SPLITS`, or ranges of one's own.
        seed: not negative; together with the split and ``index`` it decides everything.
        index: not negative.
        motion: one of `MOTIONS`; by default they take turns, class ``index % 8``.
        length: T, at least 2 frames.
        size: pixels of the square frame's side, at least 16.

    Raises:
        ConfigError: an unknown split or motion, or a number out of its range.
    """
    level = _split(split)
    _check_numbers(seed=(seed, 0), index=(index, 0), length=(length, 2), size=(size, 16))
    name = MOTIONS[index % len(MOTIONS)] if motion is None else motion
    mirror = partner(name)
    generator = np.random.default_rng([seed, level.number, index])
    if name in _INCREASING:
        return _draw(generator, level, name, length, size)
    return _draw(generator, level, mirror, length, size).reversed()


def make_clips(
    split: str | Split,
    count: int,
    seed: int,
    *,
    length: int = 28,
    size: int = 48,
    frames: Sequence[int] | None = None,
    first: int = 0,
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Clips ``first`` to ``first + count - 1`` of a seed and their classes.

    Args:
        split: a name in `SPLITS`, or ranges of one's own.
        count: N, at least 1.
        seed: not negative.
        length: frames of each scene.
        size: pixels of the square frame's side.
        frames: which frames are drawn; all by default.
        first: index of the first clip.

    Returns:
        ``uint8`` RGB ``[N, T, H, W, 3]`` and indices into `MOTIONS`, ``int64`` ``[N]``.

    Raises:
        ConfigError: as `draw_scene`, or fewer than one clip.
    """
    _check_numbers(count=(count, 1))
    indices = range(first, first + count)
    clips = [draw_scene(split, seed, index, length=length, size=size).render(frames) for index in indices]
    return np.stack(clips), np.array([index % len(MOTIONS) for index in indices], dtype=np.int64)


def _split(split: str | Split) -> Split:
    if isinstance(split, Split):
        return split
    if split not in SPLITS:
        raise ConfigError(
            f"there is no split {split!r}", where="split", fix=f"use one of {', '.join(SPLITS)}"
        )
    return SPLITS[split]


def _check_numbers(**numbers: tuple[int, int]) -> None:
    for name, (value, least) in numbers.items():
        if value < least:
            raise ConfigError(f"{name} is {value}", where=name, fix=f"use at least {least}")


def _draw(generator: np.random.Generator, level: Split, motion: str, length: int, size: int) -> Scene:
    """A scene of a class in which the moving quantity increases, one of ``_INCREASING``."""
    cycles = generator.uniform(size=(4, 1)).repeat(length, axis=1)
    # A pass through the sizes moves the sprite's edges less than one across the frame.
    travel = generator.uniform(*level.travel) * (1.5 if motion == "grow" else 1.0)
    cycles[_INCREASING.index(motion)] += _course(generator, travel, length)
    x, y, angle, growth = cycles
    contrast = generator.uniform(*level.contrast)
    grey = generator.uniform(118, 138)
    still = int(generator.integers(level.still[0], level.still[1] + 1))
    roaming = int(generator.integers(level.roaming[0], level.roaming[1] + 1))
    background = _background(generator, size, grey, generator.uniform(*level.texture))
    _add_still_sprites(generator, background, still, grey, contrast)
    shake = generator.uniform(*level.shake) * size / 64
    return Scene(
        motion=motion,
        size=size,
        background=background,
        shape=int(generator.integers(SHAPES)),
        colors=np.stack([_color(generator, grey + contrast), _color(generator, grey - contrast)]),
        x=x,
        y=y,
        radius=SMALLEST * (LARGEST / SMALLEST) ** (growth % 1),
        angle=angle,
        visible=generator.uniform(size=length) >= generator.uniform(*level.hidden),
        camera=np.rint(generator.normal(0, shake, (length, 2))).astype(np.int64),
        discs=_walks(generator, roaming, length),
        disc_radii=generator.uniform(0.05, 0.1, roaming),
        disc_colors=np.array(
            [_color(generator, grey + contrast * generator.uniform(-1, 1)) for _ in range(roaming)]
        ).reshape(roaming, 3),
        brightness=generator.normal(0, generator.uniform(*level.flicker), length),
        noise=float(generator.uniform(*level.noise)),
        noise_seeds=generator.integers(2**62, size=length),
    )


def _course(generator: np.random.Generator, travel: float, length: int) -> Floats:
    """From 0 to ``travel`` over the clip at an uneven speed that never changes its sign."""
    time = np.linspace(0, 1, length)
    waves, phase = generator.integers(1, 4), generator.uniform(0, 2 * np.pi)
    unevenness = generator.uniform(0, 0.6) / (2 * np.pi * waves)
    return np.asarray(travel * (time + unevenness * np.sin(2 * np.pi * waves * time + phase)))


def _walks(generator: np.random.Generator, count: int, length: int) -> Floats:
    """Random walks ``[count, length, 2]`` from uniform starts: as likely in either direction."""
    steps = generator.normal(0, 0.5 / np.sqrt(length), (count, length, 2))
    steps[:, 0] = generator.uniform(size=(count, 2))
    return np.asarray(np.cumsum(steps, axis=1))


def _color(generator: np.random.Generator, grey: float) -> Floats:
    """A colour of the given luma (BT.601), so that the contrast survives a video's chroma."""
    tint = generator.uniform(-30, 30, 3)
    return np.asarray(grey + tint - tint @ (0.299, 0.587, 0.114))


def _background(generator: np.random.Generator, size: int, grey: float, texture: float) -> Floats:
    """Plain, striped, chequered or cloudy; every wave fits the side a whole number of times."""
    row, column = np.meshgrid(np.arange(size) / size, np.arange(size) / size, indexing="ij")

    def wave(highest: int) -> Floats:
        across, down = generator.integers(-highest, highest + 1, 2)
        return np.asarray(np.cos(2 * np.pi * (across * column + down * row + generator.uniform())))

    pattern: Floats = np.zeros((size, size))
    kind = generator.integers(4)
    if kind == 1:
        pattern = wave(6)
    elif kind == 2:
        pattern = np.sign(wave(4) * wave(4))
    elif kind == 3:
        pattern = np.sum([wave(3) for _ in range(5)], axis=0) / 2
    tint = generator.uniform(0.5, 1.0, 3)
    return np.asarray(
        _color(generator, grey)[:, None, None] + texture * tint[:, None, None] * pattern, dtype=np.float32
    )


def _add_still_sprites(
    generator: np.random.Generator, background: Floats, count: int, grey: float, contrast: float
) -> None:
    size = background.shape[-1]
    for _ in range(count):
        radius = np.array([generator.uniform(0.06, 0.14)])
        place, angle = generator.uniform(size=(1, 2)), generator.uniform(size=1)
        u, v = sprite_axes(size, place, radius, angle)
        distance = shape_distance(int(generator.integers(SHAPES)), u, v)
        color = _color(generator, grey + contrast * generator.uniform(-1, 1))
        paint(background[None], distance, radius * size, color)
