"""Clips a few at a time, one of each video, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid.calibration.clips import choose
from edgevid.calibration.data import Data
from edgevid.errors import ConfigError, VideoError

__all__ = ["Chunk", "batch_of", "chunks", "clip_shape", "filled"]


@dataclass(frozen=True)
class Chunk:
    """Clips that were read together.

    Attributes:
        clips: ``uint8 [n, T, H, W, 3]``, n above 0.
        labels: of each; None where nothing tells.
        names: of each.
        videos: how many were read for it, with those that cannot be.
        skipped: names of these, and why.
    """

    clips: NDArray[np.uint8]
    labels: Sequence[int | None]
    names: Sequence[str]
    videos: int
    skipped: dict[str, str] = field(default_factory=dict)


def chunks(
    data: Data, shape: Sequence[int], size: int, *, count: int | None = None, start: int = 0, done: int = 0
) -> Iterator[Chunk]:
    """The clips of ``data``, spread over the classes; of several views of a video the first counts.

    Args:
        data: videos or packed clips.
        shape: of one clip, ``[T, H, W, 3]``.
        size: clips a chunk; the last one may have fewer.
        count: how many clips are enough; all by default.
        start: videos that an earlier run was done with.
        done: clips among these.

    Raises:
        ConfigError: a clip of another shape.
        VideoError: there are clips to be read, and none can be.
    """
    most = len(data.labels) if count is None else min(count, len(data.labels))
    found: list[NDArray[np.uint8]] = []
    labels: list[int | None] = []
    names: list[str] = []
    skipped: dict[str, str] = {}
    videos = 0

    def chunk() -> Chunk:
        made = Chunk(np.stack(found), tuple(labels), tuple(names), videos, dict(skipped))
        for each in (found, labels, names, skipped):
            each.clear()
        return made

    given = done
    with closing(choose(data, count).read(start)) as reading:
        for sample in reading:
            if given == most:
                break
            videos += 1
            if isinstance(sample.clips, VideoError):
                skipped[sample.name] = str(sample.clips)
                continue
            if sample.clips.shape[1:] != tuple(shape):
                raise ConfigError(
                    f"the clip is {list(sample.clips.shape[1:])}, the network takes {list(shape)}",
                    where=sample.name,
                    fix="sample and crop the videos as this network wants them",
                )
            found.append(sample.clips[0])
            labels.append(sample.label)
            names.append(sample.name)
            given += 1
            if len(found) == size:
                yield chunk()
                videos = 0
    if found:
        yield chunk()
    elif not given:
        why = next(iter(skipped.values()), "there is none")
        raise VideoError(f"no clip can be read: {why}", where=data.source, fix="give other videos")


def clip_shape(graph: ir.Model) -> tuple[int, ...]:
    """Of one clip that a canonical graph takes, ``[T, H, W, 3]``."""
    shape = graph.graph.inputs[0].shape
    assert shape is not None
    return tuple(shape.numpy()[1:])


def batch_of(graph: ir.Model) -> int:
    """How many clips a canonical graph takes in one call."""
    shape = graph.graph.inputs[0].shape
    assert shape is not None
    return shape.numpy()[0]


def filled(clips: NDArray[np.uint8], batch: int) -> Iterator[tuple[NDArray[np.uint8], int]]:
    """Batches of exactly ``batch`` clips, the last one filled up, and how many of each count."""
    for first in range(0, len(clips), batch):
        part = clips[first : first + batch]
        yield np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)]), len(part)
