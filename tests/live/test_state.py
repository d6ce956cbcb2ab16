"""States of streams as files."""

import os
import pickle
import random

import numpy as np
import pytest

from edgevid.contract import StreamState
from edgevid.errors import ConfigError, TargetError
from edgevid.live import load_state, save_state

STATE = StreamState(
    "a runtime 0123456789abcdef",
    41,
    (
        np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4),
        np.array([[1, 255]], np.uint8),
        np.array([0x3F80, 0xFFFF], np.uint16),
        np.array([1.5], np.float16),
    ),
)


def same(one, other):
    return (one.network, one.steps) == (other.network, other.steps) and all(
        a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()
        for a, b in zip(one.caches, other.caches, strict=True)
    )


@pytest.fixture
def file(tmp_path):
    save_state(tmp_path / "stream.state", STATE)
    return tmp_path / "stream.state"


def test_a_state_comes_back_as_it_was(file):
    assert same(load_state(file), STATE)


def test_more_than_ten_caches_keep_their_order(tmp_path):
    state = StreamState("x", 0, tuple(np.array([n]) for n in range(25)))
    save_state(tmp_path / "s", state)
    assert [int(cache[0]) for cache in load_state(tmp_path / "s").caches] == list(range(25))


def test_a_network_without_caches_has_a_state_too(tmp_path):
    save_state(tmp_path / "s", StreamState("x", 3, ()))
    assert same(load_state(tmp_path / "s"), StreamState("x", 3, ()))


def test_a_state_replaces_an_older_one_and_leaves_nothing_beside_it(file):
    newer = StreamState("x", 1, ())
    save_state(file, newer)
    assert same(load_state(file), newer)
    assert [path.name for path in file.parent.iterdir()] == ["stream.state"]


def test_a_state_that_cannot_be_written_leaves_the_older_one(file, monkeypatch):
    def full(*arguments, **arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(ConfigError, match="No space left"):
        save_state(file, StreamState("x", 1, ()))
    monkeypatch.undo()
    assert same(load_state(file), STATE)
    assert [path.name for path in file.parent.iterdir()] == ["stream.state"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written") as caught:
        save_state(tmp_path / "no" / "stream.state", STATE)
    assert caught.value.where == str(tmp_path / "no" / "stream.state")


def test_a_missing_state_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such state") as caught:
        load_state(tmp_path / "stream.state")
    assert caught.value.fix


def test_a_pickle_is_refused_and_not_executed(tmp_path):
    class Touch:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    (tmp_path / "plain").write_bytes(pickle.dumps(Touch()))
    np.savez(
        tmp_path / "inside.npz",
        format=1,
        network=np.str_("x"),
        steps=1,
        cache0=np.array([Touch()], dtype=object),
    )
    for name in ("plain", "inside.npz"):
        with pytest.raises(TargetError, match="damaged"):
            load_state(tmp_path / name)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"format": 2, "network": np.str_("x"), "steps": 1},
        {"format": 1, "network": 5, "steps": 1},
        {"format": 1, "network": np.str_("x"), "steps": 1.5},
        {"format": 1, "network": np.str_("x"), "steps": np.array([1, 2])},
        {"format": 1, "network": np.array(["x", "y"]), "steps": 1},
        {"format": np.array([1, 1]), "network": np.str_("x"), "steps": 1},
        {"format": 1, "network": np.str_("x"), "steps": 1, "cache1": np.zeros(1)},
        {"format": 1, "network": np.str_("x"), "steps": 1, "other": np.zeros(1)},
    ],
)
def test_other_arrays_are_no_state(tmp_path, arrays):
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(TargetError, match="no state"):
        load_state(tmp_path / "s.npz")


def test_an_array_or_a_text_is_no_state(tmp_path):
    np.save(tmp_path / "s.npy", np.zeros(3))
    (tmp_path / "s.txt").write_text("no state")
    (tmp_path / "empty").touch()
    for name in ("s.npy", "s.txt", "empty"):
        with pytest.raises(TargetError, match="no state"):
            load_state(tmp_path / name)


def test_a_damaged_file_never_gives_another_state(file):
    good, draw = file.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(300):
        broken = bytearray(good)
        if draw.random() < 0.3:
            del broken[draw.randrange(len(broken)) :]
        else:
            broken[draw.randrange(len(broken))] ^= 1 << draw.randrange(8)
        file.write_bytes(broken)
        try:
            found = load_state(file)
        except TargetError:
            refused += 1
        else:
            assert same(found, STATE)  # the archive's own time stamps and the like
    assert refused > 150
