"""From a canonical graph, float or Q/DQ, to a short list of fused layers.

The graph is read once, in order. A value is a *view* of an activation: reshapes, shifts,
normalization and restored integers change the view and compute nothing; the layer that reads a
view takes its shift and its pixels along. Bounds, residuals and quantization go back into the
epilogue of the convolution that made the value, where nobody else reads it in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid.errors import TargetError
from edgevid.graph.shift_op import SHIFT, spec_of
from edgevid.targets.tvm.axes import FRAMES, VOLUME, Axes, matches, reshaped
from edgevid.targets.tvm.network import (
    Bounds,
    Convolution,
    Copy,
    Dense,
    Frames,
    Layer,
    Move,
    Network,
    Operation,
    Pool,
    Quantization,
    Triple,
)

__all__ = ["read_graph"]


@dataclass(frozen=True)
class View:
    """What a value of the graph is in memory: an activation, and how the graph sees it."""

    name: str
    frames: Frames
    axes: Axes
    moves: tuple[Move, ...] = ()
    pixels: tuple[tuple[float, float], ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Of the labels of `axes`."""
        f = self.frames
        return {"n": f.clips, "t": f.segments, "c": f.channels, "h": f.height, "w": f.width}


def read_graph(graph: ir.Model, block: int) -> Network:
    """The layers of a graph, for vectors of ``block`` lanes.

    Args:
        graph: canonical, with uint8 clips [N, T, H, W, 3]; static shapes.

    Raises:
        TargetError: an operation or a shape that is not known; the message names the operation.
    """
    reader = _Reader(graph, block)
    for node in graph.graph:
        reader.read(node)
    return reader.network()


class _Reader:
    def __init__(self, model: ir.Model, block: int) -> None:
        self.model, self.block = model, block
        self.views: dict[ir.Value, View] = {}
        self.layers: list[Layer] = []
        self.activations: dict[str, Frames] = {}
        (clips,) = model.graph.inputs
        if clips.shape is None or len(clips.shape) != 5 or clips.dtype != ir.DataType.UINT8:
            raise TargetError(f"the input is {clips.dtype} {clips.shape}, not uint8 clips", where=clips.name)
        n, t, h, w, c = (int(size) for size in clips.shape.numpy())
        frames = Frames(n, t, c, h, w, c, "uint8")
        self.input = str(clips.name)
        self.activations[self.input] = frames
        identity = tuple((1.0, 0.0) for _ in range(c))
        self.views[clips] = View(self.input, frames, (("n",), ("t",), ("h",), ("w",), ("c",)), pixels=identity)

    def network(self) -> Network:
        """What was read, its output as rows of logits."""
        (logits,) = self.model.graph.outputs
        view = self.plain(self.views[logits])
        rows = replace(view.frames, block=view.frames.channels)
        if rows.positions != 1:
            raise TargetError(f"the output has {rows.positions} positions, not one", where=logits.name)
        if rows != view.frames:
            view = self._emit(Copy(view.frames, rows), [view], str(logits.name), {}, view.axes)
        return Network(self.input, view.name, self.activations, tuple(self.layers))

    def read(self, node: ir.Node) -> None:
        """One operation."""
        read: Callable[[ir.Node], View | None] | None = self._readers().get(node.op_type)
        view = None if read is None else read(node)
        if view is None:
            raise TargetError(
                f"no kernel for {node.op_type} {[self._told(value) for value in node.inputs]}",
                where=node.name,
            )
        self.views[node.outputs[0]] = view

    def _readers(self) -> dict[str, Callable[[ir.Node], View | None]]:
        return {
            "Transpose": self._transpose,
            **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), self._reshape),
            "Identity": self._same,
            "Cast": self._same,
            "Gather": self._gather,
            "Sub": self._affine,
            "Mul": self._affine,
            SHIFT: self._shift,
            "Conv": self._convolution,
            **dict.fromkeys(("Relu", "Clip"), self._bounds),
            "Add": self._add,
            **dict.fromkeys(("MaxPool", "AveragePool", "GlobalAveragePool"), self._pool),
            "ReduceMean": self._mean,
            **dict.fromkeys(("Gemm", "MatMul"), self._dense),
            "QuantizeLinear": self._quantize,
            "DequantizeLinear": self._same,
        }

    # Views: nothing is computed.

    def _view(self, node: ir.Node, index: int = 0) -> View | None:
        value = node.inputs[index]
        return None if value is None else self.views.get(value)

    def _same(self, node: ir.Node) -> View | None:
        return self._view(node)

    def _transpose(self, node: ir.Node) -> View | None:
        view = self._view(node)
        if view is None:
            return None
        order = node.attributes.get_ints("perm", tuple(reversed(range(len(view.axes)))))
        return replace(view, axes=tuple(view.axes[axis] for axis in order))

    def _reshape(self, node: ir.Node) -> View | None:
        view, shape = self._view(node), node.outputs[0].shape
        if view is None or shape is None:
            return None
        axes = reshaped(view.axes, view.sizes, [int(size) for size in shape.numpy()])
        return None if axes is None else replace(view, axes=axes)

    def _gather(self, node: ir.Node) -> View | None:
        """The order of colours."""
        view, order = self._view(node), _constant(node.inputs[1])
        axis = node.attributes.get_int("axis", 0)
        if view is None or order is None or not view.pixels or view.axes[axis] != ("c",):
            return None
        if sorted(order.tolist()) != list(range(len(view.pixels))):
            return None
        # Weights of the first convolution follow `order`; memory stays as the camera gives it.
        self._colours = order
        return view

    def _affine(self, node: ir.Node) -> View | None:
        """Normalization: numbers a channel, of pixels alone."""
        view, numbers = self._view(node), _constant(node.inputs[1])
        if view is None or numbers is None or not view.pixels:
            return None
        channels = numbers.reshape(-1)
        channels = np.broadcast_to(channels, len(view.pixels)) if channels.size == 1 else channels
        if len(channels) != len(view.pixels):
            return None
        if node.op_type == "Sub":
            pixels = [(s, o - float(x)) for (s, o), x in zip(view.pixels, channels, strict=True)]
        else:
            pixels = [(s * float(x), o * float(x)) for (s, o), x in zip(view.pixels, channels, strict=True)]
        return replace(view, pixels=tuple(pixels))

    def _shift(self, node: ir.Node) -> View | None:
        view = self._view(node)
        if view is None:
            return None
        spec = spec_of(node)
        if spec.segments != view.frames.segments:
            return None
        if view.moves:
            view = self._emit(
                Copy(view.frames, replace(view.frames), view.moves), [view], str(node.name), {}, view.axes
            )
        moves = tuple(Move(m.start, m.stop, -m.dt, -m.dh, -m.dw) for m in spec.moves)
        return replace(view, moves=moves)

    # Layers.

    def _emit(
        self,
        operation: Operation,
        inputs: Sequence[View],
        name: str,
        weights: dict[str, NDArray[Any]],
        axes: Axes,
    ) -> View:
        output = f"{name}.out"
        self.activations[output] = operation.target
        self.layers.append(Layer(name, operation, tuple(view.name for view in inputs), output, weights))
        return View(output, operation.target, axes)

    def plain(self, view: View) -> View:
        """The numbers of a view as float32 in memory, with nothing pending."""
        if not view.moves and not view.pixels and view.frames.dtype == "float32":
            return view
        target = replace(view.frames, block=self.block, dtype="float32", quantization=None)
        name = f"{view.name}.plain{len(self.layers)}"
        return self._emit(Copy(view.frames, target, view.moves, view.pixels), [view], name, {}, view.axes)

    def _convolution(self, node: ir.Node) -> View | None:
        view = self._view(node)
        weights = self._weights(node, channels_axis=0)
        if view is None or weights is None:
            return None
        kernel = weights["weight"]
        volume = kernel.ndim == 5
        if not matches(view.axes, VOLUME if volume else FRAMES, view.sizes) or kernel.ndim not in (4, 5):
            return None
        if not volume:
            weights["weight"] = kernel = kernel[:, :, None]
        rank = kernel.ndim - 2 if volume else 2
        attributes = node.attributes
        pads = list(attributes.get_ints("pads", (0,) * (2 * rank)))
        strides = _triple(attributes.get_ints("strides", (1,) * rank), 1)
        dilations = _triple(attributes.get_ints("dilations", (1,) * rank), 1)
        shape = node.outputs[0].shape
        if shape is None or attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
            return None
        sizes = [int(size) for size in shape.numpy()]
        time = sizes[2] if volume else view.frames.segments
        target = Frames(view.frames.clips, time, sizes[1], sizes[-2], sizes[-1], self.block)
        operation = Convolution(
            view.frames,
            target,
            (kernel.shape[2], kernel.shape[3], kernel.shape[4]),
            strides,
            _triple(pads[:rank], 0),
            dilations,
            attributes.get_int("group", 1),
            view.moves,
            pixels=view.pixels,
        )
        return self._emit(operation, [view], str(node.name), weights, VOLUME if volume else FRAMES)

    def _dense(self, node: ir.Node) -> View | None:
        view = self._view(node)
        rows = node.op_type == "Gemm" and node.attributes.get_int("transB", 0) == 1
        weights = self._weights(node, channels_axis=0 if rows else 1)
        if view is None or weights is None or view.moves or view.frames.positions != 1:
            return None
        if node.op_type == "Gemm" and (
            node.attributes.get_int("transA", 0)
            or node.attributes.get_float("alpha", 1.0) != 1
            or node.attributes.get_float("beta", 1.0) != 1
        ):
            return None
        if view.axes[-1] not in (("c",), ()) or weights["weight"].ndim != 2:
            return None
        if not rows:
            weights["weight"] = np.ascontiguousarray(weights["weight"].T)
        target = replace(
            view.frames, channels=len(weights["weight"]), block=self.block, dtype="float32", quantization=None
        )
        axes = (*view.axes[:-1], ("c",))
        return self._emit(Dense(view.frames, target), [view], str(node.name), weights, axes)

    def _weights(self, node: ir.Node, channels_axis: int) -> dict[str, NDArray[Any]] | None:
        """``weight``, ``bias`` and, of integers, ``scale`` a channel."""
        weight, scale = self._restored(node.inputs[1])
        if weight is None:
            return None
        outputs = weight.shape[channels_axis]
        bias: NDArray[Any] | None = np.zeros(outputs, np.float32)
        if len(node.inputs) > 2 and node.inputs[2] is not None:
            bias, bias_scale = self._restored(node.inputs[2])
            if bias is not None and bias_scale is not None and scale is None:
                bias = bias * bias_scale
        if bias is None:
            return None
        found = {"weight": weight, "bias": np.broadcast_to(bias.reshape(-1), outputs).copy()}
        if scale is not None:
            found["scale"] = np.broadcast_to(scale.reshape(-1), outputs).astype(np.float32)
        if hasattr(self, "_colours") and node.op_type == "Conv" and (view := self._view(node)) and view.pixels:
            found["weight"] = weight[:, np.argsort(self._colours)]
        return found

    def _restored(self, value: ir.Value | None) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
        """A constant, or constant integers and their scale."""
        numbers = _constant(value)
        producer = None if value is None else value.producer()
        if numbers is not None or producer is None or producer.op_type != "DequantizeLinear":
            return numbers, None
        return _constant(producer.inputs[0]), _constant(producer.inputs[1])

    # Epilogues.

    def _own(self, node: ir.Node, index: int = 0) -> Layer | None:
        """The convolution or dense layer whose result only this operation reads."""
        view, value = self._view(node, index), node.inputs[index]
        if view is None or value is None or len(value.uses()) != 1 or value.is_graph_output():
            return None
        if view.moves or view.pixels:
            return None
        for layer in reversed(self.layers):
            if layer.output == view.name:
                readers = [later for later in self.layers if view.name in later.inputs]
                return layer if isinstance(layer.operation, Convolution | Dense) and not readers else None
        return None

    def _change(self, layer: Layer, operation: Operation, inputs: tuple[str, ...] | None = None) -> None:
        place = self.layers.index(layer)
        self.layers[place] = replace(layer, operation=operation, inputs=inputs or layer.inputs)
        self.activations[layer.output] = operation.target

    def _bounds(self, node: ir.Node) -> View | None:
        view, layer = self._view(node), self._own(node)
        bounds = self._read_bounds(node)
        if view is None or bounds is None or layer is None:
            return None
        operation = layer.operation
        assert isinstance(operation, Convolution | Dense)
        if operation.bounds != (None, None) or operation.target.dtype != "float32":
            return None
        self._change(layer, replace(operation, bounds=bounds))
        return view

    def _read_bounds(self, node: ir.Node) -> Bounds | None:
        if node.op_type == "Relu":
            return (0.0, None)
        found: list[float | None] = []
        for index in (1, 2):
            value = node.inputs[index] if index < len(node.inputs) else None
            number = _constant(value)
            if value is not None and number is None:
                return None
            found.append(None if number is None else float(number))
        return found[0], found[1]

    def _add(self, node: ir.Node) -> View | None:
        """A residual, taken into the later of the convolutions that make its two sides."""
        owned = [layer for index in (0, 1) if (layer := self._own(node, index)) is not None]
        owned.sort(key=self.layers.index)
        while owned:
            layer = owned.pop()
            operation = layer.operation
            other = next(v for i in (0, 1) if (v := self._view(node, i)) is not None and v.name != layer.output)
            fits = isinstance(operation, Convolution) and operation.residual is None
            if not isinstance(operation, Convolution) or not fits or operation.bounds != (None, None):
                continue
            if other.moves or other.pixels or replace(other.frames, dtype="float32", quantization=None) != operation.target:
                continue
            changed = replace(operation, residual=other.frames)
            self._change(layer, changed, (layer.inputs[0], other.name))
            return View(layer.output, operation.target, other.axes)
        return None

    def _quantize(self, node: ir.Node) -> View | None:
        """The epilogue of what made the value writes integers, if all its readers read them."""
        view, scale, zero = self._view(node), _constant(node.inputs[1]), _constant(node.inputs[2])
        if view is None or scale is None or zero is None or scale.size != 1:
            return None
        kind: Any = str(zero.dtype)
        target = replace(
            view.frames, block=self.block, dtype=kind, quantization=Quantization(float(scale), int(zero))
        )
        layer = self._own(node)
        if layer is not None and isinstance(layer.operation, Convolution | Dense):
            self._change(layer, replace(layer.operation, target=target))
            return replace(view, frames=target)
        if view.pixels:
            target = replace(target, block=view.frames.block)
        copied = Copy(view.frames, target, view.moves, view.pixels)
        return self._emit(copied, [view], str(node.name), {}, view.axes)

    # Pooling.

    def _pool(self, node: ir.Node) -> View | None:
        view, shape = self._view(node), node.outputs[0].shape
        if view is None or shape is None or view.moves or view.pixels:
            return None
        volume = len(view.axes) == 5
        if not matches(view.axes, VOLUME if volume else FRAMES, view.sizes):
            return None
        f = view.frames
        rank = 3 if volume else 2
        everything = (f.segments, f.height, f.width)[-rank:]
        whole = node.op_type == "GlobalAveragePool"
        get = node.attributes.get_ints
        kernel = _triple(everything if whole else get("kernel_shape"), 1)
        if node.attributes.get_int("ceil_mode", 0) or max(get("dilations", (1,))) > 1:
            return None
        pads = list(get("pads", (0,) * (2 * rank)))
        sizes = [int(size) for size in shape.numpy()]
        time = sizes[2] if volume else f.segments
        average = node.op_type != "MaxPool"
        target = replace(f, segments=time, height=sizes[-2], width=sizes[-1], block=self.block)
        if average:
            target = replace(target, dtype="float32", quantization=None)
        operation = Pool(
            "average" if average else "max",
            f,
            target,
            kernel,
            _triple(get("strides", (1,) * rank), 1),
            _triple(pads[:rank], 0),
            node.attributes.get_int("count_include_pad", 0) == 1,
        )
        return self._emit(operation, [view], str(node.name), {}, VOLUME if volume else FRAMES)

    def _mean(self, node: ir.Node) -> View | None:
        """An average over height and width, over time, or over all three."""
        view = self._view(node)
        given = _constant(node.inputs[1]) if len(node.inputs) > 1 else None
        if given is None and "axes" in node.attributes:
            given = np.array(node.attributes.get_ints("axes"))
        if view is None or given is None or view.moves or view.pixels:
            return None
        reduced = {int(axis) % len(view.axes) for axis in given}
        labels = {label for axis in reduced for label in view.axes[axis]}
        f = view.frames
        if not labels <= {"t", "h", "w"}:
            return None
        window = tuple(size if label in labels else 1 for label, size in (("t", f.segments), ("h", f.height), ("w", f.width)))
        keep = node.attributes.get_int("keepdims", 1)
        axes = tuple(
            () if index in reduced else axis
            for index, axis in enumerate(view.axes)
            if keep or index not in reduced
        )
        target = Frames(
            f.clips,
            f.segments // window[0],
            f.channels,
            f.height // window[1],
            f.width // window[2],
            self.block,
        )
        kernel: Triple = (window[0], window[1], window[2])
        operation = Pool("average", f, target, kernel, kernel, (0, 0, 0))
        return self._emit(operation, [view], str(node.name), {}, axes)

    def _told(self, value: ir.Value | None) -> str:
        return "none" if value is None else f"{value.name} {value.shape}"


def _triple(values: Sequence[int], missing: int) -> Triple:
    """Along time, height and width; 2-D operations have nothing along time."""
    full = (*([missing] * (3 - len(values))), *(int(value) for value in values))
    return full[0], full[1], full[2]


def _constant(value: ir.Value | None) -> NDArray[Any] | None:
    if value is None:
        return None
    tensor = ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()
