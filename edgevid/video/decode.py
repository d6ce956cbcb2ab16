"""Frames of a video file by their number, the same bits however they were reached.

Frame ``i`` is the ``i``-th frame that a decoding of the whole file gives. Neither headers
nor packets can tell how many those are (edit lists, hidden frames, damage), so the first
reading decodes everything once and keeps only what is wanted. Later readings from the
same `Video` go to the key frame before, and count only if time stamp and checksum
agree with that first decoding; where they do not (open groups of pictures, missing time
stamps, packed B-frames), the file is decoded from its beginning again. In a damaged file
this holds for all frames that the damage does not reach.

Of a long video whose container lists its frames, `Video.select` goes to the key frames at once,
since nobody waits for hours of video to be decoded; frame ``i`` is then the ``i``-th by time stamp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from edgevid.errors import VideoError
from edgevid.video.color import RgbConverter
from edgevid.video.container import Demuxer, open_video
from edgevid.video.deadline import Deadline
from edgevid.video.info import VideoInfo
from edgevid.video.seek import FrameRecord, PacketTimes, SeekError, Target, recorded_targets, seek_frames
from edgevid.video.sequential import DamageError, SequentialDecoder
from edgevid.video.skipped import SkippedVideoError

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from numpy.typing import NDArray

__all__ = ["Video"]

_T = TypeVar("_T")

# Threads meet damage, the packets miscount the frames, the wanted ones are read, all is there.
_MOST_PASSES = 4

# Frames from which on a video is sampled by seeking: some seconds of decoding.
_LONG = 3000


class Video:
    """A video file whose frames are read by number as ``uint8`` RGB ``[H, W, 3]``.

    Rotation and mirroring that the file asks for are applied. The matrix (BT.601, BT.709,
    ...) and the range are the stream's own; an untagged stream is BT.601, limited range,
    as swscale assumes and as OpenCV and ffmpeg decode it. Pixels are taken as square, as
    the published pipelines do. Interlaced frames are kept as they decode, with a warning, and
    frames are counted, not timed, in videos of a variable frame rate: so do decord, OpenCV and PyAV.

    Args:
        path: the file.
        deadline: when to give it up; every reading then raises `SkippedVideoError`.

    Raises:
        SkippedVideoError: see `open_video`.
    """

    def __init__(self, path: str | Path, deadline: Deadline | None = None) -> None:
        self.path = Path(path)
        self._deadline = deadline or Deadline(self.path)
        self._damaged = False
        self._records: list[FrameRecord] | None = None
        self._seekable = True
        with open_video(self.path, self._deadline) as (container, stream):
            self._info = VideoInfo.of(self.path, stream)
            packets = Demuxer(container, stream, self._deadline)
            times = PacketTimes(container, stream)
            for packet in packets:
                if packet is not None:
                    times.add(packet)
            self._announced = packets.shown
            self._whole = not packets.failure and not packets.cut_short
            self._times = times if self._whole else None

    @property
    def info(self) -> VideoInfo:
        """What is known so far; `VideoInfo.frames` and the warnings after the first reading."""
        return self._info

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the file, in words; complete after the first reading."""
        return self._info.warnings

    def count(self) -> int:
        """How many frames decode.

        Raises:
            VideoError: none does.
        """
        return self._select(lambda _: (), _identity, record=True)[0]

    def select(
        self, choose: Callable[[int], Iterable[int]], convert: Callable[[NDArray[np.uint8]], _T]
    ) -> tuple[int, dict[int, _T]]:
        """Read the frames that ``choose`` names once it knows how many there are.

        One decoding is enough unless the file holds another number of frames than packets.

        Args:
            choose: number of frames to the wanted frame numbers; may be called more than
                once, the last time with the right number.
            convert: called once a frame, for example to make it smaller.

        Returns:
            The number of frames, and the converted frames by number.

        Raises:
            VideoError: no frame decodes, or ``choose`` names one that does not exist.
        """
        return self._sampled(choose, convert) or self._select(choose, convert, record=False)

    def read(self, indices: Sequence[int]) -> NDArray[np.uint8]:
        """The frames of these numbers, in the order given, repeats included.

        Returns:
            ``uint8`` RGB ``[len(indices), H, W, 3]``.

        Raises:
            VideoError: a number is outside ``0 .. count() - 1``, or the frames differ in size.
        """
        wanted = [int(index) for index in indices]
        if not wanted:
            raise VideoError("no frame numbers were given", where=self.path, fix="name at least one frame")
        frames = self._sought_again(set(wanted))
        if frames is None:
            count, frames = self._select(
                lambda count: [index for index in wanted if 0 <= index < count], _identity, record=True
            )
            self._check_inside(wanted, count)
        return self._stack([frames[index] for index in wanted], wanted)

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """All frames in order, one at a time in memory."""
        convert = RgbConverter()
        for _, frame in self._decode(threaded=False):
            yield self._to_rgb(convert, frame)

    def _select(
        self,
        choose: Callable[[int], Iterable[int]],
        convert: Callable[[NDArray[np.uint8]], _T],
        *,
        record: bool,
    ) -> tuple[int, dict[int, _T]]:
        kept: dict[int, _T] = {}
        for _ in range(_MOST_PASSES):
            count = self._info.frames
            wanted = set(choose(count or self._announced)) if count or self._announced else set()
            missing = wanted - kept.keys()
            if count is not None and not missing:
                return count, {index: kept[index] for index in wanted}
            try:
                if count is None:
                    self._full_pass(missing, convert, kept, record=record)
                else:
                    self._check_inside(missing, count)
                    self._partial_pass(missing, convert, kept)
            except DamageError:
                self._damaged = True
                kept.clear()
        raise SkippedVideoError(
            "the video decodes to other frames each time",
            reason="damaged",
            where=self.path,
            fix="keep the file unchanged while it is read, or re-encode it",
        )

    def _full_pass(
        self,
        wanted: set[int],
        convert: Callable[[NDArray[np.uint8]], _T],
        kept: dict[int, _T],
        *,
        record: bool,
    ) -> None:
        rgb = RgbConverter()
        records: list[FrameRecord] = []
        count = 0
        for index, frame in self._decode(threaded=not self._damaged):
            count = index + 1
            if record:
                records.append(FrameRecord.of(frame))
            if index in wanted:
                kept[index] = convert(self._to_rgb(rgb, frame))
        if count == 0:
            raise SkippedVideoError(
                "not one frame of the video decodes",
                reason="damaged" if self._whole else "cut off",
                where=self.path,
                fix="the file is damaged or cut off right after its header: fetch it again",
            )
        self._records = records
        self._info = replace(self._info, frames=count)

    def _partial_pass(
        self, wanted: set[int], convert: Callable[[NDArray[np.uint8]], _T], kept: dict[int, _T]
    ) -> None:
        rgb = RgbConverter()
        last = max(wanted)
        for index, frame in self._decode(threaded=not self._damaged):
            if index in wanted:
                kept[index] = convert(self._to_rgb(rgb, frame))
            if index >= last:
                return

    def _sampled(
        self, choose: Callable[[int], Iterable[int]], convert: Callable[[NDArray[np.uint8]], _T]
    ) -> tuple[int, dict[int, _T]] | None:
        """As `select`, for a long video; ``None`` where its packets cannot be trusted."""
        count = self._announced
        if self._times is None or self._info.frames is not None or count < _LONG:
            return None
        wanted = set(choose(count))
        self._check_inside(wanted, count)
        try:
            return (count, self._sought(self._times.targets(wanted), convert)) if wanted else None
        except SeekError:
            self._times = None
            return None

    def _sought_again(self, wanted: set[int]) -> dict[int, NDArray[np.uint8]] | None:
        """The frames by way of key frames, or ``None`` when that cannot be trusted."""
        if not self._records or self._damaged or not self._seekable:
            return None
        self._check_inside(wanted, len(self._records))
        try:
            return self._sought(recorded_targets(self._records, wanted), _identity)
        except SeekError:
            self._seekable = False
            return None

    def _sought(self, targets: list[Target], convert: Callable[[NDArray[np.uint8]], _T]) -> dict[int, _T]:
        rgb = RgbConverter()
        with open_video(self.path, self._deadline) as (container, stream):
            frames = seek_frames(container, stream, targets, self._deadline)
            return {index: convert(self._to_rgb(rgb, frame)) for index, frame in frames}

    def _decode(self, *, threaded: bool) -> Iterator[tuple[int, VideoFrame]]:
        decoder = SequentialDecoder(self.path, threaded=threaded, deadline=self._deadline)
        yield from decoder
        for warning in decoder.warnings:
            self._warn(warning)

    def _to_rgb(self, convert: RgbConverter, frame: VideoFrame) -> NDArray[np.uint8]:
        try:
            pixels = convert(frame)
        except SkippedVideoError as error:
            raise SkippedVideoError(
                error.what, reason=error.reason, where=self.path, fix=error.fix
            ) from error
        for warning in convert.warnings:
            self._warn(warning)
        return pixels

    def _warn(self, warning: str) -> None:
        if warning not in self._info.warnings:
            self._info = replace(self._info, warnings=(*self._info.warnings, warning))

    def _check_inside(self, indices: Iterable[int], count: int) -> None:
        outside = sorted(index for index in indices if not 0 <= index < count)
        if outside:
            raise VideoError(
                f"frame {outside[0]} does not exist: {count} frames decode, numbered from 0",
                where=self.path,
                fix=f"name frames from 0 to {count - 1}",
            )

    def _stack(self, frames: Sequence[NDArray[np.uint8]], indices: Sequence[int]) -> NDArray[np.uint8]:
        for frame, index in zip(frames, indices, strict=True):
            if frame.shape != frames[0].shape:
                raise VideoError(
                    f"the size changes within the video: frame {indices[0]} has {frames[0].shape[1]}x"
                    f"{frames[0].shape[0]} pixels and frame {index} {frame.shape[1]}x{frame.shape[0]}",
                    where=self.path,
                    fix="read them one by one, or resized by read_clips",
                )
        return np.stack(frames)


def _identity(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return frame
