"""One type of bytes throughout a network."""

import pytest

from edgevid.targets.tvm.byte_type import with_byte_type
from edgevid.targets.tvm.network import Convolution, Frames, Layer, Network, Quantization

PIXELS = Frames(1, 2, 3, 4, 4, 3, "uint8")
POSITIVE = Frames(1, 2, 8, 4, 4, 4, "uint8", Quantization(0.1, 0))
SIGNED = Frames(1, 2, 8, 4, 4, 4, "uint8", Quantization(0.2, 128))
NETWORK = Network(
    "pixels",
    "out",
    {"pixels": PIXELS, "in": POSITIVE, "out": SIGNED},
    (Layer("conv", Convolution(POSITIVE, SIGNED, residual=SIGNED), ("in", "out"), "out"),),
)


def test_zero_points_move_with_the_integers():
    (layer,) = with_byte_type(NETWORK, "int8").layers
    assert layer.operation.source.quantization == Quantization(0.1, -128)
    assert (
        layer.operation.target.quantization == layer.operation.residual.quantization == Quantization(0.2, 0)
    )
    assert {layer.operation.source.dtype, layer.operation.target.dtype} == {"int8"}


def test_pixels_stay_as_cameras_give_them():
    assert with_byte_type(NETWORK, "int8").activations["pixels"] == PIXELS


@pytest.mark.parametrize("between", ["uint8", "int8"])
def test_there_and_back_is_the_same_network(between):
    assert with_byte_type(with_byte_type(NETWORK, between), "uint8") == NETWORK
