"""From a video file or a folder of frames to the clips that a network looks at."""

from __future__ import annotations

from edgevid.video.class_folders import read_class_folders
from edgevid.video.datasets import Item
from edgevid.video.deadline import Deadline
from edgevid.video.decode import Video
from edgevid.video.frames import FrameFolder
from edgevid.video.info import VideoInfo
from edgevid.video.labels import read_labels
from edgevid.video.lists import read_list
from edgevid.video.prefetch import ReadVideo, read_ahead
from edgevid.video.read import Clips, read_clips
from edgevid.video.sample import sample_indices
from edgevid.video.skipped import SkippedVideoError, SkipReason, reason_of
from edgevid.video.transform import transform_frame

__all__ = [
    "Clips",
    "Deadline",
    "FrameFolder",
    "Item",
    "ReadVideo",
    "SkipReason",
    "SkippedVideoError",
    "Video",
    "VideoInfo",
    "read_ahead",
    "read_class_folders",
    "read_clips",
    "read_labels",
    "read_list",
    "reason_of",
    "sample_indices",
    "transform_frame",
]
