"""Frames come out as they are meant to be seen."""

import numpy as np
import pytest
from making_videos import moving_frames, write_video

from edgevid.video.decode import Video
from edgevid.video.orientation import Orientation, from_display_matrix

ONE = 1 << 16
SEEN = {
    "as stored": ((ONE, 0, 0, ONE), lambda f: f),
    "a quarter turn clockwise": ((0, ONE, -ONE, 0), lambda f: np.rot90(f, -1)),
    "half a turn": ((-ONE, 0, 0, -ONE), lambda f: np.rot90(f, 2)),
    "a quarter turn counterclockwise": ((0, -ONE, ONE, 0), lambda f: np.rot90(f, 1)),
    "mirrored": ((-ONE, 0, 0, ONE), lambda f: f[:, ::-1]),
    "upside down": ((ONE, 0, 0, -ONE), lambda f: f[::-1]),
    "transposed": ((0, ONE, ONE, 0), lambda f: f.swapaxes(0, 1)),
    "transposed the other way": ((0, -ONE, -ONE, 0), lambda f: np.rot90(f, 2).swapaxes(0, 1)),
}


def matrix(a, b, c, d):
    return (a, b, 0, c, d, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize("name", SEEN)
def test_a_video_is_shown_the_way_its_display_matrix_says(tmp_path, name):
    numbers, seen = SEEN[name]
    frames = moving_frames(3)
    stored = Video(write_video(tmp_path / "stored.mp4", frames)).read([0, 2])
    shown = Video(write_video(tmp_path / "a.mp4", frames, matrix=matrix(*numbers))).read([0, 2])
    assert (shown == np.stack([seen(frame) for frame in stored])).all()
    assert shown.flags.c_contiguous


def test_an_angle_written_with_rounding_is_still_a_quarter_turn():
    assert from_display_matrix(matrix(-3, ONE, -ONE, -3)) == Orientation(transpose=True, mirror=True)


def test_an_angle_between_quarter_turns_is_left_alone_with_a_warning(tmp_path):
    assert from_display_matrix(matrix(46341, 46341, -46341, 46341)) is None
    frames = moving_frames(3)
    path = write_video(tmp_path / "a.mp4", frames, matrix=matrix(46341, 46341, -46341, 46341))
    video = Video(path)
    stored = Video(write_video(tmp_path / "stored.mp4", frames)).read([1])
    assert (video.read([1]) == stored).all()
    assert any("quarter turn" in warning for warning in video.info.warnings)


def test_sizes_change_places_with_a_quarter_turn():
    assert Orientation(transpose=True).size(64, 48) == (48, 64)
    assert Orientation(mirror=True).size(64, 48) == (64, 48)
