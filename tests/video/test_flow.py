"""Optical flow that is computed of a video: its bytes, its frames, what is shared with a network of RGB."""

import types
from itertools import pairwise

import cv2
import numpy as np
import pytest
from making_videos import decode_everything, moving_frames, write_video

from edgevid.contract import Flow, Sampling
from edgevid.errors import MissingDependencyError, VideoError
from edgevid.video.flow import FlowMeter, as_bytes, grey_frame
from edgevid.video.read import read_clips, wanted_frames
from edgevid.video.sample import uniform_indices
from edgevid.video.transform import crops_of, resize_short_side

RGB = Sampling(segments=4, resize=32, crop=24)
FIELDS = Sampling(segments=4, resize=32, crop=24, flow=Flow())


def mit_test_indices(fields, segments, new_length=5, twice=False):
    """MIT's ``_get_test_indices`` retold for flow: numbers from 1."""
    tick = (fields - new_length + 1) / float(segments)
    centres = [int(tick / 2.0 + tick * x) for x in range(segments)]
    return np.array(centres + ([int(tick * x) for x in range(segments)] if twice else [])) + 1


@pytest.mark.parametrize("segments", [1, 8, 16])
@pytest.mark.parametrize("fields", [5, 6, 12, 63, 249])
def test_stacks_begin_where_those_of_mit_do(fields, segments):
    for clips in (1, 2):
        found = uniform_indices(fields, segments, clips, span=5)
        assert (found.ravel() + 1 == mit_test_indices(fields, segments, twice=clips == 2)).all()
        assert found.max() + 5 <= fields


@pytest.mark.parametrize("fields", [1, 2, 4])
def test_with_fewer_fields_than_a_stack_all_begin_at_the_first(fields):
    assert uniform_indices(fields, 4, span=5).tolist() == [[0, 0, 0, 0]]


def test_bytes_are_those_of_denseflow():
    # 255 (v + 20) / 40 rounded, halves to even: its cvRound.
    given = np.float32([0, 20, -20, 400, -400, 1, -1, 0.08, 10, -10])
    assert as_bytes(given, 20).tolist() == [128, 255, 0, 255, 0, 134, 121, 128, 191, 64]


def test_what_moves_right_and_up_is_told_from_128():
    ground = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (60, 80), np.uint8), (0, 0), 2)
    moved = np.roll(cv2.normalize(ground, None, 0, 255, cv2.NORM_MINMAX), (-2, 4), (0, 1))
    meter = FlowMeter(Flow())
    field = meter(cv2.normalize(ground, None, 0, 255, cv2.NORM_MINMAX), moved)[20:-20, 20:-20]
    assert (field.dtype, field.shape[2]) == (np.uint8, 2)
    right, down = np.median(field, axis=(0, 1))
    assert abs(right - as_bytes(np.float32(4), 20)) <= 2
    assert abs(down - as_bytes(np.float32(-2), 20)) <= 2
    assert (meter(moved, moved) == 128).all()


def by_hand(frames, sampling):
    """The fields of all neighbours, and the crops of each: DIS of grey, resized frames."""
    medium = cv2.DISOpticalFlow_PRESET_MEDIUM
    grey = [cv2.cvtColor(resize_short_side(f, sampling.resize), cv2.COLOR_RGB2GRAY) for f in frames]
    found = (as_bytes(cv2.DISOpticalFlow.create(medium).calc(a, b, None), 20) for a, b in pairwise(grey))
    return np.stack([crops_of(field, sampling.crop, sampling.crops, channels=2) for field in found])


def test_a_frame_of_a_clip_is_five_fields_from_the_beginning_of_its_stack(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(28))
    clips = read_clips(path, FIELDS)
    expected = by_hand(decode_everything(path), FIELDS)[:, 0]
    assert clips.pixels.shape == (1, 4, 24, 24, 10)
    assert clips.pixels.flags.c_contiguous
    assert clips.indices.tolist() == [[2, 8, 14, 20]], "27 fields, 23 places for a stack"
    for t, start in enumerate(clips.indices[0]):
        channels = [expected[start + k, ..., axis] for k in range(5) for axis in (0, 1)]
        assert (clips.pixels[0, t] == np.stack(channels, -1)).all(), "x0, y0, x1, y1, ..."
    assert (clips.frames, clips.warnings) == (28, ())
    assert clips.flow_ns[0] > 0


def test_crops_and_clips_lie_as_those_of_rgb(tmp_path):
    frames = moving_frames(20)
    sampling = Sampling(segments=2, clips=2, crops=3, resize=32, crop=24, flow=Flow(2))
    clips = read_clips(frames, sampling)
    fields = by_hand(frames, sampling)
    assert clips.pixels.shape == (6, 2, 24, 24, 4)
    for clip, crop, t in np.ndindex(2, 3, 2):
        start = clips.indices[clip, t]
        expected = np.concatenate([fields[start, crop], fields[start + 1, crop]], axis=-1)
        assert (clips.pixels[clip * 3 + crop, t] == expected).all()


def test_a_network_of_rgb_and_one_of_flow_share_one_decoding(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(28))
    both = read_clips(path, RGB, also=[FIELDS])
    alone, flow = read_clips(path, RGB), read_clips(path, FIELDS)
    assert (both.pixels == alone.pixels).all()
    assert (both.also[0].pixels == flow.pixels).all()
    assert both.flow_ns[0] > 0
    assert alone.flow_ns == (0, 0)
    wanted = set(wanted_frames(28, FIELDS))
    assert {2, 7, 8, 13} <= wanted <= set(range(28))
    assert wanted_frames(28, RGB) == [3, 10, 17, 24]


def test_beginnings_are_looked_at_as_if_the_video_ended_there():
    frames = moving_frames(24)
    clips = read_clips(frames, FIELDS, shares=(0.5, 1.0))
    expected = [read_clips(frames[:seen], FIELDS).pixels for seen in (12, 24)]
    assert (clips.pixels == np.concatenate(expected)).all()


def test_a_short_video_repeats_its_last_field_and_says_so():
    clips = read_clips(moving_frames(3), FIELDS)
    stack = clips.pixels[0, 0]
    assert (stack[..., 2:4] == stack[..., 8:10]).all()
    assert clips.warnings == ("the video has only 3 frames, so that a clip repeats some",)


def test_one_frame_shows_no_motion():
    with pytest.raises(VideoError, match="the video has one frame"):
        read_clips(moving_frames(1), FIELDS)


def test_a_field_does_not_depend_on_those_before_it():
    meter, grey = FlowMeter(Flow()), [grey_frame(frame) for frame in moving_frames(5, 43, 32)]
    forwards = [meter(a, b) for a, b in pairwise(grey)]
    backwards = [meter(a, b) for a, b in reversed(list(pairwise(grey)))]
    assert all((a == b).all() for a, b in zip(forwards, reversed(backwards), strict=True))


def test_frames_that_are_too_small_or_change_their_size_are_refused_in_words():
    meter = FlowMeter(Flow())
    small, other = np.zeros((4, 4), np.uint8), np.zeros((4, 5), np.uint8)
    with pytest.raises(VideoError, match="no optical flow of frames of 4x4 pixels"):
        meter(small, small)
    with pytest.raises(VideoError, match="size changes"):
        meter(small, other)


def test_tv_l1_is_taken_where_opencv_has_it_and_asked_for_where_it_has_not(monkeypatch):
    monkeypatch.delattr(cv2, "optflow", raising=False)
    with pytest.raises(MissingDependencyError, match="TV-L1") as caught:
        FlowMeter(Flow(algorithm="tvl1"))
    assert "opencv-contrib-python-headless" in caught.value.fix
    found = types.SimpleNamespace(calc=lambda before, after, _: np.full((*before.shape, 2), 20, np.float32))
    monkeypatch.setattr(
        cv2, "optflow", types.SimpleNamespace(DualTVL1OpticalFlow_create=lambda: found), raising=False
    )
    frame = grey_frame(moving_frames(1)[0])
    assert (FlowMeter(Flow(algorithm="tvl1"))(frame, frame) == 255).all()
