"""Which frames a clip is made of."""

import numpy as np
import pytest

from edgevid.contract import Sampling
from edgevid.errors import ConfigError, VideoError
from edgevid.video.sample import beginning, check_sampling, dense_indices, sample_indices, uniform_indices


def mit_test_indices(frames, segments, dense=False, twice=False):
    """MIT's ``_get_test_indices`` retold: numbers from 1, clips one after another."""
    if dense:
        positions = max(1, 1 + frames - 64)
        stride = 64 // segments
        starts = np.linspace(0, positions - 1, num=10, dtype=int)
        return np.array([(i * stride + start) % frames for start in starts for i in range(segments)]) + 1
    tick = frames / float(segments)
    centres = [int(tick / 2.0 + tick * x) for x in range(segments)]
    return np.array(centres + ([int(tick * x) for x in range(segments)] if twice else [])) + 1


def mmaction2_test_indices(frames, segments, twice=False):
    """mmaction2's ``SampleFrames`` in test mode with ``clip_len=1`` retold: numbers from 0."""
    interval = frames / float(segments)
    base = np.arange(segments) * interval
    offsets = base + interval / 2.0
    return (np.concatenate([offsets, base]) if twice else offsets).astype(np.int32)


FRAMES = [1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 66, 100, 250, 281, 300, 1001, 9973]


@pytest.mark.parametrize("segments", [1, 3, 8, 16, 25])
@pytest.mark.parametrize("frames", FRAMES)
def test_uniform_sampling_is_that_of_both_publishers(frames, segments):
    one = uniform_indices(frames, segments)
    assert (one.ravel() + 1 == mit_test_indices(frames, segments)).all()
    assert (one.ravel() == mmaction2_test_indices(frames, segments)).all()
    two = uniform_indices(frames, segments, clips=2)
    assert (two.ravel() + 1 == mit_test_indices(frames, segments, twice=True)).all()
    assert (two.ravel() == mmaction2_test_indices(frames, segments, twice=True)).all()


@pytest.mark.parametrize("segments", [1, 5, 8, 16, 32])
@pytest.mark.parametrize("frames", FRAMES)
def test_ten_dense_clips_are_those_of_mit(frames, segments):
    indices = sample_indices(frames, Sampling(segments=segments, mode="dense", clips=10))
    assert indices.shape == (10, segments)
    assert (indices.ravel() + 1 == mit_test_indices(frames, segments, dense=True)).all()


def test_uniform_sampling_takes_the_centre_of_each_part():
    assert uniform_indices(80, 8).tolist() == [[5, 15, 25, 35, 45, 55, 65, 75]]
    assert uniform_indices(80, 8, clips=2)[1].tolist() == [0, 10, 20, 30, 40, 50, 60, 70]


def test_more_uniform_clips_divide_each_part_evenly():
    assert uniform_indices(80, 8, clips=5)[:, 0].tolist() == [0, 2, 4, 6, 8]
    assert uniform_indices(80, 8, clips=5)[:, 7].tolist() == [70, 72, 74, 76, 78]


def test_one_dense_clip_lies_in_the_middle():
    assert dense_indices(164, 8)[0].tolist() == [50, 58, 66, 74, 82, 90, 98, 106]
    assert dense_indices(64, 8)[0].tolist() == [0, 8, 16, 24, 32, 40, 48, 56]


def test_a_dense_window_may_have_another_length():
    assert dense_indices(100, 4, window=32, clips=2).tolist() == [[0, 8, 16, 24], [68, 76, 84, 92]]


def test_a_dense_clip_longer_than_the_video_begins_again():
    assert dense_indices(20, 8)[0].tolist() == [0, 8, 16, 4, 12, 0, 8, 16]


def test_a_clip_shorter_than_the_segments_repeats_frames():
    assert uniform_indices(3, 8).tolist() == [[0, 0, 0, 1, 1, 2, 2, 2]]
    assert uniform_indices(1, 8, clips=3).tolist() == [[0] * 8] * 3


@pytest.mark.parametrize("mode", ["uniform", "dense"])
@pytest.mark.parametrize("clips", [1, 2, 3, 7, 10])
def test_every_number_names_a_frame(mode, clips):
    for frames in range(1, 200):
        for segments in (1, 7, 8, 16):
            indices = sample_indices(frames, Sampling(segments=segments, mode=mode, clips=clips))
            assert indices.shape == (clips, segments)
            assert indices.min() >= 0
            assert indices.max() < frames


@pytest.mark.parametrize("mode", ["uniform", "dense"])
def test_a_video_without_frames_is_an_error(mode):
    with pytest.raises(VideoError, match="no frames"):
        sample_indices(0, Sampling(mode=mode))


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"segments": 0}, "segments"),
        ({"clips": 0}, "clips"),
        ({"crops": 2}, "crops"),
        ({"mode": "random"}, "mode"),
        ({"library": "skimage"}, "library"),
        ({"mode": "dense", "window": 4}, "window"),
        ({"resize": 200}, "crop"),
    ],
)
def test_settings_that_no_video_fits_are_named(settings, named):
    with pytest.raises(ConfigError) as caught:
        sample_indices(100, Sampling(**settings))
    assert caught.value.where == f"sampling.{named}"


def test_a_number_of_clips_that_would_fill_the_memory_is_refused():
    with pytest.raises(ConfigError, match="at most 200"):
        check_sampling(Sampling(clips=100_000))


@pytest.mark.parametrize(
    ("frames", "share", "seen"),
    [(28, 0.25, 7), (28, 0.1, 3), (30, 0.25, 8), (3, 0.1, 1), (10, 1.0, 10), (1, 0.01, 1), (0, 0.5, 0)],
)
def test_a_part_of_a_video_is_so_many_of_its_frames_and_one_at_least(frames, share, seen):
    assert beginning(frames, share) == seen
