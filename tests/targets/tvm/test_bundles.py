"""Whole networks on this machine by TVM: compiled, verified, listed, timed."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tvm

from edgevid.bench.tvm_layers import main, measure_layers
from edgevid.bundle import Bundle
from edgevid.compiler import compile_checkpoint
from edgevid.contract import RunSettings
from edgevid.errors import ConfigError, TargetError
from edgevid.targets.tvm import threads as tvm_threads
from edgevid.targets.tvm.layer_list import FILE, load_list
from edgevid.targets.tvm.session import check_processor


@pytest.fixture(scope="module")
def bundle(tiny_checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("tvm") / "tiny.bundle"
    return compile_checkpoint(tiny_checkpoint, path, device="host-tvm", batches=(1, 2))


def clips_of(bundle, batch=1):
    shape = bundle.artifact(batch).input.shape
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def test_it_computes_what_openvino_computes(bundle, tiny_bundle):
    for batch in (1, 2):
        clips = clips_of(bundle, batch)
        with bundle.session(batch) as mine, Bundle.open(tiny_bundle).session(batch) as theirs:
            expected = theirs.run(clips)
            assert np.abs(mine.run(clips) - expected).max() <= 1e-4 * np.abs(expected).max()


def test_every_convolution_is_listed_with_its_precision(bundle):
    with bundle.session() as session:
        layers = session.layers()
    assert {layer.precision for layer in layers} == {"fp32"}
    assert len([layer for layer in layers if layer.kind == "Conv"]) == 17


def test_two_threads_compute_what_one_computes(bundle):
    clip = clips_of(bundle)
    results = []
    for threads in (1, 2, 1):
        with bundle.session(settings=RunSettings(threads=threads)) as session:
            results.append(session.run(clip))
    assert np.array_equal(results[0], results[1])
    assert np.array_equal(results[0], results[2])


def test_threads_are_those_asked_for_and_bind_nobody_to_a_processor(bundle):
    before = os.sched_getaffinity(0)
    for threads in (2, 1, 64):
        with bundle.session(settings=RunSettings(threads=threads)) as session:
            session.run(clips_of(bundle))
            assert tvm.get_global_func("runtime.NumThreads")() == min(threads, len(before))
    assert os.sched_getaffinity(0) == before


def test_more_threads_than_processors_compute_what_one_computes(bundle, monkeypatch):
    """Shares of a loop that no number of threads divides."""
    monkeypatch.setattr(tvm_threads, "_processors", lambda: [*os.sched_getaffinity(0)] * 7)
    clip = clips_of(bundle)

    def computed(threads):
        with bundle.session(settings=RunSettings(threads=threads)) as session:
            logits = session.run(clip)
            assert tvm.get_global_func("runtime.NumThreads")() == threads
            return logits

    # A thread of its own, since TVM keeps a pool for each that calls it.
    with ThreadPoolExecutor(1) as caller:
        first, *others = caller.map(computed, (1, 3, 5, 7))
    assert all(np.array_equal(other, first) for other in others)


def test_sessions_are_right_in_several_threads_at_once(bundle):
    clip = clips_of(bundle)
    with bundle.session() as shared, ThreadPoolExecutor(4) as threads:
        expected = shared.run(clip)
        results = list(threads.map(lambda _: shared.run(clip), range(40)))
    assert all(np.array_equal(result, expected) for result in results)


def test_a_processor_that_lacks_instructions_is_told_before_they_end_the_process(bundle):
    class Library:
        def get_function(self, name, query_imports):
            return lambda: json.dumps({"missing": "avx512f avx512_vnni"})

    with pytest.raises(TargetError, match="this machine lacks avx512f, avx512_vnni"):
        check_processor(Library(), bundle.artifact())


def test_a_closed_session_times_nothing(bundle):
    session = bundle.session()
    session.close()
    with pytest.raises(TargetError, match="closed"):
        session.times(clips_of(bundle))


def test_the_example_runs_without_edgevid(bundle):
    artifact = bundle.artifact()
    done = subprocess.run(
        [sys.executable, str(artifact.folder / "example.py")], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("class [")


def test_layers_are_timed_against_the_peak_of_a_core(bundle):
    rates, peaks = measure_layers(bundle.path, rounds=2)
    assert len(rates) == len(load_list(bundle.artifact().folder))
    assert sum(rate.share for rate in rates) == pytest.approx(1)
    assert all(0 < rate.of_peak < 1.5 for rate in rates if rate.giga_operations)
    assert peaks["int8"] > peaks["fp32"] > 1e8


def test_the_table_of_layers_can_be_read_by_programs(bundle, capsys):
    assert main([str(bundle.path), "--rounds", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["layers"][0]["family"] == "spatial"


def test_layers_of_another_runtime_are_refused(tiny_bundle):
    with pytest.raises(ConfigError, match="host-tvm"):
        measure_layers(tiny_bundle)


def test_a_damaged_list_of_layers_is_named(tmp_path):
    (tmp_path / FILE).write_text("[{]")
    with pytest.raises(TargetError, match=r"layers\.json"):
        load_list(tmp_path)


@pytest.mark.slow
def test_for_a_board_without_a_runner_it_is_compiled_and_not_executed(tiny_checkpoint, tmp_path):
    bundle = compile_checkpoint(tiny_checkpoint, tmp_path / "b", device="raspberry-pi-4")
    assert bundle.manifest.status == "compiled, not executed"
