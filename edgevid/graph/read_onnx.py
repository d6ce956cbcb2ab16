"""Foreign ONNX files: parsed, and checked before any library computes with them.

Requires nothing of the file. Ensures: operations of ONNX's own domain alone, in topological
order, with weights that fit their shapes and are finite; functions of the file inlined.
Nothing that the file brings is executed.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import onnx_ir as ir
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx_ir.passes import common as passes

from edgevid.errors import GraphError
from edgevid.graph.check_functions import check_functions
from edgevid.graph.check_names import check_names
from edgevid.graph.check_tensors import check_finite, check_tensors
from edgevid.graph.diagnose import check_dependence
from edgevid.graph.place import PATH, place, reason
from edgevid.graph.without_weights import DAMAGED, with_weights_as_inputs

__all__ = ["parse", "read_onnx"]

OLDEST = 9
"""The first opset that onnx's version converter makes newer reliably."""

_AGAIN = "compare its size with the original, and copy or export it again"


def read_onnx(path: str | Path) -> ir.Model:
    """The graph in a file, as its exporter wrote it.

    Raises:
        GraphError: there is no such file; it is no ONNX, or damaged; its weights are missing, do
            not fit their shapes or are not finite; its names contradict each other; it needs an
            opset or operations that are not supported; it has no input, so that its output was
            folded to a constant. The message names the file and the place.
    """
    path = Path(path)
    proto = parse(path)
    _check_versions(proto, path)
    check_names(proto, path)
    check_tensors(proto, path)
    check_functions(proto, path)
    try:
        model = ir.serde.deserialize_model(proto)
        ir.external_data.set_base_dir(model.graph, path.parent)
        ir.external_data.load_to_model(model)
        passes.InlinePass()(model)
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
        # Up to format 3 weights are inputs as well.
        model.ir_version = max(model.ir_version, 4)
        passes.RemoveInitializersFromInputsPass()(model)
        with with_weights_as_inputs(model) as skeleton:
            onnx.checker.check_model(skeleton)
    except (*DAMAGED, OSError) as error:
        raise GraphError(f"not a valid graph: {reason(error)}", where=path, fix=_AGAIN) from error
    model.meta[PATH] = path
    if not model.graph.outputs:
        raise GraphError("the graph has no outputs", where=place(model), fix="export the network again")
    if not model.graph.inputs:
        # Exporters drop an input that nothing uses.
        check_dependence(model)
    check_finite(model)
    return model


def parse(path: Path) -> onnx.ModelProto:
    """The content of a file, of which nothing is checked but that it is ONNX.

    Raises:
        GraphError: there is no such file, it cannot be read, or it is something else.
    """
    if not path.is_file():
        kind = "a folder, not a file" if path.is_dir() else "no such file"
        raise GraphError(kind, where=path, fix="give the path of an .onnx file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise GraphError(
            f"cannot be read: {error.strerror}", where=path, fix="check its permissions"
        ) from error
    if not content:
        raise GraphError("an empty file", where=path, fix=_AGAIN)
    if content.startswith(b"version https://git-lfs"):
        raise GraphError("a git-lfs pointer, not the file itself", where=path, fix="run: git lfs pull")
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except (DecodeError, ValueError) as error:
        raise GraphError("no ONNX file, or cut off", where=path, fix=_AGAIN) from error
    if not proto.HasField("graph") or not (proto.graph.node or proto.graph.output):
        raise GraphError("no ONNX file: it holds no graph", where=path, fix=_AGAIN)
    return proto


def _check_versions(proto: onnx.ModelProto, path: Path) -> None:
    if not 3 <= proto.ir_version <= onnx.IR_VERSION:
        raise GraphError(
            f"its format is version {proto.ir_version}; 3 to {onnx.IR_VERSION} are read",
            where=path,
            fix="export it again, or update onnx",
        )
    versions = {entry.version for entry in proto.opset_import if entry.domain in ("", "ai.onnx")}
    newest = onnx.defs.onnx_opset_version()
    if len(versions) != 1:
        raise GraphError(f"it names {len(versions)} opsets of ONNX, not one", where=path, fix=_AGAIN)
    (version,) = versions
    if not OLDEST <= version <= newest:
        raise GraphError(
            f"it needs opset {version}; {OLDEST} to {newest} are read",
            where=path,
            fix="export it again with opset 11 or newer" if version < OLDEST else "export it with opset 20",
        )
