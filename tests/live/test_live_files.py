"""Files and folders of frames as sources: every frame once, in order, by its time stamp."""

from fractions import Fraction
from threading import Event

import av
import numpy as np
import pytest
from live_fakes import picture, write_pictures

from edgevid.errors import VideoError
from edgevid.live import Counts, find_source
from edgevid.live.files import timed

WEBM = ("libvpx", "libvpx-vp9")


def write(path, count, *, codec="mpeg4", times=None, rate=25):
    """A video whose frames get brighter; ``times`` are in 1/1000 s."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(
                np.full((32, 32, 3), 20 + 200 * index // count, np.uint8), "rgb24"
            )
            frame.pts = round(index * 1000 / rate) if times is None else times[index]
            frame.time_base = Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read(word, **options):
    source = find_source(str(word), Event(), **options)
    return list(source.frames()), source.counts


@pytest.mark.parametrize("codec", ["mpeg4", "libx264"])  # without and with frames that are reordered
def test_every_frame_of_a_file_comes_once_in_order(tmp_path, codec):
    seen, counts = read(write(tmp_path / "a.mkv", 40, codec=codec))
    assert [frame.number for frame in seen] == list(range(40))
    assert [frame.time for frame in seen] == pytest.approx([n / 25 for n in range(40)], abs=1e-3)
    assert [frame.pixels.mean() for frame in seen] == pytest.approx([20 + 5 * n for n in range(40)], abs=9)
    assert (counts.frames, counts.skipped, counts.dropped) == (40, 0, 0)


def test_a_variable_frame_rate_is_read_from_the_time_stamps(tmp_path):
    times = [0, 40, 80, 400, 440, 1000]
    seen, _ = read(write(tmp_path / "a.mkv", 6, times=times))
    assert [frame.time for frame in seen] == pytest.approx([t / 1000 for t in times], abs=1e-3)


def test_a_damaged_frame_is_skipped_and_counted_and_the_others_come(tmp_path):
    path = write(tmp_path / "a.mkv", 20, codec="mjpeg")
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    broken = path.read_bytes()
    for number in (5, 6, 11):
        assert broken.count(packets[number]) == 1
        broken = broken.replace(packets[number], bytes(len(packets[number])))
    path.write_bytes(broken)
    seen, counts = read(path)
    assert [frame.number for frame in seen] == [n for n in range(20) if n not in (5, 6, 11)]
    assert (counts.frames, counts.skipped) == (17, 3)
    assert seen[5].time == pytest.approx(7 / 25, abs=1e-3)


@pytest.mark.parametrize("codec", ["mjpeg", "mpeg4", "libx264", "libx265", "libvpx", "libvpx-vp9"])
def test_frames_with_damage_inside_are_skipped_and_the_others_keep_their_numbers(tmp_path, codec):
    path = tmp_path / ("a.webm" if codec in WEBM else "a.mkv")
    grain = np.random.default_rng(0).integers(0, 256, (16, 60, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 128
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.gop_size = 10
        for index in range(40):
            part = np.ascontiguousarray(grain[:, 5 * index : 5 * index + 128])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(part, "rgb24")))
        container.mux(stream.encode())
    whole, untouched = read(path)
    assert (untouched.frames, untouched.skipped) == (40, 0)
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    broken, noise = path.read_bytes(), np.random.default_rng(1)
    for packet in packets[12::12]:
        begin, size = len(packet) // 3, len(packet) // 3
        wrong = packet[:begin] + noise.bytes(size) + packet[begin + size :]
        if codec == "libvpx":  # noise that takes no more bytes than there are cannot be told from a picture
            wrong = packet[:begin] + b"\xff" * (len(packet) - begin)
        broken = broken.replace(packet, wrong)
    path.write_bytes(broken)
    seen, counts = read(path)
    assert counts.frames + counts.skipped == 40
    assert counts.skipped >= 3
    assert [frame.number for frame in seen] == [round(frame.time * 25) for frame in seen]
    if codec in ("mjpeg", *WEBM):  # of WebM's not even those come that are made from damaged ones
        for frame in seen:
            np.testing.assert_array_equal(frame.pixels, whole[frame.number].pixels)


def test_without_libvpx_frames_of_webm_come_as_they_decode(tmp_path, monkeypatch):
    monkeypatch.setattr("edgevid.live.vpx._library", lambda: None)
    _, counts = read(write(tmp_path / "a.webm", 5, codec="libvpx"))
    assert (counts.frames, counts.skipped) == (5, 0)


def test_a_file_that_breaks_off_ends_the_stream_with_a_warning(tmp_path):
    path = write(tmp_path / "a.mkv", 60, codec="mjpeg")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    seen, counts = read(path)
    assert 10 < len(seen) < 60
    assert "ends early" in counts.warnings[0]


def test_a_folder_of_frames_has_the_rate_that_is_given(tmp_path):
    folder = write_pictures(tmp_path / "frames", [0, 1, None, 3])
    seen, counts = read(folder, frame_template="{}.png", rate=10)
    assert [frame.number for frame in seen] == [0, 1, 3]
    assert [frame.time for frame in seen] == pytest.approx([0, 0.1, 0.3])
    assert [frame.pixels[0, 0, 0] for frame in seen] == [0, 60, 180]
    assert (counts.frames, counts.skipped) == (3, 1)


def test_a_folder_at_the_rate_of_the_network_gives_every_frame_once(tmp_path):
    folder = write_pictures(tmp_path / "frames", [0, 1, 2, 3] * 10)
    source = find_source(str(folder), Event(), frame_template="{}.png", rate=1 / 0.0833)
    assert [frame.number for frame in source.frames(0.0833)] == list(range(40))


def test_a_file_played_in_real_time_ends_like_the_file(tmp_path):
    source = find_source(str(write(tmp_path / "a.mkv", 5, rate=100)), Event())
    seen = list(source.frames(realtime=True))
    assert seen[-1].number == 4
    assert len(seen) + source.counts.dropped == 5


@pytest.mark.parametrize("content", [b"", b"these are no moving pictures" * 100])
def test_what_is_no_video_is_refused(tmp_path, content):
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(VideoError) as caught:
        read(tmp_path / "a.mp4")
    assert caught.value.fix


def test_a_folder_without_a_template_is_refused_with_the_way_out(tmp_path):
    with pytest.raises(VideoError, match="--frame-template"):
        read(write_pictures(tmp_path / "frames", [0]))


def test_a_folder_of_broken_pictures_is_refused(tmp_path):
    with pytest.raises(VideoError, match="not one picture"):
        read(write_pictures(tmp_path / "frames", [None, None]), frame_template="{}.png")


def test_missing_and_backward_time_stamps_go_on_by_the_rate():
    stamps = [None, 5.0, None, 5.1, 3.0, 5.4]
    seen = timed(((stamp, picture(0)) for stamp in stamps), 10.0, Counts())
    assert [frame.time for frame in seen] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
