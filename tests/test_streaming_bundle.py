"""Bundles that take frame by frame: compiled, proved, kept, and refused."""

import json
import shutil

import numpy as np
import pytest
from warm_command import edgevid

from edgevid.bundle import Bundle
from edgevid.compiler import compile_checkpoint
from edgevid.errors import BundleIntegrityError, ConfigError, GraphError, TargetError
from edgevid.verification import verify_bundle

PAST = {"direction": "unidirectional", "proportion": "1/4"}


@pytest.fixture(scope="module")
def streamed(tiny_checkpoint, tmp_path_factory):
    """The tiny network with its shift from the past, frame by frame in the reference's runtime."""
    place = tmp_path_factory.mktemp("streamed") / "b"
    return compile_checkpoint(
        tiny_checkpoint, place, device="reference", streaming=True, interval=0.08, **PAST
    )


def test_the_proof_holds_every_step_to_the_offline_network(streamed):
    (record,) = streamed.manifest.artifacts
    names = [check.name for check in record.checks]
    assert {"frame by frame", "streams do not touch", "a saved state goes on in another stream"} <= set(names)
    assert all(check.passed for check in record.checks)


def test_the_manifest_says_what_a_stream_keeps(streamed):
    facts = streamed.manifest.streaming
    assert (facts.lookahead, facts.delay, facts.frame_interval) == (False, 0, 0.08)
    (record,) = streamed.manifest.artifacts
    # A quarter of each block's input: 16 channels of 8x8, 32 of 8x8 and 4x4, 64 of 2x2, at half of each size.
    shapes = [cache.shape for cache in record.streaming.caches]
    assert facts.cache_bytes == sum(4 * int(np.prod(shape)) for shape in shapes)
    assert len(shapes) == len(streamed.manifest.shifts) == 4
    assert record.input.shape == (1, 1, 32, 32, 3)


def test_a_clip_gives_what_the_offline_bundle_gives(streamed, tiny_checkpoint, tmp_path):
    offline = compile_checkpoint(tiny_checkpoint, tmp_path / "offline", device="reference", **PAST)
    clip = streamed.golden_clip
    with streamed.session() as one, offline.session() as other:
        np.testing.assert_allclose(one.run(clip), other.run(clip), rtol=1e-4, atol=1e-5)
    result = verify_bundle(streamed, against=offline)[1]
    assert result.passed


def test_it_verifies_again_from_disk(streamed):
    result = verify_bundle(Bundle.open(streamed.path))[1]
    assert result.passed
    assert "frame by frame" in [check.name for check in result.checks]


def test_a_changed_sequence_is_noticed(streamed, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(streamed.path, copy)
    np.save(copy / "golden" / "sequence.logits.npy", np.zeros((11, 5), np.float32))
    with pytest.raises(BundleIntegrityError, match=r"sequence\.logits"):
        Bundle.open(copy)


def test_a_network_that_looks_ahead_streams_with_a_delay(tiny_checkpoint, tmp_path):
    made = compile_checkpoint(
        tiny_checkpoint, tmp_path / "late", device="reference", streaming=True, lookahead=True
    )
    assert made.manifest.streaming.delay == 4
    caches = made.manifest.artifacts[0].streaming.caches
    assert 0 < sum(cache.waits for cache in caches) < len(caches)
    frames = made.sequence().frames
    with made.session() as session:
        answers = [session.step(frame) for frame in frames]
        assert [answer is None for answer in answers[:5]] == [True] * 4 + [False]
        assert len(session.flush()) == 4


def test_a_form_that_compiles_and_does_not_open_gives_way_to_the_next(tiny_checkpoint, tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    from edgevid.targets.openvino import OpenVinoTarget

    opened, tried = OpenVinoTarget.open, []

    def refuse_the_first(self, artifact, settings=None):
        tried.append(artifact.lowering)
        if artifact.lowering == "one_cache":
            raise TargetError("unsupported reorder case")
        return opened(self, artifact, settings)

    monkeypatch.setattr(OpenVinoTarget, "open", refuse_the_first)
    made = compile_checkpoint(tiny_checkpoint, tmp_path / "b", streaming=True, **PAST)
    (record,) = made.manifest.artifacts
    assert tried == ["one_cache", "cache_inputs"]
    assert record.lowering == "cache_inputs"
    assert "the form one_cache does not hold: unsupported reorder case" in record.notes
    with pytest.raises(TargetError, match="unsupported reorder case"):
        compile_checkpoint(tiny_checkpoint, tmp_path / "c", streaming=True, lowering="one_cache", **PAST)


def test_a_foreign_file_streams_too(tiny_onnx, tmp_path):
    pixels = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375), "color": "RGB"}
    made = compile_checkpoint(
        tiny_onnx, tmp_path / "b", device="reference", streaming=True, lookahead=True, **pixels
    )
    assert made.manifest.streaming.delay == 4
    assert all(check.passed for check in made.manifest.artifacts[0].checks)


def test_without_lookahead_it_is_refused_before_anything_slow(tiny_checkpoint, tmp_path):
    steps = []
    with pytest.raises(GraphError, match="ahead"):
        compile_checkpoint(
            tiny_checkpoint, tmp_path / "b", device="reference", streaming=True, say=steps.append
        )
    assert not any("reference" in step for step in steps)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"streaming": True, "batches": (1, 2)}, "batches of 1, 2"),
        ({"streaming": False, "lookahead": True}, "without streaming"),
        ({"streaming": True, "runner": "cpp", "device": "host-tvm"}, "no runner"),
        ({"streaming": True, "interval": 0.0}, "interval"),
    ],
)
def test_what_makes_no_sense_is_refused(tiny_checkpoint, tmp_path, changes, told):
    with pytest.raises(ConfigError, match=told):
        compile_checkpoint(tiny_checkpoint, tmp_path / "b", **{"device": "reference", **PAST, **changes})


def test_a_step_on_an_offline_bundle_is_refused_with_the_way_out(tiny_bundle):
    with Bundle.open(tiny_bundle).session(1) as session:
        for call in (session.reset, session.flush, session.stream, lambda: session.step(np.zeros(1))):
            with pytest.raises(TargetError, match="whole clips") as refused:
                call()
            assert "--streaming" in refused.value.fix


def test_the_command_line_tells_what_a_frame_costs(tiny_checkpoint, tmp_path):
    flags = ("--direction", "unidirectional", "--proportion", "1/4", "--device", "reference")
    done = edgevid(
        *("compile", tiny_checkpoint, *flags, "--streaming", "--frame-interval", "0.08"), "-o", tmp_path / "b"
    )
    assert done.returncode == 0, done.stderr
    assert "GMAC a frame" in done.stdout
    assert "caches a stream" in done.stdout
    assert "0.08 s from frame to frame" in done.stdout
    late = edgevid(
        *("compile", tiny_checkpoint, "--device", "reference", "--streaming", "--lookahead"),
        *("--frame-interval", "0.08", "-o", tmp_path / "late"),
    )
    assert "answers 4 frames late (0.32 s)" in late.stdout
    assert "of them only to wait for the frames ahead" in late.stdout
    shown = edgevid("compile", tiny_checkpoint, *flags, "--lookahead", "-o", tmp_path / "c")
    assert shown.returncode == 1
    assert "--streaming" in shown.stderr


def test_the_manifest_is_plain_data(streamed):
    text = json.loads((streamed.path / "manifest.json").read_text())
    assert text["streaming"]["sequence"] == "sequence"
    assert text["artifacts"][0]["streaming"]["segments"] == 4
