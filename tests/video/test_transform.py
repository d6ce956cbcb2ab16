"""Resize and crop as the publishers' libraries do."""

import cv2
import numpy as np
import pytest
from PIL import Image

from edgevid.contract import Sampling
from edgevid.errors import VideoError
from edgevid.video.transform import (
    crop_offsets,
    crops_of,
    resize_short_side,
    resized_size,
    transform_frame,
)

SIZES = [(340, 256), (320, 240), (1920, 1080), (240, 320), (171, 128), (257, 1000), (33, 47), (500, 500)]


def picture(width, height, seed=0):
    random = np.random.default_rng(seed)
    coarse = random.integers(0, 256, (max(2, height // 9), max(2, width // 9), 3), np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int64)
    return np.clip(smooth + random.integers(-40, 40, smooth.shape), 0, 255).astype(np.uint8)


def triangle_weights(before, after):
    """Weights of an antialiased bilinear filter along one side: a triangle as wide as the scale."""
    scale = before / after
    reach = max(scale, 1.0)
    centres = (np.arange(after) + 0.5) * scale
    distance = (np.arange(before)[None, :] + 0.5 - centres[:, None]) / reach
    weights = np.clip(1 - np.abs(distance), 0, None)
    return weights / weights.sum(1, keepdims=True)


def bilinear_weights(before, after):
    """Weights of plain bilinear interpolation along one side, edges repeated."""
    where = np.clip((np.arange(after) + 0.5) * before / after - 0.5, 0, before - 1)
    low = np.minimum(where.astype(int), before - 2)
    weights = np.zeros((after, before))
    weights[np.arange(after), low] = 1 - (where - low)
    weights[np.arange(after), low + 1] = where - low
    return weights


def apply_weights(frame, rows, columns):
    return np.einsum("ij,jkc,lk->ilc", rows, frame.astype(float), columns, optimize=True)


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_pil_resizes_as_torchvision_and_pillow_do(width, height):
    frame = picture(width, height)
    resized = resize_short_side(frame, 128, "pil")
    short, long = min(width, height), max(width, height)
    size = (128, int(128 * long / short)) if width < height else (int(128 * long / short), 128)
    expected = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
    assert (resized == expected).all()


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_opencv_resizes_as_mmcv_does(width, height):
    frame = picture(width, height)
    resized = resize_short_side(frame, 128, "opencv")
    factor = min(np.inf / max(height, width), 128 / min(height, width))
    size = (int(width * factor + 0.5), int(height * factor + 0.5))
    assert (resized == cv2.resize(frame, size, interpolation=cv2.INTER_LINEAR)).all()


@pytest.mark.parametrize(("width", "height"), [(340, 256), (640, 361), (90, 100)])
def test_pil_is_within_one_grey_level_of_an_antialiased_filter(width, height):
    frame = picture(width, height)
    resized = resize_short_side(frame, 112, "pil")
    rows = triangle_weights(height, resized.shape[0])
    columns = triangle_weights(width, resized.shape[1])
    assert np.abs(resized - apply_weights(frame, rows, columns)).max() <= 1.01


@pytest.mark.parametrize(("width", "height"), [(340, 256), (640, 361), (90, 100)])
def test_opencv_is_within_one_grey_level_of_plain_bilinear_interpolation(width, height):
    frame = picture(width, height)
    resized = resize_short_side(frame, 112, "opencv")
    rows = bilinear_weights(height, resized.shape[0])
    columns = bilinear_weights(width, resized.shape[1])
    assert np.abs(resized - apply_weights(frame, rows, columns)).max() <= 1.01


def test_the_two_libraries_differ_when_a_frame_becomes_smaller():
    frame = picture(640, 480)
    pil, opencv = (resize_short_side(frame, 120, library) for library in ("pil", "opencv"))
    assert np.abs(pil.astype(int) - opencv).max() > 10


@pytest.mark.parametrize("library", ["pil", "opencv"])
def test_a_short_side_that_is_right_already_is_left_untouched(library):
    frame = picture(340, 256)
    assert (resize_short_side(frame, 256, library) == frame).all()


def test_the_long_side_is_cut_off_for_pil_and_rounded_for_opencv():
    assert resized_size(427, 240, 256, "pil") == (455, 256)
    assert resized_size(427, 240, 256, "opencv") == (455, 256)
    assert resized_size(320, 241, 256, "pil") == (339, 256)
    assert resized_size(320, 241, 256, "opencv") == (340, 256)
    assert resized_size(241, 320, 256, "opencv") == (256, 340)


def test_centre_crops_round_as_each_publisher_does():
    assert crop_offsets(227, 229, 224, 1, "pil") == [(2, 2)]
    assert crop_offsets(227, 229, 224, 1, "opencv") == [(1, 2)]
    assert crop_offsets(225, 231, 224, 1, "pil") == [(0, 4)]
    assert crop_offsets(225, 231, 224, 1, "opencv") == [(0, 3)]


@pytest.mark.parametrize(("width", "height"), [(340, 256), (455, 256), (341, 259)])
def test_three_crops_of_pil_are_mits_left_right_and_centre(width, height):
    step_w, step_h = (width - 224) // 4, (height - 224) // 4
    expected = [(0, 2 * step_h), (4 * step_w, 2 * step_h), (2 * step_w, 2 * step_h)]
    assert crop_offsets(width, height, 224, 3, "pil") == expected


def test_three_crops_of_opencv_are_mmaction2s():
    assert crop_offsets(341, 256, 256, 3, "opencv") == [(0, 0), (84, 0), (42, 0)]
    assert crop_offsets(256, 341, 256, 3, "opencv") == [(0, 0), (0, 84), (0, 42)]


@pytest.mark.parametrize("library", ["pil", "opencv"])
def test_three_crops_of_an_upright_video_lie_along_its_height(library):
    wide = crop_offsets(340, 256, 224, 3, library)
    assert crop_offsets(256, 340, 224, 3, library) == [(top, left) for left, top in wide]
    assert len(set(wide)) == 3


def test_crops_are_pieces_of_the_frame():
    frame = picture(40, 30)
    crops = crops_of(frame, 20, 3)
    assert crops.shape == (3, 20, 20, 3)
    for piece, (left, top) in zip(crops, crop_offsets(40, 30, 20, 3), strict=True):
        assert (piece == frame[top : top + 20, left : left + 20]).all()


def test_a_frame_is_resized_and_cropped():
    frame = picture(640, 480)
    sampling = Sampling(crops=3)
    crops = transform_frame(frame, sampling)
    assert crops.shape == (3, 224, 224, 3)
    assert crops.dtype == np.uint8
    assert (crops == crops_of(resize_short_side(frame, 256), 224, 3)).all()


def test_a_small_frame_is_enlarged():
    assert transform_frame(picture(40, 30), Sampling()).shape == (1, 224, 224, 3)


@pytest.mark.parametrize("crops", [1, 3])
def test_a_frame_smaller_than_the_crop_is_refused_with_both_sizes(crops):
    with pytest.raises(VideoError, match="200x100 pixels is smaller than the crop of 128x128"):
        crops_of(picture(200, 100), 128, crops)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3)),
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_what_is_no_rgb_frame_is_refused(frame):
    with pytest.raises(VideoError, match=r"uint8 \[H, W, 3\]"):
        transform_frame(frame, Sampling())
