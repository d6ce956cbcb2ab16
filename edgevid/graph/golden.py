"""Choose golden data that would notice a wrong shift.

A clip on which the network answers the same with its shifts removed or reversed proves
nothing. So candidates are tried, those on which both controls change the logits most are
kept, and a network for which none is good enough is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid.contract import TOLERANCES, Precision, Session, TensorSpec
from edgevid.errors import VerificationError
from edgevid.graph.shift_op import replace_specs, shift_nodes, spec_of
from edgevid.graph.verify import Expectation, compare, random_clips, run_all
from edgevid.shift import ShiftSpec

__all__ = ["Golden", "candidate_clips", "choose_golden"]

GOLDEN = 2
RANDOM = 2
SEED = 20190827
AMPLE = 2.5
"""No further candidates are tried once both controls are this many tolerances away."""


@dataclass(frozen=True)
class Golden:
    """Recorded clips and logits, and what they tell apart.

    Attributes:
        expectations: golden clips, and random ones.
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
    tolerance = TOLERANCES[precision]
    shifted = any(not spec_of(node).is_identity for node in shift_nodes(graph))
    tried: list[tuple[float, float, NDArray[Any], NDArray[np.float32]]] = []
    with ExitStack() as stack:
        reference = stack.enter_context(open_reference(graph))
        controls: list[Session] = []
        if shifted:
            changed = (
                replace_specs(graph, change) for change in (ShiftSpec.without_moves, ShiftSpec.swapped)
            )
            controls = [stack.enter_context(open_reference(control)) for control in changed]
        for clip in candidate_clips(reference.input):
            right = reference.run(clip)
            changes = [compare(right, control.run(clip)).max_relative for control in controls]
            removed, swapped = changes or (np.inf, np.inf)
            tried.append((removed, swapped, clip, right))
            if sum(min(entry[:2]) > AMPLE * tolerance for entry in tried) == GOLDEN:
                break
        random = random_clips(reference.input, RANDOM, SEED)
        random_logits = run_all(reference, random)
    tried.sort(key=lambda entry: -min(entry[:2]))
    kept = tried[:GOLDEN]
    removed, swapped = min(entry[0] for entry in kept), min(entry[1] for entry in kept)
    for name, effect in (("removed", removed), ("swapped in direction", swapped)):
        if effect <= tolerance:
            raise VerificationError(
                f"no clip tells the network from itself with its shifts {name}: the logits change by "
                f"{effect:.1e}, and {precision} allows {tolerance:.0e}",
                fix="check that the checkpoint is trained; --precision fp32 has the tightest tolerance",
            )
    expectations = (
        Expectation("golden input", *(np.concatenate([entry[i] for entry in kept]) for i in (2, 3))),
        Expectation("random input", random, random_logits),
    )
    return Golden(expectations, removed if shifted else None, swapped if shifted else None)


def candidate_clips(spec: TensorSpec) -> Iterator[NDArray[Any]]:
    """Clips ``[1, T, H, W, 3]`` whose frames differ strongly, the most telling first.

    Frames of one kind cancel out in the average over frames, so neighbours differ in colour,
    scale or direction, and only some of them hold noise.
    """
    random = np.random.Generator(np.random.PCG64(SEED))
    _, segments, height, width, _ = spec.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    blank = np.zeros((segments, height, width, 3), np.float32)
    grey = blank + np.float32(118)

    def noise() -> NDArray[Any]:
        return random.integers(0, 256, (height, width, 3)).astype(np.float32)

    def flat() -> NDArray[Any]:
        return blank + random.integers(0, 256, (segments, 1, 1, 3)).astype(np.float32)

    def alternating() -> NDArray[Any]:
        clip = grey.copy()
        clip[::2] = noise()
        return clip

    def gratings() -> NDArray[Any]:
        turned = [
            np.sin((columns * np.cos(0.8 * t) + rows * np.sin(0.8 * t)) * (2 * np.pi / (2.5 + 2 * t)))
            for t in range(segments)
        ]
        return blank + (127.5 + 127.5 * np.stack(turned))[..., None]

    def halves() -> NDArray[Any]:
        clip = blank.copy()
        clip[: (segments + 1) // 2] = 255
        return clip

    def flashes() -> NDArray[Any]:
        clip = blank.copy()
        clip[::2] = 255
        return clip

    makers: tuple[Callable[[], NDArray[Any]], ...] = (
        *(flat, alternating, flat, gratings, halves, flashes),
        *(flat, flat, flat, flat, flat, flat),
    )
    for make in makers:
        yield np.round(make()).clip(0, 255).astype(np.uint8)[None]
