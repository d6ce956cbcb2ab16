"""Ensembles as people type them: compiled, verified, run and measured as one bundle."""

import json

import pytest
from warm_command import edgevid

from edgevid.demo import write_videos


@pytest.fixture(scope="module")
def pair(tiny_bundle, tiny_checkpoint, tmp_path_factory):
    """A bundle of 4 frames and a checkpoint that is compiled for 8, which then looks six times at a video."""
    place = tmp_path_factory.mktemp("ensembles") / "pair"
    views = ("--temporal-clips", 2, "--crops", 3)
    done = edgevid(
        *("compile", tiny_bundle, tiny_checkpoint, "--segments", "4,8", "--weights", "1,3", "-o", place),
        *views,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("status: verified on the device") == 2
    words = " ".join(done.stdout.split())
    assert (
        "an ensemble of 2 networks; their scores count: tiny, 4 frames (25.0%); tiny, 8 frames (75.0%)"
        in words
    )
    assert done.stderr == "", "progress is silent in a pipe"
    return place


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    write_videos(folder, "easy", 1, length=12, size=48)
    return next(folder.glob("*/*.mp4"))


def test_every_network_is_verified(pair):
    done = edgevid("verify", pair)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("passed") == 3
    assert "tiny, 8 frames, batch 1: passed" in " ".join(done.stdout.split())


def test_videos_are_recognized_and_every_network_says_how_long_it_took(pair, video):
    done = edgevid("run", pair, video)
    assert done.returncode == 0, done.stderr
    # Of the bundle one view, since it was compiled so; of the checkpoint six, as its compile was told.
    assert "12 frames, 7 view(s)" in done.stdout
    assert "(tiny, 4 frames: " in done.stdout
    told = json.loads(edgevid("run", pair, video, "--json", "--clips", 2, "--crops", 1).stdout)
    (record,) = told["videos"]
    assert record["views"] == 4
    assert set(record["seconds"]) == {"read", "network", "members"}
    assert set(record["seconds"]["members"]) == {"tiny, 4 frames", "tiny, 8 frames"}
    assert sum(answer["probability"] for answer in record["top"]) == pytest.approx(1)


def test_one_network_tells_no_members(tiny_bundle, video):
    told = json.loads(edgevid("run", tiny_bundle, video, "--json").stdout)
    assert set(told["videos"][0]["seconds"]) == {"read", "network"}


def test_what_each_network_adds_is_measured_and_reported(pair, tmp_path):
    results, page = tmp_path / "r.json", tmp_path / "r.md"
    done = edgevid("bench", pair, "--rounds", 8, "--threads", 1, "-o", results)
    assert done.returncode == 0, done.stderr
    assert "what each network adds to pair" in done.stdout
    result = json.loads(results.read_text())
    variants = [(variant["name"], variant["role"]) for variant in result["runs"][0]["variants"]]
    assert variants == [
        ("tiny, 4 frames", "baseline"),
        ("tiny, 4 frames (A/A)", "twin"),
        ("with tiny, 8 frames", "candidate"),
    ]
    assert set(result["peak_memory"]) == {"tiny, 4 frames", "with tiny, 8 frames"}
    walls = [result["runs"][0]["samples"][name]["wall_ns"] for name, _ in (variants[0], variants[2])]
    assert sum(walls[1]) > 1.3 * sum(walls[0]), "twice as many frames take longer than none"
    done = edgevid("report", results, "--markdown", page, "-o", tmp_path / "r.html")
    assert done.returncode == 0, done.stderr
    assert "with tiny, 8 frames" in page.read_text()


def test_the_json_of_a_compile_holds_every_manifest(tiny_bundle, tmp_path):
    done = edgevid("compile", tiny_bundle, tiny_bundle, "-o", tmp_path / "b", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [member["folder"] for member in told["members"]] == ["members/1", "members/2"]
    assert [member["title"] for member in told["members"]] == ["tiny, 4 frames", "tiny, 4 frames #2"]
    assert {member["manifest"]["status"] for member in told["members"]} == {"verified on the device"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["compile", "{ckpt}", "--weights", "1", "-o", "b"], "numbers for several networks"),
        (["compile", "{ckpt}", "--segments", "4,8", "-o", "b"], "numbers for several networks"),
        (["compile", "{ckpt}", "--segments", "four", "-o", "b"], "--segments"),
        (["compile", "{ckpt}", "{bundle}", "--weights", "1,b", "-o", "b"], "no list of numbers"),
        (["compile", "{ckpt}", "{bundle}", "--streaming", "-o", "b"], "take frame by frame"),
        (["compile", "{ckpt}", "{pair}", "-o", "b"], "members/1"),
        (["compile", "{ckpt}", "nowhere", "-o", "b"], "no such file"),
        (["verify", "{pair}", "--against", "{bundle}"], "members/1"),
        (["stream", "{pair}", "camera"], "members/1"),
        (["compare", "{pair}", "--data", "."], "members/1"),
        (["lint", "{pair}"], "members/1"),
        (["inspect", "{pair}"], "a folder, not a file"),
        (["bench", "{pair}", "{bundle}"], "measure it by itself"),
        (["bench", "{pair}", "--layers"], "--layers of several networks"),
        (["bench", "{pair}", "--video", "none.mp4"], "none.mp4"),
        (["bench", "{pair}", "--batch", "2"], "no artifact for batch 2"),
        (["report", "{pair}", "-o", "r.html"], "this is a bundle"),
        (["report", "{pair}/ensemble.json", "-o", "r.html"], "manifest of an ensemble"),
    ],
)
def test_what_an_ensemble_is_not_for_is_told_with_the_way_out(
    arguments, told, pair, tiny_checkpoint, tiny_bundle, tmp_path
):
    filled = [each.format(pair=pair, ckpt=tiny_checkpoint, bundle=tiny_bundle) for each in arguments]
    done = edgevid(*filled, cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("error: ")
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
