"""``edgevid run`` when it is interrupted, and when its streams are closed, full or nobody's any more."""

import json
import os
import signal
import subprocess
import sys

import pytest
from PIL import Image

from edgevid.recognition.summary import INTERRUPTED, NONE_RECOGNIZED, SOME_SKIPPED

EDGEVID = [sys.executable, "-c", "from edgevid.cli import main; main()", "run"]


@pytest.mark.parametrize("as_json", [False, True])
def test_an_interrupt_ends_the_program_with_the_summary_of_what_is_done(
    tiny_bundle, video, long_list, tmp_path, as_json
):
    missing = tmp_path / "missing.mp4"
    arguments = [tiny_bundle, video, missing, long_list, *(["--json"] if as_json else [])]
    with subprocess.Popen(
        [*EDGEVID, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert "no such video" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == INTERRUPTED == 130
    assert "Traceback" not in err
    if as_json:
        told = json.loads(out)
        assert told["summary"]["interrupted"] is True
        assert 2 <= len(told["videos"]) == told["summary"]["videos"] < 5002
    else:
        assert "interrupted: " in out
        assert "of 5002 videos are not looked at" in out
        assert "1 skipped: 1 missing" in out


def test_a_termination_ends_the_program_though_videos_are_being_decoded(tiny_bundle, long_list):
    with subprocess.Popen(
        [*EDGEVID, tiny_bundle, long_list], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert "12 frames" in process.stdout.readline()
        process.terminate()
        _, err = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert "Traceback" not in err


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_closed_pipe_ends_the_program(tiny_bundle, long_list, unbuffered):
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with subprocess.Popen(
        [*EDGEVID, tiny_bundle, long_list],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(120) == 128 + signal.SIGPIPE


def in_a_shell(command, *arguments, **environment):
    """Run with the redirections of ``command``; ``$@`` in it is the program with its arguments."""
    return subprocess.run(
        ["bash", "-c", command, "bash", *EDGEVID, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | environment,
    )


def test_a_closed_stream_is_as_good_as_a_dropped_one(tiny_bundle, video, tmp_path):
    missing = tmp_path / "missing.mp4"
    closed = in_a_shell('"$@" >&-', tiny_bundle, missing, video)
    assert (closed.returncode, closed.stdout) == (SOME_SKIPPED, "")
    assert closed.stderr.startswith("error: there is no such video")
    assert "Traceback" not in closed.stderr
    closed = in_a_shell('"$@" 2>&-', tiny_bundle, missing, video)
    assert (closed.returncode, closed.stderr) == (SOME_SKIPPED, "")
    assert "1 of 2 videos recognized" in closed.stdout
    assert "error:" not in closed.stdout
    closed = in_a_shell('"$@" <&- >&- 2>&-', tiny_bundle, missing, video, "--json")
    assert (closed.returncode, closed.stdout, closed.stderr) == (SOME_SKIPPED, "", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_full_disk_under_the_output_is_named(tiny_bundle, video, as_json, unbuffered):
    done = in_a_shell('"$@" >/dev/full', tiny_bundle, video, *as_json, PYTHONUNBUFFERED=unbuffered)
    assert done.returncode == 1
    assert done.stderr.startswith("error: No space left on device\n  where: standard output")
    assert done.stderr.count("\n") == 2


def test_a_wrong_option_ends_with_status_two(tiny_bundle):
    done = in_a_shell('"$@"', tiny_bundle, "--bogus")
    assert done.returncode == 2
    assert "No such option: --bogus" in done.stderr


def test_a_huge_picture_is_refused_in_our_own_words_only(tiny_bundle, tmp_path):
    Image.new("1", (12000, 8000)).save(tmp_path / "1.png")
    done = in_a_shell('"$@"', tiny_bundle, tmp_path, "--frame-template", "{}.png")
    assert done.returncode == NONE_RECOGNIZED
    assert done.stderr.startswith("error: frames of 12000x8000 pixels are larger than")
    assert "Warning" not in done.stderr
