import numpy as np
import pytest
from int8_graphs import TENSORRT, clips, run, thresholds, tiny_graph

from edgevid.calibration.clip_noise import clip_noise
from edgevid.calibration.clips import Arrays
from edgevid.calibration.points import points
from edgevid.calibration.quantize import quantize
from edgevid.graph.verify import compare

DATA = Arrays(clips(5))


def noise_of(*bits, batch=1):
    from dataclasses import replace

    graph = tiny_graph("resnet50", batch)
    named = dict(zip(points(graph), thresholds().values(), strict=True))
    variants = [quantize(graph, named, replace(TENSORRT, weight_bits=each)) for each in bits]
    return clip_noise(graph, [graph, *variants], DATA)


def test_the_noise_over_all_clips_is_that_of_all_logits_together():
    variant = quantize(tiny_graph(), thresholds(), TENSORRT)
    logits = [
        np.concatenate([run(model, clip[None]) for clip in DATA.pixels]) for model in (tiny_graph(), variant)
    ]
    assert noise_of(8).sqnr(1) == pytest.approx(compare(*logits).sqnr, abs=1e-3)


def test_what_a_clip_gains_is_paired():
    found = noise_of(8, 5)
    single = 10 * np.log10(found.noise[2] / found.noise[1])
    assert found.gains(2, 1) == pytest.approx(single.tolist())
    assert min(found.gains(2, 1)) > 0
    assert len(single) == 5


def test_a_network_has_no_noise_against_itself():
    found = noise_of()
    assert found.sqnr(0) is None
    assert found.gains(0, 0) == [0.0] * 5


def test_the_last_batch_is_filled_up_with_clips_that_do_not_count():
    one, two = noise_of(8), noise_of(8, batch=2)
    assert two.signal == pytest.approx(one.signal, rel=1e-4)
    assert two.noise[1] == pytest.approx(one.noise[1], rel=0.2)
