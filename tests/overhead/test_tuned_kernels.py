"""What tuning found, as part of what samples belong to."""

from dataclasses import replace

import pytest

from edgevid.overhead.identity import tuned_kernels
from edgevid.targets._profiles import device as find_device

pytest.importorskip("tvm")

from edgevid.targets.tvm.records import Record, Records

RECORD = Record(key="a convolution", family="spatial", tile={"rows": 4}, seconds=2e-3, candidates=9)


@pytest.fixture
def found(tmp_path):
    def add(*records):
        path = tmp_path / "records.jsonl"
        for record in records:
            Records(path).add(record)
        return tuned_kernels(find_device("host-tvm"), path)

    return add


def test_a_faster_record_of_another_tile_is_another_kernel(found):
    before = found(RECORD)
    after = found(replace(RECORD, tile={"rows": 8}, seconds=1e-3))
    assert before.keys() == after.keys()
    assert before != after


def test_the_same_tile_measured_again_is_the_same_kernel(found):
    assert found(RECORD) == found(replace(RECORD, seconds=1e-3))


def test_each_operation_has_a_kernel_of_its_own(found):
    assert len(found(RECORD, replace(RECORD, key="another"))) == 2


def test_without_a_file_it_is_the_one_in_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tuned_kernels(find_device("host-tvm"), None) == {}
