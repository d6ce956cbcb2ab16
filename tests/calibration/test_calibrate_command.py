"""`edgevid calibrate`: what people type, what they get, and how it fails."""

import pytest
from typer.testing import CliRunner

from edgevid.calibration import data, table
from edgevid.calibration.table import load_table
from edgevid.cli import app
from edgevid.demo.files import write_videos
from edgevid.errors import ConfigError, VideoError


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Five classes, as the tiny network has them, of three videos."""
    folder = tmp_path_factory.mktemp("videos")
    lines = write_videos(folder, "hard", 24, size=48).read_text().splitlines()
    path = folder / "five.txt"
    path.write_text("\n".join(line for line in lines if int(line.split()[1]) < 5))
    return path


def calibrate(*arguments):
    """In this process: its output; an error is raised."""
    result = CliRunner().invoke(app, ["calibrate", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def test_a_table_is_written_and_summed_up(tiny_checkpoint, videos, tmp_path):
    output = tmp_path / "table.json"
    done = calibrate(
        tiny_checkpoint,
        "--calibration",
        videos,
        "-o",
        output,
        "--clips",
        10,
        "--method",
        "mse",
        "--workers",
        1,
    )
    made = load_table(output)
    assert (len(made.clips), made.classes, made.method) == (10, 5, "mse")
    assert "10 clips of 5 classes" in done.stdout
    assert "warning: only 10 clips" in done.stdout
    assert made.graph_sha256[:12] in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["table.json"]


def test_a_broken_video_and_a_wrong_line_are_named_and_the_rest_goes_on(tiny_checkpoint, videos, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    (tmp_path / "list.txt").write_text(
        "broken.mp4 0\n" + "".join(f"{videos.parent / line}\n" for line in videos.read_text().splitlines())
    )
    done = calibrate(tiny_checkpoint, "--calibration", tmp_path / "list.txt", "-o", tmp_path / "t.json")
    assert "broken.mp4" in done.stderr
    assert "15 clips of 5 classes, 1 skipped" in done.stdout


def test_an_interrupted_run_is_taken_up_by_the_same_command(tiny_checkpoint, videos, tmp_path, monkeypatch):
    output, read_ahead = tmp_path / "t.json", data.read_ahead
    arguments = (tiny_checkpoint, "--calibration", videos, "-o", output, "--method", "entropy")

    def interrupted(*args, **kwargs):
        for number, read in enumerate(read_ahead(*args, **kwargs)):
            if number == 4:
                raise KeyboardInterrupt
            yield read

    monkeypatch.setattr(data, "read_ahead", interrupted)
    result = CliRunner().invoke(app, ["calibrate", *map(str, arguments)])
    assert result.exit_code == 130
    assert "the same command goes on there" in result.stderr
    assert not output.exists()
    monkeypatch.setattr(data, "read_ahead", read_ahead)
    calibrate(*arguments)
    resumed = load_table(output)
    calibrate(*arguments)
    assert load_table(output) == resumed
    assert len(resumed.clips) == 15
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]


def test_a_table_that_cannot_be_written_costs_nothing_that_was_seen(
    tiny_checkpoint, videos, tmp_path, monkeypatch
):
    output, write_text = tmp_path / "t.json", table.write_text
    arguments = (tiny_checkpoint, "--calibration", videos, "-o", output)

    def full(*_):
        raise ConfigError("the disk is full")

    monkeypatch.setattr(table, "write_text", full)
    with pytest.raises(ConfigError, match="full"):
        calibrate(*arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["t.json.partial"]
    monkeypatch.setattr(table, "write_text", write_text)
    calibrate(*arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["t.json"]


def test_an_empty_list_is_refused(tiny_checkpoint, tmp_path):
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(VideoError, match="empty"):
        calibrate(tiny_checkpoint, "--calibration", tmp_path / "empty.txt", "-o", tmp_path / "t.json")


def test_a_list_of_other_classes_is_refused(tiny_checkpoint, videos, tmp_path):
    with pytest.raises(ConfigError, match="the network has 5 classes"):
        calibrate(tiny_checkpoint, "--calibration", videos.parent / "list.txt", "-o", tmp_path / "t.json")


def test_mistakes_are_found_before_anything_slow(tmp_path):
    with pytest.raises(ConfigError, match="unknown method"):
        calibrate("x.pth", "--calibration", "x", "-o", tmp_path / "t.json", "--method", "median")
    with pytest.raises(ConfigError, match="folder of the table"):
        calibrate("x.pth", "--calibration", "x", "-o", tmp_path / "none" / "t.json")
