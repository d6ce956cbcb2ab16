"""Eight short videos of eight classes, and lists of them."""

import pytest

from edgevid.demo import write_videos


@pytest.fixture(scope="session")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_videos(folder, "easy", 8, seed=3, length=12, size=48)
    return folder


@pytest.fixture(scope="session")
def video(videos):
    return min(videos.glob("*/*.mp4"))


@pytest.fixture(scope="session")
def listed(videos):
    """A list without labels, since the tiny network has not as many classes as there are folders."""
    path = videos / "unlabelled.txt"
    path.write_text("".join(f"{video}\n" for video in sorted(videos.glob("*/*.mp4"))))
    return path


@pytest.fixture
def long_list(video, tmp_path):
    path = tmp_path / "long.txt"
    path.write_text(f"{video}\n" * 5000)
    return path
