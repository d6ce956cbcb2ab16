"""Where and how the gate-shift of GSM stands in an Inception."""

from __future__ import annotations

from pydantic import Field

from edgevid.models.frozen import Frozen

__all__ = ["GateConfig"]


class GateConfig(Frozen):
    """Gates of GSM (Sudhakaran et al., CVPR 2020, sections 3.2 and 4.2, table 2).

    Attributes:
        count: of gates, one an Inception block from the last gated block backwards: with 1, 5
            and 10 of them BN-Inception has table 2's parameters and operations.
        norm: the gate looks at its input through a batch norm and a ReLU, as in the published
            release; the paper's plain form looks at the input itself.

    Raises:
        ConfigError: no gates, or more than there are places.
    """

    count: int = Field(default=10, ge=1, le=10)
    norm: bool = True

    @property
    def mixes_time(self) -> bool:
        """Some channel moves between frames."""
        return True
