"""``edgevid compare`` and ``edgevid pack``: what people read, what is written, and the exit status."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from warm_command import edgevid

from edgevid.cli import app
from edgevid.demo import write_videos
from edgevid.errors import ConfigError

EDGEVID = [sys.executable, "-c", "from edgevid.cli import main; main()"]


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Ten videos of five classes with the labels of the tiny network."""
    place = write_videos(tmp_path_factory.mktemp("videos"), "easy", 10, length=8, size=32)
    lines = [line.rpartition(" ")[0] for line in place.read_text().splitlines()]
    place.write_text("".join(f"{name} {index % 5}\n" for index, name in enumerate(lines)))
    return place


@pytest.fixture(scope="module")
def swapped(tiny_checkpoint, tmp_path_factory):
    """The tiny network with its shifts the wrong way round."""
    from edgevid.compiler import compile_checkpoint

    path = tmp_path_factory.mktemp("bundles") / "swapped.bundle"
    compile_checkpoint(tiny_checkpoint, path, first="past", lowering="slice_concat")
    return path


@pytest.fixture
def invoke(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            app([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return end.value.code, printed.out, printed.err

    return call


@pytest.fixture(scope="module")
def ranking(tiny_checkpoint, videos, tmp_path_factory):
    path = tmp_path_factory.mktemp("ranking") / "r.json"
    words = (tiny_checkpoint, "--calibration", videos, "--count", 2, "-o", path)
    done = edgevid("sensitivity", *words, "--device", "tensorrt-simulated")
    assert done.returncode == 0, done.stderr
    return path


def test_the_sensitivity_of_the_layers_stands_on_the_page(
    invoke, tiny_bundle, swapped, videos, ranking, tmp_path
):
    words = ("compare", tiny_bundle, swapped, "--data", videos, "--no-latency")
    page = tmp_path / "c.html"
    code, _, _ = invoke(*words, "--sensitivity", f"swapped.bundle={ranking}", "--html", page)
    assert code == 0
    assert "Sensitivity of the layers: swapped.bundle" in page.read_text()
    with pytest.raises(ConfigError, match="no network is named other") as caught:
        app([str(w) for w in (*words, "--sensitivity", f"other={ranking}")])
    assert "swapped.bundle" in caught.value.fix


def test_the_sensitivity_of_another_network_is_refused(
    tiny_checkpoint, tiny_bundle, videos, ranking, tmp_path
):
    from edgevid.calibration.clips import Arrays
    from edgevid.compiler import compile_checkpoint
    from edgevid.int8 import Int8

    pixels = np.random.default_rng(0).integers(0, 256, (4, 4, 32, 32, 3)).astype(np.uint8)
    request = {"device": "tensorrt-simulated", "precision": "int8", "int8": Int8(Arrays(pixels))}
    int8 = compile_checkpoint(tiny_checkpoint, tmp_path / "int8", first="past", **request)
    words = ("compare", tiny_bundle, int8.path, "--data", videos, "--sensitivity", f"int8={ranking}")
    with pytest.raises(ConfigError, match="of another network than int8"):
        app([str(word) for word in words])


def test_compare_writes_a_table_json_and_a_page(tiny_bundle, swapped, videos, tmp_path):
    done = edgevid(
        "compare",
        tiny_bundle,
        swapped,
        "--data",
        videos,
        "-o",
        tmp_path / "c.json",
        "--html",
        tmp_path / "c.html",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "progress is silent in a pipe"
    for wanted in ("swapped.bundle against tiny.bundle", "McNemar p", "agreement", "SQNR", "latency: "):
        assert wanted in done.stdout
    found = json.loads((tmp_path / "c.json").read_text())
    assert found["data"]["videos"] == 10
    assert found["latency"]["settings"]["rounds"] == 20
    assert all(variant["latency_ms"]["median"] > 0 for variant in found["variants"])
    assert found["pairs"][0]["sqnr"] < 20
    assert "Accuracy against latency" in (tmp_path / "c.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.html", "c.json"]


@pytest.fixture(scope="module")
def answered(tiny_bundle, videos, tmp_path_factory):
    """Packed clips labelled as the tiny network answers them, and its logits for them."""
    from edgevid import Bundle
    from edgevid.graph.verify import run_all

    folder = tmp_path_factory.mktemp("answered")
    assert edgevid("pack", videos, "-o", folder / "unlabelled", "--bundle", tiny_bundle).returncode == 0
    with Bundle.open(tiny_bundle).session() as session:
        logits = run_all(session, np.load(folder / "unlabelled" / "shard-00000.npy"))
    names = [videos.parent / line.split()[0] for line in videos.read_text().splitlines()]
    labels = zip(names, logits.argmax(1), strict=True)
    (folder / "list.txt").write_text("".join(f"{name} {label}\n" for name, label in labels))
    assert (
        edgevid("pack", folder / "list.txt", "-o", folder / "clips", "--bundle", tiny_bundle).returncode == 0
    )
    return folder / "clips", logits


@pytest.mark.parametrize(
    ("wrong", "allowed", "status", "verdict"),
    [
        (10, 5, 1, "exceeded: the top-1 drop is between"),
        (2, 20, 0, "too few to tell: with 10 labelled videos the top-1 drop is between"),
        (0, 50, 0, "within: the top-1 drop is between"),
    ],
)
def test_the_status_is_one_only_when_the_drop_is_surely_too_large(
    invoke, tiny_bundle, answered, tmp_path, wrong, allowed, status, verdict
):
    clips, logits = answered
    changed = logits.copy()
    changed[:wrong] = np.roll(logits[:wrong], 1, axis=1)
    digest = json.loads((clips / "index.json").read_text())["clips_sha256"]
    np.savez(tmp_path / "l.npz", logits=changed, clips_sha256=digest)
    code, printed, _ = invoke(
        *("compare", tiny_bundle, "--data", clips, "--no-latency", "--max-drop", allowed),
        *("--logits", f"changed={tmp_path / 'l.npz'}"),
    )
    words = " ".join(printed.split())
    assert code == status
    assert verdict in words
    assert f"{wrong} lost, 0 gained of 10" in words


def test_beginnings_of_the_videos_give_a_curve(invoke, tiny_bundle, swapped, videos, tmp_path):
    words = ("compare", tiny_bundle, swapped, "--data", videos, "--no-latency")
    out, page = tmp_path / "c.json", tmp_path / "c.html"
    code, printed, _ = invoke(*words, "--early", "50 %,0.25", "-o", out, "--html", page)
    assert code == 0
    found = json.loads(out.read_text())
    assert [part["share"] for part in found["early"]] == [0.25, 0.5, 1]
    assert found["early"][-1]["top1"] == [variant["top1"] for variant in found["variants"]]
    assert "the first 25 % of 10 of 10 videos are too short for 4 frames" in " ".join(printed.split())
    rows = [line.split()[:2] for line in printed.splitlines()]
    assert all([share, "%"] in rows for share in ("25", "50", "100"))
    assert "Early recognition" in page.read_text()
    invoke(*words, "-o", out)
    whole = json.loads(out.read_text())
    assert (whole["videos"], whole["pairs"]) == (found["videos"], found["pairs"])
    assert whole["early"] == []


@pytest.mark.parametrize("shares", ["0%", "120%", "10%,abc", "", "-5%", "nan", "50"])
def test_what_is_no_part_of_a_video_is_refused_by_the_name_of_the_flag(tiny_bundle, videos, shares):
    words = ("compare", tiny_bundle, tiny_bundle, "--data", videos, "--early", shares)
    with pytest.raises(ConfigError, match="no part of a video") as caught:
        app([str(word) for word in words])
    assert caught.value.where == "--early"


@pytest.fixture(scope="module")
def online(tiny_network, tmp_path_factory):
    """Bundles of one network that takes from the past alone: of whole clips, and frame by frame."""
    from edgevid.checkpoints import write
    from edgevid.compiler import compile_checkpoint
    from edgevid.models import build

    shift = tiny_network.config.shift.model_copy(update={"direction": "unidirectional"})
    network = build(tiny_network.config.model_copy(update={"shift": shift})).eval()
    network.load_state_dict(tiny_network.state_dict())
    folder = tmp_path_factory.mktemp("online")
    write(folder / "online.safetensors", network)
    for name, streaming in (("offline", False), ("online", True)):
        compile_checkpoint(folder / "online.safetensors", folder / name, streaming=streaming)
    return folder / "offline", folder / "online"


def test_offline_and_online_stand_side_by_side_with_the_time_of_a_frame(invoke, online, videos, tmp_path):
    out = tmp_path / "c.json"
    given = ("compare", *online, "--data", videos, "--rounds", 5, "--processes", 2, "--early", "50%")
    code, printed, _ = invoke(*given, "-o", out)
    assert code == 0
    found = json.loads(out.read_text())
    runs = found["latency"]["runs"]
    assert [[variant["role"] for variant in run["variants"]] for run in runs] == [
        ["baseline", "twin", "candidate"]
    ] * 2
    assert [len(run["orders"]) for run in runs] == [5, 5]
    assert f"a run takes {found['variants'][1]['ratio']['median']:.3f}x" in printed
    assert "latency: VALID" in printed or "latency: INVALID: " in printed
    assert found["pairs"][0]["agreement"]["value"] == 1, "the average over frames is the offline answer"
    assert found["pairs"][0]["sqnr"] is None or found["pairs"][0]["sqnr"] > 80
    offline, streamed = found["variants"]
    assert offline["frame_ms"] is None
    assert streamed["frame_ms"]["median"] == pytest.approx(streamed["latency_ms"]["median"] / 4)
    assert "ms a frame" in printed
    assert "online takes frame by frame" in printed


def test_packed_clips_give_what_the_videos_give(invoke, tiny_bundle, swapped, videos, tmp_path):
    clips = tmp_path / "clips"
    code, printed, _ = invoke("pack", videos, "-o", clips, "--bundle", tiny_bundle, "--shard-mb", 0.05)
    assert code == 0
    assert "10 clips of 10 videos, 3 shard(s)" in printed
    results = []
    for data in (videos, clips):
        out = tmp_path / "c.json"
        code, _, _ = invoke("compare", tiny_bundle, swapped, "--data", data, "--no-latency", "-o", out)
        assert code == 0
        results.append(json.loads(out.read_text()))
    assert results[0]["videos"] == results[1]["videos"]
    assert results[0]["pairs"] == results[1]["pairs"]


def test_logits_of_another_device_are_compared(invoke, tiny_bundle, answered, tmp_path):
    clips, logits = answered
    digest = json.loads((clips / "index.json").read_text())["clips_sha256"]
    np.savez(tmp_path / "tx2.npz", logits=logits, clips_sha256=digest, device="a board")
    given = ("compare", tiny_bundle, "--data", clips, "--no-latency", "--logits")
    code, printed, _ = invoke(*given, f"tx2={tmp_path / 'tx2.npz'}")
    assert code == 0
    assert "tx2 against tiny.bundle" in printed
    assert "measured on a board" in printed
    done = edgevid(*given, "tx2")
    assert done.returncode == 1
    assert "'tx2' is not a new NAME=FILE" in done.stderr


def test_broken_videos_are_named_and_the_rest_compared(invoke, tiny_bundle, swapped, videos, tmp_path):
    (tmp_path / "bad.mp4").write_text("no video")
    good = sorted(videos.parent.glob("*/*.mp4"))[:2]
    (tmp_path / "list.txt").write_text(f"bad.mp4 0\n{good[0]} 1\n{good[1]} 2\n")
    code, printed, errors = invoke(
        "compare", tiny_bundle, swapped, "--data", tmp_path / "list.txt", "--no-latency"
    )
    assert code == 0
    assert "2 videos of" in printed
    assert "1 skipped" in printed
    assert "bad.mp4" in errors
    code, printed, errors = invoke(
        "pack", tmp_path / "list.txt", "-o", tmp_path / "clips", "--bundle", tiny_bundle
    )
    assert code == 0
    assert "2 clips of 2 videos, 1 skipped" in printed
    assert "bad.mp4" in errors


def test_videos_without_labels_are_compared_by_answers_alone(invoke, tiny_bundle, swapped, videos):
    code, printed, _ = invoke(
        "compare", tiny_bundle, swapped, "--data", videos.parent / "grow", "--no-latency"
    )
    assert code == 0
    assert "no video has a label" in printed
    assert "agreement" in printed
    assert "drop" not in printed


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["compare", "{one}", "--data", "{list}"], "nothing to compare"),
        (["compare", "{one}", "{one}", "--data", "missing.txt"], "missing.txt"),
        (["compare", "{one}", "{one}", "--data", "{empty}"], "empty.txt"),
        (["compare", "{one}", "{one}", "--data", "{beyond}"], "label 5, but the network has 5 classes"),
        (["compare", "{one}", "{one}", "--data", "{list}", "-o", "no/c.json"], "no/c.json"),
        (["compare", "{one}", "{one}", "--data", "{list}", "--html", "no/c.html"], "no/c.html"),
        (["compare", "{one}", "{one}", "--data", "{nolabel}", "--max-drop", "1"], "without labels"),
        (["compare", "{one}", "nothing", "--data", "{list}"], "no bundle there"),
        (["compare", "{one}", "--data", "{list}", "--logits", "a=b.npz"], "packed clips, not to videos"),
        (["pack", "{list}", "-o", "{full}"], "something already"),
        (["pack", "{list}", "-o", "c", "--crops", "2"], "crops is 2"),
        (["pack", "{empty}", "-o", "c"], "empty.txt"),
    ],
)
def test_mistakes_give_a_message_and_status_one(tiny_bundle, videos, tmp_path, arguments, told):
    good = next(videos.parent.glob("*/*.mp4"))
    places = {"one": tiny_bundle, "list": videos, "full": videos.parent}
    for name, text in (("empty", ""), ("beyond", f"{good} 5\n"), ("nolabel", f"{good}\n")):
        places[name] = tmp_path / f"{name}.txt"
        places[name].write_text(text)
    done = edgevid(*(argument.format(**places) for argument in arguments), cwd=tmp_path)
    assert done.returncode == 1
    assert told in done.stderr
    assert "what to do" in done.stderr
    assert "Traceback" not in done.stderr


SLOWLY = """
import sys, time
from edgevid.calibration import inference
show = inference._show
def slow(*arguments):
    time.sleep(0.3)
    return show(*arguments)
inference._show = slow
from edgevid.cli import main
main()
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_comparison_that_is_stopped_goes_on_with_the_same_command(
    tiny_bundle, swapped, videos, tmp_path, sent
):
    command = ["compare", tiny_bundle, swapped, "--data", videos, "--no-latency", "-o", tmp_path / "c.json"]
    command = [str(part) for part in command]
    partial = tmp_path / "c.json.partial"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, *command], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    for _ in range(600):
        if partial.exists() and partial.read_bytes().count(b"\n") >= 4:
            break
        time.sleep(0.05)
    os.kill(process.pid, sent)
    _, errors = process.communicate(timeout=60)
    assert process.returncode not in (0, None)
    assert "the same command goes on there" in errors
    assert "Traceback" not in errors
    kept = partial.read_bytes().count(b"\n") - 1
    assert 3 <= kept < 10
    done = edgevid(*command)
    assert done.returncode == 0, done.stderr
    assert f"{kept} videos were done by an earlier run" in done.stdout
    assert not partial.exists()
    assert len(json.loads((tmp_path / "c.json").read_text())["videos"]) == 10
