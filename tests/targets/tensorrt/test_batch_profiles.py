"""Several batches in one engine: real engines of TensorRT for RTX, which say what they hold without a GPU."""

import json
from dataclasses import replace

import numpy as np
import onnx as onnx_package
import onnx_ir as ir
import pytest
from typed_graphs import LOWERING, canonical, clips, ranges, run
from typer.testing import CliRunner

from edgevid import targets
from edgevid.bundle import Bundle
from edgevid.calibration.clips import Arrays
from edgevid.calibration.quantize import quantize
from edgevid.cli.program import app
from edgevid.compiler import compile_checkpoint
from edgevid.contract import CompileOptions
from edgevid.errors import ConfigError, GraphError, TargetError
from edgevid.graph.any_batch import with_any_batch
from edgevid.graph.lower import lower
from edgevid.graph.verify import compare
from edgevid.int8 import Int8, kept_in_float
from edgevid.plan import plan
from edgevid.targets._profiles import device
from edgevid.targets._session import CheckedSession
from edgevid.targets.onnxruntime import evaluate
from edgevid.targets.tensorrt import _target as target_module
from edgevid.targets.tensorrt import build as build_module
from edgevid.targets.tensorrt import here as machine
from edgevid.targets.tensorrt._target import scheme_of, typed
from edgevid.targets.tensorrt.boards import board
from edgevid.targets.tensorrt.engine import load_identity
from edgevid.targets.tensorrt.layer_report import load_report

RTX = pytest.mark.skipif(not machine.installed_version("tensorrt-rtx"), reason="needs tensorrt-rtx")
BATCHES = (1, 2, 4)
NETWORKS = pytest.mark.parametrize(
    ("backbone", "precision"),
    [
        *(("resnet50", precision) for precision in ("fp32", "fp16", "int8")),
        ("mobilenet_v2", "int8"),
        *(pytest.param("mobilenet_v2", precision, marks=pytest.mark.slow) for precision in ("fp32", "fp16")),
    ],
)


def graph(backbone, precision, batch):
    """Canonical, in float or in int8."""
    model = canonical(backbone, batch)
    if precision != "int8":
        return model
    scheme = scheme_of(board("rtx-40"))
    kept = kept_in_float(model, Int8(None), scheme)
    return quantize(model, ranges(backbone), scheme, float_layers=kept)


def any_batch(backbone, precision):
    one, four = (graph(backbone, precision, batch) for batch in (1, 4))
    return lower(with_any_batch(one, four), "slice_concat")


def compiled(folder, model, precision, lowering="slice_concat", **given):
    folder.mkdir()
    options = CompileOptions(device("rtx-40"), folder, precision, lowering=lowering, **given)
    return targets.find("tensorrt").compile(model, options)


@NETWORKS
def test_a_typed_graph_of_any_batch_computes_what_that_of_the_batch_does(backbone, precision):
    one = typed(any_batch(backbone, precision), precision, "tensorrt_rtx")
    for batch in (1, 3):
        own = typed(lower(graph(backbone, precision, batch), LOWERING), precision, "tensorrt_rtx")
        difference = compare(run(own, clips(batch)), run(one, clips(batch)))
        assert difference.max_relative <= (1e-5 if precision == "fp32" else 2e-2)


@RTX
@NETWORKS
def test_one_engine_holds_all_batches_with_the_kernels_of_each_alone(backbone, precision, tmp_path):
    made = compiled(tmp_path / "all", any_batch(backbone, precision), precision, batches=BATCHES)
    assert [path.name for path in made.folder.glob("*.engine")] == ["model.engine"]
    assert load_identity(made.folder).batches == BATCHES
    artifacts = (made, *made.others)
    assert {each.path for each in artifacts} == {made.path}
    for batch, artifact in zip(BATCHES, artifacts, strict=True):
        assert artifact.batch == artifact.input.shape[0] == artifact.output.shape[0] == batch
        report = load_report(made.folder, batch)
        assert report.kernels[0].inputs[0].shape == (batch, 4, 32, 32, 3)
        assert set(report.shifts.values()) == ({0} if precision == "int8" else {1})
        assert any("one engine with a profile for each of batch 1, 2, 4" in note for note in artifact.notes)
    own = lower(graph(backbone, precision, 4), LOWERING)
    alone = compiled(tmp_path / "alone", own, precision, LOWERING, batch=4)
    kernels = [load_report(alone.folder).kernels, load_report(made.folder, 4).kernels]
    assert len({len(each) for each in kernels}) == 1
    assert load_report(made.folder, 4).layers() == load_report(alone.folder).layers()


@RTX
def test_the_weights_are_held_once(tmp_path):
    model = any_batch("resnet50", "fp32")
    large = model.graph.initializers["fc.weight"]
    weights = np.random.default_rng(0).normal(size=(50_000, large.shape[1])).astype(np.float32)
    large.const_value = ir.tensor(weights, name=large.name)
    large.shape = ir.Shape(weights.shape)
    for node in model.graph:
        if node.op_type == "Reshape" and node.inputs[1].const_value.numpy().tolist() == [-1, 4, 6]:
            node.inputs[1].const_value = ir.tensor(np.array([-1, 4, 50_000]), name=node.inputs[1].name)
    for value in (*(v for node in model.graph for v in node.outputs), *model.graph.outputs):
        if value.shape is not None and value.shape[-1] == 6:
            value.shape = ir.Shape([*value.shape[:-1], 50_000])
    made = compiled(tmp_path / "all", model, "fp32", batches=BATCHES)
    assert weights.nbytes < made.path.stat().st_size < 1.5 * weights.nbytes


@RTX
def test_a_bundle_of_several_batches_has_one_engine_and_a_record_of_each(tiny_checkpoint, tmp_path):
    path = tmp_path / "b"
    given = ["-o", str(path), "--device", "rtx-40", "--precision", "fp16", "--batch", "1,4", "--json"]
    found = CliRunner().invoke(app, ["compile", str(tiny_checkpoint), *given])
    assert found.exit_code == 0, found.output
    records = json.loads(found.stdout)["artifacts"]
    assert [record["batch"] for record in records] == [1, 4]
    assert {(record["folder"], record["entry"]) for record in records} == {
        ("artifacts/batches", "model.engine")
    }
    assert {record["lowering"] for record in records} == {"slice_concat"}
    assert len(list(path.rglob("*.engine"))) == 1
    bundle = Bundle.open(path)
    assert bundle.batches == (1, 4)
    assert bundle.artifact(4).input.shape[0] == 4
    assert "set_input_shape('clips', clip.shape)" in (bundle.artifact().folder / "example.py").read_text()


@RTX
def test_an_int8_recipe_with_equalized_channels_is_one_engine_too(tiny_checkpoint, tmp_path):
    int8 = Int8(Arrays(clips(6), [0] * 6), equalize=True)
    bundle = compile_checkpoint(
        tiny_checkpoint, tmp_path / "b", device="rtx-40", precision="int8", batches=(1, 2), int8=int8
    )
    assert {record.folder for record in bundle.manifest.artifacts} == {"artifacts/batches"}
    layers = load_report(bundle.artifact().folder, 2).layers()
    assert {layer.precision for layer in layers} == {"int8"}


@RTX
def test_a_single_batch_stays_static(tiny_checkpoint, tmp_path):
    bundle = compile_checkpoint(tiny_checkpoint, tmp_path / "b", device="rtx-40", batches=(4,))
    (record,) = bundle.manifest.artifacts
    assert (record.folder, record.lowering) == ("artifacts/batch4", LOWERING)
    assert load_identity(bundle.artifact().folder).batches == ()


@RTX
def test_a_foreign_file_of_any_batch_is_one_engine_too(tiny_onnx, tmp_path):
    given = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0), "color": "RGB", "segments": 4}
    bundle = compile_checkpoint(tiny_onnx, tmp_path / "b", device="rtx-40", batches=(1, 2), **given)
    assert {record.folder for record in bundle.manifest.artifacts} == {"artifacts/batches"}


@RTX
@pytest.mark.parametrize("failure", [GraphError("no such form", where="node"), TargetError("no kernel")])
def test_where_no_engine_holds_all_batches_each_has_its_own_and_says_why(
    tiny_checkpoint, tmp_path, monkeypatch, failure
):
    build = build_module.build_plan

    def refuse(onnx, **given):
        if given["batches"]:
            raise failure
        return build(onnx, **given)

    monkeypatch.setattr(build_module, "build_plan", refuse)
    bundle = compile_checkpoint(tiny_checkpoint, tmp_path / "b", device="rtx-40", batches=(1, 2))
    assert [record.folder for record in bundle.manifest.artifacts] == ["artifacts/batch1", "artifacts/batch2"]
    for record in bundle.manifest.artifacts:
        assert f"one for all is not to be had: {failure.what}" in record.notes[-1]


@RTX
def test_a_lowering_that_needs_a_fixed_batch_is_given_an_engine_for_each(tiny_checkpoint, tmp_path):
    bundle = compile_checkpoint(
        tiny_checkpoint, tmp_path / "b", device="rtx-40", batches=(1, 2), lowering="fused_pad"
    )
    for record in bundle.manifest.artifacts:
        assert record.lowering == "fused_pad"
        assert "'fused_pad' needs a fixed batch" in record.notes[-1]


def test_a_board_has_a_folder_for_each_batch(tiny_checkpoint, tmp_path):
    bundle = compile_checkpoint(tiny_checkpoint, tmp_path / "b", device="jetson-tx2", batches=(1, 2))
    assert [record.folder for record in bundle.manifest.artifacts] == ["artifacts/batch1", "artifacts/batch2"]
    assert not any("one for all" in note for record in bundle.manifest.artifacts for note in record.notes)


class Imitated(CheckedSession):
    """Runs what the engine was built from in ONNX Runtime, with the batch of the artifact."""

    def __init__(self, artifact, network):
        super().__init__(artifact)
        self._network = network

    def _run(self, clip):
        return evaluate(self._network, {self.input.name: clip})[0]

    def _release(self):
        pass


@RTX
def test_every_batch_of_an_engine_is_held_to_the_golden_data(tiny_checkpoint, tmp_path, monkeypatch):
    opened, built = [], []
    build, kind = build_module.build_plan, target_module.TensorRtTarget
    probe = kind.probe

    def keep(onnx, **given):
        built.append(ir.from_proto(onnx_package.load_from_string(onnx)))
        return build(onnx, **given)

    def open_imitated(self, artifact, settings=None):
        opened.append(artifact.batch)
        return Imitated(artifact, built[-1])

    monkeypatch.setattr(build_module, "build_plan", keep)
    monkeypatch.setattr(kind, "probe", lambda self, device: replace(probe(self, device), executes=True))
    monkeypatch.setattr(kind, "open", open_imitated)
    bundle = compile_checkpoint(tiny_checkpoint, tmp_path / "b", device="rtx-40", batches=BATCHES)
    assert (opened, len(built)) == ([1, 2, 4], 1)
    for record in bundle.manifest.artifacts:
        assert record.checks
        assert all(check.passed for check in record.checks)


@pytest.mark.parametrize("name", ["host", "jetson-tx2", "host-tvm"])
def test_a_workspace_is_refused_where_there_is_none_to_limit(name):
    with pytest.raises(ConfigError, match="no workspace to limit") as refused:
        plan(name, workspace=1 << 20)
    assert refused.value.where == "--workspace"


@RTX
def test_a_workspace_of_nothing_is_refused_by_a_plan():
    with pytest.raises(ConfigError, match="0 bytes"):
        plan("rtx-40", workspace=0)


@RTX
def test_the_builder_is_told_the_workspace_in_bytes(tiny_checkpoint, tmp_path, monkeypatch):
    told = []

    def refuse(onnx, **given):
        told.append(given["workspace"])
        raise TargetError("that is all")

    monkeypatch.setattr(build_module, "build_plan", refuse)
    given = ["-o", str(tmp_path / "b"), "--device", "rtx-40", "--workspace", "3"]
    assert CliRunner().invoke(app, ["compile", str(tiny_checkpoint), *given]).exit_code != 0
    assert told == [3 << 20]


@RTX
@pytest.mark.parametrize("batches", [(1,), (1, 2)])
def test_too_little_workspace_names_the_way_out(tiny_checkpoint, tmp_path, batches):
    with pytest.raises(TargetError, match="with 1 bytes of workspace") as refused:
        compile_checkpoint(tiny_checkpoint, tmp_path / "b", device="rtx-40", batches=batches, workspace=1)
    assert "--workspace" in refused.value.fix
    assert list(tmp_path.iterdir()) == []
