"""BN-Inception over frames, plain (TSN) or with GSM's gates.

Ioffe and Szegedy, ICML 2015, figure 5, as the Caffe release has it that TSN (Wang et al., ECCV
2016) and GSM start from.
"""

from __future__ import annotations

from typing import Literal

from edgevid.models.config import NetworkConfig
from edgevid.models.inception import Block, Branch, Conv, Inception

__all__ = ["BLOCKS", "STEM", "BNInception"]

STEM = (
    (Conv("conv1_7x7_s2", 64, 7, 2),),
    (Conv("conv2_3x3_reduce", 64), Conv("conv2_3x3", 192, 3)),
)


def _block(
    name: str,
    simple: tuple[int, int],
    double: tuple[int, int],
    single: int = 0,
    projection: int = 0,
    pool: Literal["average", "maximum", "halve"] = "average",
) -> Block:
    """Channels of the branches: reduced and final ones; a block that halves has no single 1x1."""
    name, stride = f"inception_{name}", 1 if single else 2
    branches = (
        Branch(
            (
                Conv(f"{name}_3x3_reduce", simple[0], gate=not single),
                Conv(f"{name}_3x3", simple[1], 3, stride),
            )
        ),
        Branch(
            (
                Conv(f"{name}_double_3x3_reduce", double[0]),
                Conv(f"{name}_double_3x3_1", double[1], 3),
                Conv(f"{name}_double_3x3_2", double[1], 3, stride),
            )
        ),
    )
    if not single:
        return Block(branches, "halve")
    # In each block the gate stands in the branch with the fewest convolutions (GSM, section 3.3).
    first = Branch((Conv(f"{name}_1x1", single, gate=True),))
    return Block((first, *branches), pool, Conv(f"{name}_pool_proj", projection))


BLOCKS = (
    _block("3a", (64, 64), (64, 96), 64, 32),
    _block("3b", (64, 96), (64, 96), 64, 64),
    _block("3c", (128, 160), (64, 96)),
    _block("4a", (64, 96), (96, 128), 224, 128),
    _block("4b", (96, 128), (96, 128), 192, 128),
    _block("4c", (128, 160), (128, 160), 160, 128),
    _block("4d", (128, 192), (160, 192), 96, 128),
    _block("4e", (128, 192), (192, 256)),
    _block("5a", (192, 320), (160, 224), 352, 128),
    _block("5b", (192, 320), (192, 224), 352, 128, "maximum"),
)


class BNInception(Inception):
    """BN-Inception. Frames of 64, 96, 128, ... pixels fit, and of up to 6 more."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, STEM, BLOCKS)
