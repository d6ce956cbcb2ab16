"""A broken line of a list is named and stops no other line; a broken list is named as a whole."""

import pytest

from edgevid.errors import VideoError
from edgevid.video import reason_of, scan_list

TEMPLATE = "img_{:05d}.jpg"


def scanned(tmp_path, content, **settings):
    path = tmp_path / "list.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return scan_list(path, labels_required=False, **settings)


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
        scan_list(tmp_path / name)
    assert reason_of(caught.value) == "list"
    assert caught.value.where == str(tmp_path / name)
