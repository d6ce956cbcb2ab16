"""From a canonical graph to an artifact or an open session: lowered, compiled, loaded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid import targets
from edgevid.contract import Artifact, CompileOptions, Session, Streaming
from edgevid.errors import LoweringError, TargetError
from edgevid.plan import Plan
from edgevid.targets import onnxruntime as reference_target
from edgevid.targets._profiles import device as find_device

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = [
    "build",
    "check_form",
    "lowered",
    "offered",
    "open_here",
    "open_reference",
    "stream",
    "stream_names",
    "written",
]


def lowered(graph: ir.Model, batch: int, request: Plan) -> tuple[str, ir.Model]:
    """The name and result of the lowering that was asked for, or of the target's first that holds.

    Raises:
        LoweringError: none holds.
    """
    from edgevid.graph.shift_op import shift_nodes

    if request.lowering != "auto" and shift_nodes(graph):
        return request.lowering, written(graph, request.lowering)
    names = [request.lowering] if request.lowering in request.capability.plain_forms else []
    names += offered(graph, batch, request)
    for name in names:
        with suppress(LoweringError):
            return name, written(graph, name)
    return names[0], written(graph, names[0])


def offered(graph: ir.Model, batch: int, request: Plan) -> tuple[str, ...]:
    """Names of the forms that a canonical graph may be compiled in, the static choice first."""
    from edgevid.graph.shift_op import shift_nodes

    capability, device = request.capability, request.device
    if not shift_nodes(graph):
        return capability.plain_forms
    names = capability.lowerings if batch == 1 else capability.batch_lowerings
    first = targets.find(device.target).default_lowering(graph, device, request.precision, batch)
    return tuple(dict.fromkeys((first, *names)))


def check_form(graph: ir.Model, request: Plan) -> None:
    """Raise `LoweringError` if the lowering that is asked for is one of networks without a shift."""
    from edgevid.graph.shift_op import shift_nodes

    count = len(shift_nodes(graph))
    capability = request.capability
    shifting = {"auto", *capability.lowerings, *capability.batch_lowerings}
    if count and request.lowering not in shifting:
        raise LoweringError(
            f"{request.lowering!r} is a form of networks without a shift, and this one has {count}",
            where="--lowering",
            fix=f"auto, {', '.join(sorted(shifting - {'auto'}))}",
        )


def written(graph: ir.Model, name: str) -> ir.Model:
    """A canonical graph in the form of this name.

    Raises:
        LoweringError: the form does not hold for it.
    """
    from edgevid.graph.lower import lower, lower_plain
    from edgevid.graph.shift_op import shift_nodes

    return lower(graph, name) if shift_nodes(graph) else lower_plain(graph, name)


def build(
    graph: ir.Model,
    name: str,
    batch: int,
    request: Plan,
    folder: Path,
    batches: tuple[int, ...] = (),
    streaming: Streaming | None = None,
) -> Artifact:
    """Compile a graph that was lowered as ``name`` into an empty folder.

    ``batches`` are several for one artifact of a graph of any batch; ``streaming`` describes a graph that
    takes frame by frame.

    Raises:
        TargetError: the runtime refuses it.
    """
    options = CompileOptions(
        device=request.device,
        folder=folder,
        precision=request.precision,
        batch=batch,
        lowering=name,
        settings=request.settings,
        tuning=request.tuning,
        runner=request.runner,
        batches=batches,
        workspace=request.workspace,
        streaming=streaming,
    )
    return targets.find(request.device.target).compile(graph, options)


def stream_names(request: Plan) -> tuple[str, ...]:
    """The forms that a network may take frame by frame in, the first choice first."""
    return request.capability.stream_lowerings if request.lowering == "auto" else (request.lowering,)


def stream(graph: ir.Model, request: Plan, folder: Path, names: Sequence[str]) -> Artifact:
    """Compile a canonical graph of one clip into an empty folder, to take frame by frame.

    In the first of ``names`` whose form holds.

    Raises:
        GraphError: a shift takes from the future, or something other than a shift mixes frames.
        LoweringError: none of the target's forms holds.
        TargetError: the runtime refuses it.
    """
    from edgevid.graph.lower import KEEP, form_of, lower
    from edgevid.graph.streaming import stream_graph

    made = stream_graph(graph, lookahead=request.lookahead)
    for name in names:
        # What is left of its shifts is displaced within a frame.
        plain = made.model if form_of(name) == KEEP else lower(made.model, "slice_concat")
        try:
            return build(plain, name, 1, request, folder, streaming=made.streaming)
        except LoweringError:
            if name == names[-1]:
                raise
    raise LoweringError("no form of a network that takes frame by frame", where=request.device.name)


@contextmanager
def open_here(graph: ir.Model, request: Plan) -> Iterator[Session]:
    """A canonical graph of one clip in the device's runtime, or where that cannot run in ONNX Runtime."""
    if not request.capability.executes:
        with open_reference(graph) as session:
            yield session
        return
    with tempfile.TemporaryDirectory(prefix="edgevid-") as folder:
        if request.streaming:
            with _open_stream(graph, request, Path(folder)) as session:
                yield session
            return
        name, plain = lowered(graph, 1, request)
        artifact = build(plain, name, 1, request, Path(folder))
        with targets.find(request.device.target).open(artifact) as session:
            yield session


def _open_stream(graph: ir.Model, request: Plan, folder: Path) -> Session:
    """In the first form that opens."""
    names = stream_names(request)
    while True:
        place = folder / f"{len(names)}"
        place.mkdir()
        artifact = stream(graph, request, place, names)
        names = names[names.index(artifact.lowering) + 1 :]
        try:
            return targets.find(request.device.target).open(artifact)
        except TargetError:
            if not names:
                raise


def open_reference(graph: ir.Model, batch: int = 1) -> Session:
    """A canonical graph in ONNX Runtime; its file is gone again as soon as it is loaded.

    One in int8 is run operation by operation.
    """
    reference = reference_target.target()
    quantizes = any(node.op_type == "QuantizeLinear" for node in graph.graph)
    with tempfile.TemporaryDirectory(prefix="edgevid-") as folder:
        options = CompileOptions(
            device=find_device("reference"),
            folder=Path(folder),
            lowering="function",
            batch=batch,
            precision="int8" if quantizes else "fp32",
        )
        artifact: Artifact = reference.compile(graph, options)
        return reference.open(artifact)
