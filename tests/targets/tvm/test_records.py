"""Records of tuning: kept, resumed, merged, and never lost."""

import json

import pytest

from edgevid.errors import ConfigError
from edgevid.targets.tvm.cpus import cpu
from edgevid.targets.tvm.network import Convolution, Frames, Move, Quantization
from edgevid.targets.tvm.records import Record, Records, key_of

CONVOLUTION = Convolution(Frames(1, 8, 32, 14, 14, 16), Frames(1, 8, 64, 14, 14, 16))
RECORD = Record(key_of(CONVOLUTION, cpu("avx2")), "pointwise", {"positions": 7}, 1e-3, 5)


def test_records_are_there_after_the_file_is_opened_again(tmp_path):
    Records(tmp_path / "new" / "r.jsonl").add(RECORD)
    assert Records(tmp_path / "new" / "r.jsonl").get(RECORD.key) == RECORD


def test_the_faster_of_two_records_counts(tmp_path):
    records = Records(tmp_path / "r.jsonl")
    for seconds in (2e-3, 1e-3, 3e-3):
        records.add(Record(RECORD.key, "pointwise", {"positions": 7}, seconds, 5))
    assert Records(tmp_path / "r.jsonl").get(RECORD.key).seconds == 1e-3


def test_files_of_several_boards_are_merged(tmp_path):
    mine, other = Records(tmp_path / "mine.jsonl"), Records(tmp_path / "other.jsonl")
    mine.add(RECORD)
    other.add(Record(RECORD.key, "pointwise", {"positions": 14}, 5e-4, 5))
    other.add(Record("another", "spatial", {"rows": 1}, 1e-3, 5))
    assert mine.merge([tmp_path / "other.jsonl"]) == 2
    assert Records(tmp_path / "mine.jsonl").get(RECORD.key).tile == {"positions": 14}
    assert mine.merge([tmp_path / "other.jsonl"]) == 0


def test_a_file_that_is_missing_cannot_be_merged(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.jsonl"):
        Records(tmp_path / "mine.jsonl").merge([tmp_path / "nowhere.jsonl"])


@pytest.mark.parametrize(
    "damage",
    ["{half a li", "[1, 2]", '{"key": "x"}', '{"key":"k","family":"f","tile":3,"seconds":1,"candidates":2}'],
)
def test_a_corrupted_file_is_set_aside_and_its_good_lines_are_kept(tmp_path, damage):
    path = tmp_path / "r.jsonl"
    Records(path).add(RECORD)
    before = path.read_text() + damage + "\n"
    path.write_text(before)
    records = Records(path)
    assert records.get(RECORD.key) == RECORD
    assert records.set_aside is not None
    assert records.set_aside.read_text() == before
    assert Records(path).set_aside is None


def test_a_second_corrupted_file_does_not_replace_the_first(tmp_path):
    path = tmp_path / "r.jsonl"
    for text in ("one", "two"):
        path.write_text(text)
        Records(path)
    assert sorted(p.read_text() for p in tmp_path.glob("r.jsonl.corrupt*")) == ["one", "two"]


def test_the_key_tells_operations_and_processors_apart_but_not_scales():
    shifted = Convolution(CONVOLUTION.source, CONVOLUTION.target, moves=(Move(0, 4, 1),))
    keys = {key_of(CONVOLUTION, cpu(name)) for name in ("avx2", "avx512", "cortex-a72")}
    assert len({*keys, key_of(shifted, cpu("avx2"))}) == 4
    scaled = [
        Convolution(Frames(1, 8, 32, 14, 14, 16, "uint8", Quantization(scale, 0)), CONVOLUTION.target)
        for scale in (0.1, 0.2)
    ]
    assert key_of(scaled[0], cpu("avx2")) == key_of(scaled[1], cpu("avx2"))
    assert json.loads(key_of(CONVOLUTION, cpu("avx2")))["kind"] == "Convolution"


def test_a_file_without_a_newline_at_its_end_loses_nothing(tmp_path):
    path = tmp_path / "r.jsonl"
    Records(path).add(RECORD)
    path.write_text(path.read_text().rstrip("\n"))
    Records(path).add(Record("another", "spatial", {"rows": 1}, 1e-3, 5))
    records = Records(path)
    assert records.set_aside is None
    assert len(records) == 2
