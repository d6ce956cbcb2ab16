"""Kinds of video that real lists hold: each gives the frames that FFmpeg decodes, in their order."""

import itertools
from types import SimpleNamespace

import numpy as np
import pytest
from making_videos import decode_everything, moving_frames, nobody, write_video, write_wav
from PIL import Image

from edgevid.contract import Sampling
from edgevid.errors import VideoError
from edgevid.video import Deadline, Video, read_clips, reason_of
from edgevid.video import decode as decode_module
from edgevid.video.container import Demuxer, open_video
from edgevid.video.limits import MOST_SIDE, check_size

SMALL = Sampling(segments=4, resize=32, crop=24)
ONE = 1 << 16

KINDS = {
    "a variable frame rate": ("a.mp4", {"times": [i + 7 * (i // 4) for i in range(40)]}),
    "a variable frame rate in Matroska": ("a.mkv", {"times": [i + 90 * (i // 30) for i in range(40)]}),
    "rotated": ("a.mp4", {"matrix": (0, ONE, 0, -ONE, 0, 0, 0, 0, 1 << 30)}),
    "h264 of 10 bits": ("a.mp4", {"pixel_format": "yuv420p10le"}),
    "hevc of 10 bits": (
        "a.mp4",
        {"codec": "libx265", "pixel_format": "yuv420p10le", "options": {"x265-params": "log-level=none"}},
    ),
    "prores of 10 bits": ("a.mov", {"codec": "prores", "pixel_format": "yuv422p10le"}),
    "vp9": ("a.webm", {"codec": "libvpx-vp9"}),
    "motion jpeg": ("a.avi", {"codec": "mjpeg", "pixel_format": "yuvj420p"}),
    "interlaced h264": ("a.mp4", {"options": {"flags": "+ildct+ilme"}}),
    "interlaced mpeg2": ("a.mpg", {"codec": "mpeg2video", "options": {"flags": "+ildct+ilme"}}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_gives_the_frames_that_ffmpeg_decodes(tmp_path, kind):
    name, settings = KINDS[kind]
    path = write_video(tmp_path / name, moving_frames(40, 64, 48), **settings)
    decoded = np.stack(decode_everything(path))
    assert len(decoded) == 40
    upright = np.ascontiguousarray(np.rot90(decoded, -1, (1, 2))) if kind == "rotated" else decoded
    clips = read_clips(path, SMALL)
    assert (clips.pixels == read_clips(upright, SMALL).pixels).all()
    assert any("interlaced" in warning for warning in clips.warnings) == kind.startswith("interlaced")
    assert len(clips.warnings) == kind.startswith("interlaced")


def refused(path, **settings):
    with pytest.raises(VideoError) as caught:
        read_clips(path, SMALL, **settings)
    assert str(path) in str(caught.value.where)
    assert caught.value.fix
    return reason_of(caught.value)


def test_what_is_no_video_is_skipped_for_a_reason_that_can_be_counted(tmp_path):
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "notes.mp4").write_text("these are no moving pictures\n" * 200)
    (tmp_path / "page.html").write_text("<html><body>not found</body></html>")
    Image.new("RGB", (64, 48)).save(tmp_path / "picture.jpg")
    Image.new("RGB", (64, 48)).save(tmp_path / "picture.mp4", format="png")
    assert refused(tmp_path / "nothing.mp4") == "missing"
    assert refused(tmp_path / ("long" * 100)) == "other"
    assert refused(tmp_path) == "folder"
    assert refused(tmp_path / "empty.mp4") == "empty"
    assert refused(write_wav(tmp_path / "sound.wav")) == "audio only"
    for name in ("notes.mp4", "page.html", "picture.jpg", "picture.mp4"):
        assert refused(tmp_path / name) == "not a video", name


def test_a_file_and_a_folder_without_permission_are_skipped(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(4))
    folder = tmp_path / "v"
    folder.mkdir()
    Image.new("RGB", (32, 32)).save(folder / "1.png")
    path.chmod(0)
    folder.chmod(0)
    tmp_path.chmod(0o755)
    with nobody():
        assert refused(path) == "no permission"
        assert refused(folder, frame_template="{}.png") == "no permission"
    folder.chmod(0o755)


def test_a_file_cut_off_before_its_index_and_a_damaged_one_are_told_apart(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(40))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert refused(path) == "cut off"
    at = content.index(b"moov")
    path.write_bytes(content[:at] + b"xxxx" + content[at + 4 :])
    assert refused(path) == "cut off"
    at = content.index(b"trak")
    path.write_bytes(content[: at - 4] + bytes(len(content) - at + 4))
    assert refused(path) == "no video stream"


def test_a_cut_off_video_whose_sampled_frames_decode_is_used_with_a_warning(tmp_path):
    path = write_video(
        tmp_path / "a.mp4",
        moving_frames(60),
        options={"g": "12"},
        container_options={"movflags": "faststart"},
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.7)])
    clips = read_clips(path, SMALL)
    assert 10 < clips.frames == len(decode_everything(path)) < 60
    assert any("cut short" in warning for warning in clips.warnings)


def test_frames_too_large_for_any_memory_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    frames = np.zeros((2, 16, MOST_SIDE + 16, 3), np.uint8)
    wide = write_video(tmp_path / "a.mkv", frames, codec="ffv1")
    monkeypatch.setattr(decode_module, "Demuxer", None)
    assert refused(wide) == "too large"
    with pytest.raises(VideoError, match="larger than"):
        check_size(MOST_SIDE, MOST_SIDE)
    check_size(7680, 4320)


def test_a_frame_so_narrow_that_resizing_would_fill_the_memory_is_refused():
    needle = np.zeros((4, 1, 16000, 3), np.uint8)
    with pytest.raises(VideoError, match="larger than"):
        read_clips(needle, SMALL)


def test_a_huge_picture_in_a_folder_of_frames_is_refused(tmp_path):
    Image.new("1", (MOST_SIDE + 1, 8)).save(tmp_path / "1.png")
    assert refused(tmp_path, frame_template="{}.png") == "too large"


def test_a_passed_deadline_ends_every_way_of_reading(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(30))
    assert refused(path, deadline=Deadline(path, 0.0)) == "too slow"
    late = Deadline(path)
    video = Video(path, late)
    video.count()
    folder = tmp_path / "v"
    folder.mkdir()
    Image.new("RGB", (32, 32)).save(folder / "1.png")
    late._end = 0.0
    for reading in (
        lambda: video.read([3]),
        lambda: list(video),
        lambda: Video(path, late),
        lambda: read_clips(folder, SMALL, frame_template="{}.png", deadline=late),
    ):
        with pytest.raises(VideoError) as caught:
            reading()
        assert reason_of(caught.value) == "too slow"


def test_a_file_whose_packets_never_end_is_given_up(tmp_path):
    path = write_video(tmp_path / "a.mkv", moving_frames(30))
    with open_video(path) as (container, stream):
        packet = next(container.demux(stream))
        endless = SimpleNamespace(demux=lambda _: itertools.repeat(packet), format=container.format)
        with pytest.raises(VideoError) as caught:
            list(Demuxer(endless, stream, Deadline(path, 0.1)))
    assert reason_of(caught.value) == "too slow"


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
def test_a_long_video_is_sampled_by_way_of_its_key_frames(tmp_path, monkeypatch, name, codec):
    options = {"libx265": {"x265-params": "keyint=12:bframes=2:log-level=none"}}.get(codec, {"g": "12"})
    path = write_video(tmp_path / name, moving_frames(60), codec=codec, options=options)
    expected = read_clips(path, SMALL)
    monkeypatch.setattr(decode_module, "_LONG", 50)
    with monkeypatch.context() as patch:
        patch.setattr(Video, "_decode", None)
        clips = read_clips(path, SMALL)
    assert (clips.pixels == expected.pixels).all()
    assert (clips.indices == expected.indices).all()
    assert clips.frames == 60


@pytest.mark.parametrize("kind", ["no key frame is told", "its packets are damaged", "another container"])
def test_a_long_video_that_cannot_be_sought_is_decoded_from_its_beginning(tmp_path, monkeypatch, kind):
    options, name = {"g": "12"}, "a.mp4"
    if kind == "no key frame is told":
        options, name = {"x264-params": "intra-refresh=1:keyint=15:bframes=0"}, "a.mkv"
    if kind == "another container":
        name = "a.ts"
    path = write_video(tmp_path / name, moving_frames(60), options=options)
    if kind == "its packets are damaged":
        content = path.read_bytes()
        at = content.index(b"mdat") + 3000
        path.write_bytes(content[:at] + bytes(400) + content[at + 400 :])
    expected = read_clips(path, SMALL)
    monkeypatch.setattr(decode_module, "_LONG", 10)
    clips = read_clips(path, SMALL)
    assert clips.frames == expected.frames
    assert (clips.pixels == expected.pixels).all()
