"""`edgevid sensitivity` and the flags of `compile` for int8: what people type, and how it fails."""

import json

import pytest
from typer.testing import CliRunner

from edgevid.calibration import tallies
from edgevid.calibration.ranking import load_ranking
from edgevid.calibration.table import load_table
from edgevid.cli import app
from edgevid.demo.files import write_videos
from edgevid.errors import ConfigError, EdgevidError

SIMULATED = ("--device", "tensorrt-simulated")


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Five classes, as the tiny network has them, of two videos."""
    folder = tmp_path_factory.mktemp("videos")
    lines = write_videos(folder, "hard", 16, size=48).read_text().splitlines()
    path = folder / "five.txt"
    path.write_text("\n".join(line for line in lines if int(line.split()[1]) < 5))
    return path


@pytest.fixture(scope="module")
def table(tiny_checkpoint, videos, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "table.json"
    edgevid("calibrate", tiny_checkpoint, "--calibration", videos, "-o", path)
    return path


def edgevid(*arguments):
    """In this process: its output; an error is raised."""
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def sensitivity(*arguments):
    return edgevid("sensitivity", *arguments, *SIMULATED)


def test_layers_are_ranked_printed_written_and_drawn(tiny_checkpoint, videos, tmp_path):
    output, plot = tmp_path / "ranking.json", tmp_path / "ranking.png"
    done = sensitivity(tiny_checkpoint, "--calibration", videos, "-o", output, "--plot", plot, "--count", 6)
    found = load_ranking(output)
    assert (found.clips, len(found.layers)) == (6, 18)
    lines = done.stdout.splitlines()
    places = [next(n for n, line in enumerate(lines) if each.name in line.split()) for each in found.layers]
    assert places == sorted(places)
    assert found.layers[0].weight in done.stdout
    assert "additions and pooling alone" in done.stdout
    assert "simulated with onnxruntime" in done.stdout
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ranking.json", "ranking.png"]


def test_a_table_serves_with_data_of_its_own(tiny_checkpoint, videos, table):
    (videos.parent / "broken.mp4").write_bytes(b"no video")
    some = videos.with_name("some.txt")
    some.write_text("broken.mp4 0\n" + videos.read_text())
    done = sensitivity(tiny_checkpoint, "--calibration", table, "--data", some)
    assert "10 clips" in done.stdout
    assert "1 skipped" in done.stdout
    assert "broken.mp4" in done.stderr


def test_an_interrupted_run_is_taken_up_by_the_same_command(
    tiny_checkpoint, videos, table, tmp_path, monkeypatch
):
    output, save = tmp_path / "r.json", tallies.Tallies.save
    arguments = (tiny_checkpoint, "--calibration", table, "--data", videos, "-o", output)

    def interrupted(self, path, key):
        save(self, path, key)
        if self.variants == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(tallies.Tallies, "save", interrupted)
    with pytest.raises(AssertionError):
        sensitivity(*arguments)
    (partial,) = tmp_path.iterdir()
    assert json.loads(partial.read_text())["variants"] == 7
    seen = []
    monkeypatch.setattr(tallies.Tallies, "save", lambda self, *rest: seen.append(self.variants))
    sensitivity(*arguments)
    assert seen[0] == 8
    assert [path.name for path in tmp_path.iterdir()] == ["r.json"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--plot", "plot.gif"), "png"),
        (("-o", "nowhere/r.json"), "folder of the results"),
        (("--method", "best"), "unknown method"),
        (("--device", "reference"), "cannot run int8"),
        (("--data", "nowhere.txt"), "nowhere.txt"),
    ],
)
def test_what_cannot_be_done_is_refused_before_it_begins(
    tiny_checkpoint, table, tmp_path, monkeypatch, flags, words
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgevidError) as caught:
        edgevid("sensitivity", tiny_checkpoint, "--calibration", table, "--data", table, *SIMULATED, *flags)
    assert words in str(caught.value)


def test_a_table_alone_has_no_clips_to_rank_on(tiny_checkpoint, table):
    with pytest.raises(ConfigError, match="a table holds no clips"):
        sensitivity(tiny_checkpoint, "--calibration", table)


@pytest.mark.parametrize(
    "flags",
    [
        *(("--max-drop", 1), ("--data", "list.txt"), ("--equalize",), ("--correct-bias",)),
        *(("--method", "mse"), ("--clips", 5)),
    ],
)
def test_flags_of_int8_need_calibration(tiny_checkpoint, tmp_path, flags):
    with pytest.raises(ConfigError, match=f"{flags[0]} without int8"):
        edgevid("compile", tiny_checkpoint, "-o", tmp_path / "b", *flags)


@pytest.mark.parametrize("flags", [("--method", "minmax"), ("--clips", 5)])
def test_flags_of_clips_do_not_go_with_a_table(tiny_checkpoint, table, tmp_path, flags):
    words = ("compile", tiny_checkpoint, "-o", tmp_path / "b", "--precision", "int8", "--calibration", table)
    with pytest.raises(ConfigError, match=f"{flags[0]} with a table"):
        edgevid(*words, *flags)
    with pytest.raises(ConfigError, match="names of frames without videos"):
        edgevid(*words, "--frame-template", "img_{:05d}.jpg")


def test_a_percentile_needs_its_method(tiny_checkpoint, videos, tmp_path):
    words = ("calibrate", tiny_checkpoint, "--calibration", videos, "-o", tmp_path / "t.json")
    with pytest.raises(ConfigError, match="a percentile for the method minmax"):
        edgevid(*words, "--percentile", 99)
    edgevid(*words, "--percentile", 99, "--method", "percentile")
    assert load_table(tmp_path / "t.json").percentile == 99


def test_packed_clips_of_another_sampling_are_warned_about(tiny_checkpoint, videos, tmp_path):
    packed = tmp_path / "packed"
    edgevid("pack", videos, "-o", packed, "--segments", 4, "--size", 32, "--resize", 40)
    told = edgevid("calibrate", tiny_checkpoint, "--calibration", packed, "-o", tmp_path / "t.json").stdout
    assert "warning: the network was made for resize" in " ".join(told.split())
    assert "resize" in load_table(tmp_path / "t.json").warnings[0]


def test_an_interrupted_compile_takes_up_its_calibration(tiny_checkpoint, videos, tmp_path, monkeypatch):
    place = tmp_path / "b"
    words = ("compile", tiny_checkpoint, "-o", place, "--precision", "int8", "--calibration", videos)
    monkeypatch.setattr("edgevid.recipe.chunks", lambda *rest, **more: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        edgevid(*words, *SIMULATED)
    assert [path.name for path in tmp_path.iterdir()] == ["b.calibration.partial"]
    monkeypatch.undo()
    monkeypatch.setattr("edgevid.calibration.observations.Observations.add", lambda *rest: 1 / 0)
    edgevid(*words, *SIMULATED)
    assert [path.name for path in tmp_path.iterdir()] == ["b"]


def test_names_of_frames_reach_the_calibration(tiny_checkpoint, videos, tmp_path):
    words = ("compile", tiny_checkpoint, "-o", tmp_path / "b", "--precision", "int8", *SIMULATED)
    with pytest.raises(EdgevidError, match="template"):
        edgevid(*words, "--calibration", videos, "--frame-template", "img.jpg")


def test_the_flags_of_compile_reach_the_bundle(videos, tmp_path):
    from edgevid.bundle import Bundle
    from edgevid.demo import checkpoint

    full = videos.with_name("list.txt")
    flags = ("--equalize", "--correct-bias", "--max-drop", 30, "--data", full)
    done = edgevid(
        *("compile", checkpoint("tsm"), "-o", tmp_path / "b", "--precision", "int8", *SIMULATED),
        *("--calibration", full, *flags, "--json"),
    )
    made = Bundle.open(tmp_path / "b").manifest.quantization
    assert [step.name for step in made.passes] == ["cross-layer equalization", "bias correction"]
    assert (made.drop.limit, made.drop.videos) == (0.3, 16)
    told = json.loads(done.stdout)
    assert told["quantization"]["drop"]["videos"] == 16
    layers = told["artifacts"][0]["layers"]
    assert len(layers) == 53
    assert {layer["precision"] for layer in layers} == {"int8"}


def test_a_table_of_equalized_channels_is_another_one(tiny_checkpoint, videos, table, tmp_path):
    edgevid("calibrate", tiny_checkpoint, "--calibration", videos, "-o", tmp_path / "t.json", "--equalize")
    assert load_table(tmp_path / "t.json").graph_sha256 != load_table(table).graph_sha256
