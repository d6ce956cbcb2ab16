"""Networks of optical flow from the checkpoint to the answer, alone and beside one of RGB."""

import json
import shutil

import numpy as np
import pytest
from flow_folders import FLOW, fields, write_flow
from PIL import Image
from warm_command import edgevid

from edgevid import targets
from edgevid.bundle import Bundle
from edgevid.calibration.clips import Arrays
from edgevid.compiler import compile_checkpoint
from edgevid.contract import Flow
from edgevid.demo import write_videos
from edgevid.ensemble import Ensemble
from edgevid.ensemble_compiler import compile_ensemble
from edgevid.errors import ConfigError, TargetError
from edgevid.int8 import Int8
from edgevid.lint import lint
from edgevid.source import open_source, with_flow
from edgevid.targets._profiles import device as find_device
from edgevid.video import read_clips


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_videos(folder, "easy", 1, length=16, size=48)
    return next(folder.glob("*/*.mp4"))


@pytest.fixture(scope="module")
def two_stream(tiny_bundle, tiny_flow_bundle, tmp_path_factory):
    place = tmp_path_factory.mktemp("ensembles") / "two-stream"
    done = edgevid("compile", tiny_bundle, tiny_flow_bundle, "--weights", "1,1.5", "-o", place)
    assert done.returncode == 0, done.stderr
    assert "tiny, 4 frames (40.0%); flow, 4 frames (60.0%)" in " ".join(done.stdout.split())
    return place


def check_bundle(bundle):
    assert all(check.passed for record in bundle.manifest.artifacts for check in record.checks)
    assert bundle.manifest.artifacts[0].input.shape[-1] == 10
    assert bundle.manifest.reference.shift_removed > 1e-4


def calibration():
    random = np.random.default_rng(0)
    return Arrays(random.integers(0, 256, (6, 4, 32, 32, 10)).astype(np.uint8))


def test_the_manifest_says_what_flow_is_and_that_of_rgb_nothing_of_it(tiny_bundle, tiny_flow_bundle):
    bundle = Bundle.open(tiny_flow_bundle)
    check_bundle(bundle)
    facts = json.loads((tiny_flow_bundle / "manifest.json").read_text())
    assert facts["sampling"]["flow"] == {"fields": 5, "algorithm": "dis", "bound": 20.0}
    assert facts["normalization"] == {"mean": [127.5], "std": [57.63], "color": "XY"}
    assert facts["network"]["frame_channels"] == 10
    assert any("DIS" in note and "TV-L1" in note for note in facts["notes"])
    of_pictures = json.loads((tiny_bundle / "manifest.json").read_text())
    assert "flow" not in of_pictures["sampling"]
    assert "frame_channels" not in of_pictures["network"]
    assert "flow" not in of_pictures["provenance"]


def capability(device):
    profile = find_device(device)
    return targets.find(profile.target).probe(profile)


@pytest.mark.parametrize(
    ("device", "precision"), [("host-tvm", "fp32"), ("reference", "fp32"), ("rtx-40", "fp16")]
)
def test_every_target_holds_a_network_of_flow(tiny_flow_checkpoint, tmp_path, device, precision):
    if not capability(device).compiles:
        pytest.skip(capability(device).reason)
    bundle = compile_checkpoint(tiny_flow_checkpoint, tmp_path / "b", device=device, precision=precision)
    check_bundle(bundle)
    if capability(device).executes:
        assert bundle.manifest.artifacts[0].checks


@pytest.mark.parametrize("device", ["host", "host-tvm"])
def test_it_is_quantized_from_its_first_layer_on(tiny_flow_checkpoint, tmp_path, device):
    if "int8" not in capability(device).precisions:
        pytest.skip("this processor has no int8")
    lowering = "fused_pad" if device == "host" else "auto"
    request = {"device": device, "precision": "int8", "int8": Int8(calibration()), "lowering": lowering}
    bundle = compile_checkpoint(tiny_flow_checkpoint, tmp_path / "b", **request)
    check_bundle(bundle)
    layers = bundle.manifest.artifacts[0].layers
    assert layers
    assert layers[0].precision == "int8"


def test_a_folder_for_the_jetson_tx2_lints_clean(tiny_flow_checkpoint, tmp_path):
    bundle = compile_checkpoint(tiny_flow_checkpoint, tmp_path / "b", device="jetson-tx2", precision="fp16")
    assert bundle.manifest.artifacts[0].input.shape == (1, 4, 32, 32, 10)
    reports = lint(bundle.path)
    assert reports
    assert not [found for report in reports for found in report.diagnosis.errors]


def test_both_streams_look_at_one_video_and_the_time_of_flow_is_told(two_stream, video):
    done = edgevid("run", two_stream, video)
    assert done.returncode == 0, done.stderr
    assert "16 frames, 2 view(s)" in done.stdout
    assert "(optical flow: " in done.stdout
    told = json.loads(edgevid("run", two_stream, video, "--json").stdout)
    (record,) = told["videos"]
    assert 0 < record["seconds"]["flow"] < record["seconds"]["read"]
    ensemble = Ensemble.open(two_stream)
    with ensemble.session() as session:
        expected = session.run([read_clips(video, member.sampling).pixels for member in ensemble.members])
    found = {answer["class"]: answer["probability"] for answer in record["top"]}
    np.testing.assert_allclose([found[index] for index in range(5)], expected, rtol=1e-4)


def test_flow_images_and_pictures_of_one_folder_are_recognized_together(two_stream, tiny_bundle, tmp_path):
    folder = write_flow(tmp_path / "v", fields(11))
    for number in range(1, 13):
        Image.new("RGB", (64, 48), (number * 20, 0, 90)).save(folder / f"img_{number:05d}.png")
    names = f"img_{{:05d}}.png,{FLOW}"
    done = edgevid("run", two_stream, folder, "--frame-template", names)
    assert done.returncode == 0, done.stderr
    assert "optical flow" not in done.stdout, "it was computed before"
    done = edgevid("run", tiny_bundle, folder, "--frame-template", FLOW)
    assert done.returncode == 1
    assert "names images of optical flow, and a network looks at pictures" in done.stderr


def test_verifying_and_measuring_hold_for_both(two_stream, tmp_path):
    assert edgevid("verify", two_stream).stdout.count("passed") == 3
    done = edgevid("bench", two_stream, "--rounds", 2, "--threads", 1, "-o", tmp_path / "r.json")
    assert done.returncode == 0, done.stderr
    assert "with flow, 4 frames" in done.stdout


def test_the_stages_of_a_video_show_what_flow_costs(tiny_flow_bundle, video, tmp_path):
    results = tmp_path / "r.json"
    done = edgevid(
        *("bench", tiny_flow_bundle, "--rounds", 2, "--threads", 1, "--video", video, "-o", results)
    )
    assert done.returncode == 0, done.stderr
    assert "flow ms" in done.stdout
    (stages,) = json.loads(results.read_text())["stages"].values()
    assert set(stages) == {"decode", "preprocess", "flow", "inference", "whole"}
    assert min(stages["flow"]["wall_ns"]) > 0
    done = edgevid("report", results, "--markdown", tmp_path / "r.md", "-o", tmp_path / "r.html")
    assert done.returncode == 0, done.stderr
    assert "| flow |" in (tmp_path / "r.md").read_text()


def test_networks_of_flow_are_compared_and_packed_like_others(tiny_flow_bundle, video, tmp_path):
    done = edgevid("pack", video, "-o", tmp_path / "packed", "--bundle", tiny_flow_bundle)
    assert done.returncode == 0, done.stderr
    assert "uint8 flow [4, 32, 32, 10]" in done.stdout
    other = shutil.copytree(tiny_flow_bundle, tmp_path / "other.bundle")
    done = edgevid("compare", tiny_flow_bundle, other, "--data", tmp_path / "packed", "--no-latency")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["compile", "{ckpt}", "--streaming", "-o", "b"], "takes several fields a frame"),
        (["stream", "{bundle}", "{video}", "--window", "8"], "looks at optical flow"),
        (["compile", "{rgb}", "--flow", "dis", "-o", "b"], "takes pictures"),
        (["compile", "{rgb}", "{rgb}", "--flow", "dis", "-o", "b"], "looks at optical flow"),
        (["compare", "{rgb_bundle}", "{bundle}", "--data", "{video}"], "has clips"),
    ],
)
def test_what_a_network_of_flow_is_not_for_is_told(
    arguments, told, tiny_checkpoint, tiny_bundle, tiny_flow_checkpoint, tiny_flow_bundle, video, tmp_path
):
    places = {
        "ckpt": tiny_flow_checkpoint,
        "bundle": tiny_flow_bundle,
        "rgb": tiny_checkpoint,
        "video": video,
    }
    done = edgevid(*(word.format(**places, rgb_bundle=tiny_bundle) for word in arguments), cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert told in " ".join(done.stderr.split())
    assert not (tmp_path / "b").exists()


def test_clips_of_the_other_kind_are_refused(tiny_bundle, tiny_flow_bundle):
    rgb, flow = Bundle.open(tiny_bundle), Bundle.open(tiny_flow_bundle)
    with rgb.session() as session, pytest.raises(TargetError, match=r"takes uint8\[1, 4, 32, 32, 3\]"):
        session.run(flow.golden_clip)


def test_how_flow_is_computed_may_be_said_for_one_network_of_several(
    tiny_checkpoint, tiny_flow_checkpoint, tmp_path
):
    rgb, flow = (open_source(path) for path in (tiny_checkpoint, tiny_flow_checkpoint))
    assert with_flow(rgb, "tvl1") is rgb
    changed = with_flow(flow, "tvl1")
    assert changed.sampling.flow == Flow(algorithm="tvl1")
    assert changed.settings["flow"].source == "flag"
    assert changed.sampling == open_source(tiny_flow_checkpoint, flow="tvl1").sampling
    assert changed.notes == open_source(tiny_flow_checkpoint, flow="tvl1").notes != flow.notes
    with pytest.raises(ConfigError, match="optical flow by 'farneback'"):
        compile_ensemble([tiny_checkpoint, tiny_flow_checkpoint], tmp_path / "b", flags={"flow": "farneback"})
