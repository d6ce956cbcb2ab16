"""Does a compiled network still compute what the reference computes?

Numbers are compared on a golden clip and on random clips; beyond numbers, clips of one batch
must not touch each other, a session must not remember earlier clips, and the output must
depend on the input: the ways in which compiled shifts were seen to be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import TOLERANCES, Precision, Session, TensorSpec
from edgevid.errors import VerificationError

__all__ = [
    "MIN_SQNR",
    "Check",
    "Difference",
    "Expectation",
    "Verification",
    "compare",
    "expectations",
    "random_clips",
    "run_all",
    "verify",
]

MIN_SQNR = 20.0
"""dB; what int8 must keep against float on clips like those of its calibration, and what a runtime must
keep on any clip against ONNX Runtime's result for the same int8 graph. They round at other places; what
was seen to be computed wrongly is below 15 dB."""

EXACT = 1e-6
"""Relative difference up to which two runs of one session on one clip count as the same."""


@dataclass(frozen=True)
class Difference:
    """How far a candidate's logits are from the reference's.

    Attributes:
        max_absolute: ``max|a-b|``.
        mean_absolute: ``mean|a-b|``.
        max_relative: ``max|a-b| / max|b|``, the figure that tolerances are given in.
        mean_relative: ``mean|a-b| / mean|b|``.
        worst: index of the element with the largest difference.
        worst_values: the candidate's and the reference's value there.
        top1_agreement: share of clips with the same best class.
        sqnr: ``10 log10(mean b^2 / mean (a-b)^2)`` in dB.
    """

    max_absolute: float
    mean_absolute: float
    max_relative: float
    mean_relative: float
    worst: tuple[int, ...]
    worst_values: tuple[float, float]
    top1_agreement: float
    sqnr: float

    def within(self, precision: Precision) -> bool:
        """Is the difference what ``precision`` explains?"""
        if precision == "int8":
            return bool(self.sqnr >= MIN_SQNR)
        return bool(self.max_relative <= TOLERANCES[precision])

    def __str__(self) -> str:
        mine, reference = self.worst_values
        return (
            f"relative max {self.max_relative:.2e} mean {self.mean_relative:.2e}, "
            f"absolute max {self.max_absolute:.2e} mean {self.mean_absolute:.2e}, "
            f"worst at {list(self.worst)}: {mine:.6g} for {reference:.6g}, "
            f"top-1 agreement {self.top1_agreement:.0%}"
        )


@dataclass(frozen=True)
class Check:
    """One question and its answer."""

    name: str
    passed: bool
    detail: str
    difference: Difference | None = None


@dataclass(frozen=True)
class Verification:
    """All answers about one candidate."""

    precision: Precision
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Every check passed."""
        return all(check.passed for check in self.checks)

    def raise_if_failed(self, where: object) -> None:
        """Raise `VerificationError` that lists every failed check."""
        failed = [f"{check.name}: {check.detail}" for check in self.checks if not check.passed]
        if failed:
            raise VerificationError(
                "; ".join(failed),
                where=where,
                fix="do not deploy it; try another --lowering or --precision, and report the case",
            )


@dataclass(frozen=True)
class Expectation:
    """Clips ``[K, T, H, W, C]`` and the logits ``[K, classes]`` that are expected of them."""

    name: str
    clips: NDArray[Any]
    logits: NDArray[np.float32]


def compare(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> Difference:
    """Compare logits ``[N, classes]``; a NaN or infinity in one of them alone is infinitely far.

    Raises:
        VerificationError: the shapes differ.
    """
    if reference.shape != candidate.shape:
        raise VerificationError(f"logits of shape {candidate.shape} for a reference of {reference.shape}")
    b, a = reference.astype(np.float64), candidate.astype(np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.where(a == b, 0.0, np.abs(a - b))
    gap = np.where(np.isnan(gap), np.inf, gap)
    size = np.abs(b[np.isfinite(b)])
    scale = float(size.max(initial=0.0)) or 1.0
    mean_scale = float(size.mean()) if size.size and size.any() else 1.0
    worst = tuple(int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        noise, signal = np.mean(gap**2), np.maximum(np.mean(b**2), 1e-300)
        sqnr = float(10 * np.log10(signal / noise))
    return Difference(
        max_absolute=float(gap.max()),
        mean_absolute=float(gap.mean()),
        max_relative=float(gap.max()) / scale,
        mean_relative=float(gap.mean()) / mean_scale,
        worst=worst,
        worst_values=(float(a[worst]), float(b[worst])),
        top1_agreement=float(np.mean(a.argmax(-1) == b.argmax(-1))),
        sqnr=sqnr,
    )


def random_clips(spec: TensorSpec, count: int, seed: int) -> NDArray[Any]:
    """``count`` reproducible clips for an input of ``spec``, half noise and half smooth motion.

    Smooth clips matter: on plain noise neighbouring frames are alike in every statistic, and a
    wrong shift hides behind the average.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    shape = spec.shape[1:]
    if np.dtype(spec.dtype) != np.uint8:
        return random.standard_normal((count, *shape)).astype(spec.dtype)
    clips = random.integers(0, 256, (count, *shape), dtype=np.uint8)
    segments, height, width, channels = shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    time = np.arange(segments, dtype=np.float32)[:, None, None]
    for clip in clips[1::2]:
        for color in range(channels):
            kx, ky, speed, phase = random.uniform(-1, 1, 4) * (12 / width, 12 / height, 3.0, np.pi)
            wave = np.sin(kx * columns + ky * rows + speed * time * (1 + time / 4) + phase)
            clip[..., color] = np.round(127.5 + 127.5 * wave).astype(np.uint8)
    return clips


def run_all(session: Session, clips: NDArray[Any]) -> NDArray[np.float32]:
    """Logits of any number of clips, in batches of the session's size (the last one filled up)."""
    batch = session.input.shape[0]
    rows = []
    for first in range(0, len(clips), batch):
        part = clips[first : first + batch]
        filled = np.concatenate([part, np.repeat(part[-1:], batch - len(part), axis=0)])
        rows.append(session.run(filled)[: len(part)])
    return np.concatenate(rows)


def expectations(reference: Session, golden: NDArray[Any], *, count: int, seed: int) -> list[Expectation]:
    """What ``reference`` computes on the golden clips and on ``count`` random ones."""
    noise = random_clips(reference.input, count, seed)
    return [
        Expectation("golden input", golden, run_all(reference, golden)),
        Expectation("random input", noise, run_all(reference, noise)),
    ]


def verify(
    candidate: Session, expected: Sequence[Expectation], precision: Precision = "fp32"
) -> Verification:
    """Hold ``candidate`` to the reference's logits, and to what any session must fulfil.

    Args:
        candidate: an open session of any batch size.
        expected: from `expectations` or from a bundle's golden data; at least two clips in all.
        precision: sets the tolerance.

    Raises:
        VerificationError: fewer than two clips, or logits of another shape than expected.
    """
    if sum(len(part.clips) for part in expected) < 2:
        raise VerificationError("nothing can be verified with fewer than two clips", fix="give two clips")
    checks, outputs = [], []
    for part in expected:
        logits = run_all(candidate, part.clips)
        difference = compare(part.logits, logits)
        detail = f"{difference}; allowed for {precision}: at most {TOLERANCES[precision]:.0e}"
        if precision == "int8":
            detail = f"SQNR {difference.sqnr:.1f} dB, at least {MIN_SQNR:.0f} dB is wanted; {difference}"
        checks.append(Check(part.name, difference.within(precision), detail, difference))
        outputs.append(logits)
    clips = np.concatenate([part.clips for part in expected])
    logits, reference = np.concatenate(outputs), np.concatenate([part.logits for part in expected])
    checks.append(_depends_on_input(logits, reference))
    checks.append(_forgets(candidate, clips))
    if candidate.input.shape[0] > 1:
        checks.append(_fills(candidate, clips, reference, precision))
        checks.append(_separates(candidate, clips))
    return Verification(precision, tuple(checks))


def _depends_on_input(logits: NDArray[np.float32], reference: NDArray[np.float32]) -> Check:
    name = "output depends on the input"
    if not np.isfinite(logits).all():
        return Check(name, False, "some logits are not finite")
    spread, wanted = float(np.ptp(logits, axis=0).max()), float(np.ptp(reference, axis=0).max())
    if spread <= EXACT * float(np.abs(logits).max()):
        return Check(name, False, f"the output does not depend on the input: {len(logits)} clips, one answer")
    if spread < wanted / 100:
        detail = f"the output hardly depends on the input: by {spread:.2e}, the reference by {wanted:.2e}"
        return Check(name, False, detail)
    return Check(name, True, f"logits vary by {spread:.3g} over {len(logits)} clips")


def _forgets(candidate: Session, clips: NDArray[Any]) -> Check:
    """A clip gives the same logits again after another one was run in between."""
    batch = candidate.input.shape[0]
    first, second = clips[:1], clips[1:2]
    before = candidate.run(np.repeat(first, batch, axis=0))
    candidate.run(np.repeat(second, batch, axis=0))
    after = candidate.run(np.repeat(first, batch, axis=0))
    difference = compare(before, after)
    passed = difference.max_relative <= EXACT
    detail = "repeatable" if passed else f"an earlier clip changes the answer: {difference}"
    return Check("clips do not leak into later runs", passed, detail, difference)


def _fills(
    candidate: Session, clips: NDArray[Any], reference: NDArray[np.float32], precision: Precision
) -> Check:
    """A batch full of different clips gives each its own logits, in the last place too."""
    order = np.arange(candidate.input.shape[0]) % len(clips)
    difference = compare(reference[order], candidate.run(clips[order]))
    return Check("full batch", difference.within(precision), str(difference), difference)


def _separates(candidate: Session, clips: NDArray[Any]) -> Check:
    """Replacing one clip of a batch leaves the logits of every other clip as they were."""
    batch = candidate.input.shape[0]
    filled = clips[np.arange(batch) % len(clips)]
    before = candidate.run(filled)
    worst, culprit = 0.0, ""
    for replaced in sorted({0, batch // 2, batch - 1}):
        changed = filled.copy()
        changed[replaced] = 255 - changed[replaced] if changed.dtype == np.uint8 else -changed[replaced]
        after = candidate.run(changed)
        for row in set(range(batch)) - {replaced}:
            gap = compare(before[row : row + 1], after[row : row + 1]).max_relative
            if gap > worst:
                worst, culprit = gap, f"clip {replaced} changes the logits of clip {row} by {gap:.2e}"
    passed = worst <= EXACT
    return Check(
        "clips of one batch do not touch",
        passed,
        "separate" if passed else f"clips leak into each other: {culprit}",
    )
