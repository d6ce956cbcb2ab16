"""A network as a short list of fused layers: what the kernels of this target are made for.

All activations are **frame-major and packed**: ``[clips * segments, ceil(C / block), H * W, block]``.
In this form [N*T,C,H,W] and [N,C,T,H,W] are one thing: a shift along time reads another frame, a
temporal convolution sums over several, and a channel block is one vector register.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgevid.targets.tvm.activations import Activation, DType, Frames, Plain, Quantization
from edgevid.targets.tvm.cache_operations import Gate, Keep

__all__ = [
    "Activation",
    "Apply",
    "Bounds",
    "Channels",
    "Convolution",
    "Copy",
    "DType",
    "Dense",
    "Elementwise",
    "Expression",
    "Fallback",
    "Frames",
    "Gate",
    "Keep",
    "Layer",
    "MatrixProduct",
    "Move",
    "Network",
    "Operation",
    "Part",
    "Plain",
    "Pool",
    "Quantization",
    "Softmax",
    "Source",
    "Transposition",
    "Triple",
    "WeightType",
    "sources_of",
]

WeightType = Literal["float32", "float16"]
"""How real weights are stored; arithmetic is in float32."""

Bounds = tuple[float | None, float | None]
"""Least and largest value that an activation function lets through: (0, None) is ReLU."""


@dataclass(frozen=True)
class Move:
    """Channels ``start`` to ``stop`` are those of frame t + ``dt``, row h + ``dh`` and column w + ``dw``.

    These are displacements of the *reading*: the negatives of a `ShiftSpec`'s.
    """

    start: int
    stop: int
    dt: int
    dh: int = 0
    dw: int = 0


Triple = tuple[int, int, int]
"""Along time, height and width."""


@dataclass(frozen=True)
class Convolution:
    """A convolution with a shift on its input; bias, residual and bounds in its epilogue.

    Weights are ``[out, in / groups, kt, kh, kw]``. ``pads`` stand before the first position; what
    is read beyond the last one is zero too. ``pixels`` is the affine map of a uint8 input's
    values, ``(scale, offset)`` a channel in the order of memory: zero padding is applied after it.
    A ``cache`` holds the frames before a single one, of the first channels: its oldest frame is what the
    only move along time reads. With ``keeps`` the source's channels then become its newest, in place.
    """

    source: Frames
    target: Frames
    kernel: Triple = (1, 1, 1)
    strides: Triple = (1, 1, 1)
    pads: Triple = (0, 0, 0)
    dilations: Triple = (1, 1, 1)
    groups: int = 1
    moves: tuple[Move, ...] = ()
    bounds: Bounds = (None, None)
    residual: Frames | None = None
    pixels: tuple[tuple[float, float], ...] = ()
    weight_type: WeightType = "float32"
    cache: Frames | None = None
    keeps: bool = False


@dataclass(frozen=True)
class Pool:
    """Maximum or average over windows.

    ``pads`` stand before the first position and ``ends`` after the last one. An average divides by
    the places inside, or with ``count_pads`` by those inside or on pads; a last window that reaches
    further (ONNX's ``ceil_mode``) is cut.
    """

    kind: Literal["max", "average"]
    source: Frames
    target: Frames
    kernel: Triple
    strides: Triple
    pads: Triple
    count_pads: bool = False
    ends: Triple = (0, 0, 0)


@dataclass(frozen=True)
class Dense:
    """Rows times weights ``[out, in]`` plus bias: 1x1 frames of channels."""

    source: Frames
    target: Frames
    bounds: Bounds = (None, None)
    weight_type: WeightType = "float32"


@dataclass(frozen=True)
class Copy:
    """The same numbers elsewhere: in another block or type, shifted, or pixels normalized.

    A block of 1 is the order of ONNX ([frames, C, H, W]), a block of C that of cameras. A target of fewer
    frames takes the first ones. The move along time reads the oldest frame of a ``cache``.
    """

    source: Frames
    target: Frames
    moves: tuple[Move, ...] = ()
    pixels: tuple[tuple[float, float], ...] = ()
    cache: Frames | None = None


@dataclass(frozen=True)
class Source:
    """The number of source ``index``."""

    index: int


@dataclass(frozen=True)
class Apply:
    """A function of `edgevid.targets.tvm.kernels._functions` of numbers."""

    function: str
    arguments: tuple[Expression, ...]


Expression = Source | Apply | float


@dataclass(frozen=True)
class Elementwise:
    """An expression, position by position; sources are as large as the target, or 1, along each axis.

    The last ``constants`` sources are constants.
    """

    expression: Expression
    sources: tuple[Frames, ...]
    target: Frames
    constants: int = 0


@dataclass(frozen=True)
class Part:
    """Channels ``start`` to ``stop`` of source ``index``."""

    index: int
    start: int
    stop: int


@dataclass(frozen=True)
class Channels:
    """Runs of channels, one after another: a concatenation, or a slice. All are of one type and scale."""

    sources: tuple[Frames, ...]
    parts: tuple[Part, ...]
    target: Frames


@dataclass(frozen=True)
class MatrixProduct:
    """``[batch, m, k]`` times ``[batch, k, n]``; a batch of 1 serves all of the other side."""

    left: Plain
    right: Plain
    target: Plain


@dataclass(frozen=True)
class Softmax:
    """Over the second axis of ``[outer, numbers]`` or ``[outer, numbers, inner]``."""

    source: Plain
    target: Plain


@dataclass(frozen=True)
class Transposition:
    """Axis ``order[i]`` of the source becomes axis i."""

    source: Plain
    order: tuple[int, ...]
    target: Plain


@dataclass(frozen=True)
class Fallback:
    """An operation without a kernel of ours, which TVM's own legalization computes.

    ``model`` is an ONNX model of that node alone, serialized; constants stand in it.
    """

    operator: str
    model: bytes
    sources: tuple[Plain, ...]
    target: Plain


Operation = (
    Convolution
    | Pool
    | Dense
    | Copy
    | Elementwise
    | Channels
    | Gate
    | Keep
    | MatrixProduct
    | Softmax
    | Transposition
    | Fallback
)


def sources_of(operation: Operation) -> tuple[Activation, ...]:
    """The activations that it reads, in the order of its layer's inputs."""
    if isinstance(operation, Elementwise | Channels | Fallback):
        return operation.sources
    if isinstance(operation, MatrixProduct):
        return operation.left, operation.right
    if isinstance(operation, Gate):
        return operation.source, operation.gates
    cache = operation.cache if isinstance(operation, Convolution | Copy) else None
    residual = operation.residual if isinstance(operation, Convolution) else None
    return operation.source, *(frames for frames in (cache, residual) if frames is not None)


@dataclass(frozen=True)
class Layer:
    """One operation on named activations, with its weights.

    ``name`` is that of the graph's operation it came from. ``inputs`` are the activations of
    `sources_of`; constants among these stand in ``weights`` as ``constant0``, ``constant1`` ... instead.
    An input whose shape in memory differs from the operation's source is the same memory, seen as
    another shape. The output of a `Keep` is its cache.
    """

    name: str
    operation: Operation
    inputs: tuple[str, ...]
    output: str
    weights: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)


@dataclass(frozen=True)
class Network:
    """Layers in the order in which they run; ``others`` are inputs beside the frames: gates and caches."""

    input: str
    output: str
    activations: Mapping[str, Activation]
    layers: tuple[Layer, ...]
    others: tuple[str, ...] = ()

    @property
    def fallbacks(self) -> tuple[Layer, ...]:
        """Layers that no kernel of ours computes."""
        return tuple(layer for layer in self.layers if isinstance(layer.operation, Fallback))
