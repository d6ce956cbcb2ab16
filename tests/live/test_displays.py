"""What is shown of the answers: on a terminal, in a pipe, and for programs."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from live_fakes import NAMES
from rich.console import Console

from edgevid.live import Counts, Moment, Tally
from edgevid.live.display import Shown
from edgevid.live.json_lines import JsonLines
from edgevid.live.lines import Lines
from edgevid.live.terminal import TerminalView


def moment(label, number=0, *, time=None, smoothing=""):
    probabilities = np.full(5, 0.1)
    probabilities[label] = 0.6
    return Moment(number / 25 if time is None else time, number, label, probabilities, 0.0123, smoothing)


def shown(**changes):
    return Shown(**{"names": NAMES, "top": 2, "tally": Tally(Counts()), **changes})


def test_json_has_one_object_a_line_and_a_summary_at_the_end(capsys):
    told = shown(tally=Tally(Counts(frames=9, skipped=1, dropped=2, reopened=3)))
    with JsonLines(told) as display:
        display.show(moment(2, 7, smoothing="average of 1/3"))
        display.show(moment(4, 8))
    display.summary()
    first, second, last = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["time"] == 7 / 25
    assert (first["frame"], first["label"]) == (7, "grey")
    assert first["top"][0] == {"class": 2, "name": "grey", "probability": 0.6}
    assert len(first["top"]) == 2
    assert first["ms"] == pytest.approx(12.3)
    assert (first["dropped"], first["skipped"], first["reopened"]) == (2, 1, 3)
    assert (first["smoothing"], second["smoothing"]) == ("average of 1/3", None)
    assert last["summary"]["frames"] == 9
    assert last["summary"]["interrupted"] is False


def test_json_of_a_frame_before_a_restored_state_has_no_time(capsys):
    JsonLines(shown()).show(Moment(None, -1, 0, np.full(5, 0.2), 0.0, ""))
    told = json.loads(capsys.readouterr().out)
    assert (told["time"], told["frame"]) == (None, -1)


def test_programs_and_pipes_are_told_once_that_the_source_is_away_and_that_it_came_back(capsys):
    counts, events = Counts(), []
    for display in (JsonLines(shown(tally=Tally(counts))), Lines(shown(tally=Tally(counts)))):
        display.wait()
        counts.away = "no answer"
        display.wait()
        display.wait()
        counts.away = ""
        display.show(replace(moment(1), resumed=True))
        counts.away = "it ended"
        display.wait()
        counts.away = ""
        events.append(capsys.readouterr().out.splitlines())
    first, answer, second = map(json.loads, events[0])
    assert (first, second) == ({"event": "away", "why": "no answer"}, {"event": "away", "why": "it ended"})
    assert answer["resumed"] is True
    assert events[1][::2] == ["the source is away: no answer", "the source is away: it ended"]


def test_in_a_pipe_there_is_a_line_whenever_the_label_changes(capsys):
    with Lines(shown()) as display:
        for number, label in enumerate([2, 2, 2, 4, 4, 2]):
            display.show(moment(label, number))
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["0.000", "s", "60.0%", "grey"],
        ["0.120", "s", "60.0%", "white"],
        ["0.200", "s", "60.0%", "grey"],
    ]


def test_a_line_tells_the_state_of_the_smoothing(capsys):
    Lines(shown()).show(moment(1, smoothing="average of 2/3"))
    assert "(average of 2/3)" in capsys.readouterr().out


@pytest.mark.parametrize("display", [Lines, JsonLines])
def test_what_is_simulated_says_so_from_the_first_line_to_the_last(capsys, display):
    with display(shown(simulated="TensorRT")) as view:
        view.show(moment(1))
    view.summary()
    lines = capsys.readouterr().out.splitlines()
    assert "TensorRT" in lines[0]
    assert "TensorRT" in lines[-1]
    assert "simulated" in lines[0]
    assert "simulated" in lines[-1]


def drawn(told, *moments):
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    view = TerminalView(told, console)
    for one in moments:
        view.show(one)
    console.print(view.drawing())
    return console.file.getvalue()


def test_the_terminal_shows_the_label_bars_times_and_counts():
    told = shown(tally=Tally(Counts(dropped=2, skipped=1, reopened=3)))
    text = drawn(told, moment(1), moment(3, 50, smoothing="average of 2/5"))
    assert "light  2.00 s  average of 2/5" in text
    assert "60.0%" in text
    assert "12.3 ms a frame" in text
    assert "2 dropped, 1 damaged and skipped, reopened 3 times" in text


def test_the_terminal_shows_frames_before_the_first_answer():
    assert "0 frames, no answer yet" in drawn(shown())


def test_the_terminal_tells_that_the_source_is_away_and_what_is_simulated():
    told = shown(tally=Tally(Counts(away="no answer for 5 seconds")), simulated="TensorRT")
    text = drawn(told, moment(0))
    assert "the source is away: no answer for 5 seconds" in text
    assert "simulated: TensorRT" in text


def test_class_names_are_not_taken_for_markup():
    assert "[bold]waving[/bold]" in drawn(shown(names=["[bold]waving[/bold]", *"abcd"]), moment(0))


def test_the_view_goes_and_the_summary_stays():
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    tally = Tally(Counts(warnings=["the file ends early"]), interrupted=True, answers=7, taken=9)
    with TerminalView(shown(tally=tally), console) as view:
        view.show(moment(1))
    view.summary()
    text = console.file.getvalue()
    assert "interrupted" in text
    assert "7 answers to 9 frames" in text
    assert "warning: the file ends early" in text


def test_without_names_classes_are_numbered(capsys):
    Lines(shown(names=None)).show(moment(3))
    assert "class 3" in capsys.readouterr().out
