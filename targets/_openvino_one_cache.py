"""All caches of a streaming model of OpenVINO in one input and one output.

Each input and each output costs the plugin some microseconds a frame, whatever its size: ten shifts of
MobileNetV2 so cost two percent of a frame. One tensor is split without a copy, but it is copied itself on
its way in and out, which does not matter as long as it is small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from edgevid.contract import Cache, Precision, Streaming
from edgevid.errors import LoweringError
from edgevid.targets._install import require
from edgevid.targets._openvino_caches import as_held, element_type, gather_gates

__all__ = ["fill_of_one", "with_one_cache"]

_MOST_BYTES = 1 << 20
"""Of caches from which on the copies take longer than the inputs and outputs that they save."""


def with_one_cache(model: Any, streaming: Streaming, precision: Precision) -> tuple[Any, Streaming]:
    """A model whose last input and output are all caches, one behind the other.

    Args:
        model: ``openvino.Model`` as read from a streaming graph; it is changed.
        streaming: of the graph, caches ``[lag, channels, H, W]``.
        precision: that the plugin computes in.

    Raises:
        LoweringError: the caches are large, of several types, or not of frames.
    """
    held = tuple(as_held(cache, precision) for cache in streaming.caches)
    _check(held)
    if streaming.gates:
        gather_gates(model)
    operations = require("openvino.opset8", "openvino")
    sizes = [prod(cache.shape) for cache in held]
    outside, inside = element_type(held[0]), element_type(streaming.caches[0])
    taken = operations.parameter([sum(sizes)], outside, "caches")
    taken.output(0).set_names({"caches"})
    parts = operations.variadic_split(_converted(taken, outside, inside), np.int64(0), np.array(sizes))
    given = []
    for number, (cache, canonical) in enumerate(zip(held, streaming.caches, strict=True)):
        parameter = _named(model.get_parameters(), canonical.name, of_input=False)
        result = _named(model.get_results(), canonical.next, of_input=True)
        shaped = operations.reshape(parts.output(number), np.array(cache.shape), special_zero=False)
        parameter.output(0).replace(operations.transpose(shaped, np.array([0, 3, 1, 2])).output(0))
        last = operations.transpose(result.input_value(0), np.array([0, 2, 3, 1]))
        given.append(operations.reshape(last, np.array([sizes[number]]), special_zero=False))
        model.remove_parameter(parameter)
        model.remove_result(result)
    model.add_parameters([taken])
    after = _converted(operations.concat(given, 0), inside, outside)
    after.output(0).set_names({"caches.next"})
    model.add_results([operations.result(after)])
    model.validate_nodes_and_infer_types()
    return model, replace(streaming, caches=held)


def fill_of_one(caches: Sequence[Cache]) -> str:
    """An expression of what the only tensor holds before the first frame, in a list."""
    fills = [cache.fill for cache in caches]
    if len(set(fills)) == 1:
        return repr(fills[:1])
    return f"[np.repeat({fills}, {[prod(cache.shape) for cache in caches]})]"


def _check(caches: Sequence[Cache]) -> None:
    size = sum(cache.nbytes for cache in caches)
    if not caches:
        raise LoweringError("no cache to put into one", where="one_cache", fix="take cache_inputs")
    if size > _MOST_BYTES:
        raise LoweringError(
            f"{size:,} bytes of caches in one tensor, which is copied with each frame",
            where="one_cache",
            fix="take cache_inputs",
        )
    if len({cache.dtype for cache in caches}) > 1 or any(len(cache.shape) != 4 for cache in caches):
        raise LoweringError(
            "caches of several types or of more axes than frames have",
            where="one_cache",
            fix="take cache_inputs",
        )


def _converted(node: Any, given: Any, wanted: Any) -> Any:
    """All at once: the plugin would convert each cache by an operation of its own."""
    if given == wanted:
        return node
    return require("openvino.opset8", "openvino").convert(node, wanted.get_type_name())


def _named(nodes: Sequence[Any], name: str, *, of_input: bool) -> Any:
    return next(
        node for node in nodes if name in (node.input_value(0) if of_input else node.output(0)).get_names()
    )
