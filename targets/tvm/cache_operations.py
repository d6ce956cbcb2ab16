"""Operations of networks that take frame by frame, beside the convolutions that read caches themselves."""

from __future__ import annotations

from dataclasses import dataclass

from edgevid.targets.tvm.activations import Frames, Plain

__all__ = ["Gate", "Keep"]


@dataclass(frozen=True)
class Keep:
    """Channels from ``start`` on of one frame become the newest of the cache ``target``, in place.

    A cache has its oldest frame first; that one is forgotten.
    """

    source: Frames
    start: int
    target: Frames


@dataclass(frozen=True)
class Gate:
    """The source while number ``place`` of ``gates`` is not 0, else zeros."""

    source: Frames
    gates: Plain
    place: int
    target: Frames
