"""From a video to the clips that a network looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from edgevid.contract import Sampling
from edgevid.video.deadline import Deadline
from edgevid.video.decode import Video
from edgevid.video.frames import ArrayFrames, FrameFolder
from edgevid.video.sample import beginning, check_sampling, sample_indices
from edgevid.video.transform import transform_frame

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Clips", "FrameSource", "open_source", "read_clips"]

_T = TypeVar("_T")
_Look = tuple[int, int, int, str]


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
            neighbours, in the order of `crop_offsets`. Of several beginnings one after the other.
        indices: numbers of the frames used, ``[clips, T]``, likewise.
        frames: how many frames the video has.
        warnings: what the user should know about this video, in words.
        also: of further samplings of the same video.
    """

    pixels: NDArray[np.uint8]
    indices: NDArray[np.int64]
    frames: int
    warnings: tuple[str, ...] = ()
    also: tuple[Clips, ...] = ()


def open_source(
    source: str | Path | NDArray[Any] | FrameSource,
    *,
    frame_template: str | None = None,
    frames: int | None = None,
    deadline: Deadline | None = None,
) -> FrameSource:
    """A video file, a folder of frames (with ``frame_template``) or an array as a `FrameSource`.

    Raises:
        VideoError: it cannot be read; the message names the file and the way out.
    """
    if isinstance(source, np.ndarray):
        return ArrayFrames(source)
    if not isinstance(source, (str, Path)):
        return source
    if frame_template is not None and not _is_file(Path(source)):
        return FrameFolder.open(source, frame_template, frames)
    return Video(source, deadline)


def read_clips(
    source: str | Path | NDArray[Any] | FrameSource,
    sampling: Sampling,
    *,
    frame_template: str | None = None,
    frames: int | None = None,
    deadline: Deadline | None = None,
    shares: Sequence[float] = (1.0,),
    also: Sequence[Sampling] = (),
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
        deadline: when to give the video up.
        shares: parts of the video that are seen, each sampled as if the video ended there; above 0, up to 1.
        also: further samplings, for which the video is not decoded again.

    Raises:
        VideoError: the video cannot be read; the message names the file and the way out.
        ConfigError: the sampling contradicts itself.
    """
    samplings = (sampling, *also)
    for each in samplings:
        check_sampling(each)
    deadline = deadline or Deadline(source if isinstance(source, (str, Path)) else None)
    opened = open_source(source, frame_template=frame_template, frames=frames, deadline=deadline)
    looks = {_look(each): each for each in samplings}  # those that are alike share the resized frames

    def transform(frame: NDArray[np.uint8]) -> dict[_Look, NDArray[np.uint8]]:
        deadline.check()
        return {look: transform_frame(frame, each) for look, each in looks.items()}

    def chosen(number: int, how: Sampling) -> NDArray[np.int64]:
        return np.concatenate([sample_indices(beginning(number, share), how) for share in shares])

    def wanted(number: int) -> list[int]:
        return [index for how in samplings for index in chosen(number, how).ravel().tolist()]

    count, parts = opened.select(wanted, transform)

    def clips(how: Sampling) -> Clips:
        indices, look = chosen(count, how), _look(how)
        # [clips, T, crops, H, W, 3] -> [clips, crops, T, H, W, 3]
        stacked = np.stack([np.stack([parts[int(index)][look] for index in clip]) for clip in indices])
        stacked = stacked.swapaxes(1, 2)
        pixels = np.ascontiguousarray(stacked.reshape(-1, *stacked.shape[2:]))
        warnings = (*opened.warnings, *_repeats(count, sample_indices(count, how)))
        return Clips(pixels, indices, count, warnings)

    return replace(clips(sampling), also=tuple(map(clips, also)))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _look(sampling: Sampling) -> _Look:
    """What becomes of a frame."""
    return sampling.resize, sampling.crop, sampling.crops, sampling.library


def _repeats(count: int, indices: NDArray[np.int64]) -> tuple[str, ...]:
    if (np.diff(indices, axis=1) > 0).all():
        return ()
    return (f"the video has only {count} frames, so that a clip repeats some",)
