"""Files that are no videos, or broken ones, are told apart in words."""

import random
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from making_videos import decode_everything, moving_frames, write_video, write_wav

from edgevid.errors import VideoError
from edgevid.video.decode import Video, count_frames, read_frames


def refusal(path):
    with pytest.raises(VideoError) as caught:
        count_frames(path)
    assert str(path) in str(caught.value)
    assert caught.value.fix
    return caught.value.what


def test_a_missing_file_is_named(tmp_path):
    assert "no such video" in refusal(tmp_path / "nothing.mp4")


def test_a_folder_is_no_video_and_the_frame_template_is_named(tmp_path):
    with pytest.raises(VideoError, match="--frame-template"):
        count_frames(tmp_path)


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
        count_frames(path)


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
            count_frames(path)
        server.shutdown()
    assert asked == []


def test_an_mp4_that_lost_its_index_at_the_end_says_that_it_may_be_cut_off(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(40))
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"moov") - 20])
    assert "cut off" in refusal(path)


def cut_in_the_middle(path, share=0.6):
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
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


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.ts"])
def test_truncated_files_of_other_containers_are_read_as_far_as_they_go(tmp_path, name):
    codec = "mpeg4" if name == "a.avi" else "libx264"
    frames = moving_frames(60, 128, 96)
    path = cut_in_the_middle(write_video(tmp_path / name, frames, codec=codec, options={"g": "12"}))
    full = decode_everything(path)
    video = Video(path)
    assert video.count() == len(full)
    assert 1 < len(full) < 60
    if name == "a.avi":
        assert any("announces 60" in warning for warning in video.info.warnings)
    assert (video.read([0, len(full) - 1]) == np.stack([full[0], full[-1]])).all()


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
    assert (read_frames(path, before) == np.stack([sound[index] for index in before])).all()


def test_a_sound_file_gives_no_warnings(tmp_path):
    video = Video(write_video(tmp_path / "a.mp4", moving_frames(30), options={"bf": "2"}))
    video.count()
    assert video.info.warnings == ()
