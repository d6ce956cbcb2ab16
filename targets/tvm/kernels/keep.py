"""A frame's channels left in a cache, where no convolution that reads the cache can do it.

Layouts: source ``[1, ceil(C / v), H * W, v]``, cache ``[lag, c / a, H * W, a]``, both of one type.
"""

from __future__ import annotations

from typing import Any

from edgevid.targets.tvm.kernels import _cache
from edgevid.targets.tvm.kernels._write import buffer, function
from edgevid.targets.tvm.network import Keep

__all__ = ["build"]


def build(operation: Keep, name: str) -> Any:
    """The function ``name(source, cache)``."""
    source, cache = operation.source, operation.target
    with function(name) as written:
        data = buffer("source", source.shape, source.dtype)
        kept = buffer("cache", cache.shape, cache.dtype)
        _cache.keep(cache, kept, source, data, operation.start)
    return written.get()
