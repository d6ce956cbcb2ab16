"""Quantized activations between operations that are no products."""

import numpy as np
import pytest

pytest.importorskip("tvm")

from small_graphs import SHIFT, agrees, graph, ints, layers

from edgevid.errors import TargetError

QUANTIZED = """
    q = QuantizeLinear (x, sx, zx)  p = DequantizeLinear (q, sx, zx)
    k = DequantizeLinear <axis = 0> (w, sw, zw)
    r = Conv <pads = [1, 1, 1, 1]> (p, k)  e = QuantizeLinear (r, sy, zy)  c = DequantizeLinear (e, sy, zy)
"""


def quantized():
    """The constants of `QUANTIZED`."""
    rng = np.random.default_rng(0)
    return {
        "w": rng.integers(-127, 128, (12, 3, 3, 3), np.int8),
        "sw": rng.uniform(0.001, 0.004, 12).astype(np.float32),
        "zw": np.zeros(12, np.int8),
        "sx": np.float32(0.02),
        "zx": np.uint8(128),
        "sy": np.float32(0.03),
        "zy": np.uint8(120),
        "v": (12, 1, 3, 3),
    }


@pytest.mark.parametrize(
    "body",
    [
        "y = Identity (c)",
        "y = MaxPool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], strides = [2, 2]> (c)",
        "y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1]> (c)",
        "y = AveragePool <kernel_shape = [3, 3], pads = [1, 1, 1, 1], count_include_pad = 1> (c)",
        "g = GlobalAveragePool (c) h = Sigmoid (g) y = Mul (c, h)",
        "y = Concat <axis = 1> (c, c)",
        "d = Relu (c) y = Concat <axis = 1> (c, d)",
        "y = Softmax <axis = 1> (c)",
        "d = Tanh (c) f = QuantizeLinear (d, sx, zx) y = DequantizeLinear (f, sx, zx)",
        f"y = {SHIFT.format('[N*T,C,H,W]')} (c)",
        f"d = {SHIFT.format('[N*T,C,H,W]')} (c) y = Conv <group = 12> (d, v)",
    ],
)
def test_integers_pass_through_all_that_is_no_product(body):
    # A number in the middle of two integers may be rounded the other way, once or twice.
    assert agrees(graph(QUANTIZED + body, quantized()), 0.05)


def test_an_operation_on_integers_without_a_kernel_is_named():
    model = graph(
        QUANTIZED.replace("c = Dequ", f"{ints(a=[1])} z = Concat <axis = 2> (e, e) c = Dequ").replace(
            "(e, sy, zy)", "(z, sy, zy)"
        )
        + "y = Relu (c)",
        quantized(),
    )
    with pytest.raises(TargetError, match="Concat of UINT8"):
        layers(model)
