import json

import numpy as np
import pytest
from int8_graphs import clips, tiny_graph

from edgevid.calibration.calibrate import calibrate
from edgevid.calibration.clips import Arrays
from edgevid.calibration.table import METHODS, check_graph, find_method, load_table, save_table
from edgevid.errors import ConfigError
from edgevid.graph.graph_hash import graph_hash


@pytest.fixture(scope="module")
def table():
    return calibrate(tiny_graph(), Arrays(clips(2), [0, 1]), method="percentile")


@pytest.fixture
def saved(table, tmp_path):
    path = tmp_path / "table.json"
    save_table(table, path)
    return path


def test_what_is_saved_is_loaded_bit_for_bit(table, saved):
    assert load_table(saved) == table
    assert list(load_table(saved).tensors) == list(table.tensors)


def test_a_table_is_good_for_its_network_of_any_batch(table):
    check_graph(table, tiny_graph("resnet50", 2))


def test_a_table_of_another_network_is_refused_with_both_hashes(table, saved):
    other = tiny_graph("resnet50", 1, False)
    with pytest.raises(ConfigError) as error:
        check_graph(table, other, saved)
    assert graph_hash(other)[:12] in error.value.what
    assert table.graph_sha256[:12] in error.value.what
    assert error.value.where == str(saved)


def first(record):
    return next(iter(record["tensors"].values()))


@pytest.mark.parametrize(
    ("key", "damage"),
    [
        ("graph_sha256", lambda record: record.pop("graph_sha256")),
        ("graph_sha256", lambda record: record.update(graph_sha256="12")),
        ("schema_version", lambda record: record.update(schema_version=2)),
        ("method", lambda record: record.update(method="median")),
        ("tensors", lambda record: record.update(tensors={})),
        ("clips", lambda record: record.update(clips=[])),
        ("clips.0.sha256", lambda record: record["clips"][0].pop("sha256")),
        ("threshold", lambda record: first(record).update(threshold=-1)),
        ("threshold", lambda record: first(record).update(threshold="wide")),
        ("threshold", lambda record: first(record).update(threshold=float("nan"))),
        ("amax", lambda record: first(record).update(amax=float("inf"))),
        ("tensors.", lambda record: first(record).update(amin=1e9)),
        ("extra", lambda record: record.update(extra=1)),
        ("tensors.", lambda record: first(record).update(threshold=0)),
        ("tensors.", lambda record: first(record).update(threshold=1e-30)),
        ("tensors.", lambda record: first(record).update(threshold=1.01 * first(record)["amax"])),
        ("", lambda record: record.update(tensors=dict(sorted(record["tensors"].items())))),
        ("", lambda record: record.update(tensors={f"a{k}": v for k, v in record["tensors"].items()})),
        ("tensors_sha256", lambda record: record.pop("tensors_sha256")),
    ],
)
def test_a_damaged_table_is_refused_with_its_file_and_key(saved, key, damage):
    record = json.loads(saved.read_text())
    damage(record)
    saved.write_text(json.dumps(record))
    with pytest.raises(ConfigError, match="damaged") as error:
        load_table(saved)
    assert error.value.where.startswith(f"{saved}, " if key else str(saved))
    assert key in error.value.where


def test_a_threshold_that_clips_far_too_much_is_no_damage(saved):
    """What it costs is for `edgevid compare` to tell."""
    record = json.loads(saved.read_text())
    first(record)["threshold"] /= 20
    saved.write_text(json.dumps(record))
    load_table(saved)


def test_copies_and_clips_of_one_colour_are_warned_about():
    plain = np.full_like(clips(1), 7)
    found = calibrate(tiny_graph(), Arrays(np.concatenate([clips(2), clips(1), plain])))
    warned = "; ".join(found.warnings)
    assert "1 of 4 clips are copies of others" in warned
    assert "only 3 clips" in warned
    assert "1 clips are of one colour and show nothing, such as clips[3]" in warned


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe\x00"])
def test_a_file_that_is_no_table_is_refused(saved, content):
    saved.write_bytes(content)
    with pytest.raises(ConfigError, match="damaged") as error:
        load_table(saved)
    assert str(saved) in error.value.where


def test_every_cut_of_the_file_is_noticed(saved):
    content = saved.read_bytes().rstrip()
    for stop in range(0, len(content), max(1, len(content) // 50)):
        saved.write_bytes(content[:stop])
        with pytest.raises(ConfigError, match="damaged"):
            load_table(saved)


def test_a_missing_file_and_a_missing_folder_are_named(table, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_table(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="cannot be written"):
        save_table(table, tmp_path / "none" / "table.json")


def test_methods_are_found_by_name():
    assert tuple(map(find_method, METHODS)) == METHODS
    with pytest.raises(ConfigError, match="unknown method 'median'"):
        find_method("median")
