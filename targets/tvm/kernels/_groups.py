"""Channels in groups of four, which integer kernels sum in one step.

A run of channels that begins or ends within a group reads the whole group, with weights of zero for
the channels that are not its own; so do the channels that fill up a tensor's last group.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.targets.tvm.kernels._dot import GROUP, DotProduct
from edgevid.targets.tvm.kernels._segments import Lanes, lanes

__all__ = ["group_count", "groups", "of_run", "packed", "rows"]


def groups(start: int, stop: int, block: int) -> Iterator[Lanes]:
    """The groups that hold channels ``start`` to ``stop``: whole blocks and parts, widths in channels."""
    return lanes(start // GROUP * GROUP, -(-stop // GROUP) * GROUP, block)


def group_count(start: int, stop: int) -> int:
    """How many there are."""
    return -(-stop // GROUP) - start // GROUP


def of_run(kernel: NDArray[Any], start: int, stop: int) -> NDArray[np.int8]:
    """Weights ``[O, C, ...]`` of channels ``start`` to ``stop`` as their groups: ``[O, 4 * groups, ...]``."""
    first = start // GROUP * GROUP
    whole = np.zeros((kernel.shape[0], group_count(start, stop) * GROUP, *kernel.shape[2:]), np.int8)
    whole[:, start - first : stop - first] = kernel[:, start:stop]
    return whole


def rows(weights: NDArray[np.int8], blocks: int, product: DotProduct) -> NDArray[np.int8]:
    """``[O, steps, 4]`` as ``[blocks, steps, lanes * 4]``: a vector for each step of a block of outputs."""
    v, (outputs, steps, _) = product.lanes, weights.shape
    whole = np.zeros((blocks * v, steps, GROUP), np.int8)
    whole[:outputs] = weights
    vectors = whole.reshape(blocks, v, steps, GROUP).transpose(0, 2, 1, 3).reshape(blocks, steps, -1)
    return np.ascontiguousarray(vectors[..., product.order])


def packed(numbers: NDArray[Any], blocks: int, product: DotProduct, dtype: Any) -> NDArray[Any]:
    """A number a channel ``[O]`` as ``[blocks, lanes]``, zero in lanes without a channel."""
    whole = np.zeros(blocks * product.lanes, dtype)
    whole[: len(numbers)] = numbers
    return whole.reshape(blocks, product.lanes)
