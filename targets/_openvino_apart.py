"""Keep the channels that wait for the next frame apart from the others, all along a stage of residual blocks.

OpenVINO lays tensors out with the channels last, so that taking some of them out copies all. Within a
stage every block adds to what the block before it gave and shifts as many channels. So once a shift has
taken them out, the convolutions behind it can give them apart by themselves, and the sums go on apart.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from edgevid.targets._openvino_split import constant_of, gains

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["keep_moved_channels_apart"]


def keep_moved_channels_apart(graph: ir.Model, caches: Collection[str]) -> ir.Model:
    """A copy of a streaming graph in float in which residual blocks give both groups of channels apart.

    Args:
        graph: its shifts are concatenations of a cache and of the other channels of this frame.
        caches: names of the inputs that they begin with.
    """
    from onnx_ir.passes import common as passes

    changed = graph.clone()
    apart: dict[ir.Value, tuple[ir.Value, ir.Value]] = {}
    rejoined: list[ir.Value] = []
    for node in list(changed.graph):
        found = _shift_of(node, caches)
        if found is None:
            continue
        whole, moved, kept = found
        parts = _sums(changed.graph, whole, moved, apart)
        if parts is not None:
            for old, new in zip((moved, kept), parts, strict=True):
                _replace(old, new)
            rejoined.append(whole)
        apart[whole] = parts or (moved, kept)
    passes.RemoveUnusedNodesPass()(changed)
    for whole in rejoined:
        _rejoin(changed.graph, whole, apart[whole])
    passes.RemoveUnusedNodesPass()(changed)
    return changed


def _shift_of(node: ir.Node, caches: Collection[str]) -> tuple[ir.Value, ir.Value, ir.Value] | None:
    """What a shift before a convolution that gains is of: whole, its first channels, and the others."""
    if node.op_type != "Concat" or len(node.inputs) != 2:
        return None
    cache, kept = node.inputs
    users = [use.node for use in node.outputs[0].uses()]
    if cache is None or cache.name is None or cache.name not in caches or kept is None:
        return None
    if len(users) != 1 or not gains(users[0], node.outputs[0]):
        return None
    slicing = kept.producer()
    whole = None if slicing is None or slicing.op_type != "Slice" else slicing.inputs[0]
    if whole is None:
        return None
    slices = {_bounds(use.node): use.node.outputs[0] for use in whole.uses() if use.node.op_type == "Slice"}
    assert cache.shape is not None
    assert whole.shape is not None
    count, channels = int(cache.shape.numpy()[1]), int(whole.shape.numpy()[1])
    if slices.get((count, channels)) is not kept or (0, count) not in slices:
        return None
    return whole, slices[0, count], kept


def _bounds(node: ir.Node) -> tuple[int, int] | None:
    """Where a Slice of channels begins and ends."""
    values = [None if value is None else value.const_value for value in node.inputs[1:]]
    if len(values) != 3 or any(value is None or value.size != 1 for value in values):
        return None
    start, stop, axis = (int(value.numpy().reshape(-1)[0]) for value in values if value is not None)
    return (start, stop) if axis == 1 else None


def _sums(
    graph: ir.Graph,
    whole: ir.Value,
    moved: ir.Value,
    apart: dict[ir.Value, tuple[ir.Value, ir.Value]],
) -> tuple[ir.Value, ir.Value] | None:
    """``whole`` in two parts, if it is the activated sum of a convolution and of what is apart already."""
    relu = whole.producer()
    add = (
        relu.inputs[0].producer() if relu is not None and relu.op_type == "Relu" and relu.inputs[0] else None
    )
    if relu is None or add is None or add.op_type != "Add":
        return None
    conv, earlier = _operands(add, apart)
    if conv is None or earlier is None or earlier[0].shape != moved.shape:
        return None
    assert moved.shape is not None
    steps: list[ir.Node] = []
    parts = [
        _part(graph, steps, (conv, add, relu), residual, name, first)
        for residual, name, first in zip(earlier, ("moved", "kept"), (True, False), strict=True)
    ]
    graph.insert_after(relu, steps)
    return parts[0], parts[1]


def _operands(
    add: ir.Node, apart: dict[ir.Value, tuple[ir.Value, ir.Value]]
) -> tuple[ir.Node | None, tuple[ir.Value, ir.Value] | None]:
    for index in (0, 1):
        given, other = add.inputs[index], add.inputs[1 - index]
        if given is None or other is None or other not in apart or len(given.uses()) != 1:
            continue
        conv = given.producer()
        if conv is not None and conv.op_type == "Conv":
            constants = [None if value is None else value.const_value for value in conv.inputs[1:]]
            if all(constants) and conv.attributes.get_int("group", 1) == 1:
                return conv, apart[other]
    return None, None


def _part(
    graph: ir.Graph,
    steps: list[ir.Node],
    block: tuple[ir.Node, ir.Node, ir.Node],
    residual: ir.Value,
    name: str,
    first: bool,
) -> ir.Value:
    """Convolution, sum and activation of one group of channels."""
    import onnx_ir as ir

    conv, add, relu = block
    assert residual.shape is not None
    count = int(residual.shape.numpy()[1])
    constants = []
    for value in conv.inputs[1:]:
        assert value is not None
        assert value.const_value is not None
        array = value.const_value.numpy()
        rows = array[:count] if first else array[-count:]
        constants.append(constant_of(graph, f"{value.name}.{name}", rows))
    made = ir.Node(
        "", "Conv", [conv.inputs[0], *constants], tuple(conv.attributes.values()), name=f"{conv.name}.{name}"
    )
    total = ir.Node("", "Add", [made.outputs[0], residual], name=f"{add.name}.{name}")
    ended = ir.Node("", "Relu", [total.outputs[0]], name=f"{relu.name}.{name}")
    for node in (made, total, ended):
        node.outputs[0].name = f"{node.name}.out"
        node.outputs[0].type, node.outputs[0].shape = residual.type, residual.shape
        steps.append(node)
    return ended.outputs[0]


def _replace(old: ir.Value, new: ir.Value) -> None:
    """Also where it is returned, which its name stays with."""
    import onnx_ir as ir

    if old.is_graph_output():
        old.name, new.name = f"{old.name}.taken", old.name
    ir.convenience.replace_all_uses_with(old, new, replace_graph_outputs=True)


def _rejoin(graph: ir.Graph, whole: ir.Value, parts: Sequence[ir.Value]) -> None:
    """For whoever needs the channels together."""
    import onnx_ir as ir

    if not whole.uses():
        return
    last = parts[1].producer()
    assert last is not None
    together = ir.Node("", "Concat", list(parts), [ir.AttrInt64("axis", 1)], name=f"{whole.name}.together")
    value = together.outputs[0]
    value.name, value.type, value.shape = f"{whole.name}.whole", whole.type, whole.shape
    graph.insert_after(last, together)
    ir.convenience.replace_all_uses_with(whole, value)
