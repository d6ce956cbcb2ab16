import json

import pytest
import report_results as made
from rich.console import Console

from edgevid.bench.diff import diff
from edgevid.bench.diff_table import render


def outcomes(found):
    return {change.name: change.outcome for change in found.changes}


def shown(found, limit=None):
    console = Console(width=200, no_color=True)
    with console.capture() as capture:
        console.print(render(found, limit))
    return capture.get()


def test_a_result_is_the_same_as_itself():
    result = made.result({"a": 10.0, "b": 20.0})
    found = diff(result, result)
    assert outcomes(found) == {"a": "same", "b": "same"}
    assert all(change.ratio.low < change.ratio.value == 1.0 < change.ratio.high for change in found.changes)


def test_two_runs_of_the_same_networks_are_the_same_within_noise():
    for seed in range(20):
        old, new = (made.result({"a": 10.0, "b": 20.0}, seed=seed + 50 * n) for n in range(2))
        assert outcomes(diff(old, new)) == {"a": "same", "b": "same"}


def test_what_became_slower_or_faster_beyond_noise_is_told():
    old = made.result({"a": 10.0, "b": 20.0, "c": 30.0}, seed=1)
    new = made.result({"a": 10.0, "b": 21.6, "c": 27.0}, seed=2)
    found = diff(old, new)
    assert outcomes(found) == {"a": "same", "b": "worse", "c": "improved"}
    slower = found.changes[1]
    assert slower.ratio.low < 1.08 < slower.ratio.high
    assert slower.old_ms == pytest.approx(20.0, rel=0.01)
    assert slower.new_ms == pytest.approx(21.6, rel=0.01)


def test_only_what_is_surely_above_the_limit_exceeds_it():
    old = made.result({"a": 10.0, "b": 20.0}, seed=1)
    change = diff(old, made.result({"a": 10.0, "b": 21.6}, seed=2)).changes[1]
    assert change.exceeds(0.05)
    assert not change.exceeds(0.08), "8 % lies inside of the interval"
    assert not change.exceeds(0.1)


def test_a_change_smaller_than_what_the_baselines_differ_from_themselves_does_not_count():
    old, new = made.result({"a": 10.0, "b": 20.0}, seed=1), made.result({"a": 10.0, "b": 20.6}, seed=2)
    assert outcomes(diff(old, new))["b"] == "worse"
    (run,) = old.runs
    walls = tuple(round(1.04 * wall) for wall in run.samples["a"].wall_ns)
    twin = run.samples["a (A/A)"].model_copy(update={"wall_ns": walls})
    restless = run.model_copy(update={"samples": {**run.samples, "a (A/A)": twin}})
    found = diff(old.model_copy(update={"runs": (restless,)}), new)
    assert found.noise == pytest.approx(0.04, abs=0.002)
    assert outcomes(found)["b"] == "same"


def test_a_change_within_what_the_protocol_allows_the_baseline_does_not_count():
    old = made.result({"a": 10.0, "b": 20.0}, seed=1, noise=0.0001)
    new = made.result({"a": 10.0, "b": 20.08}, seed=2, noise=0.0001)
    found = diff(old, new)
    assert found.noise == 0.005
    assert found.changes[1].ratio.low > 1.003
    assert outcomes(found)["b"] == "same"


def test_with_several_processes_their_spread_decides():
    def spread(medians, seed):
        parts = [made.result({"a": 10.0, "b": each}, seed=f"{seed}{n}") for n, each in enumerate(medians)]
        return parts[0].model_copy(update={"runs": tuple(part.runs[0] for part in parts)})

    old = spread((20.0, 22.0, 18.0), "o")
    wild = diff(old, spread((21.0, 23.0, 19.0), "n"))
    assert outcomes(wild)["b"] == "same"
    tame = diff(spread((20.0, 20.01, 20.02), "o"), spread((21.0, 21.01, 21.02), "n"))
    assert outcomes(tame)["b"] == "worse"
    assert not any("one process alone" in note for note in tame.notes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"device": "another board"}, "device Example CPU 9000, 2 threads is now another board"),
        ({"environment": made.environment(cpu="Other CPU")}, "processor Example CPU 9000 is now Other CPU"),
        ({"environment": made.environment(affinity=(0,))}, "processors that may be used 2 is now 1"),
        ({"environment": made.environment(variables={})}, "variables OMP_WAIT_POLICY=PASSIVE is now none"),
        ({"parameters": {"batch": 4, "threads": 1}}, "batch 1 is now 4"),
        ({"parameters": {"batch": 1}}, "threads 1 is now unknown"),
        ({"records": {"a": {"label": "emulated"}, "b": {"label": "emulated"}}}, "the new one emulated"),
    ],
)
def test_other_machines_and_other_settings_are_not_comparable(changes, reason):
    found = diff(made.result({"a": 10.0, "b": 20.0}), made.result({"a": 10.0, "b": 90.0}, **changes))
    assert set(outcomes(found).values()) == {"not comparable"}
    assert not found.comparable
    assert reason in found.changes[1].reason
    assert reason in shown(found)


def test_what_a_sweep_found_is_no_setting_and_what_it_asked_for_is():
    old = made.sweep_result(seed=1)
    best = old.model_copy(update={"parameters": {**old.parameters, "best": "no shift", "points": []}})
    assert diff(old, best).comparable
    int8 = old.model_copy(update={"parameters": {**old.parameters, "precision": "int8"}})
    assert not diff(old, int8).comparable


def another(share=0.0, lowering="fused_axis_pad", **changes):
    """A later sweep that chose this lowering, and is slower by a share."""
    return made.slowed(made.sweep_result(lowerings=(lowering,), seed=2, **changes), share)


def test_of_sweeps_the_lowerings_as_chosen_are_compared_where_they_are_not_the_same():
    old = made.sweep_result(seed=1)
    found = diff(old, another(0.2))
    chosen = {change.name: change for change in found.changes if "as chosen" in change.name}
    assert list(chosen) == [f"p = {share}, as chosen" for share in ("1/8", "1/4", "1/2", "1")]
    assert {change.outcome for change in chosen.values()} == {"worse"}
    assert chosen["p = 1/4, as chosen"].old_ms == pytest.approx(100.8, rel=0.01)
    assert chosen["p = 1/4, as chosen"].new_ms == pytest.approx(121.0, rel=0.01)
    same = diff(old, another(0.2, "volume_split_conv@blocked"))
    assert not any("as chosen" in change.name for change in same.changes)


def test_a_lowering_for_which_there_is_another_is_not_missing_and_a_proportion_that_is_gone_is():
    old = made.sweep_result(seed=1)
    assert diff(old, another()).missing == ()
    without_plain = another(plain=None)
    assert diff(old, without_plain).missing == tuple(
        f"p = {share}, plain export" for share in ("1/8", "1/4", "1/2", "1")
    )
    assert diff(without_plain, old).missing == ()
    new = another()
    points = [each for each in new.parameters["points"] if each["variant"] != "p = 1/4, fused_axis_pad"]
    gone = new.model_copy(update={"parameters": {**new.parameters, "points": points}})
    assert diff(old, gone).missing == ("p = 1/4, volume_split_conv@blocked",)


def test_one_label_alone_leaves_the_other_variants_comparable():
    new = made.result({"a": 10.0, "b": 20.0}, records={"b": {"label": "emulated"}})
    found = diff(made.result({"a": 10.0, "b": 20.0}), new)
    assert outcomes(found) == {"a": "same", "b": "not comparable"}
    assert "b: the old one is measured, the new one emulated" in shown(found)


def test_variants_of_one_result_alone_are_told():
    found = diff(made.result({"a": 10.0, "gone": 5.0}), made.result({"a": 10.0, "added": 7.0}))
    assert outcomes(found) == {"a": "same", "added": "not comparable", "gone": "not comparable"}
    text = shown(found)
    assert "only in the new result" in text
    assert "only in the old result" in text
    assert found.changes[1].old_ms is None
    assert found.changes[2].new_ms is None


@pytest.mark.parametrize("rounds", [0, 5])
def test_too_few_rounds_tell_nothing(rounds):
    found = diff(made.result({"a": 10.0}), made.result({"a": 90.0}, rounds=rounds))
    assert outcomes(found) == {"a": "not comparable"}
    assert "too few rounds" in shown(found)


def test_invalid_results_are_told_loudly_and_compared():
    found = diff(made.result({"a": 10.0}, busy=True), made.result({"a": 20.0}))
    assert outcomes(found) == {"a": "worse"}
    assert "the old result is INVALID: the machine was under load" in shown(found)


def test_other_software_is_comparable_and_named():
    newer = made.environment(edgevid="0.2.0", packages={"openvino": "2026.2", "numpy": "2"})
    found = diff(made.result({"a": 10.0}), made.result({"a": 10.0}, environment=newer))
    assert found.comparable
    assert found.notes[:3] == (
        "edgevid 0.1.0 is now 0.2.0",
        "numpy absent is now 2",
        "openvino 2026.1 is now 2026.2",
    )


def test_when_everything_became_slower_the_machine_is_suspected():
    old = made.result({"a": 10.0, "b": 20.0})
    assert any("it may be the machine" in n for n in diff(old, made.result({"a": 11.0, "b": 22.0})).notes)
    assert not any("machine" in n for n in diff(old, made.result({"a": 10.0, "b": 22.0})).notes)


def test_the_table_marks_what_is_above_the_limit():
    old, new = made.result({"a": 10.0, "b": 20.0}, seed=1), made.result({"a": 10.0, "b": 21.6}, seed=2)
    assert "worse, above the limit" in shown(diff(old, new), 0.05)
    assert "above the limit" not in shown(diff(old, new), 0.2)
    assert "+8." in shown(diff(old, new))


def test_a_clock_too_coarse_for_a_variant_makes_it_incomparable():
    old = made.result({"a": 10.0, "b": 20.0})
    document = json.loads(old.model_dump_json())
    for key in ("wall_ns", "cpu_ns"):
        document["runs"][0]["samples"]["b"][key] = [0] * 40
    found = diff(type(old).model_validate(document), old)
    assert outcomes(found) == {"a": "same", "b": "not comparable"}
