"""From a video to the clips that a network looks at."""

from dataclasses import replace

import numpy as np
import pytest
from making_videos import SHARED, decode_everything, moving_frames, write_video
from PIL import Image

from edgevid.contract import Sampling
from edgevid.errors import ConfigError, VideoError
from edgevid.video.decode import Video
from edgevid.video.frames import ArrayFrames, FrameFolder
from edgevid.video.read import read_clips
from edgevid.video.sample import uniform_indices
from edgevid.video.transform import transform_frame

TEMPLATE = "img_{:05d}.png"
SMALL = Sampling(segments=4, resize=32, crop=24)


def write_folder(folder, frames, first=1, template=TEMPLATE):
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames, start=first):
        Image.fromarray(frame).save(folder / template.format(number))
    return folder


def test_clips_of_a_file_are_the_sampled_frames_resized_and_cropped(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(40))
    clips = read_clips(path, SMALL)
    full = decode_everything(path)
    expected = np.stack([transform_frame(full[i], SMALL)[0] for i in (5, 15, 25, 35)])
    assert clips.pixels.shape == (1, 4, 24, 24, 3)
    assert clips.pixels.dtype == np.uint8
    assert clips.pixels.flags.c_contiguous
    assert (clips.pixels[0] == expected).all()
    assert clips.indices.tolist() == [[5, 15, 25, 35]]
    assert clips.frames == 40
    assert clips.warnings == ()


@pytest.mark.parametrize("library", ["pil", "opencv"])
def test_crops_of_a_clip_are_neighbours(tmp_path, library):
    frames = moving_frames(40)
    sampling = Sampling(segments=4, clips=2, crops=3, resize=32, crop=24, library=library)
    clips = read_clips(frames, sampling)
    assert clips.pixels.shape == (6, 4, 24, 24, 3)
    for clip in range(2):
        for crop in range(3):
            for t in range(4):
                expected = transform_frame(frames[clips.indices[clip, t]], sampling)[crop]
                assert (clips.pixels[clip * 3 + crop, t] == expected).all()


def test_a_file_a_path_in_words_an_open_video_and_frames_in_memory_give_the_same(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(30), options={"g": "8", "bf": "2"})
    sampling = Sampling(segments=4, mode="dense", window=16, clips=10, resize=32, crop=24)
    once = read_clips(path, sampling)
    video = Video(path)
    video.read([3])
    for source in (str(path), Video(path), video, np.stack(decode_everything(path))):
        again = read_clips(source, sampling)
        assert (again.pixels == once.pixels).all()
        assert (again.indices == once.indices).all()


@pytest.mark.parametrize("count", [1, 3])
def test_a_video_shorter_than_the_segments_repeats_frames_and_says_so(tmp_path, count):
    path = write_video(tmp_path / "a.mp4", moving_frames(count))
    clips = read_clips(path, Sampling(segments=8, resize=32, crop=24))
    assert clips.pixels.shape == (1, 8, 24, 24, 3)
    assert clips.indices.tolist() == uniform_indices(count, 8).tolist()
    assert any(f"only {count} frames" in warning for warning in clips.warnings)


def test_beginnings_are_sampled_as_if_the_video_ended_there(tmp_path):
    path = write_video(tmp_path / "a.mp4", moving_frames(40))
    full = np.stack(decode_everything(path))
    sampling = Sampling(segments=4, clips=2, crops=3, resize=32, crop=24)
    for source in (path, full):
        clips = read_clips(source, sampling, shares=(0.05, 0.5, 1.0))
        expected = [read_clips(full[:seen], sampling) for seen in (2, 20, 40)]
        assert (clips.pixels == np.concatenate([part.pixels for part in expected])).all()
        assert (clips.indices == np.concatenate([part.indices for part in expected])).all()
        assert clips.frames == 40
        assert clips.warnings == (), "the video itself is long enough"


def test_warnings_about_the_file_come_with_the_clips(tmp_path):
    path = write_video(
        tmp_path / "a.mp4",
        moving_frames(60),
        options={"g": "12"},
        container_options={"movflags": "faststart"},
    )
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.6)])
    clips = read_clips(path, SMALL)
    assert clips.frames == len(decode_everything(path))
    assert any("cut short" in warning for warning in clips.warnings)


def test_frames_come_out_upright_before_they_are_cropped(tmp_path):
    one = 1 << 16
    frames = moving_frames(8)
    turned = write_video(tmp_path / "a.mp4", frames, matrix=(0, one, 0, -one, 0, 0, 0, 0, 1 << 30))
    stored = np.stack(decode_everything(turned))
    sampling = Sampling(segments=4, crops=3, resize=32, crop=32)
    upright = read_clips(np.ascontiguousarray(np.rot90(stored, -1, (1, 2))), sampling)
    assert (read_clips(turned, sampling).pixels == upright.pixels).all()


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("told", [None, 12])
def test_a_folder_of_frames_is_numbered_from_0_or_1_as_its_files_are(tmp_path, first, told):
    frames = moving_frames(12)
    folder = write_folder(tmp_path / "v", frames, first)
    clips = read_clips(folder, SMALL, frame_template=TEMPLATE, frames=told)
    assert clips.frames == 12
    assert (clips.pixels == read_clips(frames, SMALL).pixels).all()


def test_only_the_sampled_pictures_of_a_folder_are_opened(tmp_path):
    folder = write_folder(tmp_path / "v", moving_frames(12))
    (folder / TEMPLATE.format(1)).write_bytes(b"broken")
    assert read_clips(folder, SMALL, frame_template=TEMPLATE).indices[0, 0] == 1


def test_grey_pictures_become_rgb(tmp_path):
    folder = tmp_path / "v"
    folder.mkdir()
    Image.fromarray(np.full((32, 40), 77, np.uint8)).save(folder / TEMPLATE.format(1))
    assert (read_clips(folder, SMALL, frame_template=TEMPLATE).pixels == 77).all()


def test_a_missing_or_broken_picture_is_named(tmp_path):
    folder = write_folder(tmp_path / "v", moving_frames(12))
    with pytest.raises(VideoError, match="frame 12 of 20 is missing") as caught:
        read_clips(folder, SMALL, frame_template=TEMPLATE, frames=20)
    assert str(folder / TEMPLATE.format(13)) in str(caught.value)
    picture = folder / TEMPLATE.format(2)
    picture.write_bytes(picture.read_bytes()[:60])
    with pytest.raises(VideoError, match="frame 1 cannot be read") as caught:
        read_clips(folder, SMALL, frame_template=TEMPLATE)
    assert str(picture) in str(caught.value)


def test_a_folder_without_such_frames_points_to_the_template(tmp_path):
    folder = write_folder(tmp_path / "v", moving_frames(2))
    with pytest.raises(VideoError, match="--frame-template"):
        FrameFolder.open(folder, "{:06d}.jpg")
    with pytest.raises(VideoError, match="no such folder"):
        FrameFolder.open(tmp_path / "w", TEMPLATE)


def test_frames_of_another_type_are_refused():
    for wrong in (np.zeros((4, 8, 8, 3)), np.zeros((8, 8, 3), np.uint8), np.zeros((4, 3, 8, 8), np.uint8)):
        with pytest.raises(VideoError, match=r"uint8 \[N, H, W, 3\]"):
            read_clips(wrong, SMALL)
    with pytest.raises(VideoError, match="no frames"):
        read_clips(np.zeros((0, 8, 8, 3), np.uint8), SMALL)


def test_settings_that_contradict_themselves_stop_at_once(tmp_path):
    with pytest.raises(ConfigError):
        read_clips(tmp_path / "missing.mp4", Sampling(segments=0))


class Counted:
    """Frames in memory, and how often they are selected and converted."""

    warnings = ()

    def __init__(self, pixels):
        self.frames, self.selected, self.converted = ArrayFrames(pixels), 0, 0

    def select(self, choose, convert):
        self.selected += 1

        def counted(frame):
            self.converted += 1
            return convert(frame)

        return self.frames.select(choose, counted)


def test_further_samplings_of_a_video_are_read_in_the_same_pass():
    frames = moving_frames(40)
    dense = replace(SMALL, mode="dense", window=16, clips=2)
    larger = replace(SMALL, segments=8, resize=40, crop=32, crops=3)
    source = Counted(frames)
    clips = read_clips(source, SMALL, also=[dense, larger, SMALL])
    for found, how in zip((clips, *clips.also), (SMALL, dense, larger, SMALL), strict=True):
        alone = read_clips(frames, how)
        assert found.pixels.shape == alone.pixels.shape
        assert (found.pixels == alone.pixels).all()
        assert (found.indices == alone.indices).all()
    assert source.selected == 1
    wanted = {int(i) for found in (clips, *clips.also) for i in found.indices.ravel()}
    assert source.converted == len(wanted)


def test_a_further_sampling_that_repeats_frames_alone_says_so():
    clips = read_clips(moving_frames(6), SMALL, also=[replace(SMALL, segments=8)])
    assert clips.warnings == ()
    assert clips.also[0].warnings == ("the video has only 6 frames, so that a clip repeats some",)


def test_a_further_sampling_that_contradicts_itself_stops_at_once(tmp_path):
    with pytest.raises(ConfigError):
        read_clips(tmp_path / "missing.mp4", SMALL, also=[Sampling(segments=0)])


@pytest.mark.parametrize("name", ["arm_wrestling.mp4", "test.avi", "test.mp4"])
@pytest.mark.parametrize(
    "sampling",
    [Sampling(), Sampling(mode="dense", clips=10, crops=3, resize=256, crop=256, library="opencv")],
    ids=["uniform", "dense, thirty views"],
)
def test_the_shared_videos_become_clips(name, sampling):
    path = SHARED / "video" / name
    if not path.exists():
        pytest.skip("the shared videos are not beside this checkout")
    clips = read_clips(path, sampling)
    rows = sampling.clips * sampling.crops
    assert clips.pixels.shape == (rows, 8, sampling.crop, sampling.crop, 3)
    assert clips.warnings == ()
    full = decode_everything(path)
    last = transform_frame(full[clips.indices[-1, -1]], sampling)[-1]
    assert (clips.pixels[-1, -1] == last).all()
