"""The matrix and the range of a stream are its own."""

import av
import numpy as np
import pytest
from making_videos import write_video

from edgevid.errors import VideoError
from edgevid.video.color import RgbConverter
from edgevid.video.decode import Video

BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)


def by_the_formula(pixel, weights, full):
    """ITU-R BT.601 and BT.709: Y'CbCr to R'G'B', 8 bits."""
    red_weight, blue_weight = weights
    y, cb, cr = (float(value) for value in pixel)
    if full:
        y, cb, cr = y / 255, (cb - 128) / 255, (cr - 128) / 255
    else:
        y, cb, cr = (y - 16) / 219, (cb - 128) / 224, (cr - 128) / 224
    red = y + 2 * (1 - red_weight) * cr
    blue = y + 2 * (1 - blue_weight) * cb
    green = (y - red_weight * red - blue_weight * blue) / (1 - red_weight - blue_weight)
    return np.clip(np.array([red, green, blue]) * 255, 0, 255)


def yuv_frame(pixel, colorspace, color_range):
    planes = [np.full(256, pixel[0]), np.full(64, pixel[1]), np.full(64, pixel[2])]
    frame = av.VideoFrame.from_ndarray(np.concatenate(planes).astype(np.uint8).reshape(24, 16), "yuv420p")
    frame.colorspace = colorspace
    frame.color_range = color_range
    return frame


@pytest.mark.parametrize("pixel", [(120, 100, 150), (60, 140, 110), (200, 128, 128)])
@pytest.mark.parametrize(("colorspace", "weights"), [(1, BT709), (5, BT601), (6, BT601), (2, BT601)], ids=str)
@pytest.mark.parametrize(("color_range", "full"), [(0, False), (1, False), (2, True)])
def test_a_frame_becomes_rgb_by_the_matrix_and_range_it_carries(
    pixel, colorspace, weights, color_range, full
):
    rgb = RgbConverter()(yuv_frame(pixel, colorspace, color_range))
    assert np.abs(rgb - by_the_formula(pixel, weights, full)).max() <= 2.5


def test_a_matrix_that_swscale_does_not_know_is_read_as_bt601_with_a_warning():
    convert = RgbConverter()
    rgb = convert(yuv_frame((120, 100, 150), 8, 1))
    assert np.abs(rgb - by_the_formula((120, 100, 150), BT601, False)).max() <= 2.5
    assert any("BT.601" in warning for warning in convert.warnings)


@pytest.mark.parametrize("colorspace", [1, 5])
@pytest.mark.parametrize("color_range", [1, 2])
def test_a_tagged_file_gives_back_the_colors_it_was_made_from(tmp_path, colorspace, color_range):
    frames = np.zeros((2, 32, 32, 3), np.uint8)
    frames[:] = (180, 60, 90)
    path = write_video(tmp_path / "a.mp4", frames, colorspace=colorspace, color_range=color_range)
    assert np.abs(Video(path).read([0])[0].astype(int) - frames[0]).max() <= 5


@pytest.mark.parametrize("pixel_format", ["yuv422p", "yuv444p", "yuv420p10le", "gray"])
def test_other_pixel_formats_become_rgb_too(tmp_path, pixel_format):
    frames = np.full((3, 32, 48, 3), 128, np.uint8)
    path = write_video(tmp_path / "a.mkv", frames, codec="ffv1", pixel_format=pixel_format)
    video = Video(path)
    assert np.abs(video.read([2])[0].astype(int) - 128).max() <= 2
    assert (video.read([2, 0])[0] == video.read([2])[0]).all()


def test_a_palette_is_resolved(tmp_path):
    frames = np.zeros((4, 32, 48, 3), np.uint8)
    frames[:, :, 24:] = 255
    path = write_video(tmp_path / "a.gif", frames, codec="gif", pixel_format="rgb8")
    assert np.abs(Video(path).read([3])[0].astype(int) - frames[3]).max() <= 3


def test_frames_without_pixels_that_rgb_can_show_are_an_error_in_words(monkeypatch):
    convert = RgbConverter()

    def refuse(frame):
        raise ValueError("no such conversion")

    monkeypatch.setattr(convert, "_reformat", refuse)
    with pytest.raises(VideoError, match="yuv420p cannot be converted"):
        convert(yuv_frame((1, 2, 3), 2, 0))
