"""Optical flow that lies in a folder as images: what is read of it, and what is refused."""

import numpy as np
import pytest
from flow_folders import FLOW, fields, write_flow
from making_videos import moving_frames
from PIL import Image

from edgevid.contract import Flow, Sampling
from edgevid.errors import ConfigError, VideoError
from edgevid.recognition import find_items
from edgevid.video.flow_images import FlowFolder
from edgevid.video.read import read_clips
from edgevid.video.templates import FrameNames, frame_names

RGB = Sampling(segments=4, resize=48, crop=24)
FIELDS = Sampling(segments=4, resize=48, crop=24, flow=Flow())
PICTURES = "img_{:05d}.png"


@pytest.mark.parametrize(
    ("template", "directions", "first"),
    [(FLOW, "xy", 1), (FLOW, "xy", 0), ("{}/frame{:06d}.png", "uv", 1)],
)
def test_a_frame_is_five_fields_whatever_the_layout(tmp_path, template, directions, first):
    given = fields(27)
    folder = write_flow(tmp_path, given, first, template, directions)
    clips = read_clips(folder, FIELDS, frame_template=template)
    assert clips.indices.tolist() == [[2, 8, 14, 20]]
    assert (clips.frames, clips.flow_ns) == (27, (0, 0))
    middle = given[:, 12:36, 20:44]
    for t, start in enumerate(clips.indices[0]):
        assert (clips.pixels[0, t] == np.concatenate(middle[start : start + 5], axis=-1)).all()


def test_fields_are_resized_as_grey_pictures_and_keep_their_values(tmp_path):
    given = np.full((5, 40, 60, 2), (200, 30), np.uint8)
    clips = read_clips(write_flow(tmp_path, given), FIELDS, frame_template=FLOW)
    assert (clips.pixels == [200, 30] * 5).all()
    opencv = Sampling(segments=4, resize=48, crop=24, library="opencv", flow=Flow())
    assert (read_clips(tmp_path, opencv, frame_template=FLOW).pixels == clips.pixels).all()


def test_pictures_and_flow_of_one_folder_go_to_the_networks_that_look_at_them(tmp_path):
    given, frames = fields(11), moving_frames(12)
    folder = write_flow(tmp_path, given)
    for number, frame in enumerate(frames, start=1):
        Image.fromarray(frame).save(folder / PICTURES.format(number))
    both = read_clips(folder, RGB, also=[FIELDS], frame_template=f"{PICTURES},{FLOW}", frames=12)
    assert (both.pixels == read_clips(frames, RGB).pixels).all()
    assert (both.also[0].pixels == read_clips(folder, FIELDS, frame_template=FLOW, frames=11).pixels).all()
    computed = read_clips(folder, FIELDS, frame_template=PICTURES)
    assert (computed.pixels == read_clips(frames, FIELDS).pixels).all(), "of pictures flow is computed"


def test_a_missing_y_image_is_named(tmp_path):
    folder = write_flow(tmp_path, fields(6))
    (folder / FLOW.format("y", 4)).unlink()
    with pytest.raises(VideoError, match=r"flow_y_00004\.png is missing") as caught:
        read_clips(folder, FIELDS, frame_template=FLOW)
    assert caught.value.where == str(folder)
    with pytest.raises(VideoError, match=r"flow_y_00004\.png is missing"):
        read_clips(folder, FIELDS, frame_template=FLOW, frames=6)


def test_other_numbers_of_x_and_y_are_told(tmp_path):
    folder = write_flow(tmp_path, fields(6))
    for number in (5, 6):
        (folder / FLOW.format("x", number)).unlink()
    with pytest.raises(VideoError, match=r"flow_x_00005\.png is missing beside others: 4 of x and 6 of y"):
        read_clips(folder, FIELDS, frame_template=FLOW)


def test_a_gap_in_both_and_fewer_images_than_the_list_says_are_told(tmp_path):
    folder = write_flow(tmp_path, fields(7))
    for direction in "xy":
        (folder / FLOW.format(direction, 6)).unlink()
    with pytest.raises(VideoError, match="00006"):
        FlowFolder.open(folder, FLOW)
    for direction in "xy":
        (folder / FLOW.format(direction, 7)).unlink()
    with pytest.raises(VideoError, match="flow image x 5 of 9 is missing"):
        read_clips(folder, FIELDS, frame_template=FLOW, frames=9)


def test_a_picture_in_colour_is_no_flow_image(tmp_path):
    folder = write_flow(tmp_path, fields(5))
    Image.fromarray(moving_frames(1)[0]).save(folder / FLOW.format("x", 1))
    with pytest.raises(VideoError, match="a picture in colour") as caught:
        read_clips(folder, FIELDS, frame_template=FLOW)
    assert caught.value.where == str(folder / FLOW.format("x", 1))
    assert "--frame-template" in caught.value.fix


def test_a_grey_picture_in_three_colours_is_one(tmp_path):
    folder = write_flow(tmp_path, fields(5))
    file = folder / FLOW.format("y", 1)
    before = read_clips(folder, FIELDS, frame_template=FLOW).pixels
    Image.open(file).convert("RGB").save(file)
    assert (read_clips(folder, FIELDS, frame_template=FLOW).pixels == before).all()


def test_images_of_different_sizes_are_no_field(tmp_path):
    folder = write_flow(tmp_path, fields(5))
    Image.new("L", (32, 48)).save(folder / FLOW.format("y", 1))
    with pytest.raises(VideoError, match="64x48 and 32x48 pixels"):
        read_clips(folder, FIELDS, frame_template=FLOW)


def test_a_folder_without_flow_says_what_it_looked_for(tmp_path):
    with pytest.raises(VideoError, match=r"no flow image flow_x_00001\.png"):
        read_clips(tmp_path, FIELDS, frame_template=FLOW)
    with pytest.raises(VideoError, match="no such folder"):
        read_clips(tmp_path / "none", FIELDS, frame_template=FLOW)


def test_a_network_of_pictures_refuses_flow_images_alone(tmp_path):
    folder = write_flow(tmp_path, fields(5))
    for also in ([], [FIELDS]):
        with pytest.raises(ConfigError, match="names images of optical flow") as caught:
            read_clips(folder, RGB, also=also, frame_template=FLOW)
        assert f"img_{{:05d}}.jpg,{FLOW}" in caught.value.fix


def test_a_video_whose_directions_lie_in_folders_is_one_video(tmp_path):
    template = "{}/frame{:06d}.png"
    write_flow(tmp_path / "jump" / "one", fields(5), 1, template, "uv")
    (item,) = find_items([tmp_path / "jump" / "one"], frame_template=template)
    assert (item.path, item.error) == (tmp_path / "jump" / "one", None)
    (item,) = find_items([tmp_path], frame_template=template)
    assert (item.path, item.label) == (tmp_path / "jump" / "one", 0)


@pytest.mark.parametrize(
    ("template", "names"),
    [
        (PICTURES, FrameNames(PICTURES, None)),
        (FLOW, FrameNames(None, FLOW)),
        (f"{PICTURES},{FLOW}", FrameNames(PICTURES, FLOW)),
        (f"{FLOW}, {PICTURES}", FrameNames(PICTURES, FLOW)),
        ("a,b_{}.jpg", FrameNames("a,b_{}.jpg", None)),
    ],
)
def test_a_template_names_pictures_flow_or_both(template, names):
    assert frame_names(template) == names


@pytest.mark.parametrize("template", ["img.jpg", "{}{}{}.jpg", "flow_x_{:05d}.jpg,{}.jpg"])
def test_a_template_that_numbers_nothing_is_refused(template):
    with pytest.raises(ConfigError, match="does not number files"):
        frame_names(template)
