"""Where a network comes from: a checkpoint or a foreign ONNX file, as the compiler takes both."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgevid.contract import Normalization, Sampling, Sourced, known_algorithm
from edgevid.errors import ConfigError
from edgevid.shift import ShiftSpec

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgevid.checkpoints import Checkpoint

__all__ = ["Say", "Source", "is_onnx", "open_source", "with_flow"]

Say = Callable[[str], None]

_ONNX = re.compile(rb"\x08[\x01-\x20][\x12\x1a\x22\x28\x32\x3a\x42]")
"""Fields 1 (the format's version) and 2 to 8 of a model, in the order in which all writers write them."""


@dataclass(frozen=True)
class Source:
    """A float network and what is known about it.

    Attributes:
        path: of the file.
        layout: of the checkpoint, or ``onnx``.
        network: what it is, as plain data.
        parameters: of the network.
        macs: multiply-accumulates of one clip.
        normalization: of the pixels.
        sampling: of the frames.
        labels: class names, None where nothing says them.
        settings: every value by name with its source.
        shifts: name and spec of each.
        mixes_time: the order of the frames matters to the answer; None where nothing says it.
        notes: what the user should know of it.
        batch: the only one that the file is good for, or None.
        graph: the canonical graph of a number of clips.
    """

    path: Path
    layout: str
    network: Mapping[str, Any]
    parameters: int
    macs: int
    normalization: Normalization
    sampling: Sampling
    labels: tuple[str, ...] | None
    settings: Mapping[str, Sourced]
    shifts: tuple[tuple[str, ShiftSpec], ...]
    mixes_time: bool | None
    notes: tuple[str, ...]
    batch: int | None
    graph: Callable[[int], ir.Model]


def is_onnx(path: str | os.PathLike[str]) -> bool:
    """By its name, or by how it begins."""
    path = Path(path)
    if path.suffix.lower() == ".onnx":
        return True
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError:
        return False  # whoever reads it as a checkpoint says what is wrong
    # The length that a safetensors file begins with may look alike, but ends in zeros.
    return bool(_ONNX.match(head)) and head[4:] != bytes(4)


def open_source(
    given: str | os.PathLike[str] | Checkpoint | Source, *, say: Say = lambda _: None, **flags: Any
) -> Source:
    """Read a checkpoint or an ONNX file.

    Args:
        given: the file, a checkpoint that was read already, or a source, which is returned.
        say: is told each step.
        flags: see `edgevid.checkpoints.read` and `edgevid.foreign.read_foreign`.

    Raises:
        ConfigError: a setting is missing, contradicts the file or makes no sense for it.
        CheckpointError, GraphError: the file cannot be read.
    """
    from edgevid.checkpoints import Checkpoint, read

    if isinstance(given, Checkpoint | Source):
        if flags:
            raise ConfigError(
                f"flags for a checkpoint that was read already: {', '.join(flags)}", fix="give them to read()"
            )
        return given if isinstance(given, Source) else _of_checkpoint(given, say)
    if is_onnx(given):
        return _of_onnx(Path(given), say, flags)
    say(f"reading {os.fspath(given)}")
    return _of_checkpoint(read(Path(given), **flags), say)


def _of_checkpoint(checkpoint: Checkpoint, say: Say) -> Source:
    from edgevid.graph.export import export
    from edgevid.models.cost import cost

    network, work = checkpoint.network(), cost(checkpoint.config)

    def graph(batch: int) -> ir.Model:
        say("exporting the graph")
        return export(network, batch=batch)

    return Source(
        path=Path(checkpoint.path),
        layout=checkpoint.layout,
        network=checkpoint.config.model_dump(mode="json"),
        parameters=work.parameters,
        macs=work.macs,
        normalization=checkpoint.normalization,
        sampling=checkpoint.sampling,
        labels=checkpoint.labels,
        settings=checkpoint.settings,
        shifts=tuple(network.shift_specs()),
        mixes_time=checkpoint.config.mixes_time,
        notes=_notes(checkpoint.sampling),
        batch=None,
        graph=graph,
    )


def with_flow(source: Source, algorithm: str) -> Source:
    """A source whose optical flow is computed by ``algorithm``; one of pictures as it is.

    Raises:
        ConfigError: no such algorithm.
    """
    flow = source.sampling.flow
    if flow is None:
        return source
    sampling = replace(source.sampling, flow=replace(flow, algorithm=known_algorithm(algorithm, "--flow")))
    settings = {**source.settings, "flow": Sourced(algorithm, "flag")}
    return replace(source, sampling=sampling, settings=settings, notes=_notes(sampling))


def _notes(sampling: Sampling) -> tuple[str, ...]:
    """Of optical flow: what it is computed by, and what it was in training."""
    flow = sampling.flow
    if flow is None:
        return ()
    usual = "" if flow.algorithm == "tvl1" else "; published networks were trained on that of TV-L1"
    return (f"it looks at {flow}, from {-flow.bound:g} to {flow.bound:g} pixels{usual}",)


def _of_onnx(path: Path, say: Say, flags: Mapping[str, Any]) -> Source:
    from edgevid.foreign import read_foreign
    from edgevid.graph.cost import macs, parameters
    from edgevid.graph.shift_op import shift_nodes, spec_of

    foreign = read_foreign(path, say=say, **flags)
    assert foreign.normalization is not None
    canonical = foreign.canonical.model
    return Source(
        path=path,
        layout="onnx",
        network=foreign.description,
        parameters=parameters(canonical),
        macs=macs(canonical),
        normalization=foreign.normalization,
        sampling=foreign.sampling,
        labels=foreign.labels,
        settings=foreign.settings,
        shifts=tuple((str(node.name), spec_of(node)) for node in shift_nodes(canonical)),
        mixes_time=None,
        notes=foreign.notes,
        batch=foreign.clip.batch,
        graph=foreign.graph,
    )
