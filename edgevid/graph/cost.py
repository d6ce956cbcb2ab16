"""Parameters and multiply-accumulates of a canonical graph."""

from __future__ import annotations

from math import prod

import onnx_ir as ir

__all__ = ["macs", "parameters"]


def parameters(model: ir.Model) -> int:
    """Float numbers among the constants. Batch norms count as the biases they were folded into."""
    tensors = [value.const_value for value in model.graph.initializers.values()]
    return sum(prod(t.shape.numpy()) for t in tensors if t is not None and t.dtype.is_floating_point())


def macs(model: ir.Model) -> int:
    """Multiply-accumulates of convolutions and matrix products; papers print them as FLOPs.

    Requires:
        Static shapes. A shift has none.
    """
    return sum(_macs(node) for node in model.graph if not node.domain)


def _macs(node: ir.Node) -> int:
    first, second = [*node.inputs, None, None][:2]
    if node.op_type not in ("Conv", "Gemm", "MatMul") or first is None or second is None:
        return 0
    results = prod(_sizes(node.outputs[0]))
    if node.op_type == "Conv":
        return results * prod(_sizes(second)[1:])
    transposed = node.op_type == "Gemm" and node.attributes.get_int("transA", 0) != 0
    return results * _sizes(first)[0 if transposed else -1]


def _sizes(value: ir.Value) -> tuple[int, ...]:
    assert value.shape is not None
    return tuple(int(size) for size in value.shape.numpy())
