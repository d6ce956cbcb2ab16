"""Rewrite a graph of any opset in the one that the rest of edgevid knows."""

from __future__ import annotations

import onnx
import onnx_ir as ir

from edgevid.errors import GraphError
from edgevid.graph.place import place, reason
from edgevid.graph.shift_op import OPSET
from edgevid.graph.without_weights import DAMAGED, with_weights_as_inputs

__all__ = ["convert_opset"]


def convert_opset(model: ir.Model) -> ir.Model:
    """``model`` in `OPSET`; itself where it already is.

    Requires types of all values, and shapes where the meaning of an operation hangs on them.

    Raises:
        GraphError: onnx has no rule for one of its operations.
    """
    # The format of this opset; onnx's own default is newer than ONNX Runtime reads.
    model.ir_version = 10
    if model.opset_imports.get("") == OPSET:
        return model
    weights = dict(model.graph.initializers)
    inputs = len(model.graph.inputs)
    try:
        with with_weights_as_inputs(model) as skeleton:
            proto = onnx.version_converter.convert_version(skeleton, OPSET)
        converted = ir.serde.deserialize_model(proto)
        for value in converted.graph.inputs[inputs:]:
            assert value.name is not None
            value.const_value = weights[value.name].const_value
            converted.graph.register_initializer(value)
        del converted.graph.inputs[inputs:]
    except DAMAGED as error:
        raise GraphError(
            f"opset {model.opset_imports.get('')} cannot be converted to {OPSET}: {reason(error)}",
            where=place(model),
            fix=f"export it again with opset {OPSET}",
        ) from error
    converted.meta.update(model.meta)
    return converted
