"""Labels files."""

import json
from pathlib import Path

import pytest

from edgevid.errors import VideoError
from edgevid.video.labels import read_labels


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
