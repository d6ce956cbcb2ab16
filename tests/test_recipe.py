"""What makes a network int8 beside its ranges: passes with their effect, and layers that go back to float."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from edgevid import show
from edgevid.bundle import Bundle
from edgevid.calibration.clips import Arrays, choose
from edgevid.calibration.points import is_layer, points
from edgevid.calibration.quantize import quantize
from edgevid.calibration.table import load_table
from edgevid.cli import app
from edgevid.compiler import compile_checkpoint
from edgevid.demo import checkpoint
from edgevid.demo.files import write_videos
from edgevid.demo.generated import Generated
from edgevid.errors import ConfigError, VerificationError
from edgevid.graph.prelude import with_uint8_clips
from edgevid.int8 import TABLE, Int8
from edgevid.source import open_source
from edgevid.targets import find
from edgevid.targets._profiles import device
from edgevid.targets.onnxruntime import observer
from edgevid.verification import verify_bundle

SIMULATED = "tensorrt-simulated"
SCHEME = find(device(SIMULATED).target).probe(device(SIMULATED)).scheme
HOST = find(device("host").target).probe(device("host"))
needs_int8 = pytest.mark.skipif("int8" not in HOST.precisions, reason="this processor has no int8 arithmetic")


@pytest.fixture(scope="module")
def graph():
    source = open_source(checkpoint("tsm"))
    return with_uint8_clips(source.graph(1), source.normalization)


@pytest.fixture(scope="module")
def clips(graph):
    """Clips with the float network's own answers as labels: every other answer is a loss."""
    pixels = np.concatenate([sample.clips for sample in Generated("hard", 24, 3).read()])
    run = observer(graph)
    return Arrays(pixels, [int(run({"clips": clip[None]})[0].argmax()) for clip in pixels], "twenty-four")


def compiled(place, request, name=SIMULATED, **options):
    return compile_checkpoint(
        checkpoint("tsm"), place, device=name, precision="int8", int8=request, **options
    )


@pytest.fixture(scope="module")
def plain(clips, tmp_path_factory):
    request = Int8(clips, max_drop=0.2, data=clips)
    return compiled(tmp_path_factory.mktemp("plain") / "b", request)


@pytest.fixture(scope="module")
def passed(clips, tmp_path_factory):
    """With both passes."""
    request = Int8(clips, equalize=True, correct_biases=True)
    return compiled(tmp_path_factory.mktemp("passed") / "b", request, batches=(1, 2))


def spoilt(bundle, graph):
    """The bundle's ranges with that of one layer's input far too small, and the layer."""
    table = load_table(bundle.path / TABLE)
    layer = next(
        node
        for node in graph.graph
        if is_layer(node) and node.inputs[0].producer().op_type == "Clip" and len(node.inputs[0].uses()) == 1
    )
    name = layer.inputs[0].name
    small = table.tensors[name].model_copy(update={"threshold": table.tensors[name].threshold / 300})
    return table.model_copy(update={"tensors": {**table.tensors, name: small}}), layer


def test_normally_no_layer_goes_back_to_float(plain):
    made = plain.manifest.quantization
    assert made.float_layers == {}
    assert made.drop.trials == [(0, made.drop.drop)]
    assert (made.drop.videos, made.drop.data, made.drop.limit) == (24, "twenty-four", 0.2)
    assert made.drop.lost - made.drop.gained == pytest.approx(24 * made.drop.drop)
    assert Bundle.open(plain.path).manifest == plain.manifest


@pytest.mark.parametrize("name", [SIMULATED, pytest.param("host", marks=[needs_int8, pytest.mark.slow])])
def test_a_layer_that_costs_too_much_goes_back_and_the_bundle_says_why(
    clips, plain, graph, tmp_path, name, capsys, monkeypatch
):
    monkeypatch.setattr("edgevid.recipe.RANKING_CLIPS", 6)
    table, layer = spoilt(plain, graph)
    request = Int8(table, max_drop=0.13, data=clips)
    bundle = compiled(tmp_path / "b", request, name, batches=(1, 2) if name == SIMULATED else (1,))
    made = bundle.manifest.quantization
    assert list(made.float_layers) == [layer.name]
    assert "number 1 of 53" in made.float_layers[layer.name]
    assert made.drop.trials[0][1] > 0.13 >= made.drop.drop
    for artifact in bundle.manifest.artifacts:
        kept = [each for each in artifact.layers if each.precision != "int8"]
        assert [(each.name, each.reason) for each in kept] == [(layer.name, made.float_layers[layer.name])]
    assert all(result.passed for result in verify_bundle(bundle).values())
    assert ("simulated" in made.drop.measured_with) == (name == SIMULATED)
    show.bundle(bundle)
    printed = capsys.readouterr().out
    assert "returned to float by --max-drop" in printed
    assert made.drop.measured_with in printed
    assert "as tried: 0: " in printed


@pytest.mark.slow
def test_nothing_is_written_where_no_layer_can_be_in_int8(clips, plain, tmp_path):
    table = load_table(plain.path / TABLE)
    small = {name: each.model_copy(update={"threshold": 1e-4}) for name, each in table.tensors.items()}
    bad = table.model_copy(update={"tensors": small})
    with pytest.raises(
        VerificationError,
        match=r"loses too much: with 52 of 53 layers in float .* of 24 videos, and 0 are allowed",
    ):
        compiled(tmp_path / "b", Int8(bad, max_drop=0.0, data=clips))
    assert not (tmp_path / "b").exists()


@pytest.mark.slow
def test_passes_are_recorded_with_their_effect(passed, capsys):
    first, second = passed.manifest.quantization.passes
    assert (first.name, second.name) == ("cross-layer equalization", "bias correction")
    assert first.sqnr_after == second.sqnr_before
    assert {first.clips, second.clips} == {24}
    assert (first.held_out, second.held_out) == (True, False)
    assert first.gain_interval[0] <= first.gain <= first.gain_interval[1]
    assert min(first.sqnr_before, first.sqnr_after, second.sqnr_after) > 25
    assert len({first.sqnr_before, first.sqnr_after, second.sqnr_after}) == 3
    assert all(result.passed for result in verify_bundle(passed).values())
    show.bundle(passed)
    printed = capsys.readouterr().out
    assert f"cross-layer equalization: logits SQNR {first.sqnr_before:.2f} dB before" in printed
    assert f"bias correction: logits SQNR {second.sqnr_before:.2f} dB before" in printed
    assert f"the median clip gains {second.gain:.2f} dB" in printed
    assert printed.count("it was fitted to these clips") == 1


def test_corrected_biases_are_judged_by_clips_that_they_were_not_fitted_to(graph, clips, monkeypatch):
    from edgevid import pass_effect

    seen = []
    graphs = [quantize(graph, dict.fromkeys(points(graph), 8.0), SCHEME) for _ in range(2)]
    noise = pass_effect.clip_noise
    monkeypatch.setattr(
        pass_effect, "clip_noise", lambda *args, **more: seen.append(args[2]) or noise(*args, **more)
    )
    found = pass_effect.measured("none", graph, *graphs, clips, fitted=6)
    assert (found.held_out, found.clips, found.gain, found.gain_interval) == (True, 18, 0, (0, 0))
    fitted = {sample.name for sample in choose(clips, 6).read()}
    assert not fitted & {sample.name for sample in seen[0].read()}


def test_a_simulated_bundle_says_so_where_it_is_run_and_verified(plain, tmp_path):
    video = write_videos(tmp_path / "videos", "hard", 1, size=48).parent
    told = "simulated: tensorrt's int8 arithmetic"
    for words in (["verify", plain.path], ["run", plain.path, video]):
        assert told in CliRunner().invoke(app, [*map(str, words)]).stdout
    printed = CliRunner().invoke(app, ["run", str(plain.path), str(video), "--json"]).stdout
    assert json.loads(printed)["simulated"] == "tensorrt"


def test_the_bits_of_the_weights_are_told_to_the_runtime(plain):
    assert plain.artifact().weight_bits == plain.manifest.quantization.scheme["weight_bits"] == 8


@pytest.mark.slow
def test_ranges_of_equalized_channels_serve_the_next_compile(passed, plain, tmp_path, capsys):
    again = compiled(tmp_path / "again", Int8(passed.path / TABLE, equalize=True))
    assert load_table(again.path / TABLE) == load_table(passed.path / TABLE)
    show.bundle(again)
    assert "its effect was not measured" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="before equalization"):
        compiled(tmp_path / "b", Int8(plain.path / TABLE, equalize=True))
    with pytest.raises(ConfigError, match="after equalization") as caught:
        compiled(tmp_path / "b", Int8(passed.path / TABLE))
    assert "--equalize" in caught.value.fix


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"max_drop": 0.1}, "--max-drop without --data"),
        ({"data": "clips"}, "--data without --max-drop"),
        ({"max_drop": 1.5, "data": "clips"}, "a drop of 150 points"),
        ({"correct_biases": True, "calibration": "table"}, "a table holds none"),
    ],
)
def test_requests_that_contradict_themselves_are_refused(clips, plain, options, words):
    given = {"clips": clips, "table": plain.path / TABLE}
    options = {
        name: given.get(value, value) if isinstance(value, str) else value for name, value in options.items()
    }
    with pytest.raises(ConfigError, match=words):
        Int8(**{"calibration": clips, **options})


def test_a_manifest_of_before_these_records_is_still_read(plain):
    facts = plain.manifest.model_dump(mode="json")
    del facts["quantization"]["passes"], facts["quantization"]["drop"]
    read = type(plain.manifest).model_validate(facts)
    assert (read.quantization.passes, read.quantization.drop) == ([], None)
