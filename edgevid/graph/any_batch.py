"""One graph for every batch, made of the graphs of two.

An exporter that is told of a symbolic batch names and orders operations anew, and a foreign file's constants
are folded for a batch that is known. What two batches have in common says as much, and the result keeps the
names that ranges and reports go by.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgevid.errors import GraphError

__all__ = ["with_any_batch"]

_FIX = "compile each batch into a bundle of its own"


def with_any_batch(smaller: ir.Model, larger: ir.Model) -> ir.Model:
    """A copy of ``smaller`` whose first axes that grow with the batch are symbolic, as ``N`` or ``8*N``.

    Requires the static graphs of one network for two batches, with the batch as the first axis of the input.

    Ensures: all that differed are such axes, and the constants of Reshapes to such shapes.

    Raises:
        GraphError: the two differ in something else; the message names the operation.
    """
    changed = smaller.clone()
    batches = _first(smaller), _first(larger)
    if len(changed.graph) != len(larger.graph):
        raise GraphError(
            f"the graphs of batches {batches[0]} and {batches[1]} have {len(changed.graph)} and "
            f"{len(larger.graph)} operations",
            fix=_FIX,
        )
    known: dict[ir.Value, ir.Value] = {}
    for one, other in zip(changed.graph.inputs, larger.graph.inputs, strict=True):
        _pair(one, other, batches, known)
    for node, twin in zip(changed.graph, larger.graph, strict=True):
        _check_kind(node, twin)
        grows = node.op_type == "Reshape" and not node.domain and not _same(node, twin, 1, known)
        for index in range(len(node.inputs)):
            if not (grows and index == 1) and not _same(node, twin, index, known):
                raise _difference(node, f"input {index} of {node.op_type}")
        for one, other in zip(node.outputs, twin.outputs, strict=True):
            _pair(one, other, batches, known)
        if grows:
            _let_grow(changed.graph, node)
    for one, other in zip(changed.graph.outputs, larger.graph.outputs, strict=True):
        if known.get(one) is not other:
            raise _difference(one.producer(), f"the output {one.name}")
    return changed


def _first(model: ir.Model) -> int:
    shape = model.graph.inputs[0].shape
    if shape is None or not isinstance(shape[0], int):
        raise GraphError(f"the input has shape {shape}, not a static one", where=model.graph.inputs[0].name)
    return shape[0]


def _pair(one: ir.Value, other: ir.Value, batches: tuple[int, int], known: dict[ir.Value, ir.Value]) -> None:
    """Note that two values are the same, and make the first axis of ``one`` symbolic where it grows."""
    known[one] = other
    if one.shape is None or one.shape == other.shape:
        return
    if other.shape is None:
        one.shape = None
        return
    few, many = tuple(one.shape), tuple(other.shape)
    times = few[0] // batches[0] if few and isinstance(few[0], int) else 0
    if (times * batches[0], *few[1:]) != few or (times * batches[1], *few[1:]) != many:
        raise _difference(one.producer(), f"the shape of {one.name}")
    one.shape = ir.Shape(["N" if times == 1 else f"{times}*N", *few[1:]])


def _check_kind(node: ir.Node, twin: ir.Node) -> None:
    same = (node.op_identifier(), len(node.inputs), len(node.outputs), _written(node)) == (
        twin.op_identifier(),
        len(twin.inputs),
        len(twin.outputs),
        _written(twin),
    )
    if not same:
        raise _difference(node, f"{node.op_type} and {twin.op_type}")


def _written(node: ir.Node) -> list[bytes]:
    attributes = [attribute for _, attribute in sorted(node.attributes.items())]
    return [ir.serde.serialize_attribute(each).SerializeToString(deterministic=True) for each in attributes]


def _same(node: ir.Node, twin: ir.Node, index: int, known: dict[ir.Value, ir.Value]) -> bool:
    """Is an input of ``node`` that of ``twin``: from the same operation, or an equal constant?"""
    one, other = node.inputs[index], twin.inputs[index]
    if one is None or other is None:
        return one is other
    if one not in known and one.const_value is not None and other.const_value is not None:
        if one.dtype == other.dtype and np.array_equal(one.const_value.numpy(), other.const_value.numpy()):
            known[one] = other
            return True
        return False
    return known.get(one) is other


def _let_grow(graph: ir.Graph, node: ir.Node) -> None:
    """Let a Reshape take the size of its first axis from what it is given."""
    shape = node.outputs[0].shape
    if shape is None or isinstance(shape[0], int) or node.inputs[1] is None:
        raise _difference(node, "the shape of Reshape")
    sizes = np.array([-1, *(size for size in shape[1:] if isinstance(size, int))], np.int64)
    tensor = ir.tensor(sizes, name=f"{node.name}.any_batch")
    value = ir.Value(
        name=tensor.name, const_value=tensor, type=ir.TensorType(tensor.dtype), shape=ir.Shape(sizes.shape)
    )
    graph.register_initializer(value)
    node.replace_input_with(1, value)


def _difference(node: ir.Node | None, what: str) -> GraphError:
    return GraphError(
        f"what two batches differ in is more than an axis that grows: {what}",
        where=None if node is None else node.name,
        fix=_FIX,
    )
