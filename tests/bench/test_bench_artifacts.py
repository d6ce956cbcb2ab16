"""Artifacts as variants, with the target that computes nothing."""

from edgevid.bench.artifacts import factory_of
from edgevid.bench.processes import measure_in_process
from edgevid.bench.settings import Settings
from edgevid.contract import Artifact, TensorSpec


def artifact(folder, name):
    (folder / name).mkdir()
    (folder / name / "shapes.json").write_text("{}")
    clips, logits = TensorSpec("clips", (1, 2, 4, 4, 3), "uint8"), TensorSpec("logits", (1, 5), "float32")
    return Artifact("null", folder / name, "shapes.json", "fp32", 1, "none", clips, logits)


def test_artifacts_are_measured_by_their_names_the_first_as_the_baseline(tmp_path):
    factory = factory_of({name: artifact(tmp_path, name) for name in ("one", "other")}, "emulated")
    run, remark = measure_in_process(factory, Settings(rounds=2, warmup=1))
    assert [(variant.name, variant.role) for variant in run.variants] == [
        ("one", "baseline"),
        ("one (A/A)", "twin"),
        ("other", "candidate"),
    ]
    assert {variant.label for variant in run.variants} == {"emulated"}
    assert (run.rounds, run.status, remark) == (2, "complete", "")


def test_all_artifacts_get_the_same_clip(tmp_path):
    with factory_of({name: artifact(tmp_path, name) for name in ("one", "other")}).open() as comparison:
        one, twin, other = (call() for call in comparison.callables())
    assert one.tolist() == twin.tolist() == other.tolist()
    assert one.any()
