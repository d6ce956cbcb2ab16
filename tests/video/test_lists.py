"""A broken line of a list is named and stops no other line; a broken list is named as a whole."""

import os

import pytest

from edgevid.errors import ConfigError, VideoError
from edgevid.video import Item, lists, read_list, reason_of

TEMPLATE = "img_{:05d}.jpg"


def listed(tmp_path, text, **settings):
    path = tmp_path / "list.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_list(path, **settings)


def scanned(tmp_path, content, **settings):
    return listed(tmp_path, content, labels_required=False, **settings)


def test_a_list_of_videos_gives_paths_labels_and_lines(tmp_path):
    assert listed(tmp_path, "a.mp4 3\n\nsub/b.avi 0\r\n") == [
        Item(tmp_path / "a.mp4", 3, source=tmp_path / "list.txt", source_line=1),
        Item(tmp_path / "sub/b.avi", 0, source=tmp_path / "list.txt", source_line=3),
    ]


def test_a_list_of_frame_folders_gives_their_numbers_of_frames(tmp_path):
    items = listed(tmp_path, "v/one 120 5\nv/two\t80\t6\n", frame_template=TEMPLATE, root=tmp_path)
    assert items == [
        Item(tmp_path / "v/one", 5, 120, TEMPLATE, tmp_path / "list.txt", 1),
        Item(tmp_path / "v/two", 6, 80, TEMPLATE, tmp_path / "list.txt", 2),
    ]


def test_paths_may_hold_spaces_and_numbers(tmp_path):
    assert listed(tmp_path, "my video 2.mp4 7")[0].path == tmp_path / "my video 2.mp4"
    assert listed(tmp_path, "a 1 b 30 7", frame_template=TEMPLATE)[0] == Item(
        tmp_path / "a 1 b", 7, 30, TEMPLATE, tmp_path / "list.txt", 1
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
    error = listed(tmp_path, text, frame_template=template, classes=10)[-1].error
    assert error.where == f"{tmp_path / 'list.txt'}, line {line}"
    assert what in error.what
    assert error.fix


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_list_is_refused(tmp_path, text):
    with pytest.raises(VideoError, match="empty") as caught:
        listed(tmp_path, text)
    assert caught.value.where == str(tmp_path / "list.txt")


def test_a_missing_list_or_root_is_named(tmp_path):
    with pytest.raises(VideoError, match=r"nothing\.txt"):
        read_list(tmp_path / "nothing.txt")
    with pytest.raises(VideoError, match="nowhere"):
        listed(tmp_path, "a.mp4 1", root=tmp_path / "nowhere")


@pytest.mark.parametrize("template", ["img.jpg", "img_%05d.jpg", "{:05d}_{:05d}.jpg", "{name}.jpg", "{:05"])
def test_a_template_that_does_not_number_files_is_refused(tmp_path, template):
    with pytest.raises(ConfigError, match="frame template"):
        listed(tmp_path, "v 3 1", frame_template=template)


@pytest.mark.parametrize(
    ("line", "settings", "what", "fix"),
    [
        (b"here.mp4 two", {}, "label 'two' is not a whole number", "`video label`"),
        (b"here.mp4 1.5", {}, "label '1.5' is not a whole number", "`video label`"),
        (b"here.mp4 " + b"9" * 5000, {}, "is not a whole number", "`video label`"),
        (b"here.mp4 8", {}, "label 8 is out of range", "from 0 to 7"),
        (b"here.mp4 -1", {}, "label -1 is out of range", "from 0 to 7"),
        (b"v/one 120 5", {}, "looks like `path frames label`", "--frame-template"),
        (b"v/one\t120\t5", {}, "looks like `path frames label`", "--frame-template"),
        (b"here.mp4 120 5", {}, "looks like `path frames label`", "--frame-template"),
        (b"v/one 0 5", {"frame_template": TEMPLATE}, "number of frames is 0", "without frames"),
        (b"caf\xe9.mp4 1", {}, "not UTF-8", "UTF-8"),
    ],
)
def test_a_broken_line_is_an_item_with_an_error_and_the_others_are_read(tmp_path, line, settings, what, fix):
    (tmp_path / "here.mp4").touch()
    good = b"v/two 9 3" if settings else b"here.mp4 3"
    items = scanned(tmp_path, good + b"\r\n\r\n" + line + b"\r\n" + good, classes=8, **settings)
    assert [item.label for item in items] == [3, None, 3]
    assert [item.error is None for item in items] == [True, False, True]
    error = items[1].error
    assert reason_of(error) == "list line"
    assert error.where == f"{tmp_path / 'list.txt'}, line 3"
    assert what in error.what
    assert fix in error.fix


def test_comments_are_passed_over_but_not_files_that_begin_like_one(tmp_path):
    (tmp_path / "#1.mp4").touch()
    items = scanned(tmp_path, "# my videos\n#1.mp4\na.mp4 2 \n  # the end\n")
    assert [(item.path.name, item.label, item.source_line) for item in items] == [
        ("#1.mp4", None, 2),
        ("a.mp4", 2, 3),
    ]


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_lines_end_as_on_any_system_and_a_byte_order_mark_is_no_text(tmp_path, ending):
    items = scanned(tmp_path, b"\xef\xbb\xbf" + ending.join(["a.mp4 1", "", "b.mp4 2"]).encode())
    assert [(item.path.name, item.label, item.source_line) for item in items] == [
        ("a.mp4", 1, 1),
        ("b.mp4", 2, 3),
    ]


@pytest.mark.parametrize(
    "content", [b"", b"\n\r\n", b"# only this\n", "a.mp4 1\n".encode("utf-16"), b"\0\1\2\3"], ids=repr
)
def test_a_list_that_is_empty_or_no_text_is_refused_as_a_whole(tmp_path, content):
    with pytest.raises(VideoError) as caught:
        scanned(tmp_path, content)
    assert reason_of(caught.value) == "list"
    assert caught.value.where == str(tmp_path / "list.txt")


def test_a_name_too_long_for_the_disk_is_left_to_whoever_reads_the_video(tmp_path):
    (item,) = scanned(tmp_path, "x" * 5000 + " 3")
    assert (item.error, item.label) == (None, 3)


@pytest.mark.parametrize("name", ["missing.txt", "folder.txt"])
def test_a_list_that_cannot_be_read_is_named(tmp_path, name):
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(VideoError) as caught:
        read_list(tmp_path / name)
    assert reason_of(caught.value) == "list"
    assert caught.value.where == str(tmp_path / name)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["a pipe", "a device", "too long"])
def test_a_list_without_an_end_is_refused(tmp_path, monkeypatch, kind):
    path = tmp_path / "list.txt"
    if kind == "a pipe":
        os.mkfifo(path)
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    else:
        path.write_text("a.mp4\n" * 10)
        monkeypatch.setattr(lists, "_MOST_BYTES", 59)
    with pytest.raises(
        VideoError, match="more than 59 bytes" if kind == "too long" else "not a regular file"
    ) as caught:
        read_list(path)
    assert reason_of(caught.value) == "list"
    assert caught.value.where == str(path)
