"""Pictures of a folder of frames: whatever lies there is read, or refused in words."""

import io
import itertools
import os
import random

import numpy as np
import pytest
from making_videos import moving_frames
from mutations import damaged_bytes
from PIL import Image

from edgevid.contract import Sampling
from edgevid.errors import VideoError
from edgevid.video import FrameFolder, read_clips, reason_of

SMALL = Sampling(segments=4, resize=32, crop=24)
READ = ("bmp", "gif", "jpeg", "png", "ppm", "tiff", "webp")
NOT_READ = ("dds", "pcx", "sgi", "spider", "tga")
MODES = ("RGB", "RGBA", "P", "L", "1", "I;16", "CMYK")
PIXELS = moving_frames(1)[0]


def picture(form, mode):
    """Its bytes; ``None`` where the format has no such mode."""
    grey = PIXELS[..., 0].astype(np.uint16) << 7
    pixels = Image.fromarray(grey) if mode == "I;16" else Image.fromarray(PIXELS).convert(mode)
    file = io.BytesIO()
    try:
        pixels.save(file, form)
    except (OSError, KeyError, ValueError):
        return None
    return file.getvalue()


def read(folder, content):
    (folder / "1.jpg").write_bytes(content)
    return FrameFolder.open(folder, "{}.jpg").read(0)


def refusal(folder, content):
    with pytest.raises(VideoError) as caught:
        read(folder, content)
    assert caught.value.where == str(folder / "1.jpg")
    assert caught.value.fix
    return reason_of(caught.value)


@pytest.mark.parametrize("form", READ)
def test_each_format_is_read_whatever_its_name(tmp_path, form):
    frame = read(tmp_path, picture(form, "RGB"))
    assert frame.shape == PIXELS.shape
    if form not in ("gif", "jpeg", "webp"):
        assert (frame == PIXELS).all()


@pytest.mark.parametrize("form", NOT_READ)
def test_a_format_that_nobody_keeps_frames_in_is_refused(tmp_path, form):
    assert refusal(tmp_path, picture(form, "RGB")) == "damaged"


def outcome(folder, content):
    try:
        frame = read(folder, content)
    except VideoError as error:
        return reason_of(error)
    assert (frame.dtype, frame.shape[2:]) == (np.uint8, (3,))
    return "read"


@pytest.mark.parametrize("form", READ)
@pytest.mark.filterwarnings("ignore:::PIL")
def test_damaged_pictures_are_read_or_refused_in_words(tmp_path, form):
    outcomes = []
    for mode, seed in itertools.product(MODES, range(60)):
        if sound := picture(form, mode):
            generator = random.Random(f"{form} {mode} {seed}")
            head = generator.choice((60, 400, len(sound)))
            outcomes.append(outcome(tmp_path, damaged_bytes(sound[:head], generator) + sound[head:]))
    assert set(outcomes) <= {"read", "damaged", "too large"}
    assert outcomes.count("read") > len(outcomes) / 20
    assert outcomes.count("damaged") > len(outcomes) / 20


@pytest.mark.parametrize("form", ["png", "ppm", "tiff"])
def test_of_16_bits_of_grey_the_upper_8_are_taken(tmp_path, form):
    grey = (np.arange(48 * 64).reshape(48, 64) * 21).astype(np.uint16)
    file = io.BytesIO()
    Image.fromarray(grey).save(file, form)
    assert (read(tmp_path, file.getvalue()) == (grey >> 8)[..., None]).all()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_file_among_the_pictures_is_not_opened(tmp_path, kind):
    path = tmp_path / "1.jpg"
    os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    with pytest.raises(VideoError, match="not a regular file") as caught:
        read_clips(tmp_path, SMALL, frame_template="{}.jpg")
    assert reason_of(caught.value) == "no regular file"
    assert caught.value.where == str(path)


@pytest.mark.filterwarnings("ignore:::PIL")
@pytest.mark.parametrize("size", [(8200, 8192), (12000, 8000), (16000, 16000), (16385, 1)])
def test_a_huge_picture_is_refused_before_it_is_decoded(tmp_path, monkeypatch, size):
    file = io.BytesIO()
    Image.new("1", size).save(file, "png")
    monkeypatch.setattr(Image.Image, "convert", None)
    assert refusal(tmp_path, file.getvalue()) == "too large"
