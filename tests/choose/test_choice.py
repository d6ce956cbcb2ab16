from dataclasses import replace
from datetime import datetime, timedelta, timezone
from time import sleep

import pytest

from edgevid import batches as batches_module
from edgevid import targets
from edgevid.build import build, offered, written
from edgevid.choose import choice as choice_module
from edgevid.choose import measure as measure_module
from edgevid.choose import store as store_module
from edgevid.choose.candidates import Candidates, slow_layers, unexpected_layers
from edgevid.choose.choice import choose, situation_of
from edgevid.choose.key import network_key
from edgevid.choose.ship import main as ship
from edgevid.choose.store import Store, user_store
from edgevid.compiler import compile_checkpoint
from edgevid.contract import Layer, Normalization, RunSettings, TensorSpec
from edgevid.errors import LoweringError, VerificationError
from edgevid.graph.export import export
from edgevid.graph.prelude import with_uint8_clips
from edgevid.manifest import ChoiceRecord, TriedRecord
from edgevid.models import build as build_network
from edgevid.models.config import NetworkConfig, ShiftConfig
from edgevid.plan import plan

WRONG = "split_conv"


def canonical(**changed):
    given = {"backbone": "resnet50", "blocks": (1, 1, 1, 1), "channels": (16, 8, 8, 16, 16), "classes": 5}
    given |= {"segments": 4, "size": 32, "shift": ShiftConfig()}
    return with_uint8_clips(export(build_network(NetworkConfig(**(given | changed)))), Normalization())


@pytest.fixture(scope="module")
def graph():
    return canonical()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def candidates(graph, request, **changed):
    given = Candidates(
        graph=graph,
        names=offered(graph, 1, request),
        device=request.device,
        runtime="openvino 0",
        precision=request.precision,
        batch=1,
        settings=request.settings,
        build=lambda name, folder: build(written(graph, name), name, 1, request, folder),
        check=lambda session: "",
    )
    return replace(given, **changed)


@pytest.fixture(scope="module")
def request_():
    return plan("host", "fp32", settings=RunSettings(threads=1))


def record(chosen="fused_pad", **changed):
    given = {"source": "measured now", "chosen": chosen, "machine": "Some CPU", "runtime": "openvino 0"}
    given |= {"rounds": 15, "verdict": "VALID", "tried": [TriedRecord(name=chosen, state="chosen")]}
    return ChoiceRecord(**(given | changed))


def test_every_candidate_is_told_with_its_figure_or_with_why_it_was_rejected(graph, request_):
    asked = []
    names = offered(graph, 1, request_)

    def check(session):
        asked.append(session.artifact.lowering)
        return "computes something else" if session.artifact.lowering == WRONG else ""

    found = choose(candidates(graph, request_, check=check))
    assert set(asked) == set(names)
    assert [one.name for one in found.tried] == list(names)
    by_name = {one.name: one for one in found.tried}
    assert by_name[WRONG].state == "rejected"
    assert by_name[WRONG].reason == "computes something else"
    assert by_name[found.chosen].state == "chosen"
    assert by_name[names[0]].ratio == 1.0
    assert all(one.milliseconds for one in found.tried if one.state != "rejected")
    assert found.ranked()[0] == found.chosen


def test_without_a_candidate_that_holds_the_reasons_are_told(graph, request_):
    with pytest.raises(LoweringError, match="negative_pad: all wrong"):
        choose(candidates(graph, request_, check=lambda session: "all wrong"))


def test_a_runtime_that_refuses_a_candidate_rejects_it(graph, request_):
    def building(name, folder):
        if name != "fused_pad":
            raise LoweringError(f"no {name} here")
        return build(written(graph, name), name, 1, request_, folder)

    found = choose(candidates(graph, request_, build=building))
    assert found.chosen == "fused_pad"
    assert {one.reason for one in found.tried if one.state == "rejected"} >= {"no negative_pad here"}


def test_what_was_measured_before_is_not_measured_again(graph, request_):
    given = candidates(graph, request_, build=None)
    user_store().add(situation_of(given), record())
    found = choose(given)
    assert (found.chosen, found.source) == ("fused_pad", "measured before")


@pytest.mark.parametrize(
    "changed",
    [
        {"runtime": "openvino 1"},
        {"batch": 2},
        {"precision": "bf16"},
        {"settings": RunSettings(threads=2)},
        {"settings": RunSettings(threads=1, streams=1)},
        {"settings": RunSettings(threads=1, hint="throughput")},
    ],
)
def test_another_version_batch_precision_or_setting_is_another_situation(graph, request_, changed):
    given = candidates(graph, request_)
    user_store().add(situation_of(given), record())
    assert user_store().find(situation_of(given)) is not None
    assert user_store().find(situation_of(replace(given, **changed))) is None


def test_what_was_measured_under_load_holds_for_a_day(graph, request_, monkeypatch):
    situation = situation_of(candidates(graph, request_))
    user_store().add(situation, record(verdict="INVALID: the machine was under load"))
    assert user_store().find(situation) is not None

    class Later(datetime):
        @classmethod
        def now(cls, zone=None):
            return datetime.now(timezone.utc) + timedelta(hours=25)

    monkeypatch.setattr(store_module, "datetime", Later)
    assert user_store().find(situation) is None
    user_store().add(situation, record())
    assert user_store().find(situation) is not None


def test_what_was_measured_under_load_is_not_for_claims(graph, request_):
    situation = situation_of(candidates(graph, request_))
    user_store().add(situation, record(verdict="INVALID: the machine was under load"))
    assert user_store().find(situation, valid=True) is None
    user_store().add(situation, record())
    assert user_store().find(situation, valid=True) is not None


def test_instructions_that_are_switched_off_make_another_situation(graph, request_, monkeypatch):
    situation = situation_of(candidates(graph, request_))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert situation_of(candidates(graph, request_)) != situation


def test_ctrl_c_while_it_is_timed_ends_it_and_keeps_nothing(graph, request_, monkeypatch):
    real = measure_module.compare_in_processes

    def interrupted(*arguments, **options):
        result = real(*arguments, **options)
        runs = tuple(run.model_copy(update={"status": "interrupted"}) for run in result.runs)
        return result.model_copy(update={"runs": runs})

    monkeypatch.setattr(measure_module, "compare_in_processes", interrupted)
    given = candidates(graph, request_, names=("negative_pad", "fused_pad"))
    with pytest.raises(KeyboardInterrupt):
        choose(given)
    assert user_store().find(situation_of(given)) is None


def test_float_layers_that_no_lowering_avoids_are_no_fault(graph, request_, monkeypatch):
    more = "fused_pad"

    def in_float(layers, precision, by_intent):
        return ["a", "b"] if counted.pop() == more else ["a"]

    counted = []

    def building(name, folder):
        counted.append(name)
        return build(written(graph, name), name, 1, request_, folder)

    monkeypatch.setattr(measure_module, "unexpected_layers", in_float)
    names = ("negative_pad", "fused_pad", "slice_concat")
    found = choose(candidates(graph, request_, names=names, build=building))
    reasons = {one.name: one.reason for one in found.tried if one.state == "rejected"}
    assert reasons[more] == "not in int8: a, b"
    assert "negative_pad" not in reasons


def test_a_damaged_file_counts_as_absent(graph, request_):
    situation = situation_of(candidates(graph, request_))
    path = user_store().add(situation, record())
    path.write_text("{", encoding="utf-8")
    assert user_store().find(situation) is None


def test_a_shipped_choice_of_another_machine_names_that_machine(graph, monkeypatch, tmp_path):
    elsewhere = plan("xeon-icelake", "fp32", settings=RunSettings(threads=1))
    given = candidates(graph, elsewhere, build=None)
    monkeypatch.setattr(choice_module, "shipped", lambda: Store(tmp_path / "shipped"))
    assert choose(given) is None
    measured_at = situation_of(given).model_copy(update={"machine": "Some CPU", "runtime": "openvino 0.1"})
    Store(tmp_path / "shipped").add(measured_at, record())
    found = choose(given)
    assert (found.source, found.machine, found.chosen) == ("shipped", "Some CPU", "fused_pad")


def test_what_was_measured_on_this_machine_serves_a_xeon_with_the_same_instructions(
    graph, request_, tmp_path
):
    here = situation_of(candidates(graph, replace(request_, device=with_avx512(request_.device))))
    store = Store(tmp_path / "shipped")
    store.add(here, record())
    threads = RunSettings(threads=4)
    for name, served in (("xeon-icelake", True), ("xeon-sapphirerapids", True), ("xeon-e5-2690", False)):
        there = situation_of(candidates(graph, plan(name, "fp32", settings=threads)))
        assert (store.like(there) is not None) == served, name


def with_avx512(device):
    return replace(device, isa=("avx", "avx2", "avx512f", "avx512bw", "f16c"))


def test_a_shipped_choice_of_another_machine_is_none_for_this_one(graph, request_, monkeypatch, tmp_path):
    given = candidates(graph, request_, names=("negative_pad",))
    monkeypatch.setattr(choice_module, "shipped", lambda: Store(tmp_path / "shipped"))
    measured_at = situation_of(given).model_copy(update={"machine": "Some CPU"})
    Store(tmp_path / "shipped").add(measured_at, record("negative_pad"))
    assert choose(given).source == "measured now"


def test_only_valid_choices_are_shipped(graph, request_, tmp_path, capsys):
    situation = situation_of(candidates(graph, request_))
    user_store().add(situation, record())
    user_store().add(situation.model_copy(update={"batch": 4}), record(verdict="INVALID: load"))
    assert ship(["--folder", str(tmp_path / "shipped")]) == 0
    assert [one.situation for one in Store(tmp_path / "shipped").all()] == [situation]
    assert "1 choices" in capsys.readouterr().out


def test_other_weights_and_classes_are_the_same_network(graph):
    assert network_key(canonical(classes=9)) == network_key(graph)


@pytest.mark.parametrize(
    "changed",
    [
        {"size": 64},
        pytest.param({"segments": 2}, marks=pytest.mark.slow),
        {"shift": None},
        {"shift": ShiftConfig(proportion="1/2")},
        pytest.param({"channels": (16, 8, 8, 16, 24)}, marks=pytest.mark.slow),
    ],
)
def test_another_size_shift_or_width_is_another_network(graph, changed):
    assert network_key(canonical(**changed)) != network_key(graph)


def layer(name, kernel, precision="int8", kind="Conv"):
    return Layer(name=name, kind=kind, precision=precision, kernel=kernel)


def test_reference_and_matrix_kernels_of_convolutions_are_slow():
    layers = [layer("a", "ref_any_bf16"), layer("b", "jit_gemm_f32"), layer("c", "brgemm_avx512")]
    layers += [layer("d", "jit_avx512_1x1_f32"), layer("e", "gemm_mlas_f32", kind="Dense")]
    assert dict(slow_layers(layers)) == {"ref_any_bf16": 1, "jit_gemm_f32": 1}


def test_a_float_layer_of_an_int8_network_needs_a_reason():
    layers = [layer("a", "x"), layer("b", "x", "fp32"), layer("c", "x", "fp32")]
    assert unexpected_layers(layers, "int8", {"c": "kept in float"}) == ["b"]
    assert unexpected_layers(layers, "bf16", {}) == []


def test_the_bundle_holds_the_choice_with_all_its_figures(tiny_checkpoint, tmp_path):
    bundle = compile_checkpoint(tiny_checkpoint, tmp_path / "b", settings=RunSettings(threads=1))
    (artifact,) = bundle.manifest.artifacts
    capability = targets.find("openvino").probe(plan("host").device)
    assert artifact.choice.chosen == artifact.lowering
    assert {one.name for one in artifact.choice.tried} == set(capability.lowerings)
    again = compile_checkpoint(tiny_checkpoint, tmp_path / "c", settings=RunSettings(threads=1))
    assert again.manifest.artifacts[0].choice.source == "measured before"


def test_a_choice_that_does_not_hold_gives_way_to_the_next_and_the_bundle_says_so(
    tiny_checkpoint, tmp_path, monkeypatch
):
    wrong, right = "fused_pad", "slice_concat"
    tried = [
        TriedRecord(name=wrong, state="chosen", milliseconds=1.0, ratio=0.9),
        TriedRecord(name=right, state="slower", milliseconds=1.1, ratio=1.0),
    ]
    monkeypatch.setattr(choice_module, "choose", lambda *_: record(wrong, tried=tried))
    proved = batches_module._proved

    def failing(artifact, *others):
        if artifact.lowering == wrong:
            raise VerificationError("computes something else")
        return proved(artifact, *others)

    monkeypatch.setattr(batches_module, "_proved", failing)
    bundle = compile_checkpoint(tiny_checkpoint, tmp_path / "b")
    (artifact,) = bundle.manifest.artifacts
    assert artifact.lowering == artifact.choice.chosen == right
    assert {one.name: (one.state, one.reason) for one in artifact.choice.tried} == {
        wrong: ("rejected", "computes something else"),
        right: ("chosen", ""),
    }


def test_a_form_of_networks_without_a_shift_is_refused_before_anything_slow(tiny_checkpoint, tmp_path):
    said = []
    with pytest.raises(LoweringError, match="form of networks without a shift, and this one has"):
        compile_checkpoint(tiny_checkpoint, tmp_path / "b", lowering="none", say=said.append)
    assert not any("reference" in step for step in said)


def test_a_lowering_that_is_named_is_taken_without_measuring(tiny_checkpoint, tmp_path):
    bundle = compile_checkpoint(tiny_checkpoint, tmp_path / "b", lowering="fused_pad")
    assert bundle.manifest.artifacts[0].choice is None
    assert bundle.artifact().lowering == "fused_pad"


def test_a_network_without_a_shift_has_its_forms_measured_too(request_):
    graph = canonical(shift=None)
    found = choose(candidates(graph, request_))
    assert {one.name for one in found.tried} == set(request_.capability.plain_forms)


def test_one_that_takes_far_longer_than_another_is_neither_run_again_nor_verified(
    graph, request_, monkeypatch
):
    checked = []

    def check(session):
        checked.append(session.artifact.lowering)
        return ""

    def least(session, enough):
        return 60.0 if session.artifact.lowering == "fused_pad" else 0.001

    monkeypatch.setattr(measure_module, "_least_seconds", least)
    found = choose(candidates(graph, request_, names=("negative_pad", "fused_pad"), check=check))
    assert [one.state for one in found.tried] == ["chosen", "rejected"]
    assert "a run takes 6e+04 ms, 60000 times that of the fastest before it" in found.tried[1].reason
    assert checked == ["negative_pad"]


def test_what_is_hopeless_runs_once():
    class Slow:
        input = TensorSpec("clip", (1, 2, 4, 4, 3), "uint8")
        runs = 0

        def run(self, clip):
            self.runs += 1
            sleep(0.02)

    slow, quick = Slow(), Slow()
    assert measure_module._least_seconds(slow, 0.01) >= 0.02
    assert measure_module._least_seconds(quick, 10.0) >= 0.02
    assert (slow.runs, quick.runs) == (1, 3)


@pytest.mark.parametrize(("second", "chosen"), [(1_100_000, "negative_pad"), (900_000, "fused_pad")])
def test_another_than_the_default_is_chosen_if_it_is_faster_in_every_process(
    graph, request_, monkeypatch, second, chosen
):
    real = measure_module.compare_in_processes

    def timed(*arguments, **options):
        result = real(*arguments, **options)
        runs = []
        for run, other in zip(result.runs, (600_000, second), strict=True):
            times = {name: other if name == "fused_pad" else 1_000_000 for name in run.samples}
            samples = {
                name: each.model_copy(update={"wall_ns": (times[name],) * len(each.wall_ns)})
                for name, each in run.samples.items()
            }
            runs.append(run.model_copy(update={"samples": samples}))
        return result.model_copy(update={"runs": tuple(runs)})

    monkeypatch.setattr(measure_module, "compare_in_processes", timed)
    monkeypatch.setattr(measure_module, "_HEAT_MARGIN", 100.0)
    assert choose(candidates(graph, request_, names=("negative_pad", "fused_pad"))).chosen == chosen
