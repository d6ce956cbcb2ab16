"""``edgevid stream``: what people read, what programs read, how it ends, and what is refused."""

import json
import os
import pty
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from live_fakes import FakeBundle, write_pictures

from edgevid.bundle import Bundle
from edgevid.cli import app
from edgevid.errors import ConfigError, TargetError, VideoError
from edgevid.live import load_state

HERE = Path(__file__).resolve().parent

PROGRAM = """
import sys
from edgevid.bundle import Bundle
from edgevid.cli import main
from live_fakes import FakeBundle
delay = int(sys.argv.pop())
Bundle.open = classmethod(lambda cls, path: FakeBundle(path, delay=delay))
main()
"""


@pytest.fixture
def use(monkeypatch, tmp_path):
    """Make a bundle of fakes be what opening gives."""

    def choose(**options):
        bundle = FakeBundle(tmp_path, **options)
        monkeypatch.setattr(Bundle, "open", classmethod(lambda cls, path: bundle))
        return bundle

    return choose


@pytest.fixture
def stream(capsys, tmp_path):
    """Run the command on a folder of pictures of these classes."""

    def call(labels, *arguments, rate=25):
        folder = write_pictures(tmp_path / f"frames{len(list(tmp_path.iterdir()))}", labels)
        words = ["stream", "a.bundle", folder, "--frame-template", "{}.png", *arguments]
        words += [] if rate is None else ["--rate", rate]
        try:
            app([str(word) for word in words])
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr().out

    return call


def answers(out):
    *lines, last = map(json.loads, out.splitlines())
    return lines, last["summary"]


def test_a_line_is_printed_whenever_the_label_changes_and_then_a_summary(use, stream):
    use(delay=0)
    code, out = stream([0, 0, 0, 3, 3, 1])
    assert code == 0
    labels = [line.split()[-1] for line in out.splitlines() if " s  " in line]
    assert labels == ["black", "light", "dark"]
    assert "6 answers to 6 frames; 0 dropped, 0 damaged and skipped, reopened 0 times" in out
    assert "of real time" in out


def test_json_is_one_object_a_frame_and_the_summary(use, stream):
    use(delay=0)
    code, out = stream([0, 2, None, 4], "--json", "--top", 1)
    lines, summary = answers(out)
    assert code == 0
    assert [(line["frame"], line["label"]) for line in lines] == [(0, "black"), (1, "grey"), (3, "white")]
    assert [line["time"] for line in lines] == pytest.approx([0, 0.04, 0.12])
    assert [len(line["top"]) for line in lines] == [1, 1, 1]
    assert (summary["frames"], summary["skipped"], summary["answers"]) == (3, 1, 3)


def test_with_look_ahead_answers_carry_the_times_of_their_frames(use, stream):
    use(delay=2)
    _, out = stream([0, 1, 2, 3, 4], "--json")
    lines, summary = answers(out)
    assert [(line["frame"], line["label"]) for line in lines] == [
        *((0, "black"), (1, "dark"), (2, "grey"), (3, "light"), (4, "white")),
    ]
    assert any("2 frames late" in remark for remark in summary["remarks"])


def test_a_source_is_resampled_to_the_interval_of_the_bundle(use, stream):
    use(delay=0, frame_interval=0.08)
    _, out = stream([0, 1, 2, 3, 4], "--json")
    assert [line["frame"] for line in answers(out)[0]] == [0, 2, 4]


def test_the_command_line_overrides_the_interval_of_the_bundle(use, stream):
    use(delay=0, frame_interval=0.08)
    _, out = stream([0, 1, 2, 3, 4], "--json", "--frame-interval", 0.16)
    assert [line["frame"] for line in answers(out)[0]] == [0, 4]


def test_a_folder_without_a_rate_gives_every_frame_to_the_network(use, stream):
    use(delay=0, frame_interval=0.08)
    _, out = stream([0, 1, 2, 3, 4], "--json", rate=None)
    lines, _ = answers(out)
    assert [line["frame"] for line in lines] == [0, 1, 2, 3, 4]
    assert lines[-1]["time"] == pytest.approx(0.32)


def test_smoothing_is_off_unless_asked_for_and_then_seen(use, stream):
    use(delay=0)
    labels = [0, 0, 4, 0]
    plain, _ = answers(stream(labels, "--json")[1])
    smooth, _ = answers(stream(labels, "--json", "--smooth", "average:3", "--smooth", "hysteresis:0.1:2")[1])
    assert [line["label"] for line in plain] == ["black", "black", "white", "black"]
    assert {line["smoothing"] for line in plain} == {None}
    assert [line["label"] for line in smooth] == ["black"] * 4
    assert smooth[3]["smoothing"] == "average of 3/3; hysteresis 0.1, change 0/2"


def test_a_saved_state_goes_on_with_the_next_part(use, stream, tmp_path):
    use(delay=2)
    labels = [0, 1, 2, 3, 4, 3, 2]
    whole, _ = answers(stream(labels, "--json")[1])
    state = tmp_path / "stream.state"
    first, _ = answers(stream(labels[:4], "--json", "--save-state", state)[1])
    second, _ = answers(stream(labels[4:], "--json", "--restore-state", state)[1])
    assert [line["label"] for line in first + second] == [line["label"] for line in whole]
    assert [line["time"] for line in second[:3]] == [None, None, 0.0]


def test_an_offline_bundle_is_streamed_by_a_window_and_its_cost_is_told(use, stream):
    use()
    code, out = stream([0, 1, 2, 3, 4, 3, 2, 1], "--window", 4, "--hop", 2, "--json")
    lines, summary = answers(out)
    assert code == 0
    assert [(line["frame"], line["label"]) for line in lines] == [(3, "light"), (5, "light"), (7, "dark")]
    assert summary["ms_a_second_of_video"] > 0
    assert summary["share_of_real_time"] == pytest.approx(summary["ms_a_second_of_video"] / 1e3)


def test_without_a_hop_a_window_moves_on_by_a_segment(use, stream):
    use()
    lines, _ = answers(stream([0] * 13, "--window", 8, "--json")[1])
    assert [line["frame"] for line in lines] == [7, 9, 11]


def test_a_simulated_bundle_says_so_on_every_line(use, stream):
    use(delay=0, simulated="TensorRT")
    lines, summary = answers(stream([0, 1], "--json")[1])
    assert [line["simulated"] for line in [*lines, summary]] == ["TensorRT"] * 3
    _, out = stream([0, 1])
    assert out.startswith("simulated: TensorRT")
    assert out.splitlines()[-2].startswith("simulated: TensorRT")


def test_classes_are_named_by_a_file_if_one_is_given(use, stream, tmp_path):
    use(delay=0)
    (tmp_path / "names.txt").write_text("a\nb\nc\nd\ne\n")
    lines, _ = answers(stream([2], "--json", "--labels", tmp_path / "names.txt")[1])
    assert lines[0]["label"] == "c"


@pytest.mark.parametrize(
    ("delay", "arguments", "told"),
    [
        (None, [], "--streaming, or give --window"),
        (None, ["--hop", 2], "--streaming, or give --window"),
        (None, ["--window", 3], "too short"),
        (None, ["--window", 8, "--save-state", "s"], "no state to keep"),
        (0, ["--window", 8], "there is no window"),
        (0, ["--hop", 8], "there is no window"),
        (0, ["--smooth", "median:3"], "no smoothing"),
        (0, ["--restore-state", "missing"], "no such state"),
        (0, ["--save-state", "no/folder/s"], "does not exist"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_way_out(use, stream, delay, arguments, told):
    use(delay=delay)
    with pytest.raises(ConfigError) as caught:
        stream([0], *arguments)
    assert told in str(caught.value)
    assert caught.value.fix


def test_a_state_of_another_network_is_refused(use, stream, tmp_path):
    bundle = use(delay=0)
    stream([0], "--save-state", tmp_path / "s")
    made = bundle._artifact
    bundle._artifact = replace(made, streaming=replace(made.streaming, network="another one"))
    with pytest.raises(TargetError, match="of another network"):
        stream([0], "--restore-state", tmp_path / "s")


def test_a_source_that_cannot_be_read_is_an_error(use, stream):
    use(delay=0)
    with pytest.raises(VideoError, match="not one picture"):
        stream([None, None])


def command(tmp_path, *arguments, delay=0):
    """The program on its own, with a network of fakes."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), *filter(None, sys.path)])}
    words = [sys.executable, "-c", PROGRAM, "stream", tmp_path, *arguments, delay]
    return [str(word) for word in words], {**environment, "TERM": "xterm", "COLUMNS": "100"}


@pytest.fixture
def long_source(tmp_path):
    """Minutes of frames at their own speed."""
    folder = write_pictures(tmp_path / "long", [0, 1, 2, 3] * 100)
    return [folder, "--frame-template", "{}.png", "--rate", 2, "--realtime"]


@pytest.mark.parametrize(
    ("as_json", "number", "code"),
    [(False, signal.SIGINT, 130), (True, signal.SIGINT, 130), (True, signal.SIGTERM, 143)],
)
def test_an_interrupt_ends_with_the_summary_and_the_state(tmp_path, long_source, as_json, number, code):
    state = tmp_path / "stream.state"
    words, environment = command(
        tmp_path, *long_source, "--save-state", state, *(["--json"] if as_json else [])
    )
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        first = process.stdout.readline()
        if not as_json:  # after the remarks
            first = process.stdout.readline()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert "black" in first, err
    assert process.returncode == code
    assert err == ""
    assert state.is_file()
    if as_json:
        assert json.loads(out.splitlines()[-1])["summary"]["interrupted"] is True
    else:
        assert "interrupted" in out
        assert "answers to" in out


def test_on_a_terminal_the_view_is_drawn_and_the_summary_stays(tmp_path):
    folder = write_pictures(tmp_path / "short", [0, 1, 2, 3])
    words, environment = command(tmp_path, folder, "--frame-template", "{}.png", "--rate", 10, "--realtime")
    ours, theirs = pty.openpty()
    with subprocess.Popen(words, stdout=theirs, stderr=theirs, env=environment) as process:
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
        status = process.wait(60)
    os.close(ours)
    text = shown.decode()
    assert status == 0, text
    assert "ms a frame" in text
    assert "dropped, 0 damaged and skipped" in text
    assert "answers to" in text


def test_a_closed_pipe_ends_the_program_and_the_state_is_kept(tmp_path, long_source):
    long_source[long_source.index("--rate") + 1] = 100
    state = tmp_path / "stream.state"
    words, environment = command(tmp_path, *long_source, "--json", "--save-state", state)
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        status = process.wait(60)
        err = process.stderr.read()
    assert status == 128 + signal.SIGPIPE
    assert "Traceback" not in err
    assert load_state(state).steps > 1


def test_a_real_bundle_of_whole_clips_is_streamed_by_a_window(tiny_bundle, tmp_path, capsys):
    from edgevid.demo import write_videos

    write_videos(tmp_path, "easy", 1, length=20, size=48)
    video = min(tmp_path.glob("*/*.mp4"))
    with pytest.raises(SystemExit) as end:
        app(["stream", str(tiny_bundle), str(video), "--window", "8", "--hop", "4", "--json"])
    assert end.value.code == 0
    lines, summary = answers(capsys.readouterr().out)
    assert [line["frame"] for line in lines] == [7, 11, 15, 19]
    assert all(sum(answer["probability"] for answer in line["top"]) <= 1.000001 for line in lines)
    assert summary["share_of_real_time"] > 0


def test_the_help_tells_the_exit_status(capsys):
    with pytest.raises(SystemExit) as end:
        app(["stream", "--help"])
    assert end.value.code == 0
    assert "130 interrupted" in capsys.readouterr().out
