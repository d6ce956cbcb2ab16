"""Foreign ONNX files: the same bundle as from the checkpoint, and what such files cannot say."""

import copy
import re
import warnings
from collections import Counter
from xml.etree import ElementTree as ET

import numpy as np
import onnx
import pytest
from typer.main import get_command

from edgevid import foreign
from edgevid.bench.in_place import EXPORTERS, export_in_place
from edgevid.bundle import Bundle
from edgevid.cli import app
from edgevid.compiler import compile_checkpoint
from edgevid.contract import Normalization
from edgevid.errors import ConfigError, GraphError, LoweringError, VerificationError
from edgevid.foreign import read_foreign
from edgevid.graph.lower import lower
from edgevid.source import open_source

RULES = Normalization()
PIXELS = {"mean": RULES.mean, "std": RULES.std, "color": RULES.color}


@pytest.fixture(scope="module", params=EXPORTERS)
def fixed_file(request, tiny_network, tmp_path_factory):
    path = tmp_path_factory.mktemp("fixed") / f"{request.param}.onnx"
    return export_in_place(tiny_network, request.param, path)


@pytest.fixture(scope="module", params=["legacy", pytest.param("dynamo", marks=pytest.mark.slow)])
def open_file(request, tiny_network, tmp_path_factory):
    path = tmp_path_factory.mktemp("open") / f"{request.param}.onnx"
    return export_in_place(tiny_network, request.param, path, dynamic=True)


def written(path, text):
    """A file of a graph in ONNX's textual form."""
    model = onnx.parser.parse_model('<ir_version: 9, opset_import: ["" : 18]> ' + text)
    onnx.save(model, path)
    return path


TSN = """net (float[{shape}] x) => (float[{output}] y)
    <int64[3] axes = {{1,3,4}}, int64[5] pick = {{0,1,2,0,1}}, int64[2] one = {{1,5}}> {{
        {body} }}"""
AVERAGED = "m = ReduceMean<keepdims=0>(x, axes) y = Gather<axis=-1>(m, pick)"


def tsn(path, shape="1,4,3,32,32", output="1,5", body=AVERAGED):
    """A network without a shift: mean colours."""
    return written(path, TSN.format(shape=shape, output=output, body=body))


def size_of(bundle):
    """Bytes of weights. At this size model.xml is mostly the layers' names, and the exporters' are longer."""
    return (bundle.artifact().folder / "model.bin").stat().st_size


def operations_of(bundle):
    """Those that compute: exporters differ in how they write down shapes."""
    layers = ET.parse(bundle.artifact().folder / "model.xml").iter("layer")
    kinds = Counter(layer.get("type") for layer in layers)
    return {
        kind: kinds[kind] for kind in ("Convolution", "MatMul", "MaxPool", "Pad", "Add", "ReLU", "ReduceMean")
    }


def test_a_bundle_of_the_file_equals_that_of_the_checkpoint(
    fixed_file, tiny_checkpoint, tiny_network, tmp_path
):
    expected = compile_checkpoint(tiny_checkpoint, tmp_path / "e", lowering="negative_pad")
    bundle = compile_checkpoint(fixed_file, tmp_path / "b", lowering="negative_pad", **PIXELS)
    clip = np.random.default_rng(5).integers(0, 256, bundle.artifact().input.shape, np.uint8)
    with bundle.session() as mine, expected.session() as theirs:
        wanted, got = theirs.run(clip), mine.run(clip)
    assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max()
    assert size_of(bundle) == pytest.approx(size_of(expected), rel=0.02)
    assert operations_of(bundle) == operations_of(expected)
    specs = [[(s.segments, s.layout, s.moves) for s in each.manifest.shifts] for each in (bundle, expected)]
    assert specs[0] == specs[1]
    assert bundle.manifest.macs == expected.manifest.macs


@pytest.mark.parametrize("name", ["slice_concat", "negative_pad", "split_conv", "volume_split_conv"])
def test_lowered_it_has_the_operations_of_the_checkpoint(fixed_file, tiny_checkpoint, name):
    counts = []
    for source in (open_source(tiny_checkpoint), open_source(fixed_file, **PIXELS)):
        # The published code keeps the axis that it averages over, and squeezes it.
        kinds = [node.op_type for node in lower(source.graph(1), name).graph if node.op_type != "Squeeze"]
        counts.append(len(kinds))
    assert counts[0] == counts[1]


def test_a_file_with_an_open_batch_compiles_for_several(open_file, tmp_path):
    bundle = compile_checkpoint(open_file, tmp_path / "b", batches=(1, 3), lowering="slice_concat", **PIXELS)
    assert bundle.batches == (1, 3)
    assert bundle.manifest.status == "verified on the device"


def test_the_manifest_says_where_every_setting_is_from(tiny_onnx, tmp_path):
    labels = ["a", "b", "c", "d", "e"]
    bundle = compile_checkpoint(
        tiny_onnx,
        tmp_path / "b",
        preset="mmaction2-tsm-resnet50",
        color="BGR",
        segments=4,
        labels=labels,
        lowering="slice_concat",
    )
    manifest = bundle.manifest
    sources = {name: setting.source for name, setting in manifest.provenance.items()}
    assert sources["color"] == sources["labels"] == sources["segments"] == "flag"
    assert sources["mean"] == sources["library"] == "preset"
    assert sources["crop"] == "file"
    assert (manifest.normalization.color, manifest.sampling.library) == ("BGR", "opencv")
    assert manifest.labels == labels
    assert manifest.layout == "onnx"
    assert manifest.network["producer"].startswith("pytorch")


def test_what_the_file_cannot_say_is_asked_for_before_anything_slow(tiny_onnx, tmp_path, monkeypatch):
    monkeypatch.setattr(foreign, "read_onnx", lambda path: pytest.fail("the file was read"))
    with pytest.raises(
        ConfigError, match=r"cannot say .*: std, color missing[\s\S]*--std.*--color.*--preset"
    ):
        compile_checkpoint(tiny_onnx, tmp_path / "b", mean=RULES.mean)
    assert list(tmp_path.iterdir()) == []


def test_settings_of_the_network_are_refused_since_the_file_holds_it(tiny_onnx):
    with pytest.raises(ConfigError, match=r"proportion, direction: an ONNX file holds its network already"):
        read_foreign(tiny_onnx, proportion="1/4", direction="bidirectional", **PIXELS)
    with pytest.raises(ConfigError, match="no setting named 'colour'"):
        read_foreign(tiny_onnx, colour="RGB")


def test_flags_that_contradict_the_file_are_refused_with_both(tiny_onnx, tmp_path):
    with pytest.raises(ConfigError, match=r"16 frames.*takes 4"):
        read_foreign(tiny_onnx, segments=16, **PIXELS)
    with pytest.raises(ConfigError, match=r"3 labels for 5 classes"):
        read_foreign(tiny_onnx, labels=["a", "b", "c"], **PIXELS)


@pytest.fixture(scope="module")
def stacked_file(tiny_network, tmp_path_factory):
    """Frames stacked along an open first axis, so that only the shifts show T."""
    import torch

    from edgevid.bench.in_place import in_place

    path = tmp_path_factory.mktemp("stacked") / "stacked.onnx"

    class Images(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = in_place(tiny_network).network

        def forward(self, images):
            return self.network.classify(images)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tracing
        torch.onnx.export(
            Images(),
            (torch.zeros(8, 3, 32, 32),),
            str(path),
            dynamo=False,
            opset_version=13,
            input_names=["images"],
            dynamic_axes={"images": {0: "frames"}},
        )
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_stacked_frames_need_the_flag_and_the_shifts_check_it(stacked_file, tiny_bundle, tmp_path):
    with pytest.raises(ConfigError, match=r"frames a clip open[\s\S]*--segments"):
        read_foreign(stacked_file, **PIXELS)
    with pytest.raises(ConfigError, match=r"clips of 8 frames, but the shift .* is of 4"):
        read_foreign(stacked_file, segments=8, **PIXELS)
    bundle = compile_checkpoint(stacked_file, tmp_path / "b", segments=4, lowering="slice_concat", **PIXELS)
    assert "the file answers for each frame: the logits are their mean over the clip" in bundle.manifest.notes
    expected = Bundle.open(tiny_bundle)
    with bundle.session() as mine, expected.session() as theirs:
        wanted, got = theirs.run(expected.golden_clip), mine.run(expected.golden_clip)
    assert np.abs(got - wanted).max() <= 1e-4 * np.abs(wanted).max()


def test_a_file_of_one_clip_gives_no_other_batch(fixed_file, tmp_path):
    with pytest.raises(ConfigError, match=r"fixed to a batch of 1[\s\S]*--batch 1,2[\s\S]*dynamic batch"):
        compile_checkpoint(fixed_file, tmp_path / "b", batches=(1, 2), **PIXELS)


def test_a_file_of_several_clips_is_refused_with_the_way_out(tmp_path):
    path = tsn(tmp_path / "two.onnx", "2,4,3,32,32", "2,5")
    with pytest.raises(ConfigError, match=r"a batch of 2 clips of 4 frames[\s\S]*dynamic batch"):
        read_foreign(path, **PIXELS)


def test_a_file_without_a_shift_compiles_and_says_so(tmp_path):
    bundle = compile_checkpoint(tsn(tmp_path / "tsn.onnx"), tmp_path / "b", **PIXELS)
    assert any(note.startswith("no shift found") for note in bundle.manifest.notes)
    assert bundle.manifest.shifts == []
    assert bundle.artifact().lowering.partition("@")[0] in ("none", "volume")


def test_a_softmax_at_the_end_becomes_the_way_of_averaging(tmp_path):
    body = "m = ReduceMean<keepdims=0>(x, axes) g = Gather<axis=-1>(m, pick) y = Softmax<axis=1>(g)"
    found = read_foreign(tsn(tmp_path / "softmax.onnx", body=body), **PIXELS)
    assert found.sampling.average == "softmax"
    assert found.settings["average"].source == "file"
    assert any("Softmax" in note for note in found.notes)


def test_a_constant_output_is_diagnosed_in_these_words(tmp_path):
    body = "s = Sub(x, x) c = ConstantOfShape(one) y = Identity(c)"
    with pytest.raises(GraphError, match="does not depend on its input"):
        read_foreign(tsn(tmp_path / "constant.onnx", body=body), **PIXELS)


@pytest.mark.parametrize("shape", ["1,4,3,32,32", "n,4,3,h,w"])
def test_a_preset_fills_in_the_size_that_a_file_leaves_open(tmp_path, shape):
    found = read_foreign(tsn(tmp_path / "open.onnx", shape), preset="tsm-resnet50", segments=4)
    assert found.clip.size == (32 if "32" in shape else 224)
    assert found.sampling.crop == found.clip.size


def test_messages_name_the_flag(tiny_onnx):
    with pytest.raises(ConfigError, match="--segments is 0"):
        read_foreign(tiny_onnx, segments=0, **PIXELS)
    with pytest.raises(ConfigError, match=r"--size is 1\.5"):
        read_foreign(tiny_onnx, size=1.5, **PIXELS)
    with pytest.raises(ConfigError, match="--size") as caught:
        read_foreign(tiny_onnx, proportion="1/4", **PIXELS)
    options = {option for each in get_command(app).commands["inspect"].params for option in each.opts}
    assert set(re.findall(r"--[a-z-]+", caught.value.fix)) <= options


def test_channels_that_became_zeros_are_noted(tmp_path):
    """Of a folded shift of an empty example, zeros may be all that is left."""
    path = written(
        tmp_path / "lost.onnx",
        """net (float[4,3,32,32] x) => (float[4,3] y)
        <int64[2] plane = {2,3}, int64[2] parts = {1,2}, int64[4] few = {4,1,32,32}> {
            r = Relu(x) a, b = Split<axis=1>(r, parts) z = ConstantOfShape(few) c = Concat<axis=1>(z, b)
            k = Tanh(c) y = ReduceMean<keepdims=0>(k, plane) }""",
    )
    (note,) = [each for each in read_foreign(path, **PIXELS).notes if "channels to zero" in each]
    assert note.startswith("1 region sets whole channels to zero")
    assert "lost it" in note


def test_a_wrong_rewriting_would_be_noticed(tiny_onnx, monkeypatch):
    from edgevid.graph import canonicalize
    from edgevid.graph.find_shift import Found
    from edgevid.graph.shift_op import replace_specs
    from edgevid.shift import ShiftSpec

    right = canonicalize.find_shift

    def wrong(*arguments, **options):
        found = right(*arguments, **options)
        return Found(replace_specs(found.model, ShiftSpec.swapped), found.candidates)

    monkeypatch.setattr(canonicalize, "find_shift", wrong)
    with pytest.raises(VerificationError, match="computes something else"):
        read_foreign(tiny_onnx, **PIXELS)


def test_a_lowering_that_does_not_hold_for_a_foreign_operation_gives_way_to_the_next(
    tiny_network, tmp_path, monkeypatch
):
    import torch

    from edgevid.targets.openvino import OpenVinoTarget

    class Sine(torch.nn.Module):
        def forward(self, frames):
            return torch.sin(frames)

    network = copy.deepcopy(tiny_network)
    network.layer3[0].relu = Sine()
    path = export_in_place(network, "dynamo", tmp_path / "sine.onnx")
    monkeypatch.setattr(OpenVinoTarget, "default_lowering", lambda *_: "volume_split_conv")
    with pytest.raises(LoweringError, match="Sin on the frames"):
        compile_checkpoint(path, tmp_path / "b", lowering="volume_split_conv", **PIXELS)
    bundle = compile_checkpoint(path, tmp_path / "b", **PIXELS)
    tried = {one.name: one for one in bundle.manifest.artifacts[0].choice.tried}
    assert "Sin on the frames" in tried["volume_split_conv"].reason
    assert bundle.artifact().lowering != "volume_split_conv"
