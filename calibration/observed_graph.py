"""A float graph that also tells the extremes of its tensors, and samples of them.

Only a few numbers a clip leave the graph for the extremes. Where a tensor cannot be negative,
its largest values are taken by a pooling, which runs in the blocked layout that ONNX Runtime
keeps activations in; turning every activation into planes first would cost more than the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir import tape

from edgevid.calibration.points import is_non_negative
from edgevid.errors import GraphError

__all__ = ["Extremes", "ObservedGraph", "Pooled", "observe"]

_OUTPUT = "edgevid.observed"


@dataclass(frozen=True)
class Extremes:
    """Of every point and clip, all ``float64 [N, points]``.

    Attributes:
        low: least value, 0 where it cannot be negative.
        high: largest value.
        low_peak: least value, or where it cannot be negative the least of the largest values of
            every channel in every frame: equal to ``high`` for a constant tensor.
    """

    low: NDArray[np.float64]
    high: NDArray[np.float64]
    low_peak: NDArray[np.float64]


@dataclass(frozen=True)
class Pooled:
    """Points of as many frames each: their places, and where the channels of each begin."""

    places: tuple[int, ...]
    starts: tuple[int, ...]


@dataclass(frozen=True)
class ObservedGraph:
    """What `observe` made.

    Attributes:
        model: its outputs are the network's own, the largest value of every frame and channel of
            each group of ``pooled``, the lows and the highs of ``plain``, and a sample of every point.
        batch: N.
        pooled: points that cannot be negative.
        plain: places of the others.
        points: how many there are.
    """

    model: ir.Model
    batch: int
    pooled: tuple[Pooled, ...]
    plain: tuple[int, ...]
    points: int

    def extremes(self, outputs: Sequence[NDArray[np.float32]]) -> Extremes:
        """From what the model computed, the network's own outputs left out."""
        low, high, low_peak = (np.zeros((self.batch, self.points)) for _ in range(3))
        for group, peaks in zip(self.pooled, outputs, strict=False):
            frames = peaks.reshape(self.batch, -1, peaks.shape[1])
            high[:, group.places] = np.maximum.reduceat(frames.max(axis=1), group.starts, axis=1)
            low_peak[:, group.places] = np.minimum.reduceat(frames.min(axis=1), group.starts, axis=1)
        if self.plain:
            low[:, self.plain], high[:, self.plain] = outputs[len(self.pooled) : len(self.pooled) + 2]
            low_peak[:, self.plain] = low[:, self.plain]
        return Extremes(low, high, low_peak)

    def samples(self, outputs: Sequence[NDArray[np.float32]], clips: int) -> list[NDArray[np.float32]]:
        """Values of every point in the first ``clips`` clips; empty unless sampled."""
        taken = outputs[len(self.pooled) + 2 * bool(self.plain) :]
        return [values.reshape(self.batch, -1)[:clips] for values in taken]


def observe(graph: ir.Model, points: Sequence[str], stride: int | None = None) -> ObservedGraph:
    """A copy of ``graph`` with extremes, and with samples if a stride is given.

    Args:
        graph: canonical, one input ``uint8 [N, T, H, W, 3]``.
        points: names of float32 tensors whose first axis is a multiple of N.
        stride: of the rows and columns of the samples.

    Raises:
        GraphError: there is no such tensor, it is no float32, or its clips do not lie one after
            the other.
    """
    model = graph.clone()
    shape = model.graph.inputs[0].shape
    batch = shape[0] if shape is not None and isinstance(shape[0], int) else 1
    values = _find(model, points, batch)
    write = _Writer(model, batch)
    groups: dict[int, list[tuple[int, int]]] = {}
    plain = []
    for place, value in enumerate(values):
        if value.shape is not None and value.shape.is_static() and len(value.shape) == 4:
            frames, channels, *_ = value.shape.numpy()
            if is_non_negative(value):
                groups.setdefault(frames, []).append((place, channels))
                continue
        plain.append(place)
    for group in groups.values():
        write.peaks([values[place] for place, _ in group])
    if plain:
        write.extremes([values[place] for place in plain])
    if stride is not None:
        for value in values:
            write.sample(value, stride)
    write.finish()
    pooled = []
    for group in groups.values():
        begins = accumulate((channels for _, channels in group[:-1]), initial=0)
        pooled.append(Pooled(tuple(place for place, _ in group), tuple(begins)))
    return ObservedGraph(model, batch, tuple(pooled), tuple(plain), len(points))


class _Writer:
    def __init__(self, model: ir.Model, batch: int) -> None:
        self.graph, self.steps = model.graph, tape.Tape()
        self.outputs: list[ir.Value] = []
        self.by_clip, self.inner = self._ints(batch, -1), self._ints(1)

    def peaks(self, values: Sequence[ir.Value]) -> None:
        """Largest value of every frame and channel, ``[frames, all channels, 1, 1]``."""
        pools = [self.steps.op("GlobalMaxPool", [value]) for value in values]
        self.outputs.append(self.steps.op("Concat", pools, {"axis": 1}))

    def extremes(self, values: Sequence[ir.Value]) -> None:
        """Least and largest value of every clip, ``[N, values]`` each."""
        rows = [self.steps.op("Reshape", [value, self.by_clip]) for value in values]
        for operation in ("ReduceMin", "ReduceMax"):
            ends = [self.steps.op(operation, [row, self.inner]) for row in rows]
            self.outputs.append(self.steps.op("Concat", ends, {"axis": 1}))

    def sample(self, value: ir.Value, stride: int) -> None:
        """Every so many rows and columns, or the whole tensor where it has none."""
        if value.shape is None or len(value.shape) not in (4, 5):
            self.outputs.append(self.steps.op("Identity", [value]))
            return
        moments = [1] * (len(value.shape) - 4)
        window = {"kernel_shape": [*moments, 1, 1], "strides": [*moments, stride, stride]}
        self.outputs.append(self.steps.op("MaxPool", [value], window))

    def finish(self) -> None:
        for number, output in enumerate(self.outputs):
            output.name, output.type = f"{_OUTPUT}.{number}", ir.TensorType(ir.DataType.FLOAT)
        self.graph.extend(self.steps.nodes)
        self.graph.outputs.extend(self.outputs)

    def _ints(self, *numbers: int) -> ir.Value:
        return self.steps.op("Constant", [], {"value": ir.tensor(np.array(numbers, np.int64))})


def _find(model: ir.Model, points: Sequence[str], batch: int) -> list[ir.Value]:
    known = {value.name: value for node in model.graph for value in node.outputs}
    found = []
    for name in points:
        value = known.get(name)
        if value is None:
            raise GraphError(
                "the graph has no such tensor", where=name, fix="take the names of calibration.points"
            )
        if value.dtype not in (ir.DataType.FLOAT, None):
            raise GraphError(f"the tensor is {value.dtype}, not float32", where=name)
        first = None if value.shape is None or not len(value.shape) else value.shape[0]
        if first is not None and (not isinstance(first, int) or first % batch):
            raise GraphError(
                f"the tensor's shape is {value.shape}: its first axis does not hold {batch} clips one after "
                "the other",
                where=name,
                fix="calibrate with a batch of 1",
            )
        found.append(value)
    return found
