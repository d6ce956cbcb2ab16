"""Caches and what moves them with channels last, as convolutions keep them.

Inputs and outputs have the axes that the graph gives them. With channels in the second place, TensorRT for
RTX 1.7 turns the whole tensor about in a kernel of its own, and cuts the next cache off in another. Where all
is written with channels last, one kernel reads the cache, joins it, and writes the next one.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx_ir as ir
from onnx_ir import tape

from edgevid.graph.plain_shift import Writer
from edgevid.targets.tensorrt.cache_tensors import caches_of

__all__ = ["with_channels_last"]

_THERE, _BACK = (0, 2, 3, 1), (0, 3, 1, 2)
_RANK = len(_THERE)
_JOINING = frozenset({"Concat", "Identity", "Slice", "Where"})


def with_channels_last(graph: ir.Model) -> ir.Model:
    """A copy whose caches of images are ``[lag, H, W, channels]``; a graph of clips stays as it is."""
    changed = graph.clone()
    pairs = [pair for pair in caches_of(changed) if _is_image(pair[0])]
    if pairs:
        _Turner(changed.graph, pairs).turn()
    return changed


class _Turner:
    """One graph, changed in place.

    Attributes:
        inside: operations that get channels last.
        there: values from outside with channels last, each made once.
    """

    def __init__(self, graph: ir.Graph, pairs: list[tuple[ir.Value, ir.Value]]) -> None:
        self.graph, self.pairs = graph, pairs
        self.inside = _around(value for pair in pairs for value in pair)
        self.there: dict[ir.Value, ir.Value] = {}
        self._write = Writer(graph, "channels_last", [], ir.DataType.FLOAT)

    def turn(self) -> None:
        nodes = [node for node in self.graph if node in self.inside]
        turned = dict.fromkeys(given for given, _ in self.pairs)
        turned |= dict.fromkeys(value for node in nodes for value in node.outputs)
        for node in nodes:
            for index, value in enumerate(node.inputs):
                if value is not None and _is_image(value) and value not in turned:
                    node.replace_input_with(index, self._there(value))
            self._renumber(node)
        for value in turned:
            self._back(value)
        for _, after in self.pairs:
            if after not in turned:
                name, after.name = after.name, f"{after.name}.planes"
                following = self._there(after)
                following.name = name
                self.graph.outputs[self.graph.outputs.index(after)] = following

    def _renumber(self, node: ir.Node) -> None:
        """The axes that a node works on."""
        if node.op_type == "Concat":
            node.attributes["axis"] = ir.AttrInt64("axis", _place(node.attributes["axis"].as_int()))
        elif node.op_type == "Slice":
            node.replace_input_with(3, self._write.ints([_place(axis) for axis in _axes(node)]))

    def _there(self, value: ir.Value) -> ir.Value:
        if value not in self.there:
            self.there[value] = _transpose(f"{value.name}.channels_last", value, _THERE)
            _insert_behind(self.graph, value, self.there[value])
        return self.there[value]

    def _back(self, value: ir.Value) -> None:
        """Turn a value about, and let what reads channels in the second place read it as it was."""
        assert value.shape is not None
        planes = value.shape
        value.shape = ir.Shape([planes[axis] for axis in _THERE])
        outside = [use for use in value.uses() if use.node not in self.inside]
        if not outside:
            return
        before = _transpose(f"{value.name}.planes", value, _BACK)
        for use in outside:
            use.node.replace_input_with(use.idx, before)
        _insert_behind(self.graph, value, before)


def _around(values: Iterable[ir.Value]) -> set[ir.Node]:
    """What cuts and joins these values, and what comes of it."""
    found: set[ir.Node] = set()
    left = list(values)
    while left:
        value = left.pop()
        near = [use.node for use in value.uses()]
        maker = value.producer()
        for node in near if maker is None else [*near, maker]:
            if node not in found and _is_joining(node):
                found.add(node)
                left += [
                    each for each in (*node.inputs, *node.outputs) if each is not None and _is_image(each)
                ]
    return found


def _is_joining(node: ir.Node) -> bool:
    if node.op_type not in _JOINING or node.domain or not _is_image(node.outputs[0]):
        return False
    return node.op_type != "Slice" or bool(_axes(node))


def _axes(node: ir.Node) -> list[int]:
    """Of a Slice; none where they are not given as constants."""
    value = node.inputs[3] if len(node.inputs) > 3 else None
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    return [] if tensor is None else [int(axis) for axis in np.ravel(tensor.numpy())]


def _place(axis: int) -> int:
    """Where an axis is when channels are last."""
    return _THERE.index(axis % _RANK)


def _is_image(value: ir.Value) -> bool:
    return value.shape is not None and len(value.shape) == _RANK and value.const_value is None


def _transpose(name: str, value: ir.Value, order: tuple[int, ...]) -> ir.Value:
    assert value.shape is not None
    turned = tape.Tape().op("Transpose", [value], {"perm": order}, name=name)
    turned.name, turned.type = name, value.type
    turned.shape = ir.Shape([value.shape[axis] for axis in order])
    return turned


def _insert_behind(graph: ir.Graph, value: ir.Value, made: ir.Value) -> None:
    node, maker = made.producer(), value.producer()
    assert node is not None
    if maker is None:
        graph.insert_before(graph[0], [node])
    else:
        graph.insert_after(maker, [node])
