"""Folders of classes: labels from names, and odd folders that stop no other one."""

import os
from pathlib import Path

import pytest
from making_videos import nobody

from edgevid.errors import VideoError
from edgevid.video import Item, read_class_folders, reason_of

TEMPLATE = "img_{:05d}.jpg"


def lay_out(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_class_folders_are_numbered_in_alphabetical_order(tmp_path):
    lay_out(
        tmp_path, "walk/b.mp4", "walk/a.AVI", "jump/c.webm", "jump/notes.txt", ".hidden/d.mp4", "list.txt"
    )
    items, names = read_class_folders(tmp_path)
    assert names == ["jump", "walk"]
    assert [(item.path.relative_to(tmp_path).as_posix(), item.label) for item in items] == [
        ("jump/c.webm", 0),
        ("walk/a.AVI", 1),
        ("walk/b.mp4", 1),
    ]


def test_class_folders_take_the_numbers_of_a_given_order(tmp_path):
    lay_out(tmp_path, "walk/b.mp4", "jump/c.mp4")
    items, names = read_class_folders(tmp_path, classes=["walk", "run", "jump"])
    assert [(item.path.parent.name, item.label) for item in items] == [("jump", 2), ("walk", 0)]
    assert names == ["walk", "run", "jump"]


def found(root, **settings):
    items, _ = read_class_folders(root, **settings)
    return {
        item.path.relative_to(root).as_posix(): item.label if item.error is None else reason_of(item.error)
        for item in items
    }


def test_a_folder_that_is_no_class_is_named_and_the_others_go_on(tmp_path):
    lay_out(tmp_path, "walk/b.mp4", "swim/c.mp4", "run/d.mp4")
    items, _ = read_class_folders(tmp_path, classes=["walk", "run"])
    assert [(item.path.name, item.label) for item in items] == [("d.mp4", 1), ("b.mp4", 0), ("swim", None)]
    assert items[-1].error.what == "the folder 'swim' is none of the 2 classes"
    assert items[-1].error.fix


def test_unknown_folders_without_videos_are_passed_over(tmp_path):
    lay_out(tmp_path, "walk/b.mp4", "notes/c.txt")
    (tmp_path / "empty").mkdir()
    assert found(tmp_path, classes=["walk", "run"]) == {"walk/b.mp4": 0}


def test_that_not_one_folder_is_a_class_is_one_error(tmp_path):
    lay_out(tmp_path, "swim/c.mp4", "dive/c.mp4", "empty/c.txt")
    with pytest.raises(VideoError, match="not one of 2 folders"):
        read_class_folders(tmp_path, classes=["walk", "run"])
    lay_out(tmp_path, "beside.mp4")
    assert found(tmp_path, classes=["walk", "run"]) == {"beside.mp4": None, ".": "folder"}


def test_videos_beside_the_folders_have_no_label(tmp_path):
    lay_out(tmp_path, "walk/b.mp4", "c.mp4", "list.txt")
    assert found(tmp_path) == {"walk/b.mp4": 0, "c.mp4": None}


def test_a_folder_that_cannot_be_read_stops_no_other_one(tmp_path, monkeypatch):
    lay_out(tmp_path, "walk/b.mp4", "run/c.mp4")
    (tmp_path / "run").chmod(0)
    tmp_path.chmod(0o755)
    monkeypatch.chdir(tmp_path)  # nobody may not come here from the root
    with nobody():
        assert found(Path()) == {"run": "no permission", "walk/b.mp4": 1}
    (tmp_path / "run").chmod(0o755)


def test_links_that_lead_nowhere_or_back_stop_no_other_folder(tmp_path):
    lay_out(tmp_path, "walk/b.mp4")
    (tmp_path / "back").symlink_to(".")
    (tmp_path / "gone").symlink_to("nothing")
    (tmp_path / "self").symlink_to("self")
    assert found(tmp_path) == {"back": "folder", "gone": "folder", "self": "folder", "walk/b.mp4": 3}


def test_what_is_named_like_a_video_is_an_item_whatever_it_is(tmp_path):
    lay_out(tmp_path, "walk/b.mp4")
    (tmp_path / "walk" / "gone.mp4").symlink_to("nothing")
    (tmp_path / "gone.mp4").symlink_to("nothing")
    os.mkfifo(tmp_path / "walk" / "pipe.mp4")
    assert found(tmp_path) == {"walk/b.mp4": 0, "walk/gone.mp4": 0, "walk/pipe.mp4": 0, "gone.mp4": None}


def test_class_folders_may_hold_folders_of_frames(tmp_path):
    lay_out(tmp_path, "walk/v1/img_00001.jpg", "walk/readme.mp4")
    items, _ = read_class_folders(tmp_path, frame_template=TEMPLATE)
    assert items == [Item(tmp_path / "walk/v1", 0, frame_template=TEMPLATE)]


def test_folders_without_classes_or_videos_are_refused(tmp_path):
    with pytest.raises(VideoError, match="no such folder"):
        read_class_folders(tmp_path / "nowhere")
    with pytest.raises(VideoError, match="no class folders"):
        read_class_folders(tmp_path)
    lay_out(tmp_path, "walk/notes.txt")
    with pytest.raises(VideoError, match="no class folder holds a video file"):
        read_class_folders(tmp_path)
