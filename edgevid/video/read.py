"""From a video to the clips that a network looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from edgevid.contract import Sampling
from edgevid.errors import VideoError
from edgevid.video.datasets import Item
from edgevid.video.decode import Video
from edgevid.video.frames import ArrayFrames, FrameFolder
from edgevid.video.sample import check_sampling, sample_indices
from edgevid.video.transform import transform_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Clips", "FrameSource", "open_source", "read_all", "read_clips"]

_T = TypeVar("_T")


class FrameSource(Protocol):
    """Anything whose frames can be read by number: `Video`, `FrameFolder`, `ArrayFrames`."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with it, in words."""

    def select(
        self, choose: Callable[[int], Iterable[int]], convert: Callable[[NDArray[np.uint8]], _T]
    ) -> tuple[int, dict[int, _T]]:
        """The number of frames, and the frames that ``choose`` names, converted; see `Video.select`."""


@dataclass(frozen=True)
class Clips:
    """The clips of one video.

    Attributes:
        pixels: ``uint8`` RGB ``[clips * crops, T, crop, crop, 3]``; the crops of a clip are
            neighbours, in the order of `crop_offsets`.
        indices: numbers of the frames used, ``[clips, T]``.
        frames: how many frames the video has.
        warnings: what the user should know about this video, in words.
    """

    pixels: NDArray[np.uint8]
    indices: NDArray[np.int64]
    frames: int
    warnings: tuple[str, ...] = ()


def open_source(
    source: str | Path | NDArray[Any] | FrameSource,
    *,
    frame_template: str | None = None,
    frames: int | None = None,
) -> FrameSource:
    """A video file, a folder of frames (with ``frame_template``) or an array as a `FrameSource`.

    Raises:
        VideoError: it cannot be read; the message names the file and the way out.
    """
    if isinstance(source, np.ndarray):
        return ArrayFrames(source)
    if not isinstance(source, (str, Path)):
        return source
    if frame_template is not None and not Path(source).is_file():
        return FrameFolder.open(source, frame_template, frames)
    return Video(source)


def read_clips(
    source: str | Path | NDArray[Any] | FrameSource,
    sampling: Sampling,
    *,
    frame_template: str | None = None,
    frames: int | None = None,
) -> Clips:
    """Sample, resize and crop one video as ``sampling`` says.

    Frames are RGB whatever order the network wants: the graph turns them round itself.
    A video with fewer frames than segments repeats frames, as the published code does.

    Args:
        source: path of a video file or of a folder of frames, frames ``uint8``
            ``[N, H, W, 3]``, or an open source.
        sampling: which frames, and which part of them.
        frame_template: file names in a folder of frames, such as ``img_{:05d}.jpg``.
        frames: number of frames in the folder, if an annotation list tells.

    Raises:
        VideoError: the video cannot be read; the message names the file and the way out.
        ConfigError: the sampling contradicts itself.
    """
    check_sampling(sampling)
    opened = open_source(source, frame_template=frame_template, frames=frames)
    count, parts = opened.select(
        lambda number: sample_indices(number, sampling).ravel().tolist(),
        lambda frame: transform_frame(frame, sampling),
    )
    indices = sample_indices(count, sampling)
    # [clips, T, crops, H, W, 3] -> [clips, crops, T, H, W, 3]
    stacked = np.stack([np.stack([parts[int(index)] for index in clip]) for clip in indices]).swapaxes(1, 2)
    pixels = np.ascontiguousarray(stacked.reshape(-1, *stacked.shape[2:]))
    return Clips(pixels, indices, count, (*opened.warnings, *_repeats(count, indices)))


def read_all(items: Iterable[Item], sampling: Sampling) -> Iterator[tuple[Item, Clips | VideoError]]:
    """Each item with its clips, or with the error of the video that cannot be read.

    A broken video never stops the rest; settings that fit no video do.

    Raises:
        ConfigError: the sampling or a frame template contradicts itself.
    """
    check_sampling(sampling)
    for item in items:
        outcome: Clips | VideoError
        try:
            outcome = read_clips(item.path, sampling, frame_template=item.frame_template, frames=item.frames)
        except VideoError as error:
            outcome = error
        yield item, outcome


def _repeats(count: int, indices: NDArray[np.int64]) -> tuple[str, ...]:
    if (np.diff(indices, axis=1) > 0).all():
        return ()
    return (f"the video has only {count} frames, so that a clip repeats some",)
