"""What is committed of the families holds together: int8 of small members, the speed of full-size ones."""

from pathlib import Path

from edgevid.bench.storage import load_result
from edgevid.demo import families_speed
from edgevid.demo.families import FAMILIES
from edgevid.demo.families_int8 import DEVICES, Drops, claims, markdown

FOLDER = Path(__file__).resolve().parents[2] / "bench" / "results" / "families"


def committed() -> Drops:
    return Drops.model_validate_json((FOLDER / "int8.json").read_bytes())


def test_the_table_is_that_of_the_figures() -> None:
    assert (FOLDER / "int8.md").read_text(encoding="utf-8") == markdown(committed())


def test_every_member_was_trained_in_a_quarter_of_an_hour_by_one_recipe() -> None:
    trainings = committed().trainings
    assert set(trainings) == set(FAMILIES)
    assert len({tuple(training.recipe.items()) for training in trainings.values()}) == 1
    assert all(training.minutes <= 15 for training in trainings.values())


def test_int8_costs_no_member_more_than_a_point_on_any_device() -> None:
    found = committed()
    assert {(drop.family, drop.device) for drop in found.drops} == {
        (family, device) for family in FAMILIES for device in DEVICES
    }
    assert len(claims(found.drops)) == len(found.drops)
    assert all(claim.met for claim in claims(found.drops))


def test_no_other_runtime_is_faster_than_a_bundle_by_more_than_two_percent() -> None:
    results = {name: load_result(FOLDER / name / "peers.json") for name in families_speed.PRESETS}
    for result in results.values():
        assert [run.rounds for run in result.runs] == [40] * 3
        row = families_speed.row_of(result)
        assert row.verdict == "VALID"
        assert row.ratio is not None
        assert row.ratio.median <= 1.02
    assert (FOLDER / "speed.md").read_text(encoding="utf-8") == families_speed.markdown(results, {})
