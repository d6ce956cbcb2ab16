import io

import bench_fakes as fakes
from rich.console import Console

from edgevid.bench.results import LayerTime, Samples, Sustained, SustainedPoint, VariantRecord
from edgevid.bench.table import render


def printed(result, width=80):
    console = Console(width=width, color_system=None, file=io.StringIO())
    console.print(render(result))
    return console.file.getvalue()


def result_with(label="measured", **fields):
    variants = (
        VariantRecord(name="plain", role="baseline", label=label, clips=8),
        VariantRecord(name="plain (A/A)", role="twin", label=label, clips=8),
    )
    run = fakes.run_of([[20_000_000] * 12, [20_000_000] * 12], variants=variants)
    return fakes.result_of(run, **fields)


def row(text, *beginnings):
    return [line for line in text.splitlines() if line.startswith(beginnings)]


def test_throughput_and_memory_stand_below_the_latencies():
    text = printed(result_with(peak_memory={"plain": 100 << 20}))
    assert "clips a second" in text
    assert row(text, "plain ")[-1].split() == ["plain", "400", "8", "100"]


def test_stages_are_shown_with_their_intervals():
    samples = Samples(wall_ns=(3_000_000,) * 6, cpu_ns=(1,) * 6)
    stages = dict.fromkeys(("decode", "preprocess", "inference"), samples)
    text = printed(result_with(stages={"plain": stages}), 120)
    assert "not summed" in text
    assert row(text, "plain ")[-1].split() == ["plain", *["3", "(3..3)"] * 3, "-"]


def test_the_slowest_operations_are_listed_with_their_share():
    times = tuple(LayerTime(f"conv{n}", "Convolution", "jit", n) for n in range(1, 20))
    text = printed(result_with(layer_times={"plain": times}))
    assert "19 operations by the runtime's own profile: Convolution 100%" in " ".join(text.split())
    assert len(row(text, "conv")) == 10
    assert row(text, "conv")[0].split() == ["conv19", "19", "10.0%", "Convolution", "jit"]


def test_a_sustained_run_is_shown_in_tenths_with_joules_a_clip_and_what_is_missing():
    points = tuple(
        SustainedPoint(seconds=second, wall_ns=10_000_000 + 100_000 * second, joules=4.0, clips=2)
        for second in range(100)
    )
    run = Sustained(
        variant="plain", wanted_seconds=100, status="interrupted", points=points, notes=("clocks: none",)
    )
    text = printed(result_with(sustained=run))
    assert "plain without a pause, interrupted" in text
    assert "clocks: none" in text
    rows = [line.split() for line in row(text, "0.", "1.")]
    assert len(rows) == 10
    assert rows[0] == ["0.0", "10.45", "-", "-", "2"]


def test_labels_stand_beside_every_figure():
    times = (LayerTime("conv", "Convolution", "jit", 1.0),)
    beside = {"layer_times": {"plain": times}, "peak_memory": {"plain": 1 << 20}}
    text = printed(result_with("emulated", **beside), width=160)
    assert text.count("plain [emulated]") == 3


def test_a_machine_under_load_is_marked_beside_the_figures():
    from edgevid.bench.load import Load

    load = Load(wall_seconds=10, others_seconds=10, own_seconds=5, cpus=2)
    text = printed(fakes.result_of(fakes.run_of([[10**7] * 12, [10**7] * 12], load=load)))
    assert "INVALID: the machine was under load: others used 50% of its 2 CPUs" in text
