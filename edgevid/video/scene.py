"""One generated clip as data, and how it is drawn (see `edgevid.video.synthetic`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edgevid.errors import ConfigError
from edgevid.video.sprites import Floats, paint, shape_distance, sprite_axes

__all__ = ["MOTIONS", "Scene", "partner"]

MOTIONS: tuple[str, ...] = (
    "move_left",
    "move_right",
    "move_up",
    "move_down",
    "rotate_clockwise",
    "rotate_counterclockwise",
    "grow",
    "shrink",
)
"""The classes; those of a pair stand beside each other."""

_PARTNER = MappingProxyType({name: MOTIONS[index ^ 1] for index, name in enumerate(MOTIONS)})


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything that a clip is drawn from; lengths and positions in shares of the side.

    Attributes:
        motion: the class.
        size: pixels of the square frame's side.
        background: grey levels, float32 ``[3, H, W]``, one period of an endless pattern.
        shape: which sprite.
        colors: of the sprite's front, bright, and its back, dark, ``[2, 3]``.
        x, y, radius: of the sprite, ``[T]``.
        angle: turns, clockwise on the screen, ``[T]``.
        visible: whether the sprite is there, ``[T]``.
        camera: shake in pixels, right and down, ``[T, 2]``.
        discs: distracting discs ``(x, y)`` each frame, ``[D, T, 2]``.
        disc_radii: ``[D]``.
        disc_colors: ``[D, 3]``.
        brightness: grey levels added to each frame, ``[T]``.
        noise: standard deviation in grey levels.
        noise_seeds: one a frame, ``[T]``.
    """

    motion: str
    size: int
    background: Floats
    shape: int
    colors: Floats
    x: Floats
    y: Floats
    radius: Floats
    angle: Floats
    visible: NDArray[np.bool_]
    camera: NDArray[np.int64]
    discs: Floats
    disc_radii: Floats
    disc_colors: Floats
    brightness: Floats
    noise: float
    noise_seeds: NDArray[np.int64]

    @property
    def length(self) -> int:
        """T, the number of frames."""
        return len(self.x)

    def reversed(self) -> Scene:
        """The scene played backwards: one of the partner class, equal to it in every frame."""
        return replace(
            self,
            motion=partner(self.motion),
            x=self.x[::-1],
            y=self.y[::-1],
            radius=self.radius[::-1],
            angle=self.angle[::-1],
            visible=self.visible[::-1],
            camera=self.camera[::-1],
            discs=self.discs[:, ::-1],
            brightness=self.brightness[::-1],
            noise_seeds=self.noise_seeds[::-1],
        )

    def render(self, frames: Iterable[int] | None = None) -> NDArray[np.uint8]:
        """Draw the given frames, all of them by default.

        Args:
            frames: indices from 0 to ``length - 1``, in any order and repeated at will.

        Returns:
            ``uint8`` RGB ``[T, H, W, 3]``.
        """
        chosen = np.arange(self.length) if frames is None else np.asarray(list(frames), dtype=np.int64)
        camera = self.camera[chosen]
        canvas = np.stack([np.roll(self.background, (down, right), (1, 2)) for right, down in camera])
        offset = camera / self.size
        for places, radius, color in zip(self.discs, self.disc_radii, self.disc_colors, strict=True):
            u, v = sprite_axes(self.size, places[chosen] + offset, radius, np.zeros(len(chosen)))
            paint(canvas, np.hypot(u, v) - 1, radius * self.size, color)
        place = np.stack([self.x[chosen], self.y[chosen]], axis=1) + offset
        # A hidden sprite is drawn with a vanishing radius: its distance is positive everywhere.
        radius = self.radius[chosen]
        u, v = sprite_axes(self.size, place, radius, self.angle[chosen])
        hidden = np.where(self.visible[chosen], 0.0, 1e6).astype(np.float32)[:, None, None]
        sprite = shape_distance(self.shape, u, v) + hidden
        for half, color in zip((-u, u), self.colors, strict=True):
            paint(canvas, np.maximum(sprite, half), radius * self.size, color)
        grain = self._grain(chosen) + self.brightness[chosen, None, None].astype(np.float32)
        canvas += grain[:, None]
        pixels = np.clip(np.rint(canvas, out=canvas), 0, 255, out=canvas).astype(np.uint8)
        return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1))

    def _grain(self, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        """The same grey noise in all three colours, which a video's half-sized chroma keeps."""
        shape = (self.size, self.size)
        frames = [
            np.random.default_rng(seed).standard_normal(shape, np.float32)
            for seed in self.noise_seeds[chosen]
        ]
        return np.stack(frames) * np.float32(self.noise)


def partner(motion: str) -> str:
    """The class that a clip of ``motion`` belongs to when it is played backwards.

    Raises:
        ConfigError: no such class.
    """
    if motion not in _PARTNER:
        raise ConfigError(
            f"there is no motion {motion!r}", where="motion", fix=f"use one of {', '.join(MOTIONS)}"
        )
    return _PARTNER[motion]
