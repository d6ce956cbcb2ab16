"""A paper's table remade: rows, holes, ratios, and what a second run does."""

from fractions import Fraction

import pytest

from edgevid.bench.settings import Settings
from edgevid.bench.tables import load_table
from edgevid.bench.tables_text import cells_of
from edgevid.errors import BenchmarkError, ConfigError, TargetError
from edgevid.models.registry import preset
from edgevid.papers import PublishedRow, PublishedTable, find_table
from edgevid.suggest import TableRequest, chosen_rows, measure_table
from edgevid.suggest.table_run import file_of, run_of

TABLE = PublishedTable(
    name="small",
    title="A comparison",
    source="a paper, table 1",
    machine="a GPU",
    reference="TSM",
    batches=(1, 16),
    rows=(
        PublishedRow("TSN", "tsn-resnet50", milliseconds=9.0),
        PublishedRow("TSM", "tsm-resnet50", milliseconds=10.0, clips_a_second=100.0),
        PublishedRow("To come", "tsm-resnet50-of-the-future"),
    ),
)
TOOK = {"TSN": 20.0, "TSM": 40.0, "TSM, online": 8.0, "TSM, offline": 64.0}


@pytest.fixture
def remake(machine, tmp_path):
    machine.took = TOOK

    def run(table=TABLE, **changes):
        values = {"table": table, "rows": table.rows, "device": "reference", "batches": table.batches}
        values["settings"] = Settings(rounds=12, warmup=1)
        told = []
        return measure_table(TableRequest(**{**values, **changes}), tmp_path / "t", tell=told.append), told

    return run


def test_every_row_is_measured_beside_the_reference_at_every_batch(remake, machine):
    record, _ = remake()
    tsn, tsm, _ = record.rows
    assert tsn.measured[1].ratio.median == pytest.approx(0.5)
    assert tsm.measured[1].ratio is None
    assert tsn.measured[16].a_second == pytest.approx(800)
    assert (tsn.frames, tsn.size, tsn.macs) == (8, 224, 2_000_000_000)
    assert sorted(machine.compiled) == ["TSM", "TSM", "TSN", "TSN"]
    assert machine.runs == 4


def test_a_preset_that_does_not_exist_is_a_hole_with_its_reason(remake):
    record, told = remake()
    gone = record.rows[2]
    assert gone.measured == {}
    assert set(gone.holes) == {1, 16}
    assert "no preset named 'tsm-resnet50-of-the-future'" in gone.holes[1]
    assert told[0].startswith("To come, batch 1, is not measured")
    assert gone.frames is None


def test_the_folder_holds_table_and_samples(remake, tmp_path):
    record, _ = remake()
    names = {path.name for path in (tmp_path / "t").iterdir()}
    assert names == {"samples", "small-reference-fp32.json", "small-reference-fp32.md"}
    assert load_table(tmp_path / "t" / "small-reference-fp32.json") == record
    assert (tmp_path / "t" / record.rows[0].measured[1].file).is_file()
    assert "| TSN | tsn-resnet50 |" in (tmp_path / "t" / "small-reference-fp32.md").read_text()


def test_the_same_command_goes_on_where_it_was_killed(remake, machine):
    machine.status = ["complete", BenchmarkError("killed by signal 9")]
    record, _ = remake()
    assert "killed by signal 9" in record.row("TSM").holes[1]
    record, told = remake()
    assert 1 in record.row("TSM").measured
    assert machine.runs == 2 + 2 + 1
    assert told.count("TSN on reference, fp32, batch 1: finished by an earlier run") == 1


def test_ctrl_c_leaves_the_table_of_what_is_finished(remake, machine, tmp_path):
    machine.status = ["complete", "interrupted"]
    with pytest.raises(KeyboardInterrupt):
        remake()
    record = load_table(tmp_path / "t" / "small-reference-fp32.json")
    assert 1 in record.row("TSN").measured
    assert record.row("TSM").measured == {}


def test_a_reference_that_fails_makes_holes_of_the_others(remake, machine):
    machine.broken = {"TSM"}
    record, _ = remake()
    assert not record.is_measured
    assert record.row("TSN").holes[1] == "no form of it holds"


def test_a_table_of_frames_is_of_frames(remake):
    record, _ = remake(find_table("tsm-5"))
    offline, online = record.row("TSM, offline"), record.row("TSM, online")
    assert (offline.frames, online.frames) == (8, 1)
    assert offline.measured[1].milliseconds_a_unit == pytest.approx(8)
    assert offline.measured[1].ratio.median == pytest.approx(64 / 20 / 8)
    assert online.measured[1].ratio.median == pytest.approx(8 / 20)
    headings, _ = cells_of(record)
    assert "ms a frame" in headings


def test_another_device_has_a_table_of_its_own(remake, tmp_path):
    remake(batches=(1,))
    with pytest.raises(TargetError, match="is not this machine"):
        remake(device="xeon-e5-2690", batches=(1,))
    remake(device="host", batches=(1,))
    tables = {path.name for path in (tmp_path / "t").glob("*.md")}
    assert tables == {"small-reference-fp32.md", "small-host-fp32.md"}


def test_a_proportion_replaces_that_of_the_preset():
    table = find_table("stsm-1")
    asked = TableRequest(table, table.rows)
    runs = {run.title: run for run in (run_of(row, asked, 1) for row in table.rows)}
    assert runs["alpha = 0"].config == preset("stsm-resnet50").config.without_shift()
    assert runs["alpha = 3/8"].config == preset("stsm-resnet50").config
    assert runs["alpha = 1/4"].config.shift.proportion == Fraction(1, 4)
    assert runs["alpha = 1/4"].config.shift.axes == "T+H+W"
    assert len({file_of(run) for run in runs.values()}) == len(runs)


def test_rows_are_chosen_by_pattern_and_the_reference_stays():
    table = find_table("s3d-fig4")
    titles = [row.title for row in chosen_rows(table, ["top-heavy-i3d-1", "S3D"])]
    assert titles == ["Top-heavy I3D, K = 1", "I3D", "S3D"]
    assert chosen_rows(table, []) == table.rows
    with pytest.raises(ConfigError, match="'x\\*' fits no row"):
        chosen_rows(table, ["x*"])
