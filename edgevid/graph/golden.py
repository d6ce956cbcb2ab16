"""Choose golden data that would notice frames that are mixed wrongly.

A clip on which the network answers the same with its shifts removed or reversed proves
nothing, nor one, where other layers mix frames, on which it answers the same when the clip
runs backwards. So candidates are tried, those on which all controls change the logits most
are kept, and a network for which none is good enough is an error.
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
"""No further candidates are tried once all controls are this many tolerances away."""


@dataclass(frozen=True)
class Golden:
    """Recorded clips and logits, and what they tell apart.

    Attributes:
        expectations: golden clips, and random ones.
        removed: smallest relative change over the golden clips when all shifts are removed;
            None without shifts.
        swapped: the same when all shifts are reversed.
        reversed: the same when the clip runs backwards; None with shifts, and without anything
            that mixes frames.
    """

    expectations: tuple[Expectation, ...]
    removed: float | None = None
    swapped: float | None = None
    reversed: float | None = None


def choose_golden(
    graph: ir.Model,
    open_reference: Callable[[ir.Model], Session],
    precision: Precision,
    *,
    mixes_time: bool | None = False,
) -> Golden:
    """Run the canonical ``graph`` and its negative controls on candidate clips.

    Args:
        graph: canonical, batch 1.
        open_reference: opens a canonical graph in the float reference.
        precision: whose tolerance the controls must exceed.
        mixes_time: of a graph without shifts, something else in it mixes frames; None where
            nothing says it, and the clips have to.

    Raises:
        VerificationError: a wrong shift, or a wrong order of frames, would stay within the tolerance.
    """
    tolerance = TOLERANCES[precision]
    shifted = any(not spec_of(node).is_identity for node in shift_nodes(graph))
    tried: list[tuple[tuple[float, ...], NDArray[Any], NDArray[np.float32]]] = []
    with ExitStack() as stack:
        reference = stack.enter_context(open_reference(graph))
        controls: list[Callable[[NDArray[Any]], NDArray[np.float32]]] = []
        if shifted:
            changed = (
                replace_specs(graph, change) for change in (ShiftSpec.without_moves, ShiftSpec.swapped)
            )
            controls = [stack.enter_context(open_reference(control)).run for control in changed]
        elif mixes_time is not False:
            controls = [lambda clip: reference.run(np.ascontiguousarray(clip[:, ::-1]))]
        for clip in candidate_clips(reference.input):
            right = reference.run(clip)
            changes = tuple(compare(right, control(clip)).max_relative for control in controls)
            tried.append((changes, clip, right))
            telling = [min(effects, default=np.inf) for effects, *_ in tried]
            if sum(effect > AMPLE * tolerance for effect in telling) == GOLDEN:
                break
            if not shifted and mixes_time is None and len(tried) == GOLDEN and max(telling) <= tolerance:
                controls = []
                tried = [((), clip, right) for _, clip, right in tried]
                break
        random = random_clips(reference.input, RANDOM, SEED)
        random_logits = run_all(reference, random)
    tried.sort(key=lambda entry: -min(entry[0], default=np.inf))
    kept = tried[:GOLDEN]
    least = [min(effects) for effects in zip(*(effects for effects, *_ in kept), strict=True)]
    names = ("with its shifts removed", "with its shifts swapped in direction")
    for name, effect in zip(names if shifted else ("on the clip reversed in time",), least, strict=False):
        if effect <= tolerance:
            raise VerificationError(
                f"no clip tells the network from itself {name}: the logits change by "
                f"{effect:.1e}, and {precision} allows {tolerance:.0e}",
                fix="check that the checkpoint is trained; --precision fp32 has the tightest tolerance",
            )
    expectations = (
        Expectation("golden input", *(np.concatenate([entry[i] for entry in kept]) for i in (1, 2))),
        Expectation("random input", random, random_logits),
    )
    if shifted:
        return Golden(expectations, removed=least[0], swapped=least[1])
    return Golden(expectations, reversed=least[0] if least else None)


def candidate_clips(spec: TensorSpec) -> Iterator[NDArray[Any]]:
    """Clips ``[1, T, H, W, C]`` whose frames differ strongly, the most telling first.

    Frames of one kind cancel out in the average over frames, so neighbours differ in colour,
    scale or direction, and only some of them hold noise.
    """
    random = np.random.Generator(np.random.PCG64(SEED))
    _, segments, height, width, channels = spec.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    blank = np.zeros((segments, height, width, channels), np.float32)
    grey = blank + np.float32(118)

    def noise() -> NDArray[Any]:
        return random.integers(0, 256, (height, width, channels)).astype(np.float32)

    def flat() -> NDArray[Any]:
        return blank + random.integers(0, 256, (segments, 1, 1, channels)).astype(np.float32)

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
