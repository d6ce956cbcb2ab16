"""Accuracy against latency as a picture."""

import pytest

from edgevid.bench.summary import Estimate
from edgevid.errors import ConfigError
from edgevid.suggest import Limits, Measurement, rank
from edgevid.suggest.plot import check_plot, figure, plot_suggestions

pytest.importorskip("matplotlib")


def measured(preset, milliseconds):
    return Measurement(
        preset=preset,
        precision="fp32",
        milliseconds=Estimate(median=milliseconds, interval=None),
        memory=None,
        threads="1",
        lowering="function",
        invalid="",
        file="result.json",
    )


@pytest.fixture
def found():
    names = [(name, "fp32") for name in ("tsn-resnet50", "tsm-resnet50", "tsm-resnet101", "i2d")]
    given = [measured("tsn-resnet50", 20.0), measured("tsm-resnet50", 90.0), measured("i2d", 5.0)]
    return rank(names, given, Limits(50))


def labels(made):
    return made.axes[-1].get_legend_handles_labels()[1]


def test_a_part_each_for_accuracies_that_may_be_compared(found):
    made = figure(found, Limits(50))
    assert [
        axes.get_title(loc) for axes in made.axes for loc in ("center", "left") if axes.get_title(loc)
    ] == [
        "Kinetics-400, 1 clip, 1 crop",
        "Something-Something-V1, 1 clip, 1 crop",
    ]
    assert labels(made) == ["tsn-resnet50, fp32", "tsm-resnet50, fp32", "not measured: tsm-resnet101, fp32"]


def test_what_does_not_fit_is_drawn_open(found):
    first = figure(found, Limits(50)).axes[0]
    fills = {
        float(container[0].get_xdata()[0]): container[0].get_fillstyle() for container in first.containers
    }
    assert fills == {20.0: "full", 90.0: "none"}


def test_the_picture_is_written_and_is_the_same_each_time(found, tmp_path):
    for name in ("a.png", "b.png"):
        plot_suggestions(found, Limits(50), "this machine: within 50ms", tmp_path / name)
    written = (tmp_path / "a.png").read_bytes()
    assert written.startswith(b"\x89PNG")
    assert written == (tmp_path / "b.png").read_bytes()


def test_nothing_measured_is_a_picture_too(tmp_path):
    nothing = rank([("tsm-resnet50", "fp32")], [], Limits(50))
    plot_suggestions(nothing, Limits(50), "this machine", tmp_path / "empty.png")
    assert labels(figure(nothing, Limits(50))) == ["not measured: tsm-resnet50, fp32"]


def test_only_png_files_are_drawn(tmp_path):
    with pytest.raises(ConfigError, match="a PNG file"):
        check_plot(tmp_path / "plot.svg")
