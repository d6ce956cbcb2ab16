"""What results of each command say of presets, and which do not count."""

import hashlib
import json

import pytest
from suggest_fakes import process_run, result_of

from edgevid.bench.results import BundleIdentity, VariantRecord
from edgevid.bench.storage import save_result
from edgevid.errors import BenchmarkError
from edgevid.models.registry import preset
from edgevid.suggest import Reader
from edgevid.suggest.known import shape_of
from edgevid.targets._profiles import device

PLAIN, BEST, QUARTER = "no shift", "no shift, volume", "p = 1/4, function"


def reader(threads=None, name="reference"):
    return Reader(device(name), threads)


def of_a_preset(folder, name="tsn-mobilenetv2", *, took=20.0, file="r.json", **changes):
    """As suggest and bench --table write it."""
    config = preset(name).config.model_dump(mode="json")
    networks = {name: {"preset": name, "config": config, "one frame": False, "lowering": "volume"}}
    parameters = {
        "kind": "preset",
        "device": "reference",
        "precision": "fp32",
        "batch": 1,
        "threads": 1,
        "networks": networks,
    }
    result = result_of(
        process_run([name], {name: took}),
        parameters={**parameters, **changes},
        peak_memory={name: 70_000_000},
    )
    save_result(result, folder / file)
    return folder / file


def of_a_sweep(folder, **changes):
    """As overhead writes it: the shift's default proportion, and the network without it in two forms."""
    roles = {PLAIN: ("0", "no shift"), BEST: ("0", "no shift"), QUARTER: ("1/4", "shift")}
    points = [
        {"variant": name, "proportion": p, "used": 0.25, "lowering": f"form of {name}", "role": role}
        for name, (p, role) in roles.items()
    ]
    parameters = {
        "kind": "overhead",
        "model": "tsm-resnet50",
        "device": "reference",
        "precision": "int8",
        "batch": 1,
        "segments": 8,
        "size": 224,
        "threads": 1,
        "points": points,
    }
    run = process_run([PLAIN, BEST, QUARTER], {PLAIN: 30.0, BEST: 25.0, QUARTER: 31.0})
    save_result(result_of(run, parameters={**parameters, **changes}), folder / "sweep-curve.json")
    return folder / "sweep-curve.json"


def of_a_bundle(folder, *, clips=1, **changes):
    """As bench writes it, with the bundle that it measured."""
    manifest = {
        "network": preset("tsm-resnet50").config.model_dump(mode="json"),
        "device": "reference",
        "precision": "fp32",
        "artifacts": [{"lowering": "function"}],
        "streaming": None,
        **changes,
    }
    bundle = folder / "tsm.bundle"
    bundle.mkdir()
    (bundle / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    digest = hashlib.sha256((bundle / "manifest.json").read_bytes()).hexdigest()
    identity = BundleIdentity(path=str(bundle), manifest_sha256=digest)
    run = process_run(["tsm.bundle"], {"tsm.bundle": 12.0})
    variants = tuple(
        VariantRecord(name=v.name, role=v.role, bundle=identity, clips=clips) for v in run.variants
    )
    run = run.model_copy(update={"variants": variants})
    save_result(result_of(run, parameters={"batch": 1, "threads": 1}), folder / "bench.json")
    return folder / "bench.json"


def test_a_preset_that_was_measured_is_known_with_its_memory(tmp_path):
    (found,) = reader().read([of_a_preset(tmp_path)])
    assert (found.preset, found.precision, found.milliseconds.median) == ("tsn-mobilenetv2", "fp32", 20.0)
    assert (found.memory, found.lowering, found.threads, found.invalid) == (70_000_000, "volume", "1", "")


def test_presets_that_are_the_same_network_are_known_together(tmp_path):
    found = reader().read([of_a_preset(tmp_path, "tsm-resnet50")])
    assert {"tsm-resnet50", "mmaction2-tsm-resnet50"} <= {each.preset for each in found}
    assert "tsm-resnet50-16f" not in {each.preset for each in found}


def test_a_sweep_tells_the_fastest_form_of_each_proportion_that_is_a_preset(tmp_path):
    found = {each.preset: each for each in reader().read([of_a_sweep(tmp_path)])}
    assert found["tsm-resnet50"].milliseconds.median == 31.0
    assert found["tsn-resnet50"].milliseconds.median == 25.0
    assert found["tsn-resnet50"].lowering == f"form of {BEST}"
    assert found["tsm-resnet50"].precision == "int8"
    assert "tsm-resnet50-inplace" not in found


@pytest.mark.parametrize("changes", [{"size": 64}, {"segments": 4}])
def test_a_sweep_of_another_size_is_no_preset(tmp_path, changes):
    assert reader().read([of_a_sweep(tmp_path, **changes)]) == []


def test_a_bundle_is_known_by_its_manifest(tmp_path):
    found = reader().read([of_a_bundle(tmp_path)])
    assert {each.preset for each in found} >= {"tsm-resnet50"}
    assert found[0].milliseconds.median == 12.0


@pytest.mark.parametrize(
    "changes", [{"device": "host"}, {"streaming": {"delay": 0}}, {"network": {"form": "onnx"}}, {"clips": 4}]
)
def test_bundles_that_are_something_else_do_not_count(tmp_path, changes):
    assert reader().read([of_a_bundle(tmp_path, **changes)]) == []


def test_a_bundle_that_is_gone_is_told(tmp_path):
    file = of_a_bundle(tmp_path)
    (tmp_path / "tsm.bundle" / "manifest.json").write_text("{}", encoding="utf-8")
    looked = reader()
    assert looked.read([file]) == []
    assert "tsm.bundle does not count: its bundle is gone" in looked.remarks[0]


@pytest.mark.parametrize(
    "changes", [{"device": "host"}, {"batch": 16}, {"kind": "something"}, {"networks": {}}]
)
def test_results_of_something_else_do_not_count(tmp_path, changes):
    assert reader().read([of_a_preset(tmp_path, **changes)]) == []


def test_threads_are_told_apart_where_that_is_asked_for(tmp_path):
    file = of_a_preset(tmp_path)
    assert reader(threads=2).read([file]) == []
    assert len(reader(threads=1).read([file])) == len(reader().read([file])) == 1


def test_results_of_another_processor_do_not_count_here(tmp_path):
    file = of_a_preset(tmp_path)
    document = json.loads(file.read_text(encoding="utf-8"))
    document["runs"][0]["environment"]["cpu"] = "Some Other CPU"
    file.write_text(json.dumps(document), encoding="utf-8")
    looked = reader()
    assert looked.read([file]) == []
    assert "measured on Some Other CPU" in looked.remarks[0]


def test_what_is_emulated_does_not_count(tmp_path):
    file = of_a_preset(tmp_path)
    document = json.loads(file.read_text(encoding="utf-8"))
    for variant in document["runs"][0]["variants"]:
        variant["label"] = "emulated"
    file.write_text(json.dumps(document), encoding="utf-8")
    assert reader().read([file]) == []


def test_figures_that_are_not_valid_say_why(tmp_path):
    file = of_a_preset(tmp_path)
    document = json.loads(file.read_text(encoding="utf-8"))
    document["verdict"]["reasons"] = ["too few rounds"]
    file.write_text(json.dumps(document), encoding="utf-8")
    (found,) = reader().read([file])
    assert found.invalid == "too few rounds"


def test_folders_are_searched_and_what_is_no_result_is_passed_over(tmp_path):
    (tmp_path / "deep").mkdir()
    file = of_a_preset(tmp_path / "deep")
    (tmp_path / "other.json").write_text("[]", encoding="utf-8")
    assert len(reader().read([tmp_path, file])) == 1


@pytest.mark.parametrize("text", [None, "[]", "{"])
def test_a_file_that_is_named_must_be_a_result(tmp_path, text):
    if text is not None:
        (tmp_path / "r.json").write_text(text, encoding="utf-8")
    with pytest.raises(BenchmarkError):
        reader().read([tmp_path / "r.json"])


def test_only_the_classes_may_differ():
    config = preset("tsm-resnet50").config
    assert shape_of(config) == shape_of(config.model_copy(update={"classes": 5}))
    assert shape_of(config) != shape_of(config.without_shift())
    assert shape_of(config) != shape_of(config.model_copy(update={"size": 192}))
