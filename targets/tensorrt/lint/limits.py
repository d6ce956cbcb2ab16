"""What versions of TensorRT ask of an operator's attributes, inputs, ranks and outputs, as tables.

Each line holds from ``since`` on and before ``until``, and has its source.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgevid.targets.tensorrt.lint.release import FIRST, LAST, Number

__all__ = [
    "ATTRIBUTES",
    "CONSTANTS",
    "OUTPUTS",
    "RANKS",
    "SHAPES",
    "AttributeLimit",
    "ConstantLimit",
    "OutputLimit",
    "RankLimit",
]

_TABLE = "onnx/onnx-tensorrt, docs/operators.md, TensorRT {}, Restrictions"
_CHANGES = "onnx/onnx-tensorrt, docs/Changelog.md, TensorRT {}"
_T7 = "onnx/onnx-tensorrt, operators.md, TensorRT 7.0 and 7.2 (opset 11), Restrictions"
_T80, _T82 = _TABLE.format("8.0"), _TABLE.format("8.2 and 8.4")
_T85, _T10 = _TABLE.format("8.5"), _TABLE.format("10.15")

_RTX = "parser of TensorRT for RTX 1.7"

_POOLING = ("AveragePool", "LpPool", "MaxPool")
_REDUCTIONS = tuple(
    f"Reduce{name}"
    for name in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")
)


@dataclass(frozen=True)
class AttributeLimit:
    """An attribute all of whose values must be among ``allowed``.

    Attributes:
        default: what holds where the attribute is missing; None if that is always allowed.
        when: another attribute with its default, and the value at which this one counts.
        rtx: of TensorRT for RTX alone.
    """

    operators: tuple[str, ...]
    attribute: str
    allowed: tuple[int | str, ...]
    source: str
    since: Number = FIRST
    until: Number = LAST
    default: int | str | None = None
    when: tuple[str, str, str] | None = None
    rtx: bool = False


@dataclass(frozen=True)
class ConstantLimit:
    """Inputs that must be known when the engine is built."""

    operators: tuple[str, ...]
    inputs: tuple[int, ...]
    what: str
    source: str
    since: Number = FIRST
    until: Number = LAST


@dataclass(frozen=True)
class RankLimit:
    """Ranks of the first input."""

    operators: tuple[str, ...]
    ranks: tuple[int, ...]
    source: str
    since: Number = FIRST
    until: Number = LAST


@dataclass(frozen=True)
class OutputLimit:
    """Outputs behind the first ``count`` must not be used."""

    operators: tuple[str, ...]
    count: int
    source: str
    since: Number = FIRST
    until: Number = LAST


_NEAREST = ("mode", "nearest", "nearest")
ATTRIBUTES: tuple[AttributeLimit, ...] = (
    AttributeLimit(_POOLING, "dilations", (1,), f"{_T10}; NvInfer.h of 8.2, IPoolingLayer: it has none"),
    AttributeLimit(("Resize",), "mode", ("nearest", "linear"), f"{_T7}; {_T10}", default="nearest"),
    AttributeLimit(
        ("Resize",),
        "coordinate_transformation_mode",
        ("asymmetric",),
        _T7,
        until=(8, 0),
        default="half_pixel",
    ),
    AttributeLimit(
        ("Resize",),
        "coordinate_transformation_mode",
        ("half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric", "align_corners"),
        f"{_CHANGES.format('8.0')}; {_T10}",
        since=(8, 0),
    ),
    AttributeLimit(
        ("Resize",),
        "nearest_mode",
        ("floor",),
        _T7,
        until=(8, 0),
        default="round_prefer_floor",
        when=_NEAREST,
    ),
    AttributeLimit(("Resize",), "antialias", (0,), _T10),
    AttributeLimit(("Resize",), "keep_aspect_ratio_policy", ("stretch",), _T10),
    AttributeLimit(("Pad",), "mode", ("constant",), f"{_T7}; {_T80}", until=(8, 2)),
    AttributeLimit(
        ("Pad",),
        "mode",
        ("constant", "edge", "reflect"),
        _CHANGES.format("8.2 EA and 10.0 EA"),
        since=(8, 2),
        until=(10, 0),
    ),
    AttributeLimit(
        ("Reshape",), "allowzero", (0,), _CHANGES.format("22.08: allowzero was wrong before"), until=(8, 5)
    ),
    AttributeLimit(("ScatterElements",), "reduction", ("none",), _CHANGES.format("10.0 EA"), until=(10, 0)),
    AttributeLimit(("ScatterElements",), "reduction", ("none",), _RTX, rtx=True),
    AttributeLimit(("ScatterND",), "reduction", ("none",), _T10),
    AttributeLimit(("BatchNormalization",), "training_mode", (0,), f"{_RTX}, which says so of all versions"),
    AttributeLimit(("LpPool",), "p", (1, 2), f"{_RTX}, which says so of all versions"),
    AttributeLimit(("TopK",), "sorted", (1,), _T10),
    AttributeLimit(("LSTM",), "input_forget", (0,), _T10),
    AttributeLimit(
        ("LSTM",), "layout", (0,), f"{_T10}; that of TensorRT for RTX 1.7 takes it", until=(11, 0)
    ),
)

CONSTANTS: tuple[ConstantLimit, ...] = (
    ConstantLimit(("Clip",), (1, 2), "its bounds", f"{_T7}; {_T80}", until=(8, 2)),
    ConstantLimit(("Conv",), (1,), "its weights", _T82, since=(8, 2), until=(8, 5)),
    ConstantLimit(("ConvTranspose",), (1,), "its weights", f"{_T7}; {_T82}", until=(8, 5)),
    ConstantLimit(("CumSum",), (1,), "its axis", _T10),
    ConstantLimit(("Dropout",), (2,), "training_mode", _T10),
    ConstantLimit(
        ("QuantizeLinear", "DequantizeLinear"),
        (1, 2),
        "scale and zero point",
        f"{_T7}; NvInfer.h, IQuantizeLayer and IDequantizeLayer; not with TensorRT for RTX 1.7",
        until=(11, 0),
    ),
    ConstantLimit(
        ("InstanceNormalization",), (1, 2), "scale and bias", f"{_T7}; {_T82}; {_T85}", until=(10, 0)
    ),
    ConstantLimit(("NonMaxSuppression",), (2, 3, 4), "its thresholds", _T82, until=(8, 5)),
    ConstantLimit(("OneHot",), (1,), "its depth", _T10),
    ConstantLimit(_REDUCTIONS, (1,), "its axes", _T10),
    ConstantLimit(
        ("Slice",), (3,), "its axes", f"{_T7}; {_T85}; {_CHANGES.format('10.3 GA')}", until=(10, 3)
    ),
    ConstantLimit(("Pad",), (3,), "its axes", _CHANGES.format("10.4 GA"), until=(10, 4)),
    ConstantLimit(("Split",), (1,), "its sizes", _T80, until=(8, 2)),
    ConstantLimit(("Squeeze", "Unsqueeze"), (1,), "its axes", f"{_T80}; {_T85}; {_T10}"),
    ConstantLimit(("STFT",), (1, 2), "frame_step and window", _T10),
    ConstantLimit(("TopK",), (1,), "K", f"{_T85}; {_CHANGES.format('8.6 EA')}", until=(8, 6)),
)

RANKS: tuple[RankLimit, ...] = (
    RankLimit(
        _POOLING, (4, 5), f"{_T7}; {_T10}: 2D and 3D; TensorRT for RTX 1.7 takes 1D too", until=(11, 0)
    ),
    RankLimit(("Conv", "ConvTranspose"), (4, 5), f"{_T7}; {_T82}: 2D and 3D convolutions", until=(8, 5)),
    RankLimit(("InstanceNormalization",), (3, 4, 5), f"{_T82}; {_T85}", since=(8, 2), until=(10, 0)),
    RankLimit(("GridSample",), (4,), f"{_T10}; TensorRT for RTX 1.7 takes 5 axes too", until=(11, 0)),
    RankLimit(("Attention", "TensorScatter"), (4,), _T10),
)

OUTPUTS: tuple[OutputLimit, ...] = (
    OutputLimit(("MaxPool",), 1, f"{_T82}; {_T10}: no Indices"),
    OutputLimit(("LayerNormalization",), 1, _T10),
)

SHAPES: dict[str, tuple[int, ...]] = {
    "ConstantOfShape": (0,),
    "Expand": (1,),
    "Pad": (1,),
    "Reshape": (1,),
    "Resize": (2, 3),
    "Slice": (1, 2, 4),
    "Tile": (1,),
    "TopK": (1,),
    "Upsample": (1,),
}
"""Operator to the inputs that the shape of its result follows from. They must be constants or made of
shapes: NVIDIA TensorRT Developer Guide, Working with Dynamic Shapes, Execution versus Shape Tensors."""
