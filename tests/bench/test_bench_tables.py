"""A remade table: its figures, its columns, and what it says of what is missing."""

import io

import bench_fakes
import pytest
from rich.console import Console

from edgevid.bench.tables import Published, TableRecord, TableRow, figures_of, load_table, save_table
from edgevid.bench.tables_text import cells_of, render_table, write_table
from edgevid.errors import BenchmarkError

REFERENCE, OTHER = "plain", "candidate 0"


def result(rounds=12):
    """The reference takes 10 ms, the other 25."""
    run = bench_fakes.run_of([[10_000_000] * rounds, [10_000_000] * rounds, [25_000_000] * rounds])
    return bench_fakes.result_of(run, peak_memory={OTHER: 200_000_000})


def figures(name=OTHER, *, units=1, reference_units=1, rounds=12):
    return figures_of(
        result(rounds), name, units=units, reference_units=reference_units, lowering="none", file="x.json"
    )


def record(**changes):
    eco = TableRow(
        title="ECO",
        preset="eco-16f",
        frames=16,
        size=224,
        macs=64_000_000_000,
        published=Published(milliseconds=30.6, clips_a_second=45.6),
        measured={1: figures(), 16: figures(units=16, reference_units=16)},
    )
    tsm = TableRow(
        title="TSM-8F",
        preset="tsm-resnet50",
        published=Published(milliseconds=17.4, clips_a_second=77.4, gmacs=33),
        measured={1: figures(REFERENCE)},
        holes={16: "a measuring process was killed by signal 9"},
    )
    gone = TableRow(title="I3D", preset="i3d-resnet50", holes={1: "no preset", 16: "no preset"}, note="a | b")
    values = {
        "name": "tsm-4",
        "title": "Latency",
        "source": "TSM (ICCV 2019) table 4",
        "published_on": "NVIDIA Tesla P100",
        "reference": "TSM-8F",
        "batches": (1, 16),
        "device": "host",
        "machine": "this machine",
        "precision": "fp32",
        "threads": 1,
        "command": ("python", "/bin/edgevid", "bench", "--table", "tsm-4"),
        "rows": (gone, eco, tsm),
    }
    return TableRecord(**{**values, **changes})


def column(found, heading, after=""):
    headings, rows = cells_of(found)
    place = headings.index(heading, headings.index(after) if after else 0)
    return [row[place] for row in rows]


def test_ratios_stand_beside_the_papers():
    found = record()
    assert column(found, "ms") == ["-", "25", "10"]
    assert column(found, "of TSM-8F") == ["-", "2.500", "1"]
    assert column(found, "paper", "of TSM-8F") == ["-", f"{30.6 / 17.4:.3f}", "1.000"]
    assert column(found, "peak MB") == ["-", "200.0", "-"]


def test_throughput_is_of_the_larger_batch_and_its_ratio_the_inverse_of_times():
    found = record()
    assert column(found, "clips/s at 16") == ["-", "640", "-"]
    after = column(found, "of TSM-8F", "clips/s at 16")
    assert after == ["-", "0.400", "-"]
    assert column(found, "paper", "clips/s at 16") == ["-", "45.6", "77.4"]


def test_a_table_of_frames_divides_runs_by_their_frames():
    entry = figures(units=8, reference_units=1)
    assert entry.milliseconds_a_unit == pytest.approx(25 / 8)
    assert entry.ratio.median == pytest.approx(2.5 / 8)
    assert entry.ratio.interval.low == pytest.approx(2.5 / 8)
    row = TableRow(title="ECO", preset="x", measured={1: entry})
    found = record(per="frame", rows=(row,), batches=(1,))
    assert column(found, "ms a frame") == ["3.125"]


def test_columns_in_which_nothing_stands_are_left_out():
    headings, _ = cells_of(record(rows=record().rows[:1]))
    assert headings == ["network", "preset"]


def test_holes_and_invalid_figures_are_told(tmp_path):
    invalid = TableRow(title="ECO", preset="eco-16f", measured={1: figures(rounds=5)})
    found = record(rows=(*record().rows[::2], invalid))
    assert column(found, "ms") == ["-", "10", "25 INVALID"]
    write_table(found, tmp_path / "t.md")
    text = (tmp_path / "t.md").read_text(encoding="utf-8")
    assert "- I3D, batch 1, 16: not measured: no preset\n" in text
    assert "- TSM-8F, batch 16: not measured: a measuring process was killed by signal 9" in text
    assert "ECO, batch 1: INVALID: too few rounds" in text
    assert "I3D: a \\| b" in text
    assert "edgevid bench --table tsm-4" in text


def test_the_terminal_shows_what_the_file_says():
    shown = io.StringIO()
    Console(width=240, file=shown).print(render_table(record()))
    for wanted in ("TSM (ICCV 2019) table 4", "2.500", "no preset", "measured on NVIDIA Tesla P100"):
        assert wanted in shown.getvalue()


def test_a_record_is_read_as_it_was_written(tmp_path):
    save_table(record(), tmp_path / "t.json")
    assert load_table(tmp_path / "t.json") == record()
    (tmp_path / "t.json").write_text("{}", encoding="utf-8")
    with pytest.raises(BenchmarkError, match="not the record of a table"):
        load_table(tmp_path / "t.json")
    with pytest.raises(BenchmarkError, match="cannot be read"):
        load_table(tmp_path / "missing.json")


def test_a_result_without_the_variant_has_no_figures():
    with pytest.raises(BenchmarkError, match="no finished round"):
        figures("I3D")
