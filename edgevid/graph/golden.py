"""Choose golden data that would notice a wrong shift.

A clip on which the network answers the same with its shifts removed or reversed proves
nothing, so the clips on which both change the logits most are kept, and none that is good
enough is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid.contract import TOLERANCES, Precision, Session
from edgevid.errors import VerificationError
from edgevid.graph.shift_op import replace_specs, shift_nodes
from edgevid.graph.verify import Expectation, compare, random_clips, run_all
from edgevid.shift import ShiftSpec

__all__ = ["Golden", "choose_golden"]

CANDIDATES = 6
GOLDEN = 2
SEED = 20190827


@dataclass(frozen=True)
class Golden:
    """Recorded clips and logits, and what they tell apart.

    Attributes:
        expectations: golden clips, and further random ones.
        removed: smallest relative change over the golden clips when all shifts are removed;
            None without shifts.
        swapped: the same when all shifts are reversed.
    """

    expectations: tuple[Expectation, ...]
    removed: float | None
    swapped: float | None


def choose_golden(
    graph: ir.Model, open_reference: Callable[[ir.Model], Session], precision: Precision
) -> Golden:
    """Run the canonical ``graph`` and its negative controls on candidate clips.

    Args:
        graph: canonical, batch 1.
        open_reference: opens a canonical graph in the float reference.
        precision: whose tolerance the controls must exceed.

    Raises:
        VerificationError: a wrong shift would stay within the tolerance.
    """
    with open_reference(graph) as session:
        clips = random_clips(session.input, CANDIDATES, SEED)
        logits = run_all(session, clips)
    if not any(spec_moves(graph)):
        return Golden(_split(clips, logits, np.arange(CANDIDATES)), None, None)
    changes = []
    for change in (ShiftSpec.without_moves, ShiftSpec.swapped):
        with open_reference(replace_specs(graph, change)) as control:
            wrong = run_all(control, clips)
        changes.append([compare(a[None], b[None]).max_relative for a, b in zip(logits, wrong, strict=True)])
    removed, swapped = np.array(changes)
    order = np.argsort(-np.minimum(removed, swapped), kind="stable")
    kept = order[:GOLDEN]
    golden = Golden(_split(clips, logits, order), float(removed[kept].min()), float(swapped[kept].min()))
    for name, effect in (("removed", golden.removed), ("swapped in direction", golden.swapped)):
        if effect is not None and effect <= TOLERANCES[precision]:
            raise VerificationError(
                f"no clip tells the network from itself with its shifts {name}: the logits change by "
                f"{effect:.1e}, {precision} allows {TOLERANCES[precision]:.0e}",
                fix="check that the checkpoint is trained; --precision fp32 has the tightest tolerance",
            )
    return golden


def spec_moves(graph: ir.Model) -> list[bool]:
    """For every shift: does it move anything?"""
    return [
        "moves" in node.attributes and bool(node.attributes["moves"].as_ints()) for node in shift_nodes(graph)
    ]


def _split(
    clips: NDArray[Any], logits: NDArray[np.float32], order: NDArray[np.int_]
) -> tuple[Expectation, ...]:
    golden, rest = order[:GOLDEN], order[GOLDEN : GOLDEN + 2]
    return (
        Expectation("golden input", clips[golden], logits[golden]),
        Expectation("random input", clips[rest], logits[rest]),
    )
