"""From a video file or a folder of frames to the clips that a network looks at."""

from __future__ import annotations

from edgevid.video.datasets import Item, read_class_folders, read_list
from edgevid.video.decode import Video, VideoInfo, count_frames, read_frames
from edgevid.video.frames import FrameFolder
from edgevid.video.labels import read_labels
from edgevid.video.read import Clips, read_all, read_clips
from edgevid.video.sample import sample_indices
from edgevid.video.transform import transform_frame

__all__ = [
    "Clips",
    "FrameFolder",
    "Item",
    "Video",
    "VideoInfo",
    "count_frames",
    "read_all",
    "read_class_folders",
    "read_clips",
    "read_frames",
    "read_labels",
    "read_list",
    "sample_indices",
    "transform_frame",
]
