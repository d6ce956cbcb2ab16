"""What was read so far: the layers, and where each value of the graph is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import onnx_ir as ir
from numpy.typing import NDArray

from edgevid.errors import TargetError
from edgevid.targets.tvm.axes import FRAMES, VOLUME, Axes, without
from edgevid.targets.tvm.network import (
    Activation,
    Channels,
    Copy,
    Frames,
    Layer,
    Network,
    Operation,
    Part,
    Plain,
    Transposition,
)
from edgevid.targets.tvm.reading.constants import Constants
from edgevid.targets.tvm.reading.values import Tensor, Value, View

__all__ = ["State"]

_MEMORY = ("n", "t", "c", "h", "w")
"""Order of labels in frames of blocks of one channel."""
_CAMERA = ("n", "t", "h", "w", "c")
"""The same, of blocks of all channels."""

_RANKS: Mapping[int, Axes] = {
    1: (("c",),),
    2: (("n", "t"), ("c",)),
    3: (("n",), ("t",), ("c",)),
    4: FRAMES,
    5: VOLUME,
}
"""What the axes of a tensor are taken for, by its rank."""


class State:
    """Layers in order, and the `Value` of each value of the graph.

    Args:
        model: canonical, with static shapes.
        block: lanes of a vector.
        clips: N of the input.
    """

    def __init__(self, model: ir.Model, block: int, clips: int) -> None:
        self.model, self.block, self.clips = model, block, clips
        self.constants = Constants(model)
        self.values: dict[ir.Value, Value] = {}
        self.layers: list[Layer] = []
        self.activations: dict[str, Activation] = {}

    # What stands where.

    def value(self, node: ir.Node, index: int = 0) -> Value | None:
        """An input of an operation; None where there is none, or a constant."""
        value = node.inputs[index] if index < len(node.inputs) else None
        return None if value is None else self.values.get(value)

    def view(self, node: ir.Node, index: int = 0) -> View | None:
        """An input as frames; None for constants and what cannot be frames."""
        value = self.value(node, index)
        return self.framed(value) if isinstance(value, Tensor) else value

    def constant(self, node: ir.Node, index: int) -> NDArray[Any] | None:
        """An input that is known; None otherwise, also where there is none."""
        value = node.inputs[index] if index < len(node.inputs) else None
        return None if value is None else self.constants.get(value)

    def shape(self, node: ir.Node, index: int = 0) -> tuple[int, ...]:
        """Of an output.

        Raises:
            TargetError: not known, or not static.
        """
        shape = node.outputs[index].shape
        if shape is None or not shape.is_static():
            raise TargetError(
                f"the shape of {node.outputs[index].name} is {shape}",
                where=node.name,
                fix="export the network with static shapes",
            )
        return tuple(int(size) for size in shape.numpy())

    def cache(self, view: View) -> Frames | None:
        """What the cache that a view reads is in memory."""
        found = self.activations[view.cache] if view.cache else None
        assert found is None or isinstance(found, Frames)
        return found

    # What is computed.

    def emit(
        self,
        operation: Operation,
        inputs: Sequence[str],
        name: str,
        weights: Mapping[str, NDArray[Any]] | None = None,
    ) -> str:
        """A further layer; the name of what it computes."""
        if isinstance(operation, Copy | Transposition | Channels):
            for layer in self.layers:
                if layer.operation == operation and layer.inputs == tuple(inputs):
                    return layer.output
        while f"{name}.out" in self.activations:
            name += "_"
        output = f"{name}.out"
        self.activations[output] = operation.target
        self.layers.append(Layer(name, operation, tuple(inputs), output, weights or {}))
        return output

    def frames(
        self,
        operation: Operation,
        inputs: Sequence[str],
        name: str,
        axes: Axes,
        weights: Mapping[str, NDArray[Any]] | None = None,
    ) -> View:
        """A further layer whose result is frames."""
        target = operation.target
        assert isinstance(target, Frames)
        return View(self.emit(operation, inputs, name, weights), target, axes)

    def own(self, node: ir.Node, index: int = 0) -> Layer | None:
        """The layer whose result nobody but input ``index`` of this operation reads."""
        view = self.value(node, index)
        if not isinstance(view, View) or view.moves or view.pixels:
            return None
        seen = [value for value, other in self.values.items() if other.name == view.name]
        if any(len(value.uses()) != 1 or value.is_graph_output() for value in seen):
            return None
        if any(view.name in layer.inputs for layer in self.layers):
            return None
        return next((layer for layer in self.layers if layer.output == view.name), None)

    def change(self, layer: Layer, changed: Layer) -> None:
        """Another layer in the place of one."""
        self.layers[self.layers.index(layer)] = changed
        self.activations[layer.output] = changed.operation.target

    def remove(self, layer: Layer) -> None:
        """A layer whose work another one does."""
        self.layers.remove(layer)
        del self.activations[layer.output]

    def network(self, source: str, output: str, others: Sequence[str] = ()) -> Network:
        """All layers that the output and what else is to be known need."""
        needed, kept = {output, *others}, []
        for layer in reversed(self.layers):
            if layer.output in needed:
                needed.update(layer.inputs)
                kept.append(layer)
        activations = {name: self.activations[name] for name in self.activations if name in needed | {source}}
        return Network(source, output, activations, tuple(reversed(kept)))

    def computed_before(self, name: str, layer: Layer) -> bool:
        """Whether an activation is there when a layer runs."""
        outputs = [other.output for other in self.layers]
        return name not in outputs or outputs.index(name) < self.layers.index(layer)

    # From one form to another.

    def ready(self, view: View, *, real: bool = False) -> View:
        """The view with nothing pending, in vectors; with ``real`` in float32 too."""
        changed = self.order(view)
        pending = bool(changed.moves or changed.pixels) or changed.frames.block != self.block
        if not pending and (changed.frames.quantization is None or not real):
            return changed
        target = replace(changed.frames, block=self.block)
        if real or target.quantization is None:
            target = replace(target, dtype="float32", quantization=None)
        copy = Copy(changed.frames, target, changed.moves, changed.pixels, self.cache(changed))
        return self.frames(copy, changed.inputs, f"{changed.name}.ready", changed.axes)

    def order(self, view: View) -> View:
        """The view with its colours in the order of memory."""
        if not view.order:
            return view
        if view.moves:
            raise TargetError("colours in another order are shifted", where=view.name)
        parts = tuple(Part(0, place, place + 1) for place in view.order)
        pixels = tuple(view.pixels[place] for place in view.order) if view.pixels else ()
        operation = Channels((view.frames,), parts, view.frames)
        ordered = self.frames(operation, [view.name], f"{view.name}.ordered", view.axes)
        return replace(ordered, pixels=pixels)

    def framed(self, tensor: Tensor) -> View | None:
        """A tensor as frames: what its axes are is guessed from its rank, and only matters for speed."""
        axes = _RANKS.get(len(tensor.shape))
        if axes is None or tensor.dtype != "float32":
            return None
        sizes = dict.fromkeys(_MEMORY, 1)
        for axis, size in zip(axes, tensor.shape, strict=True):
            if axis == ("n", "t"):
                sizes["n"] = self.clips if size % self.clips == 0 else size
                sizes["t"] = size // sizes["n"]
            else:
                sizes[axis[0]] = size
        source = Frames(sizes["n"], sizes["t"], sizes["c"], sizes["h"], sizes["w"], 1)
        name = tensor.name
        if axes == VOLUME and sizes["c"] > 1 and sizes["t"] > 1:
            shape = tuple(sizes[label] for label in _MEMORY)
            turned = Transposition(Plain(tensor.shape), (0, 2, 1, 3, 4), Plain(shape))
            name = self.emit(turned, [name], f"{name}.frames")
        return self.ready(View(name, source, axes))

    def tensor(self, value: Value) -> Tensor:
        """Any value in row-major order of its axes, in float32 unless it is a tensor of another type."""
        if isinstance(value, Tensor):
            return value
        value = self.order(value)
        sizes = value.sizes
        labels = [label for axis in without(value.axes, sizes) for label in axis]
        memory, block = _MEMORY, 1
        if labels == [label for label in _CAMERA if sizes[label] > 1]:
            memory, block = _CAMERA, sizes["c"]
        name = value.name
        target = replace(value.frames, block=block, dtype="float32", quantization=None)
        if value.frames != target or value.moves or value.pixels:
            copy = Copy(value.frames, target, value.moves, value.pixels, self.cache(value))
            name = self.emit(copy, value.inputs, f"{name}.plain")
        stored = [label for label in memory if sizes[label] > 1]
        if labels != stored:
            turned = Transposition(
                Plain(tuple(sizes[label] for label in stored)),
                tuple(stored.index(label) for label in labels),
                Plain(tuple(sizes[label] for label in labels)),
            )
            name = self.emit(turned, [name], f"{name}.turned")
        return Tensor(name, value.shape)
