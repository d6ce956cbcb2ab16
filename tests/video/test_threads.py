"""Frames of which many would fill the memory are not decoded by many threads at once."""

import pytest
from making_videos import decode_everything, moving_frames, write_video

from edgevid.contract import Sampling
from edgevid.video import read_clips, threads
from edgevid.video.container import open_video
from edgevid.video.deadline import Deadline
from edgevid.video.sequential import DamageError, SequentialDecoder
from edgevid.video.threads import set_threads

SMALL = Sampling(segments=4, resize=32, crop=24)


@pytest.mark.parametrize(
    ("most", "threaded", "kind"), [(3072, True, "AUTO"), (3071, True, "SLICE"), (1, False, "NONE")]
)
def test_large_frames_are_decoded_by_slices_at_most(tmp_path, monkeypatch, most, threaded, kind):
    path = write_video(tmp_path / "a.mp4", moving_frames(20, 64, 48))
    monkeypatch.setattr(threads, "MOST_PIXELS_OF_FRAME_THREADS", most)
    with open_video(path) as (_, stream):
        set_threads(stream, threaded=threaded)
        assert str(stream.thread_type).removeprefix("ThreadType.") == kind
    assert len(list(decoder(path, threaded))) == 20


def decoder(path, threaded):
    return SequentialDecoder(path, threaded=threaded, deadline=Deadline())


def test_frames_that_outgrow_the_header_are_decoded_without_threads(tmp_path, monkeypatch):
    parts = [moving_frames(10, 64, 48), moving_frames(10, 128, 96)]
    paths = [write_video(tmp_path / f"{k}.h264", part) for k, part in enumerate(parts)]
    path = tmp_path / "a.h264"
    path.write_bytes(b"".join(part.read_bytes() for part in paths))
    monkeypatch.setattr(threads, "MOST_PIXELS_OF_FRAME_THREADS", 64 * 48)
    with pytest.raises(DamageError):
        list(decoder(path, threaded=True))
    assert read_clips(path, SMALL).frames == len(decode_everything(path)) == 20
