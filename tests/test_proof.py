"""What an int8 artifact must compute: close to float on clips like its own, and the int8 graph on all."""

from dataclasses import replace

import numpy as np
import pytest

from edgevid.build import open_reference
from edgevid.calibration.calibrate import calibrate
from edgevid.calibration.chunks import chunks, clip_shape
from edgevid.compiler import compile_checkpoint
from edgevid.demo import checkpoint
from edgevid.demo.generated import Generated
from edgevid.errors import VerificationError
from edgevid.graph.golden import choose_golden
from edgevid.graph.prelude import with_uint8_clips
from edgevid.graph.shift_op import replace_specs
from edgevid.graph.verify import compare, run_all
from edgevid.int8 import TABLE, Int8
from edgevid.proof import int8_proof
from edgevid.recipe import Recipe
from edgevid.shift import ShiftSpec
from edgevid.source import open_source
from edgevid.targets import find
from edgevid.targets._profiles import device
from edgevid.verification import verify_bundle

SIMULATED = "tensorrt-simulated"
SCHEME = find("onnxruntime").probe(device(SIMULATED)).scheme
CLIPS = Generated("hard", 30, 31_337)


@pytest.fixture(scope="module")
def graph():
    source = open_source(checkpoint("tsm"))
    return with_uint8_clips(source.graph(1), source.normalization)


@pytest.fixture(scope="module")
def golden(graph):
    return choose_golden(graph, open_reference, "int8").expectations


@pytest.fixture(scope="module")
def recipe(graph):
    """Ranges that are good for videos, and cut noise and flat colours."""
    clips = next(chunks(CLIPS, clip_shape(graph), 8, count=8)).clips
    return Recipe(calibrate(graph, CLIPS, method="entropy"), SCHEME, clips=clips)


@pytest.fixture(scope="module")
def proof(recipe, graph, golden):
    return int8_proof(recipe, graph, golden, open_reference)


class Changed:
    """A session whose logits are those of another one, changed."""

    def __init__(self, session, change):
        self.session, self.change = session, change
        self.input, self.output = session.input, session.output

    def run(self, clip):
        return self.change(self.session.run(clip))


def failed(proof, session):
    return {check.name for check in proof.of(session, "int8").checks if not check.passed}


def test_noise_beyond_the_ranges_refuses_nothing_and_is_told(recipe, proof, graph, golden):
    with open_reference(recipe.apply(graph)) as session:
        lost = [compare(part.logits, run_all(session, part.clips)).sqnr for part in golden]
        result = proof.of(session, "int8")
    assert max(lost) < 20
    assert result.passed
    told = {check.name: check.detail for check in result.checks if "float graph" in check.name}
    assert list(told) == ["golden input of the float graph", "random input of the float graph"]
    for decibels, detail in zip(lost, told.values(), strict=True):
        assert f"SQNR {decibels:.1f} dB, as information" in detail


@pytest.mark.parametrize("change", [ShiftSpec.swapped, ShiftSpec.without_moves])
def test_a_lowering_with_a_wrong_shift_is_caught_on_golden_and_on_random_clips(recipe, proof, graph, change):
    with open_reference(replace_specs(recipe.apply(graph), change)) as session:
        found = failed(proof, session)
    assert {"golden input of the int8 graph", "random input of the int8 graph"} <= found


@pytest.mark.parametrize(("noise", "passes"), [(0.01, True), (0.3, False)])
def test_arithmetic_that_is_wrong_is_caught(recipe, proof, graph, noise, passes):
    random = np.random.default_rng(1)

    def change(logits):
        return logits + noise * np.abs(logits).max() * np.sign(random.standard_normal(logits.shape)).astype(
            np.float32
        )

    with open_reference(recipe.apply(graph)) as session:
        found = failed(proof, Changed(session, change)) - {"clips do not leak into later runs"}
    assert (not found) == passes
    if not passes:
        assert any("random input" in name for name in found)


def test_ranges_that_are_bad_on_videos_are_refused_with_the_way_out(recipe, graph, golden):
    small = {
        name: each.model_copy(update={"threshold": each.threshold / 20})
        for name, each in recipe.table.tensors.items()
    }
    bad = replace(recipe, table=recipe.table.model_copy(update={"tensors": small}))
    with pytest.raises(VerificationError, match=r"too far from float32: SQNR .* of clips as int8") as caught:
        int8_proof(bad, graph, golden, open_reference)
    assert "another --method" in caught.value.fix


def test_without_clips_golden_ones_are_judged_and_the_message_says_so(recipe, graph, golden):
    with pytest.raises(VerificationError, match="at the logits of golden input") as caught:
        int8_proof(replace(recipe, clips=None), graph, golden, open_reference)
    assert "--data" in caught.value.fix
    wide = replace(recipe, table=calibrate(graph, CLIPS), clips=None)
    found = int8_proof(wide, graph, golden, open_reference)
    assert [part.name for part in found.further] == ["golden input"]
    assert [part.name for part in found.told] == ["random input of the float graph"]


@pytest.mark.slow
def test_the_journey_takes_such_ranges_and_its_bundle_verifies(tmp_path):
    request = Int8(CLIPS, "entropy")
    bundle = compile_checkpoint(
        checkpoint("tsm"), tmp_path / "b", device=SIMULATED, precision="int8", int8=request
    )
    names = [check.name for check in bundle.manifest.artifacts[0].checks]
    assert names[:3] == [
        "clips as int8 was calibrated with",
        "golden input of the int8 graph",
        "random input of the int8 graph",
    ]
    (result,) = verify_bundle(bundle).values()
    assert result.passed
    assert "clips as int8 was calibrated with" not in {check.name for check in result.checks}
    table = bundle.path / TABLE
    again = compile_checkpoint(
        checkpoint("tsm"),
        tmp_path / "again",
        device=SIMULATED,
        precision="int8",
        int8=Int8(table, max_drop=0.5, data=CLIPS),
    )
    (told,) = verify_bundle(again, against=bundle).values()
    assert told.passed
    assert f"random input of {bundle.path}" in {check.name for check in told.checks}
    with pytest.raises(VerificationError, match="golden input"):
        compile_checkpoint(
            checkpoint("tsm"), tmp_path / "c", device=SIMULATED, precision="int8", int8=Int8(table)
        )
