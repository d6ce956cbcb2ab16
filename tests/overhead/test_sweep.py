from fractions import Fraction

import pytest
import sweeps

from edgevid.errors import ConfigError
from edgevid.overhead import model_config, parse_proportions


def test_proportions_are_sorted_and_each_is_there_once():
    assert parse_proportions("1,0.25, 1/4,0") == (0, Fraction(1, 4), 1)


@pytest.mark.parametrize("text", ["", "a", "1,,2", "3/2", "-1", "1/0", "nan", "1e999"])
def test_other_texts_are_refused_with_the_flag_and_an_example(text):
    with pytest.raises(ConfigError) as caught:
        parse_proportions(text)
    assert caught.value.where == f"--proportions {text}"
    assert "0,1/8" in caught.value.fix


def test_a_model_is_a_preset_with_a_shift():
    config = model_config("tsm-mobilenetv2", size=32, frames=2)
    assert (config.size, config.segments, config.backbone) == (32, 2, "mobilenet_v2")
    with pytest.raises(ConfigError, match="no preset named") as caught:
        model_config("tsm-resnet5")
    assert "tsm-resnet50" in caught.value.fix
    with pytest.raises(ConfigError, match="no shift") as caught:
        model_config("tsn-resnet50")
    assert "tsm-resnet50" in caught.value.fix


def test_each_device_precision_and_batch_makes_one_curve():
    made = sweeps.sweep(devices=("a", "b", "a"), precisions=("fp32", "int8"), batches=(1, 4))
    assert [curve.name for curve in made.curves[:4]] == [
        "a-fp32-batch1",
        "a-fp32-batch4",
        "a-int8-batch1",
        "a-int8-batch4",
    ]
    assert len(made.curves) == 8


def test_a_proportion_changes_the_shift_alone():
    made = sweeps.sweep()
    assert made.shifted(Fraction(0)) == sweeps.TINY.without_shift()
    half = made.shifted(Fraction(1, 2))
    assert half.shift.proportion == Fraction(1, 2)
    assert half.without_shift() == sweeps.TINY.without_shift()
