"""From a checkpoint to a verified bundle, and what is refused on the way."""

import contextlib
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edgevid import targets
from edgevid.bundle import Bundle
from edgevid.compiler import compile_checkpoint
from edgevid.contract import RunSettings
from edgevid.errors import (
    BundleError,
    ConfigError,
    EdgevidError,
    LoweringError,
    UnknownDeviceError,
    UnsupportedPrecisionError,
    VerificationError,
)
from edgevid.plan import plan
from edgevid.verification import verify_bundle


def test_a_bundle_computes_what_pytorch_computes(tiny_bundle, tiny_network):
    import torch

    bundle = Bundle.open(tiny_bundle)
    clip = np.random.default_rng(1).integers(0, 256, bundle.artifact().input.shape, np.uint8)
    rules = bundle.manifest.normalization
    frames = (clip - np.array(rules.mean, np.float32)) / np.array(rules.std, np.float32)
    with torch.no_grad():
        wanted = tiny_network(torch.from_numpy(frames.astype(np.float32)).permute(0, 1, 4, 2, 3)).numpy()
    with bundle.session() as session:
        logits = session.run(clip)
    assert np.abs(logits - wanted).max() <= 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("lowering", ["slice_concat", "fused_slice_concat", "fused_pad", "negative_pad"])
def test_every_lowering_gives_a_verified_bundle(tiny_checkpoint, tmp_path, lowering):
    bundle = compile_checkpoint(tiny_checkpoint, tmp_path / "b", lowering=lowering)
    assert bundle.manifest.artifacts[0].lowering == lowering
    assert all(result.passed for result in verify_bundle(bundle).values())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precisions_are_verified_within_their_tolerance(tiny_checkpoint, tmp_path, precision):
    bundle = compile_checkpoint(
        tiny_checkpoint, tmp_path / "b", device="xeon-sapphirerapids", precision=precision
    )
    (record,) = bundle.manifest.artifacts
    assert f"allowed for {precision}: at most 2e-02" in record.checks[0].detail


def test_a_profile_that_this_machine_is_not_is_compiled_but_not_measured(tiny_checkpoint, tmp_path):
    bundle = compile_checkpoint(tiny_checkpoint, tmp_path / "b", device="xeon-e5-2690")
    if "E5-2690" in Path("/proc/cpuinfo").read_text():
        pytest.skip("this machine is a Xeon E5-2690")
    assert bundle.manifest.status == "compiled, not measured"


def test_emulated_bf16_says_so_in_the_bundle(tiny_checkpoint, tmp_path):
    bundle = compile_checkpoint(tiny_checkpoint, tmp_path / "b", device="xeon-icelake", precision="bf16")
    assert any("emulates bf16" in note for note in bundle.manifest.notes)


def test_the_null_target_compiles_but_claims_no_execution(tiny_checkpoint, tmp_path):
    bundle = compile_checkpoint(tiny_checkpoint, tmp_path / "b", device="null")
    assert bundle.manifest.status == "compiled, not executed"
    assert bundle.manifest.artifacts[0].checks == []


def test_the_reference_compiles_to_a_bundle_too(tiny_checkpoint, tmp_path):
    bundle = compile_checkpoint(tiny_checkpoint, tmp_path / "b", device="reference", batches=(1, 3))
    assert bundle.manifest.artifacts[0].lowering == "function"
    assert all(result.passed for result in verify_bundle(bundle).values())


def test_a_network_without_a_shift_needs_no_lowering(tiny_network, tmp_path):
    from edgevid.checkpoints import write
    from edgevid.models import build

    plain = build(tiny_network.config.without_shift()).eval()
    plain.load_state_dict(tiny_network.state_dict())
    write(tmp_path / "tsn.safetensors", plain)
    bundle = compile_checkpoint(tmp_path / "tsn.safetensors", tmp_path / "b")
    capability = targets.find("openvino").probe(plan("host").device)
    assert bundle.manifest.artifacts[0].lowering in capability.plain_forms
    assert bundle.manifest.reference.shift_removed is None


def test_settings_are_written_into_the_bundle(tiny_checkpoint, tmp_path):
    settings = RunSettings(threads=1, streams=1, hint="throughput")
    bundle = compile_checkpoint(tiny_checkpoint, tmp_path / "b", settings=settings, lowering="slice_concat")
    assert Bundle.open(bundle.path).artifact().settings == settings


def test_two_bundles_of_one_network_agree_on_new_random_clips(tiny_bundle, tiny_checkpoint, tmp_path):
    other = compile_checkpoint(tiny_checkpoint, tmp_path / "b", lowering="slice_concat")
    results = verify_bundle(Bundle.open(tiny_bundle), against=other, seed=11)
    assert set(results) == {1, 2}
    assert all(result.passed for result in results.values())


def test_a_bundle_of_another_network_fails_against_the_first(tiny_bundle, tiny_checkpoint, tmp_path):
    swapped = compile_checkpoint(tiny_checkpoint, tmp_path / "b", first="past", lowering="slice_concat")
    (result, _) = verify_bundle(Bundle.open(tiny_bundle), against=swapped).values()
    assert not result.passed
    with pytest.raises(VerificationError, match="random input"):
        result.raise_if_failed("tiny")


def test_an_unknown_device_names_the_close_one():
    with pytest.raises(UnknownDeviceError, match="did you mean xeon-icelake"):
        plan("xeon-icelak")


@pytest.mark.parametrize(
    ("device", "precision", "alternatives"),
    [
        ("xeon-e5-2690", "bf16", "fp32, fp16"),
        ("xeon-e5-2690", "int8", "fp32, fp16"),
        ("host", "fp12", "fp32"),
        ("reference", "fp16", "fp32"),
    ],
)
def test_a_precision_that_a_device_lacks_is_refused_with_those_it_has(device, precision, alternatives):
    with pytest.raises(UnsupportedPrecisionError, match=rf"{precision}[\s\S]*use one of {alternatives}"):
        plan(device, precision)


def test_an_unknown_lowering_names_the_known_ones():
    with pytest.raises(LoweringError, match="slice_concat"):
        plan(lowering="magic")


@pytest.mark.parametrize("batches", [(), (0,), (1, -2)])
def test_impossible_batches_are_refused(batches):
    with pytest.raises(ConfigError, match="--batch"):
        plan(batches=batches)


def test_a_lowering_for_one_clip_is_refused_for_more_and_nothing_is_written(tiny_checkpoint, tmp_path):
    with pytest.raises(LoweringError, match="would leak"):
        compile_checkpoint(tiny_checkpoint, tmp_path / "b", lowering="negative_pad", batches=(2,))
    assert list(tmp_path.iterdir()) == []


def test_a_network_whose_shift_no_clip_can_tell_is_not_compiled(tiny_network, tmp_path):
    import copy

    import torch

    from edgevid.checkpoints import write

    deaf = copy.deepcopy(tiny_network)
    with torch.no_grad():
        for name, parameter in deaf.named_parameters():
            if name.endswith("bn3.weight"):
                parameter.zero_()
    path = tmp_path / "deaf.safetensors"
    write(path, deaf)
    with pytest.raises(VerificationError, match="no clip tells the network from itself"):
        compile_checkpoint(path, tmp_path / "b")
    assert not (tmp_path / "b").exists()


def child(code, *arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


FULL = "the disk is full; the bundle that was there is unchanged"


@contextlib.contextmanager
def files_of_at_most(size):
    """In bytes, for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_write_limit_keeps_the_old_bundle(tiny_checkpoint, tiny_bundle, tmp_path):
    place = shutil.copytree(tiny_bundle, tmp_path / "b")
    with pytest.raises(BundleError, match=FULL), files_of_at_most(20_000):
        compile_checkpoint(tiny_checkpoint, place)
    Bundle.open(place)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_a_full_disk_keeps_the_old_bundle(tiny_checkpoint, tiny_bundle, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        place = shutil.copytree(tiny_bundle, disk / "b")
        (disk / "ballast").write_bytes(b"x" * (shutil.disk_usage(disk).free - 200_000))
        with pytest.raises(BundleError, match=FULL):
            compile_checkpoint(tiny_checkpoint, place)
        Bundle.open(place)
        assert {path.name for path in disk.iterdir()} == {"b", "ballast"}
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_compile_that_fails_keeps_the_good_bundle(tiny_checkpoint, tiny_bundle, tmp_path):
    place = shutil.copytree(tiny_bundle, tmp_path / "b")
    with pytest.raises(EdgevidError):
        compile_checkpoint(tiny_checkpoint, place, std=(float("inf"), 1.0, 1.0))
    assert Bundle.open(place).manifest == Bundle.open(tiny_bundle).manifest


def test_an_empty_working_folder_can_become_the_bundle(tiny_checkpoint, tmp_path, monkeypatch):
    folder = tmp_path / "empty"
    folder.mkdir()
    monkeypatch.chdir(folder)
    assert compile_checkpoint(tiny_checkpoint, ".").path == folder


INTERRUPTED = """
import os, signal, sys
from edgevid.compiler import compile_checkpoint

def say(step):
    if step.startswith(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGINT)

compile_checkpoint(sys.argv[1], sys.argv[2], say=say)
"""


@pytest.mark.parametrize(
    "step", ["exporting", "running the float32 reference", "compiling batch", "verifying"]
)
def test_an_interrupt_during_compile_leaves_nothing_behind(tiny_checkpoint, tmp_path, step):
    def say(told):
        if told.startswith(step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compile_checkpoint(tiny_checkpoint, tmp_path / "b", say=say)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_ends_a_program_that_compiles_and_leaves_nothing_behind(tiny_checkpoint, tmp_path):
    process = child(INTERRUPTED, tiny_checkpoint, tmp_path / "b", "compiling batch")
    printed, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "KeyboardInterrupt" in printed
    assert list(tmp_path.iterdir()) == []


def test_a_terminated_command_leaves_nothing_behind(tiny_checkpoint, tmp_path):
    arguments = ["-m", "edgevid", "compile", str(tiny_checkpoint), "-o", str(tmp_path / "b")]
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(tmp_path.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.terminate()
    assert process.wait(timeout=120) == 143
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_resnet50_compiles_within_three_gigabytes_and_says_how_long_it_took(tmp_path):
    code = """
import resource, sys, torch
from edgevid.checkpoints import write
from edgevid.compiler import compile_checkpoint
from edgevid.models import build
from edgevid.models.registry import preset
torch.manual_seed(0)
network = build(preset("tsm-resnet50").config).eval()
for module in network.modules():
    if isinstance(module, torch.nn.Linear):
        torch.nn.init.normal_(module.weight, std=0.1)
from pathlib import Path
from time import perf_counter
write(Path(sys.argv[1]) / "r50.safetensors", network)
start = perf_counter()
compile_checkpoint(Path(sys.argv[1]) / "r50.safetensors", Path(sys.argv[1]) / "b")
print("seconds", perf_counter() - start)
print("gigabytes", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6)
"""
    printed, _ = child(code, tmp_path).communicate(timeout=600)
    figures = dict(line.split() for line in printed.splitlines() if line.startswith(("seconds", "gigabytes")))
    print(figures)
    assert float(figures["gigabytes"]) <= 3, printed
    assert Bundle.open(tmp_path / "b").manifest.status == "verified on the device"
