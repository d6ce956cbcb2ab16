"""How a streaming model of OpenVINO keeps its caches: as inputs and outputs in the plugin's own layout.

The CPU plugin computes with the channels last, so the caches are ``[lag, H, W, channels]``: with channels
first, every frame would pay for two reorders a shift. They are of the type that the plugin computes in,
too: float32 outputs would keep all that they come from in float32.

Variables of the model (``ReadValue``, ``Assign``) and blocked layouts were slower in every precision.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from edgevid.contract import Cache, Precision, Streaming
from edgevid.targets._install import require

__all__ = ["as_held", "element_type", "first_cache", "gather_gates", "with_caches"]

_LAYOUTS = {4: ("NCHW", "NHWC"), 5: ("NCDHW", "NDHWC")}
"""By the number of axes: channels first, and last. Caches of shifted volumes have an axis of one frame."""


def with_caches(model: Any, streaming: Streaming, precision: Precision) -> tuple[Any, Streaming]:
    """A model read from a streaming graph, and its caches as it holds them.

    Args:
        model: ``openvino.Model``; it is changed.
        streaming: of the graph, caches ``[lag, channels, H, W]``.
        precision: that the plugin computes in.
    """
    openvino = require("openvino", "openvino")
    held = tuple(as_held(cache, precision) for cache in streaming.caches)
    if streaming.gates:
        gather_gates(model)
    steps = openvino.preprocess.PrePostProcessor(model)
    for number, cache in enumerate(held):
        taken, given = steps.input(first_cache(streaming) + number), steps.output(1 + number)
        for outside in (taken.tensor(), given.tensor()):
            outside.set_element_type(element_type(cache))
        if len(cache.shape) in _LAYOUTS:
            first, last = map(openvino.Layout, _LAYOUTS[len(cache.shape)])
            for inside, outside in ((taken.model(), taken.tensor()), (given.model(), given.tensor())):
                inside.set_layout(first)
                outside.set_layout(last)
    model = steps.build()
    for number, cache in enumerate(held):
        # Its name stayed with what was transposed.
        model.output(1 + number).set_names({cache.next})
    return model, replace(streaming, caches=held)


def first_cache(streaming: Streaming) -> int:
    """Number of the model's input that is the first cache."""
    return 2 if streaming.gates else 1


def element_type(cache: Cache) -> Any:
    """OpenVINO's word for the type."""
    types = require("openvino", "openvino").Type
    return types.bf16 if cache.dtype == "bfloat16" else types(np.dtype(cache.dtype))


def gather_gates(model: Any) -> None:
    """Without slices of the gates: the plugin makes one split of them, and stumbles over it."""
    operations = require("openvino.opset8", "openvino")
    valid = model.input(1)
    for user in valid.get_target_inputs():
        begins = user.get_node().input_value(1).get_node().data
        user.get_node().output(0).replace(operations.gather(valid, begins, np.int64(0)).output(0))


def as_held(cache: Cache, precision: Precision) -> Cache:
    """A cache of a graph with its channels last, in the type that the plugin computes in."""
    shape = cache.shape
    if len(shape) in _LAYOUTS:
        lag, channels, *places = shape
        shape = (lag, *places, channels)
    dtype = "bfloat16" if precision == "bf16" and cache.dtype == "float32" else cache.dtype
    return replace(cache, shape=shape, dtype=dtype)
