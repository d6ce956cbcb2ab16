"""Whole blocks: give shifted tensors as many channels as fill the blocks of a blocked layout.

A layout blocked by 16 channels keeps 24 channels in two blocks anyway, half of the second one empty. As an
operand of 24 channels it cannot be split between blocks, though, and OpenVINO computes the convolutions of
the pieces (MobileNetV2's first shift) in kernels that are ten times slower. With 8 channels of zeros to the
end it is as any other tensor, and nothing more is computed.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx_ir as ir

from edgevid.graph.shift_op import DOMAIN, SHIFT, shift_nodes
from edgevid.graph.split_conv import BLOCK

__all__ = ["fill_blocks"]

_CHANNELWISE = frozenset({"Add", "AveragePool", "Clip", "HardSwish", "Identity", "MaxPool", "Relu", "Sub"})
"""Operations that keep the channels apart, and finite numbers finite."""


def fill_blocks(model: ir.Model) -> bool:
    """Widen, in place, the shifted tensors whose channels do not fill their last block.

    With each goes what it is computed from and what is computed of it channel by channel, up to dense
    convolutions: those before get filters of zeros, those behind read zeros from the new channels.

    Requires:
        A canonical graph.

    Ensures:
        The same numbers at every output. A tensor that does not begin and end at convolutions with constant
        weights stays as it is.

    Returns:
        Whether any tensor was widened.
    """
    changed = False
    seen: set[ir.Value] = set()
    for node in shift_nodes(model):
        value = node.inputs[0]
        if value is None or value in seen or not _channels(value) % BLOCK:
            continue
        group = _Group(value)
        seen |= group.values.keys()
        if group.holds:
            group.widen(model.graph)
            changed = True
    return changed


class _Group:
    """Tensors that have one axis of channels together, and the convolutions around them."""

    def __init__(self, first: ir.Value) -> None:
        self.channels = _channels(first)
        self.values: dict[ir.Value, None] = {first: None}
        self.before: dict[ir.Node, None] = {}
        self.behind: dict[ir.Node, None] = {}
        queue = [first]
        self.holds = True
        while queue and self.holds:
            for value in self._beside(queue.pop()):
                if value not in self.values:
                    self.values[value] = None
                    queue.append(value)

    def _beside(self, value: ir.Value) -> Iterator[ir.Value]:
        """The tensors of the group on the other side of what makes and takes one of them."""
        maker = value.producer()
        if maker is None or value.is_graph_output() or _channels(value) != self.channels:
            self.holds = False
            return
        if _is_dense(maker):
            self.before[maker] = None
        else:
            yield from self._through(maker)
        for taker, _ in value.uses():
            if _is_dense(taker) and taker.inputs[0] is value:
                self.behind[taker] = None
            else:
                yield from self._through(taker)

    def _through(self, node: ir.Node) -> Iterator[ir.Value]:
        """All tensors of an operation that keeps channels apart; numbers for all of them stay as they are."""
        shift = (node.domain, node.op_type) == (DOMAIN, SHIFT)
        if not shift and (node.domain or node.op_type not in _CHANNELWISE):
            self.holds = False
            return
        for value in (*node.inputs, *node.outputs):
            if value is None:
                continue
            constant = ir.convenience.get_const_tensor(value)
            if constant is None:
                yield value
            elif constant.size > 1:
                self.holds = False

    def widen(self, graph: ir.Graph) -> None:
        """Let every tensor of the group have whole blocks."""
        missing = -self.channels % BLOCK
        for node in self.before:
            for index in range(1, len(node.inputs)):
                _pad(graph, node, index, 0, missing)
        for node in self.behind:
            _pad(graph, node, 1, 1, missing)
        for value in self.values:
            assert value.shape is not None
            sizes = list(value.shape)
            sizes[1] = self.channels + missing
            value.shape = ir.Shape(sizes)


def _pad(graph: ir.Graph, node: ir.Node, index: int, axis: int, missing: int) -> None:
    """Add zeros to the end of an axis of one of the constants of a convolution."""
    value = node.inputs[index]
    if value is None:
        return
    array = _constant(value)
    wider = np.pad(array, [(0, missing if each == axis else 0) for each in range(array.ndim)])
    name = f"{value.name}.whole{axis}"
    if name not in graph.initializers:
        tensor = ir.tensor(wider, name=name)
        shape, kind = ir.Shape(wider.shape), ir.TensorType(tensor.dtype)
        graph.register_initializer(ir.Value(name=name, const_value=tensor, type=kind, shape=shape))
    node.replace_input_with(index, graph.initializers[name])


def _is_dense(node: ir.Node) -> bool:
    """An ungrouped convolution with constant weights."""
    if node.op_type != "Conv" or node.domain or node.attributes.get_int("group", 1) != 1:
        return False
    constants = [value for value in node.inputs[1:] if value is not None]
    return all(ir.convenience.get_const_tensor(value) is not None for value in constants)


def _constant(value: ir.Value) -> np.ndarray:
    tensor = ir.convenience.get_const_tensor(value)
    assert tensor is not None
    return tensor.numpy()


def _channels(value: ir.Value) -> int:
    """Of the second axis; 0 where it is not known."""
    if value.shape is None or len(value.shape) < 2 or not isinstance(value.shape[1], int):
        return 0
    return value.shape[1]
