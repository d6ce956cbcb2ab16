"""One form for the graphs of all exporters, so that what follows has one form to understand.

Ensures: static shapes that are all known, opset 20, float32, constants as initializers, no
control flow, batch normalizations folded, nothing unused, every name there and only once.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import onnx_ir as ir
from onnx_ir.passes import common as passes

from edgevid.errors import GraphError
from edgevid.graph.convert_opset import convert_opset
from edgevid.graph.fold_batch_norms import fold_batch_norms
from edgevid.graph.fold_constants import fold_constants
from edgevid.graph.place import place, reason
from edgevid.graph.widen import widen
from edgevid.graph.without_weights import DAMAGED

__all__ = ["standardize"]

LARGEST = 2**31
"""Bytes of one activation: beyond it a size is damaged, or no device holds the network."""


def standardize(model: ir.Model, shapes: Mapping[str, Sequence[int]]) -> ir.Model:
    """A copy of ``model`` in the standard form, which computes the same.

    Args:
        model: of `edgevid.graph.read_onnx.read_onnx`.
        shapes: sizes by the name of the input, one entry an input.

    Raises:
        GraphError: the sizes contradict the graph; a shape stays unknown; it holds control flow,
            training operations or operations that onnx cannot convert; an output is no float.
    """
    standard = model.clone()
    standard.meta.update(model.meta)
    _own_constants(standard)
    _forget_shapes(standard)
    _set_inputs(standard, shapes)
    fold_constants(standard)
    _refuse_control_flow(standard)
    standard = convert_opset(standard)
    widen(standard)
    fold_constants(standard)
    _remove_dropouts(standard)
    try:
        passes.IdentityEliminationPass()(standard)
        _check_shapes(standard)
        fold_batch_norms(standard)
        passes.RemoveUnusedNodesPass()(standard)
        passes.RemoveUnusedOpsetsPass()(standard)
        passes.ClearMetadataAndDocStringPass()(standard)
        _restore_outputs(standard, [value.name for value in model.graph.outputs])
        passes.NameFixPass()(standard)
    except DAMAGED as error:
        raise GraphError(
            f"it cannot be rewritten: {reason(error)}",
            where=place(standard),
            fix="export it again, or compile the checkpoint instead, and report the file",
        ) from error
    return standard


def _own_constants(model: ir.Model) -> None:
    """Tensors of Constant nodes get names later: those of the caller's file must keep theirs."""
    for node in model.graph:
        value = node.attributes.get("value")
        if node.op_type == "Constant" and value is not None and value.type is ir.AttributeType.TENSOR:
            tensor = value.as_tensor()
            if tensor.dtype is not ir.DataType.STRING:
                node.attributes["value"] = ir.AttrTensor("value", ir.tensor(tensor.numpy()))


def _forget_shapes(model: ir.Model) -> None:
    """What an exporter noted of its values may be wrong for other sizes; all of it is inferred again."""
    for node in model.graph:
        for output in node.outputs:
            if not output.is_graph_output():
                output.type = None
            output.shape = None


def _set_inputs(model: ir.Model, shapes: Mapping[str, Sequence[int]]) -> None:
    names = [value.name for value in model.graph.inputs]
    if set(names) != set(shapes):
        raise GraphError(
            f"sizes are given for {', '.join(shapes) or 'no input'}, and the inputs are {names}",
            where=place(model),
            fix="give the sizes of every input",
        )
    for value in model.graph.inputs:
        sizes = [int(size) for size in shapes[value.name or ""]]
        declared = value.shape
        fits = declared is None or len(declared) == len(sizes)
        if fits and declared is not None:
            fits = all(
                not isinstance(old, int) or old == new for old, new in zip(declared, sizes, strict=True)
            )
        if not fits or min(sizes, default=1) < 1:
            raise GraphError(
                f"its input {value.name} is {declared}, which {sizes} does not fit",
                where=place(model),
                fix="export it with symbolic sizes, or give those that it was exported with",
            )
        value.shape = ir.Shape(sizes)
        _check_size(model, value)


def _refuse_control_flow(model: ir.Model) -> None:
    for node in model.graph:
        kinds = {attribute.type for attribute in node.attributes.values()}
        if kinds & {ir.AttributeType.GRAPH, ir.AttributeType.GRAPHS}:
            raise GraphError(
                f"control flow, {node.op_type}, that depends on the data",
                where=place(model, node),
                fix="export the network without branches and loops over data, by tracing",
            )


def _remove_dropouts(model: ir.Model) -> None:
    for node in list(model.graph):
        if node.op_type != "Dropout":
            continue
        training = node.inputs[2] if len(node.inputs) > 2 else None
        if training is not None and (training.const_value is None or training.const_value.numpy().any()):
            raise GraphError(
                "a dropout in training mode",
                where=place(model, node),
                fix="export the network in evaluation mode: model.eval()",
            )
        node.op_type = "Identity"
        node.resize_inputs(1)
        node.resize_outputs(1)
        node.attributes.clear()


def _restore_outputs(model: ir.Model, names: Sequence[str | None]) -> None:
    """Outputs that turned out to be one value are told apart again."""
    for index, (value, name) in enumerate(zip(list(model.graph.outputs), names, strict=True)):
        if value.name != name:
            copy = ir.Node("", "Identity", [value], num_outputs=1)
            copy.outputs[0].name, copy.outputs[0].type, copy.outputs[0].shape = name, value.type, value.shape
            model.graph.append(copy)
            model.graph.outputs[index] = copy.outputs[0]


def _check_shapes(model: ir.Model) -> None:
    for value in model.graph.outputs:
        if value.dtype is not ir.DataType.FLOAT:
            raise GraphError(
                f"its output {value.name} is {value.dtype}, not float",
                where=place(model),
                fix="export the logits, not the chosen class",
            )
    for node in model.graph:
        _check_reshape(model, node)
        for output in node.outputs:
            if not output.name:
                continue
            if output.shape is None or not output.shape.is_static() or output.dtype is None:
                raise GraphError(
                    f"the shape of {output.name} stays unknown: {output.shape}",
                    where=place(model, node),
                    fix="export the network with shapes that do not depend on the data",
                )
            _check_size(model, output, node)


def _check_size(model: ir.Model, value: ir.Value, node: ir.Node | None = None) -> None:
    if value.shape is None or value.dtype in (None, ir.DataType.UNDEFINED, ir.DataType.STRING):
        raise GraphError(
            f"{value.name} is of type {value.dtype}, not of numbers",
            where=place(model, node),
            fix="export a network of numbers alone",
        )
    size = math.prod(value.shape.numpy()) * value.dtype.itemsize
    if size > LARGEST:
        raise GraphError(
            f"{value.name} would take {size / 2**30:.0f} GiB",
            where=place(model, node),
            fix="check the sizes that were given for its input",
        )


def _check_reshape(model: ir.Model, node: ir.Node) -> None:
    """Raise if a Reshape loses elements, which onnx's inference does not notice."""
    if node.op_type != "Reshape":
        return
    before, after = (
        value.shape if value is not None else None for value in (node.inputs[0], node.outputs[0])
    )
    if before is None or after is None or not before.is_static() or not after.is_static():
        return
    if math.prod(before.numpy()) != math.prod(after.numpy()):
        raise GraphError(
            f"an operation does not fit its inputs: {before} cannot be reshaped to {after}",
            where=place(model, node),
            fix="check the sizes that were given for its input: some exporters fix the batch in the graph",
        )
