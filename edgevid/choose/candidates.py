"""The lowerings that a network may be compiled in, and what each must fulfil before it is timed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgevid import targets
from edgevid.contract import Artifact, Device, Layer, Precision, RunSettings, Session
from edgevid.graph.verify import Expectation, compare, run_all

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["Candidates", "held_to", "slow_layers", "unexpected_layers"]

_SLOW = ("ref", "gemm")
"""In the name of a convolution's kernel: a reference implementation, or one that builds matrices first."""


@dataclass(frozen=True)
class Candidates:
    """What is chosen from.

    Attributes:
        graph: canonical, in the precision that is asked for.
        names: of the lowerings, the default first.
        device: it is compiled for.
        runtime: with its version.
        precision: of the artifact.
        batch: of the artifact.
        settings: of the session.
        build: compiles a candidate into an empty folder.
        check: what an open candidate computes wrong, empty if nothing; asked before anything is timed.
        float_layers: of an int8 network, those that are float by intent.
    """

    graph: ir.Model
    names: tuple[str, ...]
    device: Device
    runtime: str
    precision: Precision
    batch: int
    settings: RunSettings
    build: Callable[[str, Path], Artifact]
    check: Callable[[Session], str]
    float_layers: Mapping[str, str] = field(default_factory=dict)

    def open(self, artifact: Artifact) -> Session:
        """A session of a compiled candidate."""
        return targets.find(artifact.target).open(artifact)


def held_to(expected: Expectation, precision: Precision) -> Callable[[Session], str]:
    """A check of a session's logits of some clips."""

    def check(session: Session) -> str:
        difference = compare(expected.logits, run_all(session, expected.clips))
        return "" if difference.within(precision) else f"computes something else: {difference}"

    return check


def unexpected_layers(
    layers: Collection[Layer], precision: Precision, float_layers: Collection[str]
) -> list[str]:
    """Layers of an int8 network that the runtime computes in float, without intent."""
    if precision != "int8":
        return []
    return [layer.name for layer in layers if layer.precision != "int8" and layer.name not in float_layers]


def slow_layers(layers: Collection[Layer]) -> Counter[str]:
    """How many convolutions run on which slow kernel, by the runtime's own names."""
    return Counter(
        layer.kernel
        for layer in layers
        if layer.kind == "Conv" and any(part in layer.kernel.lower() for part in _SLOW) and _is_slow(layer)
    )


def _is_slow(layer: Layer) -> bool:
    # brgemm is the name of a fast family of kernels.
    return "brgemm" not in layer.kernel.lower()
