"""Inception-V3 over frames, plain (TSN) or with GSM's gates.

Szegedy et al., CVPR 2016, table 1, as the Caffe release has it that GSM starts from: converted
from TensorFlow, without padding where it halves, and for frames of 229 pixels. Ten of its eleven
blocks have a place for a gate, ``mixed_6`` has none.
"""

from __future__ import annotations

from typing import Literal

from edgevid.models.config import NetworkConfig
from edgevid.models.inception import Block, Branch, Conv, Inception

__all__ = ["BLOCKS", "SIZE", "STEM", "InceptionV3"]

SIZE = 229
"""Pixels of a frame, as published."""

STEM = (
    (Conv("conv", 32, 3, 2, same=False), Conv("conv_1", 32, 3, same=False), Conv("conv_2", 64, 3)),
    (Conv("conv_3", 80), Conv("conv_4", 192, 3, same=False)),
)


def _first(name: str, channels: int, *, gate: bool = True) -> Branch:
    return Branch((Conv(f"{name}_conv", channels, gate=gate),))


def _chain(name: str, *sizes: tuple[int, int | tuple[int, int]], halve: bool = False) -> tuple[Conv, ...]:
    """Convolutions ``NAME_conv``, ``NAME_conv_1``, ...: channels and kernels; the last one may halve."""
    convs = []
    for number, (channels, kernel) in enumerate(sizes):
        title = f"{name}_conv_{number}" if number else f"{name}_conv"
        last = halve and number == len(sizes) - 1
        convs.append(Conv(title, channels, kernel, 2 if last else 1, same=not last))
    return tuple(convs)


def _gated(chain: tuple[Conv, ...]) -> tuple[Conv, ...]:
    return chain[0]._replace(gate=True), *chain[1:]


def _35(name: str, projection: int) -> Block:
    branches = (
        _first(name, 64),
        Branch(_chain(f"{name}_tower", (48, 1), (64, 5))),
        Branch(_chain(f"{name}_tower_1", (64, 1), (96, 3), (96, 3))),
    )
    return Block(branches, "average", Conv(f"{name}_tower_2_conv", projection))


def _17(name: str, inner: int, *, gate: bool = True) -> Block:
    down, across = (7, 1), (1, 7)
    one = _chain(f"{name}_tower", (inner, 1), (inner, down), (192, across))
    two = _chain(f"{name}_tower_1", (inner, 1), (inner, across), (inner, down), (inner, across), (192, down))
    branches = (_first(name, 192, gate=gate), Branch(one), Branch(two))
    return Block(branches, "average", Conv(f"{name}_tower_2_conv", 192))


def _8(name: str, pool: Literal["average", "maximum"]) -> Block:
    def fork(tower: str) -> tuple[Conv, ...]:
        return Conv(f"{tower}_mixed_conv", 384, (3, 1)), Conv(f"{tower}_mixed_conv_1", 384, (1, 3))

    one, two = f"{name}_tower", f"{name}_tower_1"
    branches = (
        _first(name, 320),
        Branch(_chain(one, (384, 1)), fork(one)),
        Branch(_chain(two, (448, 1), (384, 3)), fork(two)),
    )
    return Block(branches, pool, Conv(f"{name}_tower_2_conv", 192))


BLOCKS = (
    _35("mixed", 32),
    _35("mixed_1", 64),
    _35("mixed_2", 64),
    Block(
        (
            Branch((Conv("mixed_3_conv", 384, 3, 2, same=False),)),
            Branch(_gated(_chain("mixed_3_tower", (64, 1), (96, 3), (96, 3), halve=True))),
        ),
        "halve",
    ),
    _17("mixed_4", 128),
    _17("mixed_5", 160),
    _17("mixed_6", 160, gate=False),
    _17("mixed_7", 192),
    Block(
        (
            Branch(_gated(_chain("mixed_8_tower", (192, 1), (320, 3), halve=True))),
            Branch(_chain("mixed_8_tower_1", (192, 1), (192, (7, 1)), (192, (1, 7)), (192, 3), halve=True)),
        ),
        "halve",
    ),
    _8("mixed_9", "average"),
    _8("mixed_10", "maximum"),
)


class InceptionV3(Inception):
    """Inception-V3. Few sizes of frames fit: 69 to 76 pixels, 101 to 108, ..., 229 to 236."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config, STEM, BLOCKS)
