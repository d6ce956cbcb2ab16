"""What a stream of the paper's network keeps: an eighth of each shifted tensor, in bytes where it is int8."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from exported_once import export

from edgevid.calibration.points import points
from edgevid.calibration.quantize import quantize
from edgevid.contract import Normalization
from edgevid.graph.prelude import with_uint8_clips
from edgevid.graph.streaming import stream_graph
from edgevid.models import NetworkConfig, ShiftConfig, build
from edgevid.targets._schemes import SCHEMES


@pytest.mark.slow
def test_resnet50_keeps_2_8_mb_in_float32_and_a_quarter_in_int8():
    torch.manual_seed(0)
    shift = ShiftConfig(direction="unidirectional", proportion=Fraction(1, 8))
    config = NetworkConfig(backbone="resnet50", classes=400, segments=8, shift=shift)
    graph = with_uint8_clips(export(build(config).eval()), Normalization())
    assert stream_graph(graph).streaming.nbytes == 2_809_856
    for name in ("openvino", "tvm"):
        ranges = dict.fromkeys(points(graph), 1.0)
        quantized = quantize(graph, ranges, replace(SCHEMES[name], shift_side="integer"))
        assert stream_graph(quantized).streaming.nbytes == 702_464
