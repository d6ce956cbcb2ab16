"""How non-local blocks stand in a ResNet."""

from __future__ import annotations

from typing import Literal

from edgevid.models.frozen import Frozen

__all__ = ["AttentionConfig", "Pairwise"]

Pairwise = Literal["embedded_gaussian", "dot_product", "gaussian"]


class AttentionConfig(Frozen):
    """Non-local blocks (Wang et al., CVPR 2018, section 3), as TSM's published code and mmaction2
    have them: keys and values are sub-sampled by maxima of 1x2x2.

    Attributes:
        pairwise: f of equation 1: ``embedded_gaussian`` is the soft-max of theta(x) phi(x),
            ``gaussian`` that of x x, ``dot_product`` theta(x) phi(x) by the number of positions.

    Raises:
        ConfigError: an unknown field or function.
    """

    pairwise: Pairwise = "embedded_gaussian"

    @staticmethod
    def stands_behind(stage: int, block: int) -> bool:
        """A non-local block follows this block, counted from 0, of this stage, from 1."""
        return stage in (2, 3) and block % 2 == 0
