"""Restrictions of single operators that no table line can say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgevid.diagnostic import Diagnostic
from edgevid.targets.tensorrt.lint.case import COMPILE, Case, Check, error
from edgevid.targets.tensorrt.lint.facts import array_of, input_of, rank_of

__all__ = ["CHECKS"]

_TABLE = "onnx/onnx-tensorrt, docs/operators.md, TensorRT {}, Restrictions"


def _einsum(case: Case) -> Iterator[Diagnostic]:
    if not case.release.within((8, 2), (10, 0)):
        return
    for node in case.nodes():
        if node.op_type != "Einsum" or "equation" not in node.attributes:
            continue
        equation = node.attributes["equation"].as_string().replace(" ", "")
        terms = equation.partition("->")[0].split(",")
        if "..." in equation or any(len(set(term)) < len(term) for term in terms):
            yield error(
                "einsum",
                node,
                f"{equation}: {case.release.title} takes neither an ellipsis nor a diagonal",
                "write out the axes, or use Transpose, MatMul and ReduceSum",
                _TABLE.format("8.4 and 8.5"),
            )


def _deformable(case: Case) -> Iterator[Diagnostic]:
    for node in case.nodes():
        pads = node.attributes.get("pads")
        if node.op_type != "DeformConv" or pads is None:
            continue
        values = pads.as_ints()
        half = len(values) // 2
        if values[:half] != values[half:]:
            yield error(
                "asymmetric-pads",
                node,
                f"pads = {', '.join(map(str, values))}: begin and end must be the same",
                "put a Pad before it",
                _TABLE.format("10.15"),
            )


def _recurrent(case: Case) -> Iterator[Diagnostic]:
    if case.release.number < (8, 2):
        return
    for node in case.nodes():
        both = node.attributes.get_string("direction", "forward") == "bidirectional"
        if node.op_type not in ("GRU", "LSTM", "RNN") or not both or "activations" not in node.attributes:
            continue
        names = node.attributes["activations"].as_strings()
        half = len(names) // 2
        if names[:half] != names[half:]:
            yield error(
                "recurrent",
                node,
                f"activations = {', '.join(names)}: both directions must have the same",
                "write it as two layers, one a direction",
                _TABLE.format("8.4, 8.5 and 10.15"),
            )


def _resized_axes(case: Case) -> Iterator[Diagnostic]:
    for node in case.nodes():
        axes, rank = node.attributes.get("axes"), rank_of(input_of(node, 0))
        scales = input_of(node, 2)
        if node.op_type != "Resize" or axes is None or rank is None or scales is None:
            continue
        if axes.as_ints() != tuple(range(rank)) and scales.name:
            yield error(
                "resize-axes",
                node,
                f"axes = {', '.join(map(str, axes.as_ints()))} with scales: all axes must be there, in order",
                "give a scale of 1 for the others, or sizes instead",
                _TABLE.format("10.15"),
            )


def _padded_axes(case: Case) -> Iterator[Diagnostic]:
    """Before 8.2 two axes are padded with zeros; before 8.0 these are the last two."""
    if case.release.number >= (8, 2):
        return
    last = case.release.number < (8, 0)
    for node in case.nodes():
        pads = array_of(input_of(node, 1))
        if node.op_type != "Pad" or pads is None or pads.size % 2:
            continue
        axes = np.flatnonzero(np.any(pads.reshape(2, -1), axis=0))
        filling = array_of(input_of(node, 2))
        if len(axes) > 2 or (last and np.any(axes < pads.size // 2 - 2)) or np.any(filling):
            yield error(
                "padded-axes",
                node,
                f"pads = {', '.join(map(str, pads))}: {case.release.title} pads "
                f"{'the last two axes' if last else 'two axes'}, with zeros",
                f"put zeros before it by Concat; if it is part of a shift, {COMPILE}",
                f"{_TABLE.format('7.0 to 8.0')}; docs/Changelog.md, TensorRT 8.0: generic 2D padding",
            )


CHECKS: tuple[Check, ...] = (_einsum, _deformable, _recurrent, _resized_axes, _padded_axes)
