"""The networks of a curve, really compiled."""

import math
from dataclasses import replace
from fractions import Fraction

import pytest
import sweeps

from edgevid import targets
from edgevid.calibration.int8_variants import Variants
from edgevid.errors import LoweringError, VerificationError
from edgevid.graph.shift_op import replace_specs
from edgevid.overhead.candidates import compile_candidates
from edgevid.overhead.record import CurveId
from edgevid.shift import ShiftSpec
from edgevid.targets._profiles import device as find_device

for name in ("torch", "onnxruntime"):
    pytest.importorskip(name)

SHARE = Fraction(3, 16)


def compiled(folder, device="reference", precision="fp32", batch=2, timed=(), **changes):
    changes = {"proportions": (Fraction(0), SHARE), **changes}
    curve = CurveId(device=device, precision=precision, batch=batch)
    profile = find_device(device)
    capability = targets.find(profile.target).probe(profile)
    return compile_candidates(sweeps.sweep(**changes), curve, profile, capability, folder, timed=timed)


def test_all_lowerings_the_plain_export_and_a_proportion_that_moves_nothing(tmp_path):
    found = compiled(tmp_path, lowering="all", plain=True, proportions=(Fraction(0), Fraction(1, 16), SHARE))
    assert [(point.variant, point.role) for point in found.points] == [
        ("no shift", "no shift"),
        ("p = 3/16, function", "shift"),
        ("p = 3/16, fused_slice_concat", "shift"),
        ("p = 3/16, fused_pad", "shift"),
        ("p = 3/16, plain export", "plain export"),
    ]
    assert {artifact.batch for artifact in found.artifacts.values()} == {2}
    # Folds are whole channels: of 16, 32 and 64 channels 1, 3 and 6 move to each side.
    assert {point.used for point in found.points[1:]} == {2 * (1 + 3 + 3 + 6) / (16 + 32 + 32 + 64)}
    assert [(entry.variant, entry.proportion) for entry in found.rejected] == [("p = 1/16", "1/16")]
    assert "moves no channel" in found.rejected[0].reason


@pytest.mark.parametrize(
    "precision", ["fp32", *(pytest.param(name, marks=pytest.mark.slow) for name in ("bf16", "int8"))]
)
def test_openvino_has_a_default_and_other_networks_without_a_shift(tmp_path, precision):
    pytest.importorskip("openvino")
    if precision not in targets.find("openvino").probe(find_device("host")).precisions:
        pytest.skip(f"this machine has no {precision}")
    found = compiled(tmp_path, "host", precision)
    roles = [point.role for point in found.points]
    assert roles == ["no shift"] * (len(roles) - 1) + ["shift"]
    assert found.points[0].lowering == "none"
    assert found.artifacts["no shift"].precision == precision
    if precision == "int8":
        assert any("convolutions in int8" in note for note in found.notes)


def test_a_lowering_that_shifts_the_other_way_is_not_timed(tmp_path, monkeypatch):
    lowered = Variants.lowered
    monkeypatch.setattr(
        Variants,
        "lowered",
        lambda self, graph, name: lowered(
            self, replace_specs(graph, ShiftSpec.swapped) if name == "fused_pad" else graph, name
        ),
    )
    found = compiled(tmp_path, lowering="all")
    assert "p = 3/16, fused_pad" not in found.artifacts
    assert "p = 3/16, fused_slice_concat" in found.artifacts
    (rejected,) = found.rejected
    assert "does not compute what ONNX Runtime computes" in rejected.reason


def test_a_variant_that_is_hopelessly_slow_is_not_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(
        Variants, "seconds", lambda self, artifact: 9.0 if artifact.lowering == "fused_pad" else 0.1
    )
    found = compiled(tmp_path, lowering="all")
    assert "p = 3/16, fused_pad" not in found.artifacts
    assert [entry.reason for entry in found.rejected] == [
        "it takes 90 times as long as the network without a shift"
    ]


def slow_pad(self, artifact):
    return 0.14 if artifact.lowering == "fused_pad" else 0.1


def test_of_all_lowerings_those_that_are_out_of_the_running_are_not_timed(tmp_path, monkeypatch):
    monkeypatch.setattr(Variants, "seconds", slow_pad)
    found = compiled(tmp_path, lowering="all")
    assert "p = 3/16, fused_pad" not in found.artifacts
    assert [point.variant for point in found.points] == list(found.artifacts)
    assert [(entry.variant, entry.reason) for entry in found.rejected] == [
        ("p = 3/16, fused_pad", "a run takes 140 ms, 1.40 times that of the fastest")
    ]
    there = {artifact.folder for artifact in found.artifacts.values()}
    assert set(tmp_path.iterdir()) == there, "what is rejected takes no space"


def test_what_was_timed_before_stays_and_what_was_not_does_not_come_back(tmp_path, monkeypatch):
    monkeypatch.setattr(Variants, "seconds", slow_pad)
    found = compiled(tmp_path, lowering="all", timed=["no shift", "p = 3/16, fused_pad"])
    assert list(found.artifacts) == ["no shift", "p = 3/16, fused_pad"]


def test_another_lowering_than_auto_took_before_is_timed(tmp_path):
    found = compiled(tmp_path, timed=["no shift", "p = 3/16, fused_pad"])
    assert list(found.artifacts) == ["no shift", "p = 3/16, function"]


def test_kernels_are_tuned_without_a_budget_for_every_network_alike(tmp_path, monkeypatch):
    budgets = []

    def compile_(self, precision, lowering, place):
        budgets.append(self.tuning.budget)
        raise LoweringError("seen")

    monkeypatch.setattr(Variants, "compile", compile_)
    profile = find_device("reference")
    capability = replace(targets.find(profile.target).probe(profile), tunes=True)
    curve = CurveId(device="reference", precision="fp32", batch=1)
    with pytest.raises(LoweringError, match="seen"):
        compile_candidates(sweeps.sweep(), curve, profile, capability, tmp_path)
    assert budgets == [math.inf]


def test_when_the_first_choice_fails_auto_takes_the_next(tmp_path, monkeypatch):
    lowered = Variants.lowered

    def refuse(self, graph, name):
        if name == "function":
            raise LoweringError("not today")
        return lowered(self, graph, name)

    monkeypatch.setattr(Variants, "lowered", refuse)
    found = compiled(tmp_path)
    assert [point.variant for point in found.points] == ["no shift", "p = 3/16, slice_concat"]
    assert found.rejected[0].reason == "not today"


def test_a_network_without_a_shift_that_is_wrong_ends_the_curve(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "edgevid.calibration.int8_variants._reference", lambda graph, precision, clips: clips[:, 0, 0, :, 0]
    )
    with pytest.raises(VerificationError):
        compiled(tmp_path)


def test_a_lowering_that_the_target_lacks_is_refused_with_those_it_has(tmp_path):
    with pytest.raises(LoweringError, match="onnxruntime has no lowering 'split'; it has function, "):
        compiled(tmp_path, lowering="split")
