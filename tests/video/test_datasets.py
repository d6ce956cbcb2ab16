"""Annotation lists, folders of classes and labels files."""

import json
from pathlib import Path

import pytest

from edgevid.errors import ConfigError, VideoError
from edgevid.video.datasets import Item, read_class_folders
from edgevid.video.labels import read_labels
from edgevid.video.lists import read_list

TEMPLATE = "img_{:05d}.jpg"


def listed(tmp_path, text, **settings):
    path = tmp_path / "list.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_list(path, **settings)


def refusal(tmp_path, text, **settings):
    with pytest.raises(VideoError) as caught:
        listed(tmp_path, text, **settings)
    assert str(tmp_path / "list.txt") in str(caught.value)
    return caught.value


def test_a_list_of_videos_gives_paths_labels_and_lines(tmp_path):
    assert listed(tmp_path, "a.mp4 3\n\nsub/b.avi 0\r\n") == [
        Item(tmp_path / "a.mp4", 3, None, 1),
        Item(tmp_path / "sub/b.avi", 0, None, 3),
    ]


def test_a_list_of_frame_folders_gives_their_numbers_of_frames(tmp_path):
    items = listed(tmp_path, "v/one 120 5\nv/two\t80\t6\n", frame_template=TEMPLATE, root=tmp_path)
    assert items == [
        Item(tmp_path / "v/one", 5, 120, 1, TEMPLATE),
        Item(tmp_path / "v/two", 6, 80, 2, TEMPLATE),
    ]


def test_paths_may_hold_spaces_and_numbers(tmp_path):
    assert listed(tmp_path, "my video 2.mp4 7")[0].path == tmp_path / "my video 2.mp4"
    assert listed(tmp_path, "a 1 b 30 7", frame_template=TEMPLATE)[0] == Item(
        tmp_path / "a 1 b", 7, 30, 1, TEMPLATE
    )


def test_paths_start_from_the_root_unless_they_are_absolute(tmp_path):
    root = tmp_path / "videos"
    root.mkdir()
    items = listed(tmp_path, f"a.mp4 1\n{tmp_path}/b.mp4 2", root=root)
    assert [item.path for item in items] == [root / "a.mp4", tmp_path / "b.mp4"]


def test_a_byte_order_mark_is_no_part_of_the_first_path(tmp_path):
    assert listed(tmp_path, b"\xef\xbb\xbfa.mp4 1")[0].path == tmp_path / "a.mp4"


def test_labels_may_be_missing_where_they_are_not_needed(tmp_path):
    items = listed(tmp_path, "a.mp4\nmy video.mp4\nb.mp4 4", labels_required=False)
    assert [(item.path.name, item.label) for item in items] == [
        ("a.mp4", None),
        ("my video.mp4", None),
        ("b.mp4", 4),
    ]


def test_without_needed_labels_an_existing_file_keeps_the_number_in_its_name(tmp_path):
    (tmp_path / "take 4").touch()
    items = listed(tmp_path, "take 4\ntake 5", labels_required=False)
    assert [(item.path.name, item.label) for item in items] == [("take 4", None), ("take", 5)]


def test_folders_of_frames_may_lack_labels_and_numbers_of_frames_too(tmp_path):
    items = listed(tmp_path, "v/a 30\nv/b\nv/c 30 2", frame_template=TEMPLATE, labels_required=False)
    assert [(item.path.name, item.frames, item.label) for item in items] == [
        ("a", 30, None),
        ("b", None, None),
        ("c", 30, 2),
    ]


@pytest.mark.parametrize(
    ("text", "template", "line", "what"),
    [
        ("a.mp4 1\nb.mp4\n", None, 2, "video label"),
        ("a.mp4 1\n\nb.mp4 two\n", None, 3, "not a whole number"),
        ("a.mp4 1.5\n", None, 1, "not a whole number"),
        ("a.mp4 -1\n", None, 1, "out of range"),
        ("a.mp4 10\n", None, 1, "out of range"),
        ("v 10\n", TEMPLATE, 1, "path frames label"),
        ("v ten 1\n", TEMPLATE, 1, "frames 'ten'"),
        ("v 0 1\n", TEMPLATE, 1, "number of frames is 0"),
        (b"a.mp4 1\n\xff\xfe 2\n", None, 2, "UTF-8"),
    ],
)
def test_a_wrong_line_is_named_with_its_list_and_number(tmp_path, text, template, line, what):
    error = refusal(tmp_path, text, frame_template=template, classes=10)
    assert error.where == f"{tmp_path / 'list.txt'}, line {line}"
    assert what in error.what
    assert error.fix


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_list_is_refused(tmp_path, text):
    assert "empty" in refusal(tmp_path, text).what


def test_a_missing_list_or_root_is_named(tmp_path):
    with pytest.raises(VideoError, match=r"nothing\.txt"):
        read_list(tmp_path / "nothing.txt")
    with pytest.raises(VideoError, match="nowhere"):
        listed(tmp_path, "a.mp4 1", root=tmp_path / "nowhere")


@pytest.mark.parametrize("template", ["img.jpg", "img_%05d.jpg", "{:05d}_{:05d}.jpg", "{name}.jpg", "{:05"])
def test_a_template_that_does_not_number_files_is_refused(tmp_path, template):
    with pytest.raises(ConfigError, match="frame template"):
        listed(tmp_path, "v 3 1", frame_template=template)


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


def test_a_folder_that_is_no_class_is_named(tmp_path):
    lay_out(tmp_path, "walk/b.mp4", "swim/c.mp4")
    with pytest.raises(VideoError, match="'swim' is none of the 2 classes"):
        read_class_folders(tmp_path, classes=["walk", "run"])


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


def labels(tmp_path, content, name="labels.json", **settings):
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_labels(path, **settings)


def test_labels_are_read_from_lines_lists_and_mappings_either_way(tmp_path):
    names = ["jump", "walk a dog", "3"]
    assert labels(tmp_path, "jump\nwalk a dog\n3\n\n", "labels.txt") == names
    assert labels(tmp_path, names) == names
    assert labels(tmp_path, {"2": "3", "0": "jump", "1": "walk a dog"}) == names
    assert labels(tmp_path, {"jump": 0, "3": "2", "walk a dog": "1"}) == names


@pytest.mark.parametrize(
    ("content", "name", "what"),
    [
        ("a\n\nb\n", "l.txt", "line 2"),
        ("", "l.txt", "empty"),
        ("[]", "l.json", "empty"),
        ("{", "l.json", "not JSON"),
        ("3", "l.json", "neither a list"),
        ({"0": "a", "2": "b"}, "l.json", "class 1 of 2 has no name"),
        ({"a": 0, "b": 0}, "l.json", "class 0 has two names"),
        ({"a": "b"}, "l.json", "key 'a'"),
        ({"0": 1.5}, "l.json", "key '0'"),
    ],
)
def test_a_labels_file_that_cannot_be_understood_is_refused(tmp_path, content, name, what):
    with pytest.raises(VideoError) as caught:
        labels(tmp_path, content, name)
    assert what in str(caught.value)
    assert str(Path(tmp_path) / name) in str(caught.value)


def test_another_number_of_labels_than_classes_is_refused(tmp_path):
    with pytest.raises(VideoError, match="2 names and the network 3 classes"):
        labels(tmp_path, ["a", "b"], classes=3)


def test_a_missing_labels_file_is_named(tmp_path):
    with pytest.raises(VideoError, match=r"nothing\.txt"):
        read_labels(tmp_path / "nothing.txt")
