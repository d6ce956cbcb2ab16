"""Frames by number are the frames of a full decoding, however they were reached."""

import random

import numpy as np
import pytest
from making_videos import SHARED, decode_everything, moving_frames, write_video

from edgevid.errors import VideoError
from edgevid.video.container import open_video
from edgevid.video.deadline import Deadline
from edgevid.video.decode import Video
from edgevid.video.seek import FrameRecord, SeekError, recorded_targets, seek_frames

ENCODINGS = {
    "h264, short closed groups, B-frames": ("a.mp4", "libx264", {"g": "12", "bf": "3"}),
    "h264, open groups, B-frames": (
        "a.mp4",
        "libx264",
        {"x264-params": "keyint=12:min-keyint=12:open-gop=1:bframes=3:b-pyramid=normal:scenecut=0"},
    ),
    "h264, intra refresh": ("a.ts", "libx264", {"x264-params": "intra-refresh=1:keyint=15:bframes=0"}),
    "h264 in a transport stream": ("a.ts", "libx264", {"g": "12", "bf": "2"}),
    "h264 in Matroska": ("a.mkv", "libx264", {"g": "12", "bf": "2"}),
    "hevc, open groups": (
        "a.mp4",
        "libx265",
        {"x265-params": "keyint=12:min-keyint=12:bframes=3:open-gop=1:log-level=none"},
    ),
    "mpeg4 in AVI with B-frames": ("a.avi", "mpeg4", {"g": "12", "bf": "2"}),
    "mpeg4 in AVI": ("a.avi", "mpeg4", {"g": "12"}),
    "mpeg2 program stream": ("a.mpg", "mpeg2video", {"g": "12", "bf": "2"}),
    "vp9 with hidden frames": (
        "a.webm",
        "libvpx-vp9",
        {"g": "20", "auto-alt-ref": "1", "lag-in-frames": "16"},
    ),
    "raw h264 without time stamps": ("a.h264", "libx264", {"g": "12", "bf": "2"}),
}


@pytest.fixture(scope="module", params=ENCODINGS, ids=list(ENCODINGS))
def encoded(request, tmp_path_factory):
    name, codec, options = ENCODINGS[request.param]
    path = tmp_path_factory.mktemp("encoded") / name
    return write_video(path, moving_frames(50), codec=codec, options=options)


def test_every_frame_is_that_of_a_full_decoding_in_whatever_order_it_is_asked_for(encoded):
    full = decode_everything(encoded)
    video = Video(encoded)
    assert video.count() == len(full) >= 48
    order = list(range(len(full)))
    random.Random(1).shuffle(order)
    for index in order[:12]:
        assert (video.read([index])[0] == full[index]).all(), index
    assert (video.read(order) == np.stack([full[index] for index in order])).all()
    assert (Video(encoded).read(order[:5]) == np.stack([full[index] for index in order[:5]])).all()


def test_reading_in_sequence_gives_every_frame(encoded):
    full = decode_everything(encoded)
    frames = list(Video(encoded))
    assert len(frames) == len(full)
    assert all((one == other).all() for one, other in zip(frames, full, strict=True))


def test_a_sound_file_is_read_by_way_of_its_key_frames(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(60), options={"g": "12", "bf": "2"})
    video = Video(path)
    video.count()
    with open_video(path) as (container, stream):
        targets = recorded_targets(video._records, {50, 3, 26})
        found = dict(seek_frames(container, stream, targets, Deadline()))
    full = decode_everything(path)
    assert sorted(found) == [3, 26, 50]
    assert all((frame.to_ndarray(format="rgb24") == full[index]).all() for index, frame in found.items())


def test_a_frame_that_comes_out_otherwise_after_a_seek_is_not_believed(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(30), options={"g": "12"})
    video = Video(path)
    video.count()
    true = video._records[20]
    video._records[20] = FrameRecord(true.pts, true.key, true.checksum ^ 1)
    with open_video(path) as (container, stream), pytest.raises(SeekError):
        list(seek_frames(container, stream, recorded_targets(video._records, {20}), Deadline()))
    assert (video.read([20])[0] == decode_everything(path)[20]).all()


def test_frames_without_time_stamps_of_their_own_are_not_sought(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(10))
    video = Video(path)
    video.count()
    for time in (0, None):
        same_time = [FrameRecord(time, True, record.checksum) for record in video._records]
        with pytest.raises(SeekError):
            recorded_targets(same_time, {5})


def test_uneven_frame_times_do_not_move_frame_numbers(tmp_path):
    times = [index + (index // 3) * 5 for index in range(30)]
    path = write_video(tmp_path / "a.mp4", moving_frames(30), times=times, options={"g": "10", "bf": "2"})
    full = decode_everything(path)
    video = Video(path)
    assert video.count() == len(full) == 30
    assert all((video.read([index])[0] == full[index]).all() for index in (29, 0, 13))


@pytest.mark.parametrize(("width", "height"), [(33, 47), (65, 48), (31, 31)])
@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])
def test_odd_sizes_keep_their_size(tmp_path, width, height, codec):
    pixel_format = "yuv444p" if codec == "libx264" else "yuv420p"
    frames = moving_frames(4, width, height)
    path = write_video(tmp_path / "a.mkv", frames, codec=codec, pixel_format=pixel_format)
    read = Video(path).read([0, 3])
    assert read.shape == (2, height, width, 3)
    assert np.abs(read.astype(int) - frames[[0, 3]]).mean() < 12


def test_only_wanted_frames_are_converted_and_each_once(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(40))
    converted = []
    count, frames = Video(path).select(lambda number: [number - 1, 3, 3], lambda f: converted.append(f.shape))
    assert count == 40
    assert sorted(frames) == [3, 39]
    assert converted == [(48, 64, 3)] * 2


@pytest.mark.parametrize("guess", [3, 90, 0])
def test_a_wrong_first_guess_of_the_number_of_frames_changes_nothing(tmp_path, guess):
    path = write_video(tmp_path / "a.mp4", moving_frames(40))
    video = Video(path)
    video._announced = guess
    count, frames = video.select(lambda number: [0, number // 2, number - 1], lambda frame: frame)
    full = decode_everything(path)
    assert count == 40
    assert sorted(frames) == [0, 20, 39]
    assert all((frames[index] == full[index]).all() for index in frames)


def test_frames_hidden_by_an_edit_list_do_not_count(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(30), options={"g": "10", "bf": "0"})
    content = bytearray(path.read_bytes())
    at = content.index(b"elst") + 4
    assert int.from_bytes(content[at + 4 : at + 8], "big") == 1
    media_time = int.from_bytes(content[at + 12 : at + 16], "big")
    step = int.from_bytes(content[content.index(b"stts") + 16 :][:4], "big")
    content[at + 12 : at + 16] = (media_time + 7 * step).to_bytes(4, "big")
    path.write_bytes(content)
    full = decode_everything(path)
    assert len(full) == 23
    video = Video(path)
    assert video.count() == 23
    assert video.info.warnings == ()
    assert all((video.read([index])[0] == full[index]).all() for index in (22, 0, 11))


def test_a_frame_beyond_the_end_or_before_the_beginning_is_refused_with_the_count(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(10))
    for outside in (10, -1):
        with pytest.raises(VideoError, match="10 frames decode") as caught:
            Video(path).read([0, outside])
        assert str(path) in str(caught.value)


def test_asking_for_no_frames_is_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(3))
    with pytest.raises(VideoError, match="no frame numbers"):
        Video(path).read([])


def test_what_the_file_says_about_itself_is_told(tmp_path):
    video = Video(write_video(tmp_path / "a.mp4", moving_frames(10)))
    assert (video.info.codec, video.info.width, video.info.height, video.info.rate) == ("h264", 64, 48, 25.0)
    assert video.info.frames is None
    video.count()
    assert video.info.frames == 10


@pytest.mark.parametrize(
    ("name", "frames"), [("arm_wrestling.mp4", 280), ("test.avi", 164), ("test.mp4", 300)]
)
def test_the_shared_videos_decode(name, frames):
    path = SHARED / "video" / name
    if not path.exists():
        pytest.skip("the shared videos are not beside this checkout")
    assert Video(path).count() == frames
    full = decode_everything(path)
    wanted = [frames - 1, 0, frames // 2]
    video = Video(path)
    assert (video.read(wanted) == np.stack([full[index] for index in wanted])).all()
    assert (video.read(wanted) == np.stack([full[index] for index in wanted])).all()
