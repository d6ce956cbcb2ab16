"""The sprites of the generated clips: where their pixels are and how they are painted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["SHAPES", "Floats", "paint", "shape_distance", "sprite_axes"]

Floats = NDArray[np.floating[Any]]
SHAPES = 6
"""How many sprites there are."""


def sprite_axes(
    size: int, place: Floats, radius: Floats, angle: Floats
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Coordinates of the pixels in the sprite's own axes, ``[T, H, W]`` each, in units of its radius."""
    pixels = (np.arange(size) + 0.5) / size
    scale = np.reshape(radius, (-1, 1))
    across = ((pixels - place[:, :1] + 0.5) % 1 - 0.5) / scale
    down = ((pixels - place[:, 1:] + 0.5) % 1 - 0.5) / scale
    cosine, sine = (f(2 * np.pi * angle)[:, None].astype(np.float32) for f in (np.cos, np.sin))
    across, down = across.astype(np.float32), down.astype(np.float32)
    u = (cosine * across)[:, None, :] + (sine * down)[:, :, None]
    v = (cosine * down)[:, :, None] - (sine * across)[:, None, :]
    return u, v


def shape_distance(shape: int, u: NDArray[np.float32], v: NDArray[np.float32]) -> NDArray[np.float32]:
    """About the signed distance to a sprite's edge, negative inside.

    All sprites fit into the unit disc, and none looks the same after less than a full turn.
    """

    round_edge = np.hypot(u, v) - np.float32(1)
    if shape == 0:  # half a disc
        distance = np.maximum(round_edge, -v)
    elif shape == 1:  # a disc with a mouth
        distance = np.maximum(round_edge, np.minimum(u + 0.1, np.float32(0.6) * u - np.abs(v)))
    elif shape == 2:  # a pointed triangle
        sides = np.float32(0.4) * (u - 1) + np.float32(0.9) * np.abs(v)
        distance = np.maximum(np.float32(-0.7) - u, sides)
    elif shape == 3:  # an L
        distance = np.minimum(_box(u, v, -0.6, -0.1, -0.75, 0.75), _box(u, v, -0.6, 0.8, 0.25, 0.75))
    elif shape == 4:  # a T
        distance = np.minimum(_box(u, v, 0.2, 0.7, -0.7, 0.7), _box(u, v, -0.9, 0.7, -0.22, 0.22))
    else:  # a spoon
        bowl = np.hypot(u - np.float32(0.45), v) - np.float32(0.55)
        distance = np.minimum(bowl, _box(u, v, -0.95, 0.0, -0.2, 0.2))
    return np.asarray(distance, dtype=np.float32)


def _box(
    u: NDArray[np.float32], v: NDArray[np.float32], left: float, right: float, top: float, bottom: float
) -> NDArray[np.float32]:
    across = np.abs(u - np.float32((left + right) / 2)) - np.float32((right - left) / 2)
    down = np.abs(v - np.float32((top + bottom) / 2)) - np.float32((bottom - top) / 2)
    return np.asarray(np.maximum(across, down), dtype=np.float32)


def paint(canvas: Floats, distance: NDArray[np.float32], pixels: Floats, color: Floats) -> None:
    """Blend a colour over ``[T, 3, H, W]`` in place; an edge is one pixel wide."""
    scale = np.reshape(pixels, (-1, 1, 1)).astype(np.float32)
    cover = np.clip(np.float32(0.5) - distance * scale, 0, 1)
    for channel, level in enumerate(color.astype(np.float32)):
        canvas[:, channel] += cover * (level - canvas[:, channel])
