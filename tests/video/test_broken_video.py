"""Files that are no videos, or broken ones, are told apart in words."""

import os
import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making_videos import decode_everything, moving_frames, write_video, write_wav
from PIL import Image

from edgevid.contract import Sampling
from edgevid.errors import VideoError
from edgevid.video import read_clips
from edgevid.video.decode import Video
from edgevid.video.truncation import is_cut_off

SMALL = Sampling(segments=4, resize=32, crop=24)
HEADS = (
    *(
        b"",
        b"\0\0\0\x10ftyp",
        b"\x1aE\xdf\xa3",
        b"\x1aE\xdf\xa3\x80\x18S\x80g",
        b"FLV\1\5\0\0\0\x09",
        b"GIF89a",
    ),
    *(bytes.fromhex("060e2b34020501010d0102010102"), b"G" + bytes(187)),
)


def refusal(path):
    with pytest.raises(VideoError) as caught:
        Video(path).count()
    assert str(path) in str(caught.value)
    assert caught.value.fix
    return caught.value.what


def test_a_missing_file_is_named(tmp_path):
    assert "no such video" in refusal(tmp_path / "nothing.mp4")


def test_a_folder_is_no_video_and_the_frame_template_is_named(tmp_path):
    with pytest.raises(VideoError, match="--frame-template"):
        Video(tmp_path).count()


def test_an_empty_file_is_refused(tmp_path):
    path = tmp_path / "a.mp4"
    path.touch()
    assert "empty" in refusal(path)


@pytest.mark.parametrize("name", ["notes.mp4", "notes.txt", "notes.avi", "notes"])
def test_a_text_file_is_no_video_whatever_its_name(tmp_path, name):
    path = tmp_path / name
    path.write_text("these are no moving pictures\n" * 200)
    assert "not a video" in refusal(path)


def test_random_bytes_are_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(random.Random(0).randbytes(20000))
    with pytest.raises(VideoError):
        Video(path).count()


def test_a_file_of_sound_only_has_no_video_stream(tmp_path):
    assert "no video stream; it holds audio" in refusal(write_wav(tmp_path / "a.wav"))


def test_the_cover_picture_of_a_song_is_no_video_stream(tmp_path):
    write_video(tmp_path / "cover.jpg", moving_frames(1), codec="mjpeg", pixel_format="yuvj420p")
    picture = b"\0image/jpeg\0\x03\0" + (tmp_path / "cover.jpg").read_bytes()
    frame = b"APIC" + len(picture).to_bytes(4, "big") + b"\0\0" + picture
    size = bytes((len(frame) >> shift) & 0x7F for shift in (21, 14, 7, 0))
    silence = (b"\xff\xfb\x90\x64" + bytes(413)) * 60
    path = tmp_path / "song.mp3"
    path.write_bytes(b"ID3\x03\0\0" + size + frame + silence)
    assert "no video stream; it holds audio with a cover picture" in refusal(path)


def test_a_playlist_cannot_make_the_reader_fetch_from_a_network(tmp_path):
    asked = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            return

    path = tmp_path / "a.m3u8"
    with ThreadingHTTPServer(("127.0.0.1", 0), Listener) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        path.write_text(
            "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n"
            f"http://127.0.0.1:{server.server_port}/a.ts\n#EXT-X-ENDLIST\n"
        )
        with pytest.raises(VideoError):
            Video(path).count()
        server.shutdown()
    assert asked == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nother.mp4\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\npipe.mp4\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.mp4\n",
        "ffconcat version 1.0\nfile other.mp4\n",
        "ffconcat version 1.0\nfile pipe.mp4\n",
        "ffconcat version 1.0\nfile a.mp4\n",
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:'
        'isoff-on-demand:2011" type="static"><Period><AdaptationSet><Representation id="1" bandwidth="1">'
        "<BaseURL>other.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    ],
    ids=[
        "hls",
        "hls of a pipe",
        "hls of itself",
        "concat",
        "concat of a pipe",
        "concat of itself",
        "dash",
        "sdp",
    ],
)
def test_a_playlist_is_no_video_and_makes_the_reader_open_no_other_file(tmp_path, text):
    write_video(tmp_path / "other.mp4", moving_frames(4))
    os.mkfifo(tmp_path / "pipe.mp4")
    path = tmp_path / "a.mp4"
    path.write_text(text)
    assert "this is a playlist, not a video" in refusal(path)


def test_a_picture_is_no_video_and_the_frame_template_is_named(tmp_path):
    for name, form in (("a.jpg", "jpeg"), ("img_%03d.png", "png"), ("a.mp4", "bmp")):
        Image.new("RGB", (64, 48)).save(tmp_path / name, format=form)
        with pytest.raises(VideoError, match="this is a picture, not a video") as caught:
            Video(tmp_path / name)
        assert "--frame-template" in caught.value.fix


def test_an_mp4_that_lost_its_index_at_the_end_says_that_it_may_be_cut_off(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(40))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 20])
    assert "cut off" in refusal(path)


def cut_in_the_middle(path, share=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share) // 4 * 4 + 1])  # in the middle of any packet
    return path


def test_of_a_truncated_video_the_frames_that_decode_count_and_a_warning_says_so(tmp_path):
    path = write_video(
        tmp_path / "a.mp4",
        moving_frames(60),
        options={"g": "12"},
        container_options={"movflags": "faststart"},
    )
    cut_in_the_middle(path)
    full = decode_everything(path)
    video = Video(path)
    assert video.count() == len(full)
    assert 5 < len(full) < 60
    assert any("cut short" in warning and "60" in warning for warning in video.info.warnings)
    assert (video.read([len(full) - 1])[0] == full[-1]).all()


CONTAINERS = {
    "a.avi": {"codec": "mpeg4"},
    "a.flv": {"codec": "flv1"},
    "a.gif": {"codec": "gif", "pixel_format": "rgb8"},
    "a.m2ts": {"container_options": {"mpegts_m2ts_mode": "1"}},
    "a.mkv": {},
    "a.mxf": {"codec": "mpeg2video"},
    "a.ts": {},
    "a.webm": {"codec": "libvpx-vp9"},
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_truncated_file_of_any_container_is_read_as_far_as_it_goes_with_a_warning(tmp_path, name):
    kind = {"options": {"g": "12"} if name != "a.gif" else {}, **CONTAINERS[name]}
    path = write_video(tmp_path / name, moving_frames(60, 128, 96), **kind)
    assert read_clips(path, SMALL).warnings == ()
    cut_in_the_middle(path)
    full = decode_everything(path)
    video = Video(path)
    assert video.count() == len(full)
    assert 1 < len(full) < 60
    assert [warning for warning in video.warnings if "cut short" in warning] == [video.warnings[0]]
    assert ("announces 60" in video.warnings[0]) == (name == "a.avi")
    assert (video.read([0, len(full) - 1]) == np.stack([full[0], full[-1]])).all()


def test_a_live_recording_says_nothing_about_its_end(tmp_path):
    path = write_video(tmp_path / "a.mkv", moving_frames(30), container_options={"live": "1"})
    assert read_clips(path, SMALL).warnings == ()


@given(content=st.binary(max_size=600), head=st.sampled_from(HEADS))
@settings(derandomize=True, deadline=None, max_examples=300)
def test_whatever_a_file_holds_its_end_can_be_asked_for(tmp_path_factory, content, head):
    path = tmp_path_factory.mktemp("end") / "a"
    path.write_bytes(head + content)
    assert isinstance(is_cut_off(path), bool)


def test_a_file_cut_off_right_after_its_header_has_no_frame_to_decode(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(20), container_options={"movflags": "faststart"})
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"mdat") + 5])
    assert "not one frame" in refusal(path)


@pytest.mark.parametrize("seed", range(4))
def test_of_a_damaged_video_all_ways_of_reading_agree_on_the_count_and_on_the_frames_before(tmp_path, seed):
    options = {"g": "10", "bf": "2", "crf": "12"}
    path = write_video(tmp_path / "a.mp4", moving_frames(60, 128, 96), options=options)
    sound = decode_everything(path)
    content = bytearray(path.read_bytes())
    start, end = content.index(b"mdat"), content.index(b"moov") - 100
    chance = random.Random(seed)
    for _ in range(6):
        content[chance.randrange((start + 2 * end) // 3, end)] ^= chance.randrange(1, 256)
    path.write_bytes(content)
    video = Video(path)
    assert video.count() == len(decode_everything(path)) == len(list(video))
    assert any("damaged" in warning for warning in video.info.warnings)
    before = [19, 3, 0, 11]
    assert (video.read(before) == np.stack([sound[index] for index in before])).all()
    assert (Video(path).read(before) == np.stack([sound[index] for index in before])).all()


def test_a_sound_file_gives_no_warnings(tmp_path):
    video = Video(write_video(tmp_path / "a.mp4", moving_frames(30), options={"bf": "2"}))
    video.count()
    assert video.info.warnings == ()
