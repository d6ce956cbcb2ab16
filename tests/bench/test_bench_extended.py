"""What is measured beside latencies, each in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import bench_fakes
import pytest

from edgevid.bench import sustained
from edgevid.bench.bundles import bench_bundles, factory_of, open_variants, parameters_of
from edgevid.bench.extended import Extras, check_extras, with_extras
from edgevid.bench.fresh_process import Answer, call_apart
from edgevid.bench.in_flight import BURST, in_flight
from edgevid.bench.memory import peak_memory, peak_of_this_process
from edgevid.bench.opening import Opening
from edgevid.bench.results import STAGES, Samples, Sustained
from edgevid.bench.settings import Settings
from edgevid.contract import RunSettings
from edgevid.errors import BenchmarkError, ConfigError, VideoError

FEW = Settings(rounds=3, warmup=0)
FAKE = "bench_fakes:FakeBundle"
assert bench_fakes.FakeBundle


@pytest.fixture
def fake(tmp_path):
    folder = tmp_path / "fake"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    return folder


def extended(bundles, how, extras):
    check_extras(bundles, how, extras)
    result = bench_bundles(bundles, settings=FEW, **how.model_dump())
    return with_extras(result, bundles, how, extras)


def log(folder):
    return (folder / "log.txt").read_text(encoding="utf-8").splitlines()


def test_peak_memory_is_that_of_a_process_with_this_bundle_alone(fake):
    ballast = bytearray(300 << 20)  # of this process, which the fresh one must not inherit
    peak = peak_memory(factory_of([fake], Opening(opener=FAKE), twin=False), "fake")
    assert len(ballast) > peak > 1 << 20
    assert [line for line in log(fake) if line.startswith("open")] == ["open batch=1 threads=None"]


def test_a_kernel_that_does_not_tell_the_peak_gives_none(tmp_path):
    assert peak_of_this_process(tmp_path / "none") is None
    (tmp_path / "status").write_text("Name:\tx\nVmHWM:\t    2048 kB\n")
    assert peak_of_this_process(tmp_path / "status") == 2 << 20


def test_requests_in_flight_run_side_by_side_each_in_its_own_thread():
    both = threading.Barrier(2, timeout=20)
    threads = [set(), set()]

    def call(number):
        both.wait()  # nobody comes past it alone
        threads[number].add(threading.get_ident())

    with in_flight([lambda: call(0), lambda: call(1)]) as run:
        run()
        run()
    assert [len(own) for own in threads] == [1, 1]
    assert not threads[0] & threads[1]


def test_an_error_in_flight_is_raised_where_it_is_measured():
    with in_flight([lambda: None, lambda: 1 / 0]) as run, pytest.raises(ZeroDivisionError):
        run()


def test_streams_are_sessions_that_share_the_threads_and_every_clip_is_counted(fake):
    with open_variants([str(fake)], batch=2, threads=4, streams=2, opener=FAKE) as comparison:
        comparison.baseline.run()
    assert comparison.baseline.clips == 2 * BURST * 2
    assert log(fake).count("open batch=2 threads=2") == 4  # two sessions, and two of the twin
    assert log(fake).count("run 10,10") == 2 * BURST
    assert log(fake).count("close") == sum(line.startswith("open") for line in log(fake))


def test_several_requests_in_flight_are_told_beside_the_figures(fake):
    result = bench_bundles([fake], settings=FEW, threads=2, streams=2, opener=FAKE)
    assert result.parameters == {"batch": "as compiled", "threads": 2, "streams": 2}
    assert any("2 requests in flight, which share 2 threads" in note for note in result.notes)


def test_several_requests_in_flight_on_a_board_are_refused():
    with pytest.raises(ConfigError, match="in flight on a board"):
        Opening(streams=2, on="rpc://localhost:1/x").run_settings(RunSettings())


def test_a_hint_alone_leaves_the_rest_to_what_was_compiled_in():
    compiled = RunSettings(threads=3, hint="throughput")
    assert Opening().run_settings(compiled) == compiled
    assert Opening(hint="latency").run_settings(compiled) == RunSettings(threads=3, hint="latency")
    assert Opening(threads=2).run_settings(compiled) == RunSettings(threads=2, hint="latency")
    assert Opening(threads=2, hint="throughput").run_settings(compiled).hint == "throughput"


def test_a_hint_that_was_given_is_recorded():
    assert parameters_of(Opening(hint="throughput"))["hint"] == "throughput"
    assert "hint" not in parameters_of(Opening())


def test_a_process_that_keeps_nothing_is_an_error():
    with pytest.raises(BenchmarkError, match="measuring process ended with status 1"):
        call_apart("edgevid.bench.memory:no_such_function", {}, label="a test")


def test_a_runtime_without_a_profile_is_a_note(fake):
    result, interrupted = extended([fake], Opening(opener=FAKE), Extras(memory=True, layers=True))
    assert not interrupted
    assert result.layer_times == {}
    assert set(result.peak_memory) == {"fake"}
    assert "layer times of fake: its runtime does not tell them" in result.notes


def test_a_sustained_run_of_two_bundles_is_refused(fake):
    with pytest.raises(ConfigError, match="sustained run of 2 bundles"):
        check_extras([fake, fake], Opening(opener=FAKE), Extras(sustained_seconds=1.0))


def test_a_sustained_run_has_points_over_time_and_names_the_missing_counters(fake):
    result, _ = extended([fake], Opening(opener=FAKE), Extras(memory=False, sustained_seconds=0.2))
    run = result.sustained
    assert (run.variant, run.wanted_seconds, run.status) == ("fake", 0.2, "complete")
    assert run.points[0].wall_ns > 0
    assert run.points[0].clips > 1
    for point in run.points:
        assert (point.joules is None) == any(note.startswith("energy") for note in run.notes)


INTERRUPTED = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from edgevid.bench.bundles import bench_bundles
    from edgevid.bench.extended import Extras, with_extras
    from edgevid.bench.opening import Opening
    from edgevid.bench.settings import Settings
    from edgevid.bench.storage import save_result

    def tell(event):
        if event.stage == "sustained" and event.done >= 1:
            print("running", flush=True)

    how, bundles = Opening(opener="bench_fakes:FakeBundle"), [Path(sys.argv[1])]
    result = bench_bundles(bundles, settings=Settings(rounds=2, warmup=0), **how.model_dump())
    extras = Extras(memory=False, sustained_seconds=600.0)
    result, interrupted = with_extras(result, bundles, how, extras, progress=tell)
    save_result(result, Path(sys.argv[2]))
    sys.exit(130 if interrupted else 0)
    """
)


def test_ctrl_c_keeps_what_a_sustained_run_has_finished(fake, tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(fake), str(tmp_path / "r.json")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
    )
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    process.stdout.close()
    document = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert document["sustained"]["status"] == "interrupted"
    assert len(document["sustained"]["points"]) >= 1
    assert len(document["runs"][0]["orders"]) == 2


def test_ctrl_c_keeps_what_each_finished_bundle_took(fake, monkeypatch):
    def interrupted_at_the_second(factory, name):
        if name != "fake":
            raise KeyboardInterrupt
        return 5

    monkeypatch.setattr("edgevid.bench.extended.peak_memory", interrupted_at_the_second)
    result, interrupted = extended([fake, fake], Opening(opener=FAKE), Extras(layers=True))
    assert interrupted
    assert (result.peak_memory, result.layer_times) == ({"fake": 5}, {})
    assert result.notes == ("interrupted: not measured, or not to its end: peak memory, layer times",)


def test_each_part_is_kept_before_the_next_and_says_what_is_still_to_come(fake, monkeypatch):
    kept = []
    monkeypatch.setattr("edgevid.bench.extended.peak_memory", lambda *_: 5)
    result = bench_bundles([fake], settings=FEW, opener=FAKE)
    extras = Extras(memory=True, layers=True)
    whole, _ = with_extras(result, [fake], Opening(opener=FAKE), extras, keep=kept.append)
    assert [(dict(each.peak_memory), each.notes[-1]) for each in kept] == [
        ({}, "still to come, or it never came: peak memory, layer times"),
        ({"fake": 5}, "still to come, or it never came: layer times"),
    ]
    assert not any("still to come" in note for note in whole.notes)


@pytest.mark.parametrize("interrupted", [False, True])
def test_ctrl_c_in_the_stages_keeps_them_and_ends_the_rest(fake, monkeypatch, interrupted):
    others = []
    samples = {"fake": {"whole": Samples(wall_ns=(1,), cpu_ns=(1,))}}

    def sustain(*_, **__):
        others.append(True)
        return Sustained(variant="fake", wanted_seconds=1), False

    monkeypatch.setattr("edgevid.bench.extended.time_stages", lambda *_, **__: (samples, interrupted))
    monkeypatch.setattr("edgevid.bench.extended.sustain", sustain)
    extras = Extras(memory=False, video=fake, sustained_seconds=1)
    plain = bench_bundles([fake], settings=FEW, opener=FAKE)
    result, ended = with_extras(plain, [fake], Opening(opener=FAKE), extras)
    assert result.stages == samples
    assert (ended, not others) == (interrupted, interrupted)


def test_a_sustained_run_is_kept_again_and_again(fake, monkeypatch):
    monkeypatch.setattr(sustained, "KEEP_SECONDS", 0.0)
    monkeypatch.setattr(sustained, "POINT_SECONDS", 0.01)
    kept = []
    variant = factory_of([fake], Opening(opener=FAKE), twin=False)
    sustained.run_on(variant.job(), "fake", 0.2, False, keep=kept.append, tell=lambda step: None)
    runs = [Sustained.model_validate_json(text) for text in kept]
    assert [run.status for run in runs] == [*["interrupted"] * (len(runs) - 1), "complete"]
    assert [len(run.points) for run in runs[:-1]] == list(range(1, len(runs)))


def test_a_sustained_run_whose_process_died_says_so(fake, monkeypatch):
    kept = Sustained(variant="fake", wanted_seconds=60, status="interrupted").model_dump_json()
    monkeypatch.setattr(sustained, "call_apart", lambda *_, **__: Answer(kept, remark="ended with status -9"))
    variant = factory_of([fake], Opening(opener=FAKE), twin=False)
    run, interrupted = sustained.sustain(variant, "fake", 60, on_board=False)
    assert (run.status, interrupted) == ("interrupted", False)
    assert run.notes == ("ended with status -9",)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    import av
    import numpy as np

    path = tmp_path_factory.mktemp("video") / "noise.mp4"
    pixels = np.random.default_rng(0).integers(0, 256, (12, 64, 80, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 80, 64, "yuv420p"
        for frame in pixels:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


def test_stages_layers_and_memory_of_a_real_bundle_in_one_result(tiny_bundle, video):
    extras = Extras(memory=True, layers=True, video=video)
    result, _ = extended([tiny_bundle], Opening(threads=1), extras)
    name = result.variants[0].name
    assert set(result.stages[name]) == set(STAGES) - {"flow"}
    assert [len(samples.wall_ns) for samples in result.stages[name].values()] == [3] * 4
    assert all(min(samples.wall_ns) > 0 for samples in result.stages[name].values())
    kinds = {layer.kind for layer in result.layer_times[name]}
    assert "Convolution" in kinds
    assert sum(layer.milliseconds for layer in result.layer_times[name]) > 0
    assert all(layer.kernel for layer in result.layer_times[name])
    assert result.peak_memory[name] > 1 << 20


def test_a_video_that_cannot_be_read_ends_it_before_anything_is_measured(tiny_bundle, tmp_path):
    with pytest.raises(VideoError):
        check_extras([tiny_bundle], Opening(), Extras(video=tmp_path / "none.mp4"))
