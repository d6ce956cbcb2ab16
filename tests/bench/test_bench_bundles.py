import hashlib
import json
from pathlib import Path

import bench_fakes
import pytest

from edgevid.bench.bundles import bench_bundles, names_of, open_variants
from edgevid.bench.protocol import Elapsed
from edgevid.bench.settings import Settings
from edgevid.contract import Device
from edgevid.errors import BenchmarkError, BundleError

OPENER = "bench_fakes:FakeBundle"
assert bench_fakes.FakeBundle


@pytest.fixture
def make(tmp_path):
    def bundle(name, **manifest):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return bundle


def log(folder):
    return (folder / "log.txt").read_text(encoding="utf-8").splitlines()


def test_bundles_are_measured_in_a_fresh_process_with_the_first_opened_twice(make):
    plain, shifted = make("plain"), make("shifted")
    result = bench_bundles(
        [plain, shifted],
        batch=2,
        threads=3,
        settings=Settings(rounds=4, warmup=1),
        device="host",
        opener=OPENER,
    )
    assert [(variant.name, variant.role) for variant in result.variants] == [
        ("plain", "baseline"),
        ("plain (A/A)", "twin"),
        ("shifted", "candidate"),
    ]
    assert log(plain).count("open batch=2 threads=3") == 2
    assert log(shifted).count("open batch=2 threads=3") == 1
    assert log(shifted).count("run 10,10") == 5  # one warm-up run, four rounds
    assert log(plain).count("close") == 2
    assert result.parameters == {"batch": 2, "threads": 3}
    assert result.title == "shifted against plain"
    assert result.device == "host"


def test_a_bundle_is_identified_by_the_hash_of_its_manifest(make):
    plain = make("plain")
    result = bench_bundles([plain], settings=Settings(rounds=1, warmup=0), opener=OPENER)
    manifest = (plain / "manifest.json").read_bytes()
    assert result.variants[0].bundle.manifest_sha256 == hashlib.sha256(manifest).hexdigest()
    assert result.variants[0].bundle == result.variants[1].bundle


def test_compiled_in_settings_are_kept_when_none_are_given(make):
    plain = make("plain")
    with open_variants([str(plain)], opener=OPENER):
        assert log(plain) == ["open batch=1 threads=None"] * 2


def test_golden_clips_are_repeated_in_turn_up_to_the_batch(make):
    plain = make("plain", clips=2)
    with open_variants([str(plain)], batch=5, opener=OPENER) as comparison:
        comparison.baseline.run()
    assert "run 10,11,10,11,10" in log(plain)


def test_sessions_are_closed_when_a_later_bundle_cannot_be_opened(make, tmp_path):
    plain = make("plain")
    with pytest.raises(BundleError), open_variants([str(plain), str(tmp_path / "none")], opener=OPENER):
        pass
    assert log(plain).count("close") == 1


def test_a_bundle_that_cannot_be_opened_is_named_across_the_process(make, tmp_path):
    with pytest.raises(BundleError, match="no manifest") as caught:
        bench_bundles([make("plain"), tmp_path / "none"], opener=OPENER)
    assert caught.value.where == str(tmp_path / "none")


def test_a_golden_clip_of_another_size_than_the_input_is_refused(make):
    plain = make("plain", height=5)
    with (
        pytest.raises(BenchmarkError, match="does not fit") as caught,
        open_variants([str(plain)], opener=OPENER),
    ):
        pass
    assert caught.value.where == str(plain)


def test_a_bundle_for_another_device_is_labelled_with_the_device_it_is_for(make):
    other = [make("null", device="null"), make("unknown", device="a-newer-device", device_title="Newer")]
    result = bench_bundles([*other, make("host")], settings=Settings(rounds=1, warmup=0), opener=OPENER)
    baseline, twin, unknown, host = result.variants
    assert [baseline.label, twin.label, unknown.label] == ["other-device"] * 3
    assert baseline.note.startswith("compiled for no device")
    assert unknown.note.startswith("compiled for Newer")
    assert (host.label, host.note) == ("measured", "")


def test_an_emulated_precision_is_labelled_with_the_reason(make, monkeypatch):
    emulating = Device("host", "this", "openvino", (), ("fp32",), {"bf16": "no such unit"}, "", True)
    monkeypatch.setattr("edgevid.bench.bundles.find_device", lambda name: emulating)
    with open_variants([str(make("plain", precision="bf16"))], opener=OPENER) as comparison:
        assert (comparison.baseline.label, comparison.baseline.note) == ("emulated", "no such unit")


def test_a_session_whose_device_has_a_clock_is_timed_by_it(make, monkeypatch):
    monkeypatch.setattr(bench_fakes.FakeSession, "clock", "by events of its device", raising=False)

    def timed(self, clip, number):
        return [2.5] * number

    monkeypatch.setattr(bench_fakes.FakeSession, "latencies_ms", timed, raising=False)
    with open_variants([str(make("plain"))], opener=OPENER) as comparison:
        assert comparison.baseline.run() == Elapsed(2_500_000)
        assert comparison.baseline.note == "by events of its device"


def test_no_bundles_are_refused():
    with pytest.raises(BenchmarkError, match="no bundle"):
        bench_bundles([])


def test_bundles_of_one_name_are_told_apart_by_their_parents():
    assert names_of([Path("/a/x"), Path("/b/x"), Path("/b/y")]) == ["a/x", "b/x", "y"]
    assert names_of([Path("/a/p/x"), Path("/b/p/x")]) == ["a/p/x", "b/p/x"]
    assert names_of([Path("/a/x"), Path("/a/x")]) == ["x", "x #2"]
