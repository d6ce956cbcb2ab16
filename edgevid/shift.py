"""The shift as data: which channels of a clip move, and by how many frames, rows and columns.

A shift displaces the content of some channels along time, height or width and fills what
comes from outside with zeros::

    out[n, c, t + dt, h + dh, w + dw] = in[n, c, t, h, w]        for c in [start, stop)

so ``dt = -1`` brings the *next* frame's content to a frame and ``dt = +1`` the *previous*
frame's. Channels that no move lists stay. TSM (Lin et al., ICCV 2019), STSM (Yang and An,
Mathematics 2022) and the inner shift of Gate-Shift (Sudhakaran et al., CVPR 2020) are all
values of `ShiftSpec`.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

import numpy as np

from edgevid.errors import ShiftError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

__all__ = ["Direction", "First", "Layout", "Move", "Rounding", "ShiftSpec", "shift_numpy", "shift_torch"]

First = Literal["future", "past"]
Rounding = Literal["fold", "edges"]
Direction = Literal["bidirectional", "unidirectional"]
_Scalar = TypeVar("_Scalar", bound=np.generic)


class Layout(str, Enum):
    """How a tensor holds a batch of clips."""

    FRAMES = "[N*T,C,H,W]"
    """Frames stacked along the batch axis, as 2D networks over T frames have them (TSM)."""

    VOLUME = "[N,C,T,H,W]"
    """Time as an axis of its own, as 3D networks have it (GSM, S3D)."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, order=True)
class Move:
    """Channels ``[start, stop)`` move by ``dt`` frames, ``dh`` rows and ``dw`` columns.

    Raises:
        ShiftError: no channels, or no displacement.
    """

    start: int
    stop: int
    dt: int = 0
    dh: int = 0
    dw: int = 0

    def __post_init__(self) -> None:
        for name in ("start", "stop", "dt", "dh", "dw"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
                raise ShiftError(f"{name} of a move is {value!r}, not a whole number")
            object.__setattr__(self, name, int(value))
        if self.start < 0 or self.stop <= self.start:
            raise ShiftError(
                f"a move of no channels: [{self.start}, {self.stop})",
                fix="give 0 <= start < stop, or leave the move out",
            )
        if self.displacement == (0, 0, 0):
            raise ShiftError(
                f"the move of channels [{self.start}, {self.stop}) goes nowhere",
                fix="give dt, dh or dw, or leave the move out: what is not listed stays",
            )

    @property
    def displacement(self) -> tuple[int, int, int]:
        """``(dt, dh, dw)``."""
        return self.dt, self.dh, self.dw

    def __str__(self) -> str:
        steps = zip("thw", self.displacement, strict=True)
        return f"{self.start}:{self.stop} " + " ".join(f"{axis}{step:+d}" for axis, step in steps if step)


@dataclass(frozen=True)
class ShiftSpec:
    """A shift of clips of ``segments`` frames.

    Moves are kept in channel order, and neighbours of one displacement are joined, so that
    two specs that mean the same are equal.

    Attributes:
        segments: T, the number of frames of one clip; at least 1.
        moves: which channels go where; the rest stays. Empty means the identity.
        layout: of the tensor that is shifted.

    Raises:
        ShiftError: fewer than one segment, or moves whose channels overlap.
    """

    segments: int
    moves: tuple[Move, ...] = ()
    layout: Layout = Layout.FRAMES

    def __post_init__(self) -> None:
        if (
            isinstance(self.segments, bool)
            or not isinstance(self.segments, (int, np.integer))
            or self.segments < 1
        ):
            raise ShiftError(f"a clip of {self.segments!r} segments", fix="give a whole number from 1")
        object.__setattr__(self, "segments", int(self.segments))
        try:
            object.__setattr__(self, "layout", Layout(self.layout))
        except ValueError as error:
            known = " or ".join(map(str, Layout))
            raise ShiftError(
                f"unknown layout {self.layout!r}", where="layout", fix=f"give {known}"
            ) from error
        object.__setattr__(self, "moves", _canonical(self.moves))

    @classmethod
    def tsm(
        cls,
        channels: int,
        segments: int,
        proportion: float | Fraction = Fraction(1, 4),
        *,
        direction: Direction = "bidirectional",
        first: First = "future",
        rounding: Rounding = "fold",
        layout: Layout = Layout.FRAMES,
    ) -> ShiftSpec:
        """The shift of TSM (section 3.2): a proportion of the channels moves by one frame.

        Args:
            channels: C of the shifted tensor.
            segments: T.
            proportion: p, the share of all channels that move. A published ``shift_div`` is
                ``2 / p`` for the bidirectional and ``1 / p`` for the uni-directional shift.
            direction: ``unidirectional`` takes from the past only (online recognition).
            first: what the first fold takes. ``future`` is the published code of TSM and
                mmaction2, ``past`` that of PaddleVideo.
            rounding: ``fold`` makes both folds ``floor(C p / 2)`` channels (TSM), ``edges``
                ends them at ``floor(C p / 2)`` and ``floor(C p)`` (PaddleVideo).
            layout: of the tensor.

        Raises:
            ShiftError: p outside 0..1, or so small that no channel would move.
        """
        _known("first", first, First)
        _known("rounding", rounding, Rounding)
        _known("direction", direction, Direction)
        share = _share(proportion, "proportion", channels)
        if direction == "unidirectional":
            edges = [0, int(channels * share)]
            steps = [+1]
        else:
            fold = int(channels * share / 2)
            edges = [0, fold, 2 * fold if rounding == "fold" else int(channels * share)]
            steps = [-1, +1] if first == "future" else [+1, -1]
        spec = cls(segments, _moves(edges, [(step, 0, 0) for step in steps]), layout)
        return spec._refuse_nothing(share, channels)

    @classmethod
    def stsm(
        cls,
        channels: int,
        segments: int,
        alpha: float | Fraction = Fraction(3, 8),
        axes: str = "T+H+W",
        *,
        first: First = "future",
        layout: Layout = Layout.FRAMES,
    ) -> ShiftSpec:
        """The spatio-temporal shift of STSM (tables 2 and 3).

        A share ``alpha`` of the C channels is split equally over the sets in ``axes`` and each
        part into two opposite directions: every direction has ``floor(C alpha / directions)``
        channels, as the folds of `tsm` have, and what is left over rests. Where that is none, as in
        layers of few channels, the ``floor(C alpha)`` first directions have one each.

        Args:
            channels: C of the shifted tensor.
            segments: T.
            alpha: share of all channels that move; 3/8 is the paper's best.
            axes: sets joined by ``+``, such as ``T``, ``H+W``, ``T+H+W``, ``T+HW`` or
                ``TH+TW+HW``. A set of several axes moves diagonally.
            first: ``future`` moves the first half of a set towards smaller indices (it takes
                the next frame, row or column), ``past`` the other way round.
            layout: of the tensor.

        Raises:
            ShiftError: alpha outside 0..1, unknown axes, or so few channels that none moves.
        """
        _known("first", first, First)
        share = _share(alpha, "alpha", channels)
        sign = -1 if first == "future" else +1
        steps = []
        for axis_set in str(axes).replace(" ", "").upper().split("+"):
            if not re.fullmatch("[THW]{1,3}", axis_set) or len(set(axis_set)) != len(axis_set):
                raise ShiftError(
                    f"unknown axes {axes!r}", where="axes", fix="join sets of T, H and W by +, as in T+HW"
                )
            step = tuple(int(axis in axis_set) for axis in "THW")
            steps += [tuple(sign * s for s in step), tuple(-sign * s for s in step)]
        fold, moved = int(channels * share / len(steps)), int(channels * share)
        if share and not moved:
            raise ShiftError(
                f"alpha {share} of {channels} channels moves none",
                where="alpha",
                fix=_at_least(Fraction(1, channels)),
            )
        edges = [fold * i if fold else min(i, moved) for i in range(len(steps) + 1)]
        return cls(segments, _moves(edges, steps), layout)

    @classmethod
    def gsm(cls, channels: int, segments: int, *, layout: Layout = Layout.VOLUME) -> ShiftSpec:
        """The inner shift of Gate-Shift (section 3.2): one half to each temporal neighbour.

        The first half takes the next frame, the second the previous one, as in the published
        code.

        Raises:
            ShiftError: an odd number of channels.
        """
        if channels < 2 or channels % 2:
            raise ShiftError(
                f"{channels} channels have no two equal groups", fix="gate an even number of channels"
            )
        return cls(segments, _moves([0, channels // 2, channels], [(-1, 0, 0), (+1, 0, 0)]), layout)

    @classmethod
    def from_flat(cls, segments: int, flat: Sequence[int], layout: str) -> ShiftSpec:
        """The inverse of `flat`: five numbers a move."""
        if len(flat) % 5:
            raise ShiftError(f"{len(flat)} numbers are no list of moves", fix="give five numbers a move")
        moves = tuple(Move(*flat[i : i + 5]) for i in range(0, len(flat), 5))
        return cls(segments, moves, layout)  # type: ignore[arg-type]  # checked there

    @property
    def flat(self) -> tuple[int, ...]:
        """All moves as ``start, stop, dt, dh, dw`` one after the other."""
        return tuple(
            itertools.chain.from_iterable((move.start, move.stop, *move.displacement) for move in self.moves)
        )

    @property
    def is_identity(self) -> bool:
        """No channel moves."""
        return not self.moves

    @property
    def moved_channels(self) -> int:
        """How many channels move."""
        return sum(move.stop - move.start for move in self.moves)

    @property
    def channels_needed(self) -> int:
        """The smallest number of channels that a tensor must have."""
        return self.moves[-1].stop if self.moves else 0

    @property
    def takes_from_future(self) -> bool:
        """Some channel takes from a later frame, so frames cannot be streamed one by one."""
        return any(move.dt < 0 for move in self.moves)

    def proportion(self, channels: int) -> Fraction:
        """p: the share of ``channels`` that move."""
        return Fraction(self.moved_channels, channels)

    def swapped(self) -> ShiftSpec:
        """The same channels moved in the opposite direction: a negative control."""
        moves = tuple(Move(m.start, m.stop, -m.dt, -m.dh, -m.dw) for m in self.moves)
        return ShiftSpec(self.segments, moves, self.layout)

    def without_moves(self) -> ShiftSpec:
        """The identity on the same clips: a negative control."""
        return ShiftSpec(self.segments, (), self.layout)

    def with_layout(self, layout: Layout) -> ShiftSpec:
        """The same shift of clips held in another layout."""
        return ShiftSpec(self.segments, self.moves, layout)

    def pieces(self, channels: int) -> tuple[tuple[int, int, tuple[int, int, int]], ...]:
        """All channels in order as ``(start, stop, (dt, dh, dw))``, resting ones included."""
        found, position = [], 0
        for move in self.moves:
            if position < move.start:
                found.append((position, move.start, (0, 0, 0)))
            found.append((move.start, move.stop, move.displacement))
            position = move.stop
        if position < channels:
            found.append((position, channels, (0, 0, 0)))
        return tuple(found)

    def check(self, shape: Sequence[int]) -> None:
        """Raise `ShiftError` unless a tensor of ``shape`` can be shifted."""
        rank = 4 if self.layout is Layout.FRAMES else 5
        if len(shape) != rank:
            raise ShiftError(f"a tensor of shape {tuple(shape)} is not {self.layout}")
        frames = shape[0] if self.layout is Layout.FRAMES else shape[2]
        if self.layout is Layout.FRAMES and frames % self.segments:
            raise ShiftError(
                f"{frames} frames are no whole number of clips of {self.segments} segments",
                fix="stack the clips along the first axis",
            )
        if self.layout is Layout.VOLUME and frames != self.segments:
            raise ShiftError(f"a clip of {frames} frames, but the shift is of {self.segments} segments")
        if shape[1] < self.channels_needed:
            raise ShiftError(
                f"the shift moves channels up to {self.channels_needed}, the tensor has {shape[1]}"
            )

    def __str__(self) -> str:
        moves = ", ".join(map(str, self.moves)) or "nothing moves"
        return f"Shift(T={self.segments} {self.layout}: {moves})"

    def _refuse_nothing(self, share: Fraction, channels: int) -> ShiftSpec:
        if share and self.is_identity:
            raise ShiftError(
                f"a proportion of {share} of {channels} channels moves no channel",
                fix="raise the proportion, or give 0 for no shift",
            )
        return self


def _known(name: str, value: object, choices: object) -> None:
    """Refuse a word that is no choice: taking it for another one would turn the shift around."""
    if value not in get_args(choices):
        raise ShiftError(
            f"unknown {name} {value!r}", where=name, fix=f"give {' or '.join(get_args(choices))}"
        )


def _share(value: float | Fraction, name: str, channels: int) -> Fraction:
    if isinstance(channels, bool) or not isinstance(channels, (int, np.integer)) or channels < 1:
        raise ShiftError(
            f"{channels!r} channels cannot be shifted", where="channels", fix="give a whole number from 1"
        )
    try:
        exact = float(value) if isinstance(value, np.floating) else value
        share = Fraction(exact).limit_denominator(10**6)
    except (ValueError, TypeError, OverflowError, ZeroDivisionError) as error:
        raise ShiftError(f"{name} is {value!r}, not a number", where=name, fix="give 0 to 1") from error
    if not 0 <= share <= 1:
        raise ShiftError(f"{name} is {value}", where=name, fix="give 0 to 1")
    return share


def _at_least(share: Fraction) -> str:
    few = "take fewer directions, or give 0 for no shift"
    return f"raise alpha to {share} or more, {few}" if share <= 1 else few


def _moves(edges: Sequence[int], steps: Iterable[Sequence[int]]) -> tuple[Move, ...]:
    """Moves between consecutive edges; an empty range, left by rounding, gives none."""
    ranges = zip(itertools.pairwise(edges), steps, strict=True)
    return tuple(Move(start, stop, *step) for (start, stop), step in ranges if start < stop)


def _canonical(moves: Iterable[Move]) -> tuple[Move, ...]:
    joined: list[Move] = []
    for move in sorted(moves):
        if joined and move.start < joined[-1].stop:
            raise ShiftError(f"two moves share channels: {joined[-1]} and {move}")
        if joined and move.start == joined[-1].stop and move.displacement == joined[-1].displacement:
            move = Move(joined.pop().start, move.stop, *move.displacement)
        joined.append(move)
    return tuple(joined)


def _span(step: int, length: int) -> tuple[slice, slice]:
    """Where content goes to and comes from along one axis when it moves by ``step``."""
    kept = max(length - abs(step), 0)
    late, early = slice(length - kept, length), slice(0, kept)
    return (late, early) if step > 0 else (early, late)


def shift_numpy(clips: NDArray[_Scalar], spec: ShiftSpec) -> NDArray[_Scalar]:
    """The reference: what ``spec`` means, for a tensor in ``spec.layout`` of any type."""
    spec.check(clips.shape)
    if spec.layout is Layout.FRAMES:
        volume = clips.reshape(-1, spec.segments, *clips.shape[1:]).swapaxes(1, 2)
        moved = shift_numpy(volume, spec.with_layout(Layout.VOLUME))
        return np.ascontiguousarray(moved.swapaxes(1, 2)).reshape(clips.shape)
    shifted = clips.copy()
    for move in spec.moves:
        spans = [_span(step, size) for step, size in zip(move.displacement, clips.shape[2:], strict=True)]
        channels = (slice(None), slice(move.start, move.stop))
        shifted[channels] = 0
        target = channels + tuple(to for to, _ in spans)
        shifted[target] = clips[channels + tuple(source for _, source in spans)]
    return shifted


def shift_torch(clips: torch.Tensor, spec: ShiftSpec) -> torch.Tensor:
    """The same in PyTorch, without in-place assignment: differentiable and safe to trace."""
    import torch
    from torch.nn import functional

    spec.check(clips.shape)
    if spec.layout is Layout.FRAMES:
        volume = clips.reshape(-1, spec.segments, *clips.shape[1:]).transpose(1, 2)
        moved = shift_torch(volume, spec.with_layout(Layout.VOLUME))
        return moved.transpose(1, 2).reshape(clips.shape)

    def piece(start: int, stop: int, displacement: tuple[int, int, int]) -> torch.Tensor:
        kept = clips[:, start:stop]
        padding: list[int] = []
        for axis, step in zip((2, 3, 4), displacement, strict=True):
            size = clips.shape[axis]
            _, source = _span(step, size)
            kept = kept.narrow(axis, source.start, source.stop - source.start)
            gap = min(abs(step), size)
            padding = [gap if step > 0 else 0, gap if step < 0 else 0, *padding]
        return functional.pad(kept, padding) if any(padding) else kept

    if spec.is_identity:
        return clips.clone()
    return torch.cat([piece(*part) for part in spec.pieces(clips.shape[1])], dim=1)
