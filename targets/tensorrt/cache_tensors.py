"""The caches of a graph that takes frame by frame: which inputs hold them, and which outputs replace them."""

from __future__ import annotations

from dataclasses import replace

import onnx_ir as ir

from edgevid.contract import Streaming
from edgevid.errors import GraphError

__all__ = ["caches_of", "held"]


def caches_of(model: ir.Model) -> list[tuple[ir.Value, ir.Value]]:
    """Each cache with its next value, none of a graph that takes clips.

    Caches are the last inputs, and all outputs but the first replace them, in the same order
    (`edgevid.graph.streaming.StreamGraph`).
    """
    following = list(model.graph.outputs[1:])
    given = list(model.graph.inputs)[len(model.graph.inputs) - len(following) :]
    return list(zip(given, following, strict=True))


def held(streaming: Streaming, model: ir.Model) -> Streaming:
    """The same with the caches' shapes and types as a typed graph has them.

    Raises:
        GraphError: the graph has other caches, or the two ends of one differ.
    """
    pairs = caches_of(model)
    names = [(given.name, following.name) for given, following in pairs]
    if names != [(cache.name, cache.next) for cache in streaming.caches]:
        raise GraphError(
            f"the graph's caches are {names}, and {len(streaming.caches)} others are spoken of",
            where=model.graph.name,
            fix="compile the graph that edgevid.graph.streaming made with this description",
        )
    caches = []
    for cache, (given, following) in zip(streaming.caches, pairs, strict=True):
        if given.dtype is None or given.dtype != following.dtype:
            raise GraphError(
                f"a cache of {given.dtype} is followed by one of {following.dtype}", where=given.name
            )
        assert given.shape is not None
        shape = tuple(int(size) for size in given.shape.numpy())
        caches.append(replace(cache, shape=shape, dtype=given.dtype.numpy().name))
    return replace(streaming, caches=tuple(caches))
