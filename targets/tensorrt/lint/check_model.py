"""Versions, functions, foreign operators, shapes of the inputs, and the memory: the graph as a whole."""

from __future__ import annotations

from collections.abc import Iterator

from edgevid.diagnostic import Diagnostic
from edgevid.targets.tensorrt.board.memory import memory_need, workspace_of
from edgevid.targets.tensorrt.lint.case import COMPILE, Case, Check, error, warning
from edgevid.targets.tensorrt.lint.facts import is_static

__all__ = ["CHECKS"]

_PARSER = "onnx/onnx-tensorrt, ModelImporter.cpp: a newer one than it was built with is only warned of"
_FUNCTIONS = "onnx/onnx-tensorrt, docs/Changelog.md, TensorRT 9.0 EA: local functions since then"
_PLUGINS = "onnx/onnx-tensorrt, docs/operators.md; README.md, Supported Operators: other ones need a plugin"
_SHAPES = "NVIDIA TensorRT Developer Guide, Working with Dynamic Shapes"
_CONTROL = "NVIDIA TensorRT Developer Guide, Working with Loops and Working with Conditionals"

_OLDEST_OPSET = 7


def _versions(case: Case) -> Iterator[Diagnostic]:
    known, opset = case.release.known, case.model.opset_imports.get("", 0)
    if not _OLDEST_OPSET <= opset <= known.opset:
        named = f"opset {opset}" if opset else "no opset is named"
        yield error(
            "opset",
            None,
            f"{named}; {case.release.title} reads {_OLDEST_OPSET} to {known.opset}",
            f"export it with opset {min(known.opset, 17)}, or {COMPILE}",
            known.source,
        )
    if case.model.ir_version > case.release.ir_version:
        yield error(
            "format",
            None,
            f"ir_version {case.model.ir_version}; the parser of {case.release.title} was built with "
            f"{case.release.ir_version} and does not see what is newer",
            f"set ir_version to {case.release.ir_version}, or {COMPILE}",
            _PARSER,
        )


def _functions(case: Case) -> Iterator[Diagnostic]:
    for node in case.model.graph.all_nodes():
        if node.domain:
            yield error(
                "custom-operator",
                node,
                "an operator that is not ONNX's own, which needs a plugin",
                f"write it in operators of ONNX; if it is a shift, {COMPILE}",
                _PLUGINS,
            )
    if case.release.number >= (9, 0):
        return
    for node in case.written.graph.all_nodes():
        if node.op_identifier() in case.written.functions:
            yield error(
                "function",
                node,
                f"a function of the model, of which {case.release.title} does not know",
                f"inline it (onnx.inliner.inline_local_functions), or {COMPILE}",
                _FUNCTIONS,
            )


def _control_flow(case: Case) -> Iterator[Diagnostic]:
    for node in case.nodes():
        if node.op_type in ("If", "Loop", "Scan"):
            yield warning(
                "control-flow",
                node,
                "control flow: its branches are compiled apart, and nothing is fused across them",
                "export the network with its sizes fixed, so that loops are unrolled and branches decided",
                _CONTROL,
            )


def _dynamic(case: Case) -> Iterator[Diagnostic]:
    on_board = case.board is not None and case.board.family == "board"
    for value in case.model.graph.inputs:
        if value.is_initializer() or is_static(value):
            continue
        sizes = "an unknown shape" if value.shape is None else f"the shape {value.shape}"
        yield (error if on_board else warning)(
            "dynamic-shape",
            None,
            f"the input {value.name!r} has {sizes}: engines are built for fixed sizes, or a range",
            "fix the sizes (--batch, or the exporter's input)"
            if on_board
            else "give a range (trtexec --minShapes, --optShapes, --maxShapes), or fix it",
            _SHAPES,
        )


def _constant_outputs(case: Case) -> Iterator[Diagnostic]:
    for value in case.model.graph.outputs:
        if case.facts.is_constant(value):
            yield error(
                "constant-output",
                value.producer(),
                f"the output {value.name!r} does not depend on the input: it was folded to a constant",
                "export again without assignments in place, or give edgevid the checkpoint",
                _SHAPES,
            )


def _memory(case: Case) -> Iterator[Diagnostic]:
    if case.board is None or case.board.family != "board":
        return
    need = memory_need(case.model) + workspace_of(case.board)
    if need > case.board.memory:
        yield error(
            "memory",
            None,
            f"building it takes about {need / 2**30:.1f} GiB, {case.board.title} has "
            f"{case.board.memory / 2**30:.0f} GiB",
            "make the batch, the frames or the picture smaller",
            case.board.source,
        )


CHECKS: tuple[Check, ...] = (_versions, _functions, _control_flow, _dynamic, _constant_outputs, _memory)
