"""The layers of an ONNX graph that is run as it stands."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from edgevid.contract import Layer

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["layers_of"]

_LAYERS: Mapping[str, Literal["Conv", "Dense"]] = MappingProxyType(
    {"Conv": "Conv", "Gemm": "Dense", "MatMul": "Dense"}
)


_MOVING = frozenset({"Concat", "MaxPool", "Pad", "Reshape", "Shift", "Slice", "Split", "Transpose"})
"""What a shift or a maximum between bytes and a layer may be written as."""


def layers_of(path: Path) -> tuple[Layer, ...]:
    """The convolutions and dense layers of a file, ``int8`` where bytes stand for both operands."""
    import onnx_ir

    found = []
    for node in onnx_ir.load(path).graph:
        if node.op_type not in _LAYERS or len(node.inputs) < 2 or node.inputs[1] is None:
            continue
        precision = "int8" if all(map(_is_restored, node.inputs[:2])) else "fp32"
        found.append(Layer(str(node.name), _LAYERS[node.op_type], precision, "onnxruntime"))
    return tuple(found)


def _is_restored(value: ir.Value | None) -> bool:
    """Do bytes stand for it, moved about at most?"""
    while value is not None and (node := value.producer()) is not None:
        if node.op_type == "DequantizeLinear":
            return True
        if node.op_type not in _MOVING:
            return False
        value = node.inputs[0]
    return False
