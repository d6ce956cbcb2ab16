"""From a video to the clips that a network looks at."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from edgevid.contract import Sampling
from edgevid.errors import ConfigError
from edgevid.video.deadline import Deadline
from edgevid.video.decode import Video
from edgevid.video.flow import grey_frame
from edgevid.video.flow_images import FlowFolder
from edgevid.video.flow_of_frames import FlowOfFrames
from edgevid.video.frames import ArrayFrames, FrameFolder
from edgevid.video.sample import beginning, check_sampling, sample_indices
from edgevid.video.skipped import SkippedVideoError
from edgevid.video.templates import frame_names
from edgevid.video.transform import Library, crops_of, resize_short_side

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Clips", "FrameSource", "open_source", "read_clips", "wanted_frames"]

_T = TypeVar("_T")
_Look = tuple[int, int, int, Library]
_Frame = tuple[dict[_Look, "NDArray[np.uint8]"], dict[tuple[int, Library], "NDArray[np.uint8]"]]
"""What is kept of a frame: its crops in colour, and itself in grey, which flow is computed of."""
_Numbers = list[list[list[int]]]
"""Of each frame of each clip: the numbers of the pictures, or fields of flow, that are stacked in it."""
_WHOLE = (1.0,)


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
        pixels: ``uint8`` RGB ``[clips * crops, T, crop, crop, 3]``, or stacked fields of optical flow with 2k
            channels; the crops of a clip are neighbours, in the order of `crop_offsets`. Of several
            beginnings one after the other.
        indices: numbers of the frames used, ``[clips, T]``, likewise; of flow those of a stack's first field.
        frames: how many frames the video has; of flow images how many fields.
        warnings: what the user should know about this video, in words.
        also: of further samplings of the same video.
        flow_ns: nanoseconds that optical flow took of all samplings together, on the wall and of the process.
    """

    pixels: NDArray[np.uint8]
    indices: NDArray[np.int64]
    frames: int
    warnings: tuple[str, ...] = ()
    also: tuple[Clips, ...] = ()
    flow_ns: tuple[int, int] = (0, 0)


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
    shares: Sequence[float] = _WHOLE,
    also: Sequence[Sampling] = (),
) -> Clips:
    """Sample, resize and crop one video as ``sampling`` says.

    Frames are RGB whatever order the network wants: the graph turns them round itself.
    A video with fewer frames than segments repeats frames, as the published code does.

    Optical flow is computed between neighbouring frames as they are resized, unless the frame template
    names flow images. N frames have N - 1 fields, and a stack repeats the last one, as in MIT's code.

    Args:
        source: path of a video file or of a folder of frames, frames ``uint8``
            ``[N, H, W, 3]``, or an open source.
        sampling: which frames, and which part of them.
        frame_template: file names in a folder of frames, such as ``img_{:05d}.jpg``; of flow images such as
            ``flow_{}_{:05d}.jpg``; or both, see `frame_names`.
        frames: number of frames in the folder, if an annotation list tells; of fields where the template
            names flow images alone.
        deadline: when to give the video up.
        shares: parts of the video that are seen, each sampled as if the video ended there; above 0, up to 1.
        also: further samplings, for which the video is not decoded again.

    Raises:
        VideoError: the video cannot be read; the message names the file and the way out.
        ConfigError: the sampling contradicts itself, or a network looks at pictures where there are none.
        MissingDependencyError: optical flow is to be computed by what OpenCV is here without.
    """
    samplings = (sampling, *also)
    for each in samplings:
        check_sampling(each)
    deadline = deadline or Deadline(source if isinstance(source, (str, Path)) else None)
    pictures, images = _open_sources(source, samplings, frame_template, frames, deadline)
    looks = [each for each in samplings if each.flow is None or images is None]
    parts: dict[int, _Frame] = {}
    count = 0
    if pictures is not None:
        count, parts = pictures.select(
            lambda number: [index for how in looks for index in wanted_frames(number, how, shares)],
            lambda frame: _kept(frame, looks, deadline),
        )
    flow = FlowOfFrames({index: grey for index, (_, grey) in parts.items()}, deadline.check)

    def of_pictures(how: Sampling) -> Clips:
        if how.flow is not None and count == 1:
            raise SkippedVideoError(
                "the video has one frame, and optical flow is from one to the next",
                reason="empty",
                where=source if isinstance(source, (str, Path)) else None,
                fix="leave it out, or look at it with a network of pictures",
            )
        how_flow = how.flow

        def part(index: int) -> NDArray[np.uint8]:
            if how_flow is not None:
                return flow.crops(how, how_flow, index)
            return parts[index][0][_look(how)]

        between = how.flow is not None
        indices, numbers = _numbers(count, how, shares, between=between)
        told = pictures.warnings if pictures is not None else ()
        warnings = (*told, *_repeats(count, how, between=between))
        return Clips(_stacked(numbers, part), indices, count, warnings)

    def of_images(how: Sampling, folder: FlowFolder) -> Clips:
        indices, numbers = _numbers(folder.fields, how, shares)
        fields = {index for clip in numbers for stack in clip for index in stack}

        def crops(field: NDArray[np.uint8]) -> NDArray[np.uint8]:
            deadline.check()
            resized = resize_short_side(field, how.resize, how.library, channels=2)
            return crops_of(resized, how.crop, how.crops, how.library, channels=2)

        _, found = folder.select(lambda _: fields, crops)
        return Clips(
            _stacked(numbers, found.__getitem__), indices, folder.fields, _repeats(folder.fields, how)
        )

    def clips(how: Sampling) -> Clips:
        return of_pictures(how) if how.flow is None or images is None else of_images(how, images)

    first, *others = map(clips, samplings)
    return replace(first, also=tuple(others), flow_ns=flow.ns)


def wanted_frames(count: int, how: Sampling, shares: Sequence[float] = _WHOLE) -> list[int]:
    """Numbers of those of ``count`` frames that a network looks at, or that its flow is between.

    Raises:
        VideoError: the video has no frames.
    """
    flow = how.flow is not None
    _, numbers = _numbers(count, how, shares, between=flow)
    found = (index for clip in numbers for stack in clip for index in stack)
    return [min(index + step, count - 1) for index in found for step in ((0, 1) if flow else (0,))]


def _open_sources(
    source: str | Path | NDArray[Any] | FrameSource,
    samplings: Sequence[Sampling],
    template: str | None,
    frames: int | None,
    deadline: Deadline,
) -> tuple[FrameSource | None, FlowFolder | None]:
    """Where pictures and flow images come from; None of what nobody looks at, or what there is not.

    Raises:
        VideoError: it cannot be read.
        ConfigError: pictures are looked at, and only flow images are named.
    """
    if template is None or not isinstance(source, (str, Path)) or _is_file(Path(source)):
        return open_source(source, deadline=deadline), None
    names, images = frame_names(template), None
    if names.flow is not None and any(each.flow is not None for each in samplings):
        images = FlowFolder.open(source, names.flow, frames if names.pictures is None else None)
    if images is not None and all(each.flow is not None for each in samplings):
        return None, images
    if names.pictures is None:
        raise ConfigError(
            "the frame template names images of optical flow, and a network looks at pictures",
            where=f"--frame-template {template}",
            fix=f"name the pictures, as img_{{:05d}}.jpg; of both, as img_{{:05d}}.jpg,{template}",
        )
    return FrameFolder.open(source, names.pictures, frames), images


def _kept(frame: NDArray[np.uint8], looks: Sequence[Sampling], deadline: Deadline) -> _Frame:
    """What networks of pictures and of flow want of a frame, resized once for those that are alike."""
    deadline.check()
    crops: dict[_Look, NDArray[np.uint8]] = {}
    grey: dict[tuple[int, Library], NDArray[np.uint8]] = {}
    sizes: dict[tuple[int, Library], NDArray[np.uint8]] = {}
    for how in looks:
        size = how.resize, how.library
        if size not in sizes:
            sizes[size] = resize_short_side(frame, *size)
        if how.flow is None:
            crops[_look(how)] = crops_of(sizes[size], how.crop, how.crops, how.library)
        elif size not in grey:
            grey[size] = grey_frame(sizes[size])
    return crops, grey


def _look(how: Sampling) -> _Look:
    """What becomes of a frame of RGB."""
    return how.resize, how.crop, how.crops, how.library


def _numbers(
    count: int, how: Sampling, shares: Sequence[float], *, between: bool = False
) -> tuple[NDArray[np.int64], _Numbers]:
    """Of each frame of each clip the first number, ``[clips, T]``, and all that are stacked in it.

    ``between``: numbers are those of fields between ``count`` frames.
    """
    stack = 1 if how.flow is None else how.flow.fields
    starts, numbers = [], []
    for share in shares:
        seen = beginning(count, share)
        there = max(seen - 1, 1) if between and seen else seen
        part = sample_indices(there, how)
        starts.append(part)
        numbers += [
            [[min(start + k, there - 1) for k in range(stack)] for start in clip] for clip in part.tolist()
        ]
    return np.concatenate(starts), numbers


def _stacked(numbers: _Numbers, part: Callable[[int], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Clips ``[clips * crops, T, H, W, C]`` of parts ``[crops, H, W, channels]``."""
    # [clips, T, crops, H, W, C] -> [clips, crops, T, H, W, C]
    stacked = np.stack([np.stack([_joined(stack, part) for stack in clip]) for clip in numbers]).swapaxes(
        1, 2
    )
    return np.ascontiguousarray(stacked.reshape(-1, *stacked.shape[2:]))


def _joined(stack: Sequence[int], part: Callable[[int], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    parts = [part(index) for index in stack]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def _repeats(count: int, how: Sampling, *, between: bool = False) -> tuple[str, ...]:
    indices, numbers = _numbers(count, how, _WHOLE, between=between)
    alike = any(len(set(stack)) < len(stack) for clip in numbers for stack in clip)
    if (np.diff(indices, axis=1) > 0).all() and not alike:
        return ()
    what = "frames" if how.flow is None or between else "fields of flow"
    return (f"the video has only {count} {what}, so that a clip repeats some",)
