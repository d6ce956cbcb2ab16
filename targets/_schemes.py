"""How runtimes want int8 graphs written, by the runtime's name.

They stand together because one of them may be simulated by another.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgevid.contract import Scheme

__all__ = ["SCHEMES"]

SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        # Bytes without a sign on both inputs of residual additions, shifts on the bytes and no
        # strided 1x1 convolution behind a DequantizeLinear: with OpenVINO 2026.4 anything else
        # leaves convolutions in float32, and signed bytes were wrong beside a shift.
        "openvino": Scheme(
            activations="uint8", add_inputs="both", shift_side="integer", bias="int32", unit_strides=True
        ),
        # TensorRT, "Working with quantized types": symmetric, zero points of 0, biases in float,
        # and an addition is fused into the convolution before it.
        "tensorrt": Scheme(activations="int8", add_inputs="skip", shift_side="float", bias="float"),
        # Our own kernels: the shift is read from the bytes, and the residual is added in the epilogue of
        # the convolution before it.
        "tvm": Scheme(activations="uint8", add_inputs="skip", shift_side="integer", bias="int32"),
    }
)
