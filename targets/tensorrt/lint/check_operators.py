"""Operators, their types, attributes, constant inputs, ranks and outputs, by the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from edgevid.diagnostic import Diagnostic
from edgevid.targets.tensorrt.lint.case import COMPILE, Case, Check, error, warning
from edgevid.targets.tensorrt.lint.facts import data_input, input_of, rank_of, title, type_of
from edgevid.targets.tensorrt.lint.limits import ATTRIBUTES, CONSTANTS, OUTPUTS, RANKS, SHAPES, AttributeLimit
from edgevid.targets.tensorrt.lint.operators import OPERATORS, RTX_REFUSES

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["CHECKED_TYPES", "CHECKS"]

CHECKED_TYPES = frozenset(
    ("FLOAT", "FLOAT16", "BFLOAT16", "DOUBLE", "INT32", "INT64", "INT8", "BOOL"),
)
"""Those that the tables speak of."""

_TYPES = "onnx/onnx-tensorrt, docs/operators.md, TensorRT {}, Supported Types"
_GUIDE_SHAPES = (
    "NVIDIA TensorRT Developer Guide, Working with Dynamic Shapes, Execution Tensors versus Shape Tensors"
)
_SCATTER = "NVIDIA/TensorRT issue 3047: 8.x has kernels for it only where NVRTC is, and fails without"
_SCATTER_COPY = "NvInfer.h, IScatterLayer: the output is a copy of the data with updates in it"

_REMEDIES: Mapping[str, str] = {
    "Gelu": "export with opset 17, which writes it by Erf",
    "GroupNormalization": "export with opset 17, which writes it by InstanceNormalization",
    "HardSwish": "export with opset 13, which writes it as x * HardSigmoid(x)",
    "LayerNormalization": "export with opset 13, which writes it by ReduceMean",
    "Reciprocal": "write it as 1 / x",
    "QLinearConv": "quantize with QuantizeLinear and DequantizeLinear instead (QDQ format)",
    "QLinearMatMul": "quantize with QuantizeLinear and DequantizeLinear instead (QDQ format)",
    "ScatterND": f"an assignment in place: write it with torch.cat, or {COMPILE}",
    "ScatterElements": f"an assignment in place: write it with torch.cat, or {COMPILE}",
}


def _known(case: Case) -> Iterator[Diagnostic]:
    for node in case.nodes():
        entry, kind = OPERATORS.get(node.op_type), node.op_type
        remedy = _REMEDIES.get(kind, f"write it in other operators; if it is part of a shift, {COMPILE}")
        if entry is None:
            where = case.release.known.source
            yield error("operator", node, f"{case.release.title} has no {kind}", remedy, where)
        elif entry.since > case.release.number:
            first = ".".join(map(str, entry.since))
            reason = f"{case.release.title} has no {kind}; {first} is the first that has it"
            yield error("operator", node, reason, remedy, entry.source)
        elif case.release.rtx and kind in RTX_REFUSES:
            yield error("operator", node, f"{case.release.title} has no {kind}", remedy, RTX_REFUSES[kind])


def _types(case: Case) -> Iterator[Diagnostic]:
    for node in case.nodes():
        entry, value = OPERATORS.get(node.op_type), data_input(node)
        if entry is None or not case.facts.is_data(value):
            continue
        allowed, found = entry.types(case.release), type_of(value)
        if allowed and found in CHECKED_TYPES - allowed:
            takes = ", ".join(name for name in sorted(allowed) if name not in ("BFLOAT16", "DOUBLE"))
            yield error(
                "element-type",
                node,
                f"{node.op_type} of {found}; {case.release.title} takes {takes}",
                "cast its input to float32 before it",
                _TYPES.format("10.15" if case.release.number >= (10, 0) else "8.2 and 8.5"),
            )


def _attributes(case: Case) -> Iterator[Diagnostic]:
    limits = [
        limit
        for limit in ATTRIBUTES
        if case.release.within(limit.since, limit.until) and (case.release.rtx or not limit.rtx)
    ]
    for node in case.nodes():
        for limit in limits:
            if node.op_type in limit.operators and _counts(node, limit):
                found = _values(node, limit.attribute, limit.default)
                if any(value not in limit.allowed for value in found):
                    yield error(
                        "attribute",
                        node,
                        f"{limit.attribute} = {_told(found)}; {case.release.title} takes "
                        f"{_told(limit.allowed)}",
                        f"export it with {limit.attribute} = {limit.allowed[0]}, or write it otherwise",
                        limit.source,
                    )


def _counts(node: ir.Node, limit: AttributeLimit) -> bool:
    if limit.when is None:
        return True
    name, default, value = limit.when
    return _values(node, name, default) == (value,)


def _values(node: ir.Node, name: str, default: int | str | None) -> tuple[Any, ...]:
    attribute = node.attributes.get(name)
    if attribute is None or attribute.value is None:
        return () if default is None else (default,)
    return tuple(attribute.value) if isinstance(attribute.value, tuple | list) else (attribute.value,)


def _told(values: tuple[Any, ...]) -> str:
    return ", ".join(map(str, values))


def _constants(case: Case) -> Iterator[Diagnostic]:
    limits = [limit for limit in CONSTANTS if case.release.within(limit.since, limit.until)]
    for node in case.nodes():
        for limit in limits:
            late = [index for index in limit.inputs if not case.facts.is_constant(input_of(node, index))]
            if node.op_type in limit.operators and late:
                yield error(
                    "constant-input",
                    node,
                    f"{limit.what} is computed in the graph; {case.release.title} must know it before",
                    "fold constants first (onnxsim), or export with fixed sizes",
                    limit.source,
                )


def _data_dependent(case: Case) -> Iterator[Diagnostic]:
    # Inside of loops and branches sizes may be theirs.
    for node in case.model.graph:
        for index in SHAPES.get(node.op_type, ()) if node.domain == "" else ():
            value = input_of(node, index)
            if value is not None and case.facts.is_data(value):
                made = value.producer()
                by = f"by {title(made)}" if made is not None else "an input"
                yield error(
                    "data-dependent",
                    node,
                    f"a size of its result is computed from activations ({by})",
                    "compute sizes from shapes alone, or export with fixed sizes",
                    _GUIDE_SHAPES,
                )


def _ranks(case: Case) -> Iterator[Diagnostic]:
    limits = [limit for limit in RANKS if case.release.within(limit.since, limit.until)]
    for node in case.nodes():
        rank = rank_of(input_of(node, 0))
        for limit in limits:
            if node.op_type in limit.operators and rank is not None and rank not in limit.ranks:
                yield error(
                    "rank",
                    node,
                    f"an input of {rank} axes; {case.release.title} takes {_told(limit.ranks)}",
                    "add an axis of size 1 before it (Unsqueeze), and remove it behind",
                    limit.source,
                )


def _outputs(case: Case) -> Iterator[Diagnostic]:
    limits = [limit for limit in OUTPUTS if case.release.within(limit.since, limit.until)]
    for node in case.nodes():
        for limit in limits:
            used = [out for out in node.outputs[limit.count :] if out.uses() or out.is_graph_output()]
            if node.op_type in limit.operators and used:
                yield error(
                    "output",
                    node,
                    f"its output {used[0].name!r} is used; {case.release.title} gives the first "
                    f"{limit.count} only",
                    "compute what needs it otherwise",
                    limit.source,
                )


def _scatter(case: Case) -> Iterator[Diagnostic]:
    for node in case.nodes():
        if node.op_type not in ("Scatter", "ScatterElements", "ScatterND") or case.release.number < (8, 2):
            continue
        if case.release.number < (10, 0):
            yield error(
                "scatter",
                node,
                f"{case.release.title} reads it, and may have no kernel for it on the device",
                _REMEDIES["ScatterND"],
                _SCATTER,
            )
        else:
            yield warning(
                "scatter",
                node,
                "the whole tensor is copied and then changed in places: nothing is fused with it",
                _REMEDIES["ScatterND"],
                _SCATTER_COPY,
            )


CHECKS: tuple[Check, ...] = (
    *(_known, _types, _attributes, _constants, _data_dependent, _ranks, _outputs, _scatter),
)
