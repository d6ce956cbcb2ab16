"""What each network of an ensemble adds: opened once, run one after the other."""

import json

import bench_fakes
import pytest

from edgevid.bench.bundles import identity_of
from edgevid.bench.ensembles import NOTE, bench_ensemble, factories_of, open_additions
from edgevid.bench.extended import Extras, check_extras, with_extras
from edgevid.bench.in_flight import BURST
from edgevid.bench.opening import Opening
from edgevid.bench.protocol import Elapsed
from edgevid.bench.settings import Settings
from edgevid.demo import write_videos
from edgevid.ensemble import Ensemble
from edgevid.errors import BenchmarkError

OPENER = "bench_fakes:FakeBundle"
assert bench_fakes.FakeBundle

NAMES = ["one", "with two", "with three"]


@pytest.fixture
def make(tmp_path):
    """Folders of members, each with what its manifest says."""

    def members(*manifests):
        folders = []
        for number, manifest in enumerate(manifests, start=1):
            folder = tmp_path / "members" / str(number)
            folder.mkdir(parents=True)
            (folder / "manifest.json").write_text(json.dumps(manifest))
            folders.append(str(folder))
        return folders

    return members


def log(tmp_path, number):
    return (tmp_path / "members" / str(number) / "log.txt").read_text(encoding="utf-8").splitlines()


def test_each_variant_runs_the_networks_before_it_too(make, tmp_path):
    folders = make({}, {}, {})
    with open_additions(folders, NAMES, threads=2, opener=OPENER) as comparison:
        variants = [comparison.baseline, *comparison.candidates]
        assert [variant.name for variant in variants] == NAMES
        comparison.candidates[1].run()
        assert [log(tmp_path, number).count("run 10") for number in (1, 2, 3)] == [1, 1, 1]
        comparison.candidates[0].run()
        comparison.baseline.run()
        comparison.twin()
        assert [log(tmp_path, number).count("run 10") for number in (1, 2, 3)] == [4, 2, 1]
    opened = [log(tmp_path, number).count("open batch=1 threads=2") for number in (1, 2, 3)]
    assert opened == [2, 1, 1], "the first has a twin; nothing else is opened twice"
    assert [log(tmp_path, number).count("close") for number in (1, 2, 3)] == opened


def test_only_the_first_network_alone_is_a_bundle(make):
    folders = make({}, {})
    with open_additions(folders, NAMES[:2], opener=OPENER) as comparison:
        assert comparison.baseline.bundle.path == folders[0]
        assert comparison.candidates[0].bundle is None
        assert [comparison.baseline.clips, comparison.candidates[0].clips] == [1, 1]


def test_a_variant_alone_is_a_baseline_without_a_twin(make, tmp_path):
    folders = make({}, {})
    with open_additions(folders, NAMES[:2], first=2, twin=False, opener=OPENER) as comparison:
        assert (comparison.baseline.name, comparison.candidates, comparison.twin) == ("with two", [], None)
        comparison.baseline.run()
    assert [log(tmp_path, number).count("run 10") for number in (1, 2)] == [1, 1]


def test_one_network_that_was_not_measured_here_labels_all_that_run_it(make):
    folders = make({}, {"device": "null"}, {})
    with open_additions(folders, NAMES, opener=OPENER) as comparison:
        labels = [variant.label for variant in (comparison.baseline, *comparison.candidates)]
        assert labels == ["measured", "other-device", "other-device"]
        assert comparison.candidates[1].note.startswith("compiled for no device")


def test_times_by_a_clock_of_the_device_are_summed(make, monkeypatch):
    monkeypatch.setattr(bench_fakes.FakeSession, "clock", "by its events", raising=False)
    took = {"1": 2.5, "2": 4.0}
    monkeypatch.setattr(
        bench_fakes.FakeSession,
        "latencies_ms",
        lambda self, clip, number: [took[self.folder.name]] * number,
        raising=False,
    )
    with open_additions(make({}, {}), NAMES[:2], opener=OPENER) as comparison:
        assert comparison.baseline.run() == Elapsed(2_500_000)
        assert comparison.candidates[0].run() == Elapsed(6_500_000)
        assert comparison.candidates[0].note == "by its events"


def test_times_by_several_clocks_are_not_added(make, monkeypatch):
    monkeypatch.setattr(
        bench_fakes.FakeSession, "clock", property(lambda self: f"by {self.folder.name}"), raising=False
    )
    monkeypatch.setattr(bench_fakes.FakeSession, "latencies_ms", lambda *_: [1.0], raising=False)
    with (
        pytest.raises(BenchmarkError, match="timed by a clock of their device"),
        open_additions(make({}, {}), NAMES[:2], opener=OPENER),
    ):
        pass


def test_networks_of_several_batches_are_refused_with_the_folder(make, tmp_path):
    with (
        pytest.raises(BenchmarkError, match="batches of 1, 4 clips") as caught,
        open_additions(make({}, {"batch": 4}), NAMES[:2], opener=OPENER),
    ):
        pass
    assert caught.value.where == str(tmp_path)
    assert log(tmp_path, 1).count("close") == 1


def test_requests_in_flight_are_those_of_each_network_in_turn(make, tmp_path):
    folders = make({}, {})
    with open_additions(folders, NAMES[:2], streams=2, threads=2, opener=OPENER) as comparison:
        comparison.candidates[0].run()
        assert comparison.candidates[0].clips == 2 * BURST
    assert [log(tmp_path, number).count("run 10") for number in (1, 2)] == [2 * BURST, 2 * BURST]


def test_a_real_ensemble_is_measured_in_a_fresh_process_with_its_memory_stages_and_endurance(
    tiny_ensemble, tmp_path
):
    video = next(write_videos(tmp_path, "easy", 1, length=8, size=32).parent.glob("*/*.mp4"))
    ensemble, how = Ensemble.open(tiny_ensemble), Opening(threads=1)
    result = bench_ensemble(ensemble, how, Settings(rounds=6))
    names = ["tiny, 4 frames", "with tiny, 8 frames"]
    assert [variant.name for variant in result.variants if variant.role != "twin"] == names
    assert result.variants[0].bundle == identity_of(tiny_ensemble / "members" / "1")
    assert result.parameters == {"ensemble": "tiny.ensemble", "batch": "as compiled", "threads": 1}
    assert NOTE in result.notes
    factories = factories_of(ensemble, how)
    folders = [member.bundle.path for member in ensemble.members]
    extras = Extras(video=video, sustained_seconds=0.2)
    check_extras(folders, how, extras, of_ensemble=True)
    found, interrupted = with_extras(result, folders, how, extras, alone=factories)
    assert not interrupted
    assert list(found.stages) == names
    first, both = (stages["inference"].wall_ns for stages in found.stages.values())
    assert sum(both) > sum(first), "the second network comes after the first"
    assert len(both) == 6
    assert found.sustained.variant == names[-1]
    assert found.sustained.points[0].clips > 0
    assert list(found.peak_memory) == names
    assert min(found.peak_memory.values()) > 1 << 20
