"""A shift in words, and the candidates that are worth a line each."""

import pytest

from edgevid import show, show_network
from edgevid.shift import Move, ShiftSpec


@pytest.mark.parametrize(
    ("moves", "channels", "words"),
    [
        ([Move(0, 2, -1)], 16, "channels 0 to 1 take the next frame, 1/8 of 16 channels move"),
        ([Move(3, 4, +1)], 16, "channel 3 takes the previous frame, 1/16 of 16 channels move"),
        ([Move(0, 8, +2)], 8, "channels 0 to 7 take the previous frame but 1, all 8 channels move"),
        ([Move(0, 1, 0, 1)], None, "channel 0 takes the upper row"),
    ],
)
def test_a_shift_is_said_in_words(moves, channels, words):
    assert show_network.in_words(ShiftSpec(4, tuple(moves)), channels) == f"T = 4, {words}"


def candidate(found):
    return {"where": found, "nodes": 1, "shift": None, "found": found}


def test_regions_that_cannot_displace_are_counted_and_no_more(capsys):
    facts = {
        "path": "f.onnx",
        "parameters": 1,
        "macs": 1,
        "producer": "",
        "opset": 13,
        "nodes": 9,
        "bytes": 1,
        "canonical_nodes": 5,
        "inputs": [],
        "outputs": [],
        "input_layout": "",
        "segments": 8,
        "size": 8,
        "classes": 5,
        "batch": 1,
        "settings": {},
        "assumptions": [],
        "missing": [],
        "labels": None,
        "notes": [],
        "candidates": [
            candidate("a circular roll"),
            candidate("the shape changes from [4, 16, 8, 8] to [1, 16, 4, 8, 8]"),
            candidate("a tensor of 3 axes holds no frames of channels, rows and columns"),
        ],
    }
    show_network.foreign(facts)
    text = capsys.readouterr().out
    assert text.count("no shift at") == 1
    assert "circular roll" in text
    assert "2 other regions only reshape or take parts" in text
    facts["candidates"] = facts["candidates"][:1]
    show_network.foreign(facts)
    assert "other region" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("published", "words"), [(12.06, ("12.70", "12.06", "+5.3%")), (None, ("12.70", "-", "-"))]
)
def test_a_count_stands_beside_the_published_one_with_the_difference(published, words):
    assert show._beside(12.7, published) == words
