"""What a sweep looks like: its table and its plots."""

from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
import sweeps
from rich.console import Console

from edgevid.bench.compare import conclude
from edgevid.bench.load import Load
from edgevid.bench.report.overhead import Point
from edgevid.bench.settings import Settings
from edgevid.errors import BenchmarkError
from edgevid.overhead.plot import _figure, save_plots
from edgevid.overhead.record import CurveId, PointState, SweepRecord
from edgevid.overhead.table import render_sweep, told_holes

CURVE = CurveId(device="host", precision="fp32", batch=1)
OTHER = CurveId(device="host", precision="int8", batch=1)
PLAIN = "p = 1/4, plain export"
POINTS = [
    *sweeps.POINTS,
    Point(variant=PLAIN, proportion="1/4", used=0.2, lowering="slice_concat", role="plain export"),
]


def result_of(*runs):
    parameters = {
        "kind": "overhead",
        "model": "tiny",
        "precision": "fp32",
        "batch": 1,
        "threads": 1,
        "default": "no shift",
        "best": sweeps.BLOCKED,
        "points": [point.model_dump(mode="json") for point in POINTS],
    }
    settings = Settings(rounds=12, processes=len(runs))
    return conclude(
        runs, settings, title="tiny", device="a device", parameters=parameters, notes=["a remark"]
    )


def a_run(**changes):
    sweeps.MILLISECONDS[PLAIN] = 120.0
    return sweeps.process_run(points=POINTS, **changes)


def state(device, proportion, **changes):
    return PointState(device=device, precision="fp32", batch=1, proportion=proportion, **changes)


RECORD = SweepRecord(
    model="tiny",
    segments=2,
    size=32,
    threads=1,
    points=(
        state("host", "0", state="done"),
        state("tx2", "0", state="failed", reason="far away"),
        state("tx2", "1/4", state="failed", reason="far away"),
        state("pi", "1/4"),
    ),
)


def printed(result):
    console = Console(file=StringIO(), width=110)
    console.print(render_sweep(RECORD, {CURVE: result}))
    return console.file.getvalue()


def rows(result):
    return [" ".join(line.split()) for line in printed(result).splitlines()]


def test_the_table_has_both_overheads_with_their_intervals_and_the_pair():
    shown = rows(result_of(a_run(), a_run()))
    assert shown[0] == "tiny on host, fp32, batch 1, 1 thread"
    assert "0 0 no shift, default 100 +25.00 +25.00..+25.00" in shown
    assert "0 0 no shift (volume@blocked) 80 -20.00 -20.00..-20.00" in shown
    assert "1/4 0.2 function 104 +4.00 +4.00..+4.00 +30.00 +30.00..+30.00" in shown
    assert "1/4 0.2 plain export 120 +20.00 +20.00..+20.00 +50.00 +50.00..+50.00" in shown
    assert "0 0 no shift, default (A/A) 100 +0.00 +0.00..+0.00" in shown
    assert "VALID" in shown
    assert "a remark" in shown
    assert "24 rounds in 2 processes, load of others 0.5%" in shown


def test_holes_are_listed_with_their_reasons():
    assert told_holes(RECORD) == [
        "tx2, fp32, batch 1, p = 0, 1/4: failed: far away",
        "pi, fp32, batch 1, p = 1/4: missing",
    ]
    assert "tx2, fp32, batch 1, p = 0, 1/4: failed: far away" in rows(result_of(a_run()))


def busy_result():
    busy = Load(wall_seconds=10.0, others_seconds=10.0, own_seconds=9.0, cpus=2)
    return result_of(a_run().model_copy(update={"load": busy}))


def test_a_machine_under_load_is_marked_in_the_table_and_in_the_plot():
    pytest.importorskip("matplotlib")
    busy = busy_result()
    assert "INVALID: the machine was under load" in " ".join(rows(busy))
    heading = _figure(RECORD, {CURVE: busy}).get_suptitle()
    assert " ".join(heading.split()).endswith("1 thread, host, fp32, batch 1 INVALID")
    assert "host, fp32, batch 1 INVALID" in legend({CURVE: busy, OTHER: result_of(a_run())})


def legend(results):
    texts = _figure(RECORD, results).legends[0].get_texts()
    return [" ".join(text.get_text().split()) for text in texts]


def test_the_plot_of_one_curve_names_its_lowerings_both_baselines_and_holes():
    pytest.importorskip("matplotlib")
    assert legend({CURVE: result_of(a_run(), a_run())}) == [
        "edgevid: function",
        "plain export",
        "best without a shift: no shift, volume@blocked",
        "not measured: tx2, fp32, batch 1, p = 0, 1/4: failed: far away",
        "not measured: pi, fp32, batch 1, p = 1/4: missing",
        "default without a shift: no shift",
    ]


def test_the_plot_of_several_curves_names_them():
    pytest.importorskip("matplotlib")
    result = result_of(a_run(), a_run())
    assert legend({CURVE: result, OTHER: result})[:4] == [
        "host, fp32, batch 1",
        "host, fp32, batch 1, plain export",
        "host, int8, batch 1",
        "host, int8, batch 1, plain export",
    ]


def test_the_plot_shows_the_fastest_over_both_networks_without_a_shift():
    pytest.importorskip("matplotlib")
    above, below = _figure(RECORD, {CURVE: result_of(a_run(), a_run())}).axes
    assert [tick.get_text() for tick in below.get_xticklabels()] == ["1/4"]
    for axes, ours, plain in ((above, 4, 20), (below, 30, 50)):
        drawn = [bars.lines[0].get_xydata().tolist() for bars in axes.containers]
        assert drawn == [[[0, pytest.approx(ours)]], [[0, pytest.approx(plain)]]]


def test_the_plots_lie_beside_the_samples_and_say_the_same_each_time(tmp_path):
    pytest.importorskip("matplotlib")
    results = {CURVE: result_of(a_run(), a_run())}
    files = save_plots(RECORD, results, tmp_path)
    assert [file.name for file in files] == ["overhead.png", "overhead.svg"]
    first = files[1].read_bytes()
    save_plots(RECORD, results, tmp_path)
    assert files[1].read_bytes() == first
    assert len(list(tmp_path.iterdir())) == 2


def test_two_sweeps_that_draw_in_one_folder_at_once_do_not_disturb_each_other(tmp_path):
    pytest.importorskip("matplotlib")
    with ThreadPoolExecutor(2) as pool:
        drawing = [pool.submit(save_plots, RECORD, {}, tmp_path) for _ in range(8)]
    assert {len(each.result()) for each in drawing} == {2}
    assert sorted(file.name for file in tmp_path.iterdir()) == ["overhead.png", "overhead.svg"]


def test_a_plot_that_cannot_be_written_is_told_and_leaves_no_draft(tmp_path):
    pytest.importorskip("matplotlib")
    (tmp_path / "overhead.png").mkdir()
    with pytest.raises(BenchmarkError, match="the plot cannot be written"):
        save_plots(RECORD, {}, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["overhead.png"]


def test_a_sweep_without_a_result_is_drawn_as_holes(tmp_path):
    pytest.importorskip("matplotlib")
    assert len(save_plots(RECORD, {}, tmp_path)) == 2
    console = Console(file=StringIO(), width=110)
    console.print(render_sweep(RECORD, {}))
    assert console.file.getvalue().startswith("not measured:")
