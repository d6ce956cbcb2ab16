"""Published figures: each has its place, and agrees with the presets."""

import pytest

from edgevid.errors import ConfigError
from edgevid.models.registry import preset, preset_names
from edgevid.papers import ACCURACIES, TABLES, accuracies_of, find_table

TO_COME = {
    *("tsm-resnet50-nl", "i3d-resnet50", "nl-i3d-resnet50", "i3d-3x1x1-resnet50"),
    *("temporal-1d-resnet50", "eco-16f"),
}
"""Presets that tables name and that may not exist yet."""


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_is_consistent(table):
    titles = [row.title for row in table.rows]
    assert len(set(titles)) == len(titles)
    assert table.row(table.reference).title == table.reference
    assert table.batches[0] == 1
    assert {row.preset for row in table.rows} <= {*preset_names(), *TO_COME}
    with pytest.raises(ConfigError, match="no row"):
        table.row("nothing")


def test_the_tables_are_found_by_name():
    assert {table.name for table in TABLES} == {"tsm-4", "tsm-5", "stsm-1", "s3d-fig4", "gsm-2"}
    assert find_table("gsm-2").source.startswith("GSM")
    with pytest.raises(ConfigError, match="no table named 'tsm-3'") as caught:
        find_table("tsm-3")
    assert "tsm-4" in caught.value.fix


def test_table_4_of_tsm_has_the_papers_latencies_and_throughputs():
    published = {
        row.title: (row.milliseconds, row.clips_a_second)
        for row in find_table("tsm-4").rows
        if row.milliseconds
    }
    assert published == {
        "I3D": (165.3, 6.1),
        "ECO-16F": (30.6, 45.6),
        "Temporal-1D": (46.0, 19.9),
        "I3D-3x1x1": (25.8, 42.4),
        "TSM-8F": (17.4, 77.4),
        "TSM-16F": (29.0, 39.5),
    }


@pytest.mark.parametrize("name", ["stsm-1", "s3d-fig4", "gsm-2"])
def test_size_and_work_of_a_row_are_those_of_its_preset(name):
    stated = [row for row in find_table(name).rows if row.gmacs is not None]
    assert stated
    for row in stated:
        known = preset(row.preset)
        assert (row.parameters, row.gmacs) == (known.parameters, known.gmacs)


def test_figure_4_of_s3d_has_all_networks_between_2d_and_3d():
    rows = find_table("s3d-fig4").rows
    assert sum(row.preset.startswith("top-heavy-i3d-") for row in rows) == 10
    assert sum(row.preset.startswith("bottom-heavy-s3d-") for row in rows) == 10


def test_every_accuracy_names_its_network_and_its_source():
    assert {entry.preset for entry in ACCURACIES} <= {*preset_names(), *TO_COME}
    assert all(entry.source and 0 < entry.top1 < 100 for entry in ACCURACIES)
    keys = [(entry.preset, entry.group) for entry in ACCURACIES]
    assert len(set(keys)) == len(keys)


def test_accuracies_are_grouped_by_videos_and_looks():
    groups = {entry.group for entry in accuracies_of("tsm-resnet50")}
    assert groups == {"Kinetics-400, 1 clip, 1 crop", "Something-Something-V1, 1 clip, 1 crop"}
    assert accuracies_of("i2d") == ()
