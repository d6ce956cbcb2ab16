"""What every artifact of a compile must compute.

In float that is the reference's logits for golden and for random clips. An int8 network is asked
two questions. Are its ranges good? On clips like those that it was calibrated with it must keep
close to float; noise and flat colours lie outside of the ranges that videos have, so that what int8
loses there is told, and refuses nothing. Does the runtime compute what was meant? On every clip
it must agree with ONNX Runtime's result for the same int8 graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from edgevid.contract import Precision, Session
from edgevid.errors import VerificationError
from edgevid.graph.verify import MIN_SQNR, Check, Expectation, Verification, compare, run_all, verify
from edgevid.graph.verify_steps import FrameSequence, verify_steps

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgevid.recipe import Recipe

__all__ = ["Proof", "int8_proof"]

LIKE_CALIBRATION = "clips as int8 was calibrated with"


@dataclass(frozen=True)
class Proof:
    """What is asked of a session.

    Attributes:
        recorded: what it must compute, of golden clips and of random ones; the bundle keeps it.
        further: what it must compute besides, of clips that are not the bundle's to keep.
        told: float logits that int8 need not keep to; how far it is from them is told.
        sequence: what a session must compute that takes frame by frame; None of one that takes clips.
    """

    recorded: tuple[Expectation, ...]
    further: tuple[Expectation, ...] = ()
    told: tuple[Expectation, ...] = ()
    sequence: FrameSequence | None = None

    def of(self, session: Session, precision: Precision) -> Verification:
        """Hold an open session of any batch to it."""
        result = verify(session, (*self.further, *self.recorded), precision)
        steps = () if self.sequence is None else verify_steps(session, self.sequence, precision)
        told = (_told(session, part) for part in self.told)
        return replace(result, checks=(*result.checks, *steps, *told))


def int8_proof(
    recipe: Recipe,
    graph: ir.Model,
    golden: Sequence[Expectation],
    open_reference: Callable[[ir.Model], Session],
) -> Proof:
    """What is asked of the int8 form of a network.

    Args:
        recipe: of it; without clips of its own, as when a table was given, the first of the golden data
            are what int8 must keep close to float on.
        graph: canonical, in float, of one clip.
        golden: float logits of golden and of random clips.
        open_reference: opens graphs in ONNX Runtime, those in int8 operation by operation.

    Raises:
        VerificationError: the int8 graph itself is too far from float.
    """
    judged, told = golden[0], tuple(golden[1:])
    if recipe.clips is not None:
        with open_reference(graph) as session:
            judged = Expectation(LIKE_CALIBRATION, recipe.clips, run_all(session, recipe.clips))
        told = tuple(golden)
    told = tuple(replace(part, name=f"{part.name} of the float graph") for part in told)
    with open_reference(recipe.apply(graph)) as session:
        _require_closeness(judged, session, recipe.clips is None)
        recorded = tuple(
            Expectation(f"{part.name} of the int8 graph", part.clips, run_all(session, part.clips))
            for part in golden
        )
    return Proof(recorded, (judged,), told)


def _require_closeness(judged: Expectation, session: Session, without_clips: bool) -> None:
    difference = compare(judged.logits, run_all(session, judged.clips))
    if not difference.within("int8"):
        better = "calibrate with more clips of all classes, or another --method"
        if without_clips:
            better += "; with --calibration VIDEOS, or --max-drop and --data, it is judged on videos instead"
        raise VerificationError(
            f"int8 is too far from float32: SQNR {difference.sqnr:.1f} dB at the logits of {judged.name}, "
            f"at least {MIN_SQNR:.0f} dB are wanted",
            where="--calibration",
            fix=better,
        )


def _told(session: Session, part: Expectation) -> Check:
    difference = compare(part.logits, run_all(session, part.clips))
    detail = f"SQNR {difference.sqnr:.1f} dB, as information: int8 is made for clips within its ranges"
    return Check(part.name, True, detail, difference)
