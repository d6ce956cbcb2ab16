"""Logits on disk: what is complete is taken up, what is torn or foreign is not."""

import numpy as np
import pytest

from edgevid.calibration.journal import Answered, Journal, Skipped
from edgevid.errors import ConfigError

HEADER = {"bundles": ["a"], "data": "b"}
ENTRIES = [
    Answered("vidéo 1", 1, np.ones((2, 3, 4), np.float32), "a1"),
    Skipped("two", "it is torn\n  where: here", "damaged"),
    Answered("three", None, np.full((2, 1, 4), 1 / 3, np.float32), "b2", frames=40),
]


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "c.json.partial"
    with Journal.open(path, HEADER) as journal:
        for entry in ENTRIES:
            journal.append(entry)
    return path


def same(found, wanted):
    assert [entry.name for entry in found] == [entry.name for entry in wanted]
    for one, other in zip(found, wanted, strict=True):
        if isinstance(one, Answered):
            np.testing.assert_array_equal(one.logits, other.logits)
            assert (one.label, one.sha256, one.frames) == (other.label, other.sha256, other.frames)
        else:
            assert one == other


def test_entries_come_back_to_the_bit(path):
    with Journal.open(path, HEADER) as journal:
        same(journal.entries, ENTRIES)
        assert journal.resumed == 3
        assert not journal.replaced


@pytest.mark.parametrize("cut", [1, 2, 30, 60])
def test_a_line_that_was_cut_off_is_forgotten_and_written_again(path, cut):
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal.open(path, HEADER) as journal:
        same(journal.entries, ENTRIES[:2])
        journal.append(ENTRIES[2])
    with Journal.open(path, HEADER) as journal:
        same(journal.entries, ENTRIES)


def test_a_file_cut_off_anywhere_gives_the_lines_before(path):
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with Journal.open(path, HEADER) as journal:
            same(journal.entries, ENTRIES[: max(content[:length].count(b"\n") - 1, 0)])
        path.unlink()


@pytest.mark.parametrize(
    "garbage", [b"\x00\xff", b"[]", b"null", b'{"name": 1}', b'{"shape": [1], "logits": "!"}']
)
def test_garbage_ends_what_is_taken_up(path, garbage):
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], garbage + b"\n", *lines[2:]]))
    with Journal.open(path, HEADER) as journal:
        same(journal.entries, ENTRIES[:1])


def test_another_header_begins_anew_and_says_so(path):
    with Journal.open(path, {**HEADER, "data": "c"}) as journal:
        assert journal.entries == []
        assert journal.replaced
    with Journal.open(path, {**HEADER, "data": "c"}) as journal:
        assert not journal.replaced


def test_two_processes_cannot_write_the_same_file(path):
    with Journal.open(path, HEADER), pytest.raises(ConfigError, match="another comparison writes"):
        Journal.open(path, HEADER)
    Journal.open(path, HEADER).close()


def test_without_a_file_entries_stay_in_memory():
    with Journal.open(None, HEADER) as journal:
        journal.append(ENTRIES[0])
        same(journal.entries, ENTRIES[:1])
    journal.remove()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written") as error:
        Journal.open(tmp_path / "missing" / "c.partial", HEADER)
    assert "missing" in error.value.where
