"""What every target fulfils. A new target is covered as soon as its module is there."""

import dataclasses
import shutil
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
from target_graphs import canonical, capability_of, clips_for, compiled, device_of

from edgevid import targets
from edgevid.contract import PRECISIONS, Device, RunSettings, Session
from edgevid.errors import TargetError, UnknownTargetError
from edgevid.graph.lower import lower
from edgevid.graph.verify import compare, expectations, verify
from edgevid.targets._profiles import device, device_names

NAMES = targets.names()
COMPUTING = pytest.mark.parametrize(
    "target", [name for name in NAMES if name != "null"], indirect=True, scope="module"
)
"""Without the null target, whose logits are no network's."""
UNKNOWN_DEVICE = Device(name="toaster", title="a toaster", target="none", isa=(), precisions=())


@pytest.fixture(scope="module", params=NAMES)
def target(request):
    """The name of a target that can compile here."""
    capability = capability_of(request.param)
    if not capability.compiles:
        pytest.skip(capability.reason)
    return request.param


@pytest.fixture(scope="module")
def artifacts(target, tmp_path_factory):
    """Batch size to artifact."""
    folder = tmp_path_factory.mktemp("artifacts")
    return {batch: compiled(target, folder, batch=batch) for batch in (1, 2)}


@pytest.fixture
def session(target, artifacts):
    with targets.find(target).open(artifacts[1]) as opened:
        yield opened


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What the float reference says to four clips."""
    folder = tmp_path_factory.mktemp("reference")
    with targets.find("onnxruntime").open(compiled("onnxruntime", folder)) as opened:
        return expectations(opened, clips_for(opened, 2, seed=5), count=2, seed=6)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", [*map(device, device_names()), UNKNOWN_DEVICE], ids=lambda d: d.name)
def test_probing_never_raises_and_gives_a_reason_for_every_precision_that_is_missing(name, where):
    capability = targets.find(name).probe(where)
    assert set(capability.precisions) | set(capability.missing) == set(PRECISIONS)
    assert not set(capability.precisions) & set(capability.missing)
    assert all(len(reason) > 10 for reason in capability.missing.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_capability_is_complete_or_says_why_not(name):
    capability = capability_of(name)
    assert (capability.compiles and capability.executes) == (not capability.reason)
    assert bool(capability.version) or not capability.compiles
    assert capability.opset >= 13
    assert capability.lowerings
    assert capability.batch_lowerings
    assert targets.find(name).name == name


@pytest.mark.parametrize("name", NAMES)
def test_without_its_runtime_a_target_says_what_installs_it(name, monkeypatch):
    def nothing(package):
        raise metadata.PackageNotFoundError(package)

    monkeypatch.setattr(metadata, "version", nothing)
    capability = capability_of(name)
    if capability.version:
        assert name == "null"
        return
    assert not capability.compiles
    assert not capability.executes
    assert "not installed" in capability.reason
    assert f"pip install 'edgevid[{'compile' if name == 'onnxruntime' else name}]'" in capability.reason


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_the_default_lowering_is_one_that_the_target_names_for_the_batch(name, batch):
    capability = capability_of(name)
    for precision in capability.precisions:
        default = targets.find(name).default_lowering(canonical(batch), device_of(name), precision, batch)
        assert default in (capability.lowerings if batch == 1 else capability.batch_lowerings)


def test_an_artifact_says_what_it_is(target, artifacts):
    for batch, artifact in artifacts.items():
        assert artifact.target == target
        assert artifact.batch == batch
        assert artifact.precision == "fp32"
        assert artifact.settings == RunSettings(threads=1)
        assert artifact.path.is_file()
        assert artifact.path.is_relative_to(artifact.folder)
        assert artifact.input.shape == (batch, 4, 32, 32, 3)
        assert artifact.input.dtype == "uint8"
        assert artifact.output.shape == (batch, 5)
        assert artifact.output.dtype == "float32"


@pytest.mark.parametrize("batch", [1, 2])
def test_logits_have_the_announced_shape_and_type(target, artifacts, batch):
    with targets.find(target).open(artifacts[batch]) as opened:
        logits = opened.run(clips_for(opened))
        assert isinstance(opened, Session)
        assert logits.shape == opened.output.shape == (batch, 5)
        assert str(logits.dtype) == opened.output.dtype == "float32"
        assert np.isfinite(logits).all()


def test_the_same_clip_gives_the_same_logits_and_another_clip_others(target, artifacts, session):
    first, second = clips_for(session, 2, seed=1)[:, None]
    logits = session.run(first)
    assert not np.array_equal(session.run(second), logits)
    assert np.array_equal(session.run(first), logits)
    with targets.find(target).open(artifacts[1]) as again:
        assert np.array_equal(again.run(first), logits)


def test_logits_belong_to_the_caller_and_the_clip_is_only_read(session):
    first, second = clips_for(session, 2, seed=1)[:, None]
    before = first.copy()
    logits = session.run(first)
    kept = logits.copy()
    session.run(second)
    assert np.array_equal(logits, kept)
    logits[:] = 0
    assert np.array_equal(session.run(first), kept)
    assert np.array_equal(first, before)


def test_a_clip_that_is_a_view_is_read_as_it_looks(session):
    clip = clips_for(session)
    turned = clip[:, ::-1, :, ::-1]
    assert np.array_equal(session.run(turned), session.run(turned.copy()))
    read_only = clip.copy()
    read_only.flags.writeable = False
    assert np.array_equal(session.run(read_only), session.run(clip))


def test_a_clip_of_another_shape_or_type_is_refused_with_both(session):
    clip = clips_for(session)
    for wrong, words in (
        (clip[0], "uint8[4, 32, 32, 3]"),
        (clip[:, :3], "uint8[1, 3, 32, 32, 3]"),
        (np.repeat(clip, 2, axis=0), "uint8[2, 4, 32, 32, 3]"),
        (clip.transpose(0, 1, 4, 2, 3), "uint8[1, 4, 3, 32, 32]"),
        (clip.astype(np.float32), "float32[1, 4, 32, 32, 3]"),
        (clip.astype(np.int8), "int8[1, 4, 32, 32, 3]"),
        (clip.tolist(), "list"),
        (None, "NoneType"),
    ):
        with pytest.raises(TargetError) as caught:
            session.run(wrong)
        assert f"the clip is {words}, the network takes uint8[1, 4, 32, 32, 3]" in caught.value.what
        assert "uint8 RGB" in caught.value.fix


def test_whole_clips_cannot_be_streamed(session):
    for use in (lambda: session.step(clips_for(session)[:, 0]), session.reset):
        with pytest.raises(TargetError, match="whole clips") as caught:
            use()
        assert caught.value.fix


def test_a_closed_session_refuses_to_run_and_closing_twice_is_harmless(target, artifacts):
    opened = targets.find(target).open(artifacts[1])
    clip = clips_for(opened)
    opened.run(clip)
    opened.close()
    opened.close()
    with pytest.raises(TargetError, match="the session is closed") as caught:
        opened.run(clip)
    assert str(artifacts[1].path) in str(caught.value)
    assert opened.input.shape == clip.shape


def test_a_session_closes_at_the_end_of_its_block_even_after_an_error(target, artifacts):
    opened = targets.find(target).open(artifacts[1])
    with pytest.raises(TargetError, match="the network takes"), opened as entered:
        entered.run(None)
    assert entered is opened
    with pytest.raises(TargetError, match="closed"):
        opened.run(clips_for(opened))


def test_two_sessions_of_one_artifact_do_not_touch(target, artifacts):
    open_target = targets.find(target).open
    with open_target(artifacts[1]) as one, open_target(artifacts[1]) as other:
        first, second = clips_for(one, 2, seed=1)[:, None]
        logits = one.run(first)
        assert not np.array_equal(other.run(second), logits)
        one.close()
        assert np.array_equal(other.run(first), logits)


@pytest.mark.parametrize("threads", [1, 2])
def test_other_settings_at_opening_do_not_change_the_answer(target, artifacts, session, threads):
    clip = clips_for(session)
    settings = RunSettings(threads=threads, streams=1, hint="throughput")
    with targets.find(target).open(artifacts[1], settings) as opened:
        assert compare(session.run(clip), opened.run(clip)).max_relative <= 1e-5


def test_a_batch_gives_each_clip_what_it_gets_alone(target, artifacts, session):
    with targets.find(target).open(artifacts[2]) as pair:
        clips = clips_for(pair, seed=3)
        alone = np.concatenate([session.run(clip[None]) for clip in clips])
        assert compare(alone, pair.run(clips)).max_relative <= 1e-5
        assert compare(alone[::-1], pair.run(clips)).max_relative > 1e-4


def test_an_artifact_that_is_missing_or_damaged_is_refused_by_name(target, artifacts, tmp_path):
    for name, damage in (("gone", lambda path: path.unlink()), ("cut", lambda path: path.write_bytes(b"!"))):
        folder = tmp_path / name
        shutil.copytree(artifacts[1].folder, folder)
        copy = dataclasses.replace(artifacts[1], folder=folder)
        damage(copy.path)
        with pytest.raises(TargetError) as caught:
            targets.find(target).open(copy)
        assert caught.value.where == str(copy.path)


def test_a_symbolic_batch_is_refused_at_compiling(target, tmp_path):
    graph = canonical(1).clone()
    for value in (*graph.graph.inputs, *graph.graph.outputs):
        value.shape = type(value.shape)(["N", *value.shape[1:]])
    with pytest.raises(TargetError, match="no static shape") as caught:
        compiled(target, tmp_path, graph=lower(graph, "slice_concat"), lowering="function")
    assert "fixed batch" in caught.value.fix


@COMPUTING
@pytest.mark.parametrize("batch", [1, 2])
def test_every_precision_is_within_its_tolerance_of_the_reference(
    target, artifacts, reference, tmp_path, batch
):
    for precision in capability_of(target).precisions:
        if precision == "int8":
            continue  # needs ranges: see the tests of int8
        artifact = artifacts[batch]
        if artifact.precision != precision:
            artifact = compiled(target, tmp_path, batch=batch, precision=precision)
        with targets.find(target).open(artifact) as opened:
            verify(opened, reference, precision).raise_if_failed(f"{target} {precision}")


@COMPUTING
@pytest.mark.parametrize("batch", [1, 2])
def test_every_lowering_that_is_named_verifies(target, artifacts, reference, tmp_path, batch):
    capability = capability_of(target)
    for name in capability.lowerings if batch == 1 else capability.batch_lowerings:
        artifact = artifacts[batch]
        if artifact.lowering != name:
            artifact = compiled(target, tmp_path, batch=batch, lowering=name)
        with targets.find(target).open(artifact) as opened:
            verify(opened, reference).raise_if_failed(f"{target} {name}")


@COMPUTING
@pytest.mark.parametrize("batch", [1, 2])
def test_the_example_beside_an_artifact_runs_it_without_edgevid(target, artifacts, tmp_path, batch):
    folder = tmp_path / "moved elsewhere"
    shutil.copytree(artifacts[batch].folder, folder)
    with targets.find(target).open(artifacts[batch]) as opened:
        clips = clips_for(opened, seed=4)
        classes = opened.run(clips).argmax(axis=1).tolist()
    np.save(folder / "clip.npy", clips)
    program = (folder / "example.py").read_text()
    assert "edgevid" not in program.partition('"""\n')[2]
    assert sum(bool(line.strip()) for line in program.splitlines()) <= 12
    assert run_alone(folder, "clip.npy") == f"class {classes}\n"
    if batch == 1:
        assert run_alone(folder).startswith("class ["), "without a clip it makes one"


def run_alone(folder, *arguments):
    """Run ``example.py`` where ``import edgevid`` fails; returns what it prints."""
    program = (
        "import runpy, sys; sys.modules['edgevid'] = None; sys.argv = sys.argv[1:]; "
        "runpy.run_path('example.py', run_name='__main__')"
    )
    command = [sys.executable, "-I", "-c", program, "example.py", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_unknown_targets_name_the_close_one_and_all():
    with pytest.raises(UnknownTargetError, match="unknown target 'openvno'") as caught:
        targets.find("openvno")
    assert "did you mean openvino?" in caught.value.fix
    assert all(name in caught.value.fix for name in NAMES)
    with pytest.raises(UnknownTargetError):
        targets.find("_session")


def test_the_reference_and_the_null_target_always_exist():
    assert {"onnxruntime", "null", "openvino"} <= set(NAMES)
    assert device_of("null").target == "null"
    assert capability_of("onnxruntime").precisions == ("fp32",)
