"""Which frames, or fields of optical flow, of a video a clip is made of. Pure functions on counts, from 0.

The formulas are those of MIT's TSM test code (``ops/dataset.py``, ``_get_test_indices``),
which mmaction2's ``SampleFrames`` (test mode, ``clip_len=1``) and ``DenseSampleFrames``
agree with. A video shorter than the segments repeats frames: the formulas give that.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, get_args, get_type_hints

import numpy as np

from edgevid.contract import Sampling
from edgevid.errors import ConfigError, VideoError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["beginning", "check_sampling", "dense_indices", "sample_indices", "uniform_indices"]

MOST_CLIPS = 200


def sample_indices(frames: int, sampling: Sampling) -> NDArray[np.int64]:
    """Frame numbers ``[clips, segments]`` for a video of ``frames`` frames.

    Of optical flow they are those of fields, of which there are ``frames``: the first one of each stack.

    Raises:
        VideoError: the video has no frames.
        ConfigError: see `check_sampling`.
    """
    check_sampling(sampling)
    if sampling.mode == "dense":
        return dense_indices(frames, sampling.segments, sampling.window, sampling.clips)
    span = 1 if sampling.flow is None else sampling.flow.fields
    return uniform_indices(frames, sampling.segments, sampling.clips, span)


def beginning(frames: int, share: float) -> int:
    """How many frames the first ``share`` (0 to 1) of a video has: at least one, if it has any."""
    return min(frames, max(1, int(frames * share + 0.5)))


def uniform_indices(frames: int, segments: int, clips: int = 1, span: int = 1) -> NDArray[np.int64]:
    """TSN sampling: one frame from each of ``segments`` equal parts of the video.

    A stack of ``span`` fields of flow begins early enough to fit in (MIT's ``new_length``). With
    ``tick = (frames - span + 1) / segments``, one clip takes the centres ``int(tick/2 + tick*i)``.
    Two clips are MIT's ``twice_sample``: the centres, then the beginnings ``int(tick*i)``.
    More clips, for which nothing is published, take ``int(tick*k/clips + tick*i)``, so that
    they divide each part evenly; clip 0 begins at the beginnings.

    Returns:
        Frame numbers ``[clips, segments]``.

    Raises:
        VideoError: the video has no frames.
    """
    _refuse_no_frames(frames)
    tick = (frames - span + 1) / float(segments)
    if clips == 1:
        starts = [tick / 2.0]
    elif clips == 2:
        starts = [tick / 2.0, 0.0]
    else:
        starts = [tick * clip / clips for clip in range(clips)]
    # A video with fewer fields than a stack would begin before its beginning.
    rows = [[max(0, min(int(start + tick * i), frames - 1)) for i in range(segments)] for start in starts]
    return np.array(rows, dtype=np.int64)


def dense_indices(frames: int, segments: int, window: int = 64, clips: int = 1) -> NDArray[np.int64]:
    """I3D sampling: ``segments`` frames from a window of ``window`` frames.

    The stride is ``window // segments``; numbers past the end start again from 0 (modulo),
    as in MIT's code. Several clips (MIT takes 10) start at ``linspace(0, last, clips)``,
    truncated, with ``last = max(0, frames - window)``. A single clip takes the middle start,
    ``last // 2``: MIT's validation draws it at random from the same range, and mmaction2's
    ``SampleFrames`` takes the middle when it tests with one clip.

    Returns:
        Frame numbers ``[clips, segments]``.

    Raises:
        VideoError: the video has no frames.
    """
    _refuse_no_frames(frames)
    last = max(0, frames - window)
    starts = np.array([last // 2]) if clips == 1 else np.linspace(0, last, num=clips, dtype=np.int64)
    offsets = np.arange(segments) * (window // segments)
    return ((starts[:, None] + offsets[None, :]) % frames).astype(np.int64)


def check_sampling(sampling: Sampling) -> None:
    """Refuse settings that no video can satisfy.

    Raises:
        ConfigError: a number below 1, an unknown choice, a dense window shorter than its
            segments, or a crop larger than the resized short side.
    """
    for name in ("segments", "window", "clips", "resize", "crop"):
        if getattr(sampling, name) < 1:
            raise ConfigError(
                f"{name} is {getattr(sampling, name)} and must be at least 1", where=f"sampling.{name}"
            )
    if sampling.clips > MOST_CLIPS:
        raise ConfigError(
            f"{sampling.clips} clips of one video would fill the memory",
            where="sampling.clips",
            fix=f"take at most {MOST_CLIPS}; published tests take up to 10",
        )
    for name, choices in _choices().items():
        value = getattr(sampling, name)
        if value not in choices:
            raise ConfigError(
                f"{name} is {value!r}",
                where=f"sampling.{name}",
                fix=f"choose one of {', '.join(map(str, choices))}",
            )
    if sampling.mode == "dense" and sampling.window < sampling.segments:
        raise ConfigError(
            f"a dense window of {sampling.window} frames cannot hold {sampling.segments} segments",
            where="sampling.window",
            fix=f"choose a window of at least {sampling.segments} frames, or uniform sampling",
        )
    if sampling.crop > sampling.resize:
        raise ConfigError(
            f"a crop of {sampling.crop} pixels does not fit a short side of {sampling.resize}",
            where="sampling.crop",
            fix=f"resize to at least {sampling.crop} or crop at most {sampling.resize}",
        )


@cache
def _choices() -> dict[str, tuple[object, ...]]:
    hints = get_type_hints(Sampling)
    return {name: get_args(hints[name]) for name in ("mode", "crops", "library")}


def _refuse_no_frames(frames: int) -> None:
    if frames < 1:
        raise VideoError("the video has no frames to sample", fix="remove it from the list")
