"""``edgevid run``: what people read, what programs read, and what the exit status tells."""

import json
import os
import pty
import subprocess
import sys

import pytest

from edgevid.cli import app
from edgevid.demo import write_videos
from edgevid.recognition.summary import ALL_RECOGNIZED, INTERRUPTED, NONE_RECOGNIZED, SOME_SKIPPED

EDGEVID = [sys.executable, "-c", "from edgevid.cli import main; main()", "run"]


@pytest.fixture
def invoke(capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as end:
            app([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return end.value.code, printed.out, printed.err

    return call


def test_run_prints_five_ranked_classes_and_their_names(invoke, tiny_bundle, video, tmp_path):
    names = tmp_path / "labels.txt"
    names.write_text("apple\nbread\ncheese\ndates\neggs\n")
    code, out, _ = invoke("run", tiny_bundle, video, "--labels", names)
    assert code == 0
    ranked = [line.split() for line in out.splitlines() if line.startswith(" ")]
    assert {line[1] for line in ranked} == {"apple", "bread", "cheese", "dates", "eggs"}
    shares = [float(line[0].rstrip("%")) for line in ranked]
    assert shares == sorted(shares, reverse=True)


def test_run_prints_json_that_a_program_can_read(invoke, tiny_bundle, listed):
    code, out, err = invoke("run", tiny_bundle, listed, "--json", "--top", 2)
    told = json.loads(out)
    assert code == 0
    assert err == ""
    assert len(told["videos"]) == told["summary"]["videos"] == told["summary"]["recognized"] == 8
    assert all(len(record["top"]) == 2 and record["frames"] == 12 for record in told["videos"])
    assert told["summary"]["skipped"] == {}
    assert told["summary"]["interrupted"] is False


def test_run_says_once_that_folders_without_names_are_not_numbered(invoke, tiny_bundle, videos):
    code, out, err = invoke("run", tiny_bundle, videos)
    assert code == 0
    assert err.startswith("warning: ")
    assert err.count("8 class folders") == 1
    assert "accuracy" not in out


def broken_list(tmp_path, video):
    """Of six lines two are good; beside it an empty list, and a file that is missing."""
    (tmp_path / "notes.mp4").write_text("hello")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "list.txt").write_text(
        f"{video} 1\nnotes.mp4 0\nempty.mp4 0\nv/one 30 2\n# a comment\n{video} 77\n{video}\n"
    )
    (tmp_path / "empty.txt").touch()
    return [tmp_path / "list.txt", tmp_path / "empty.txt", tmp_path / "missing.mp4"]


def test_what_is_skipped_is_named_and_counted_and_the_rest_goes_on(invoke, tiny_bundle, video, tmp_path):
    code, out, err = invoke("run", tiny_bundle, *broken_list(tmp_path, video))
    assert code == SOME_SKIPPED == 3
    assert "2 of 8 videos recognized" in out
    assert "6 skipped: 2 list line, 1 not a video, 1 empty, 1 list, 1 missing" in out
    assert "top-5 accuracy: 1 of 1 (100.0%)" in out
    assert "videos/s" in out
    named = (
        "list.txt, line 2",
        "list.txt, line 3",
        "list.txt, line 4",
        "list.txt, line 6",
        "empty.txt",
        "missing.mp4",
    )
    assert all(name in err for name in named)
    assert "--frame-template" in err
    assert err.count("error: ") == 6


def test_json_tells_of_what_is_skipped_too(invoke, tiny_bundle, video, tmp_path):
    code, out, _ = invoke("run", tiny_bundle, *broken_list(tmp_path, video), "--json")
    told = json.loads(out)
    assert code == SOME_SKIPPED
    reasons = [record.get("reason", "recognized") for record in told["videos"]]
    assert reasons == [
        *("recognized", "not a video", "empty", "list line", "list line", "recognized"),
        *("list", "missing"),
    ]
    assert all(record["error"] for record in told["videos"] if "reason" in record)
    listed = str(tmp_path / "list.txt")
    named = [(record["list"], record["line"]) for record in told["videos"] if "reason" in record]
    assert named == [*((listed, line) for line in (2, 3, 4, 6)), (None, None), (None, None)]
    summary = told["summary"]
    assert summary["skipped"] == {
        "list line": 2,
        "not a video": 1,
        "empty": 1,
        "list": 1,
        "missing": 1,
    }
    assert (summary["labelled"], summary["top5"]) == (1, 1.0)
    assert sum(summary["share"].values()) == pytest.approx(1)


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_the_exit_status_is_one_when_nothing_was_recognized(invoke, tiny_bundle, tmp_path, as_json):
    (tmp_path / "empty.txt").touch()
    code, out, err = invoke("run", tiny_bundle, tmp_path / "missing.mp4", tmp_path / "empty.txt", *as_json)
    assert code == NONE_RECOGNIZED == 1
    assert ("0 of 2 videos recognized" in out) != bool(as_json)
    assert "Traceback" not in err


def test_the_help_tells_the_exit_status(invoke):
    code, out, _ = invoke("run", "--help")
    assert code == ALL_RECOGNIZED == 0
    assert f"{ALL_RECOGNIZED} all recognized; {SOME_SKIPPED} some skipped; {NONE_RECOGNIZED} none" in out
    assert f"{INTERRUPTED} interrupted" in out


def test_a_video_shorter_than_the_segments_repeats_frames(invoke, tiny_bundle, tmp_path):
    write_videos(tmp_path, "easy", 1, length=2, size=48)
    code, out, _ = invoke("run", tiny_bundle, next(tmp_path.glob("*/*.mp4")))
    assert code == 0
    assert "only 2 frames" in out
    assert "1 of 1 videos recognized, 1 of them with warnings" in out


def test_a_timeout_too_short_for_any_video_skips_it_by_name(invoke, tiny_bundle, video):
    code, _, err = invoke("run", tiny_bundle, video, "--timeout", 0.001, "--workers", 1)
    assert code == NONE_RECOGNIZED
    assert "longer than 0.001 seconds" in err
    assert str(video) in err


def test_names_that_are_no_text_are_printed_all_the_same(tiny_bundle, video, tmp_path):
    copy = os.fsencode(tmp_path) + b"/caf\xe9 \x1b[31m.mp4"
    with open(copy, "wb") as file:  # noqa: PTH123
        file.write(video.read_bytes())
    missing = os.fsencode(tmp_path) + b"/missing\xff.mp4"
    done = subprocess.run([*EDGEVID, tiny_bundle, copy, missing], capture_output=True, check=False)
    assert done.returncode == SOME_SKIPPED, done.stderr
    assert b"caf\\udce9 \\x1b[31m.mp4" in done.stdout
    assert b"missing\\udcff.mp4" in done.stderr


def on_a_terminal(*arguments, stdout=None):
    """What the program shows on a terminal of its own, and its exit status."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(
        [*EDGEVID, *map(str, arguments)], stdout=stdout or theirs, stderr=theirs, env=environment
    ) as process:
        os.close(theirs)
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:
                break
            if not part:
                break
            shown += part
        status = process.wait(100)
    os.close(ours)
    return status, shown.decode()


def test_on_a_terminal_progress_counts_videos_and_skipped_ones(tiny_bundle, listed, tmp_path):
    status, shown = on_a_terminal(tiny_bundle, tmp_path / "missing.mp4", listed)
    assert status == SOME_SKIPPED
    assert "9/9" in shown
    assert "videos/s, 1 skipped" in shown
    assert "8 of 9 videos recognized" in shown


def test_answers_in_a_file_stay_there_while_progress_is_on_the_terminal(tiny_bundle, listed, tmp_path):
    with (tmp_path / "answers.json").open("wb") as file:
        status, shown = on_a_terminal(tiny_bundle, listed, "--json", stdout=file)
    assert status == 0
    assert "8/8" in shown
    assert len(json.loads((tmp_path / "answers.json").read_text())["videos"]) == 8


def test_in_a_pipe_nothing_but_errors_is_on_the_error_stream(tiny_bundle, listed):
    done = subprocess.run([*EDGEVID, tiny_bundle, listed], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
