"""The order of suggestions, what fits, and what none beats."""

import io

import pytest
from rich.console import Console

from edgevid.bench.statistics import Interval
from edgevid.bench.summary import Estimate
from edgevid.papers import Accuracy
from edgevid.suggest import Limits, Measurement, rank
from edgevid.suggest.ranking import as_json
from edgevid.suggest.render import render_suggestions

VIDEOS = {"slow": 75.0, "middle": 70.0, "fast": 68.0, "worse": 60.0, "other": 40.0}


@pytest.fixture(autouse=True)
def accuracies(monkeypatch):
    def of(preset):
        views = "1 clip, 10 crops" if preset == "other" else "1 clip, 1 crop"
        top1 = VIDEOS.get(preset)
        return () if top1 is None else (Accuracy(preset, "Kinetics-400", top1, views, "a paper, table 1"),)

    monkeypatch.setattr("edgevid.suggest.ranking.accuracies_of", of)


def measured(preset, milliseconds, *, memory=None, invalid="", precision="fp32", threads="1"):
    interval = Interval(milliseconds - 0.5, milliseconds + 0.5, 0.95, "order statistics")
    return Measurement(
        preset=preset,
        precision=precision,
        milliseconds=Estimate(median=milliseconds, interval=interval),
        memory=memory,
        threads=threads,
        lowering="function",
        invalid=invalid,
        file="result.json",
    )


def networks(*names):
    return [(name, "fp32") for name in names]


def states(found):
    return {each.preset: each.state for each in found}


def test_what_fits_comes_first_from_fast_to_slow():
    found = rank(
        networks("unknown", "slow", "middle", "fast"),
        [measured("slow", 80), measured("fast", 10), measured("middle", 30)],
        Limits(50),
    )
    assert [(each.preset, each.state) for each in found] == [
        ("fast", "fits"),
        ("middle", "fits"),
        ("slow", "too slow"),
        ("unknown", "not measured"),
    ]
    assert found[-1].measured is None


def test_a_latency_at_the_limit_fits():
    assert states(rank(networks("fast"), [measured("fast", 50)], Limits(50))) == {"fast": "fits"}


def test_memory_is_a_limit_only_if_it_is_asked_for():
    given = [measured("slow", 1, memory=300), measured("middle", 2, memory=200), measured("fast", 3)]
    names = networks("slow", "middle", "fast")
    assert set(states(rank(names, given, Limits(50))).values()) == {"fits"}
    assert states(rank(names, given, Limits(50, 200))) == {
        "slow": "too large",
        "middle": "fits",
        "fast": "memory not measured",
    }


def test_figures_that_are_not_valid_never_fit_and_say_why():
    (found,) = rank(networks("fast"), [measured("fast", 1, invalid="too few rounds: 3")], Limits(50))
    assert (found.state, found.reason, found.best_of) == ("not valid", "too few rounds: 3", ())


def test_of_several_measurements_the_fastest_valid_one_counts():
    given = [
        measured("fast", 20),
        measured("fast", 12, threads="2"),
        measured("fast", 1, invalid="the machine was under load"),
    ]
    (found,) = rank(networks("fast"), given, Limits(50))
    assert found.measured.milliseconds.median == 12


def test_a_measurement_with_memory_counts_before_a_faster_one_where_memory_is_limited():
    given = [measured("fast", 12), measured("fast", 20, memory=100)]
    (found,) = rank(networks("fast"), given, Limits(50, 200))
    assert (found.state, found.measured.memory) == ("fits", 100)


def test_the_best_are_those_that_none_beats_on_the_same_videos():
    given = [measured("slow", 40), measured("middle", 30), measured("worse", 35), measured("fast", 10)]
    found = rank(
        networks("slow", "middle", "worse", "fast", "other"), [*given, measured("other", 45)], Limits(50)
    )
    assert {each.preset for each in found if each.best_of} == {"slow", "middle", "fast", "other"}
    (other,) = (each for each in found if each.preset == "other")
    assert other.best_of == ("Kinetics-400, 1 clip, 10 crops",)


def test_what_does_not_fit_beats_nothing():
    found = rank(networks("slow", "fast"), [measured("slow", 5), measured("fast", 20)], Limits(50))
    assert [each.preset for each in found if each.best_of] == ["slow"]
    found = rank(
        networks("slow", "fast"),
        [measured("slow", 5, memory=9), measured("fast", 20, memory=1)],
        Limits(50, 2),
    )
    assert [each.preset for each in found if each.best_of] == ["fast"]


def test_a_precision_beats_no_other_since_accuracies_are_of_float():
    names = [("fast", "fp32"), ("fast", "int8")]
    found = rank(names, [measured("fast", 5, precision="int8"), measured("fast", 20)], Limits(50))
    assert [each.precision for each in found if each.best_of] == ["int8", "fp32"]


def test_precisions_are_told_apart():
    found = rank([("fast", "fp32"), ("fast", "int8")], [measured("fast", 5, precision="int8")], Limits(50))
    assert [(each.precision, each.state) for each in found] == [("int8", "fits"), ("fp32", "not measured")]


def text_of(found):
    shown = io.StringIO()
    Console(width=200, file=shown).print(render_suggestions(found, "this machine: within 50ms"))
    return shown.getvalue()


def test_the_table_shows_figures_sources_and_what_is_missing():
    given = [measured("middle", 30, memory=123_000_000), measured("slow", 80)]
    failures = {("fast", "int8"): "it lacks int8"}
    names = [*networks("middle", "slow", "fast"), ("fast", "int8")]
    text = text_of(rank(names, given, Limits(50), failures))
    for wanted in (
        "this machine: within 50ms",
        "29.5 to 30.5",
        "123.0",
        "70 % Kinetics-400, 1 clip, 1 crop * [1]",
        "[1] a paper, table 1",
        "too slow",
        "fp32, int8",
        "not measured: no result says it; nothing is estimated",
        "fast, int8: it lacks int8",
    ):
        assert wanted in text
    assert text.count("not measured") >= 2


def test_json_says_the_same():
    names = networks("middle", "fast")
    middle, fast = as_json(rank(names, [measured("middle", 30, memory=7)], Limits(50)))
    assert (middle["state"], middle["peak_memory"], middle["milliseconds"]["median"]) == ("fits", 7, 30)
    assert middle["accuracies"][0]["source"] == "a paper, table 1"
    assert middle["best_of"] == ["Kinetics-400, 1 clip, 1 crop"]
    assert (fast["state"], fast["milliseconds"], fast["file"]) == ("not measured", None, None)
