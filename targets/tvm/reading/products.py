"""Layers of weights: convolutions and dense layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid.targets.tvm.axes import FRAMES, VOLUME, matches
from edgevid.targets.tvm.network import Convolution, Dense, Frames
from edgevid.targets.tvm.reading.state import State
from edgevid.targets.tvm.reading.values import Value, View
from edgevid.targets.tvm.reading.windows import window

__all__ = ["convolution", "dense"]

Weights = dict[str, NDArray[Any]]


def convolution(state: State, node: ir.Node) -> Value | None:
    """In two or three dimensions."""
    view = state.view(node)
    weights = _weights(state, node, 0)
    if view is None or weights is None:
        return None
    volume = weights["weight"].ndim == 5
    axes = VOLUME if volume else FRAMES
    if weights["weight"].ndim not in (4, 5) or not matches(view.axes, axes, view.sizes):
        return None
    view = _prepared(state, view, node, weights)
    f, shape = view.frames, state.shape(node)
    sizes = weights["weight"].shape[2:]
    around = window(node, sizes, (f.segments, f.height, f.width)[-len(sizes) :], shape[2:])
    if not volume:
        weights["weight"] = weights["weight"][:, :, None]
    kernel = weights["weight"].shape[2:]
    operation = Convolution(
        f,
        Frames(f.clips, shape[2] if volume else f.segments, shape[1], shape[-2], shape[-1], state.block),
        (kernel[0], kernel[1], kernel[2]),
        around.strides,
        around.pads,
        around.dilations,
        node.attributes.get_int("group", 1),
        view.moves,
        pixels=view.pixels,
        cache=state.cache(view),
    )
    weights.pop("bias_scale", None)
    return state.frames(operation, view.inputs, str(node.name), axes, weights)


def _prepared(state: State, view: View, node: ir.Node, weights: Weights) -> View:
    """The input as the kernels take it, and weights that fit it."""
    groups = node.attributes.get_int("group", 1)
    depthwise = groups == view.frames.channels == len(weights["weight"]) > 1
    if view.order and groups > 1:
        view = state.order(view)
    if view.order:
        weights["weight"] = weights["weight"][:, np.argsort(view.order)]
    if groups > 1 and not depthwise:
        # No integer kernel computes groups of several channels.
        view = state.ready(view, real=True) if view.frames.quantization is not None else view
    view = _of_one_kind(state, view, weights)
    if view.pixels and (view.moves or groups > 1):
        view = state.ready(view)
    # Kernels without groups read caches, of the first channels.
    if view.cache and (groups > 1 or view.moves[0].start):
        view = state.ready(view)
    # Depthwise kernels read one block of one frame.
    if depthwise and (view.moves or view.frames.block != state.block):
        view = state.ready(view)
    return view


def _of_one_kind(state: State, view: View, weights: Weights) -> View:
    """Integers are multiplied with integers; where one side is real, the other one becomes it."""
    if view.frames.quantization is None:
        _restore(weights)
    elif "scale" not in weights:
        view = state.ready(view, real=True)
    return view


def dense(state: State, node: ir.Node) -> Value | None:
    """Rows times constant weights: Gemm, and MatMul with channels last."""
    get = node.attributes
    gemm = node.op_type == "Gemm"
    rows = gemm and get.get_int("transB", 0) == 1
    view = state.view(node)
    weights = _weights(state, node, 0 if rows else 1)
    if view is None or weights is None or weights["weight"].ndim != 2 or get.get_int("transA", 0) != 0:
        return None
    if len(view.axes) < 2 or view.axes[-1] not in (("c",), ()):
        return None
    labels = [label for axis in view.axes[:-1] for label in axis]
    if "c" in labels or weights["weight"].shape[1 if rows else 0] != view.frames.channels:
        return None
    if not rows:
        weights["weight"] = np.ascontiguousarray(weights["weight"].T)
    if gemm and (get.get_float("alpha", 1.0), get.get_float("beta", 1.0)) != (1.0, 1.0):
        _restore(weights)
        weights["weight"] = weights["weight"] * np.float32(get.get_float("alpha", 1.0))
        weights["bias"] = weights["bias"] * np.float32(get.get_float("beta", 1.0))
    view = _of_one_kind(state, view, weights)
    weights.pop("bias_scale", None)
    axes = (*view.axes[:-1], ("c",))
    target = replace(
        view.frames, channels=len(weights["weight"]), block=state.block, dtype="float32", quantization=None
    )
    if view.frames.positions == 1 and not view.moves and not view.pixels:
        return state.frames(Dense(view.frames, target), [view.name], str(node.name), axes, weights)
    # At many positions it is a 1x1 convolution.
    view = state.ready(view)
    weights["weight"] = weights["weight"][:, :, None, None, None]
    return state.frames(Convolution(view.frames, target), [view.name], str(node.name), axes, weights)


def _weights(state: State, node: ir.Node, axis: int) -> Weights | None:
    """``weight``, ``bias`` and, of integers, ``scale``, by output channel: ``axis`` of the weights."""
    weight, scale = state.constants.restored(node.inputs[1], axis)
    if weight is None or weight.ndim <= axis:
        return None
    outputs = weight.shape[axis]
    bias: NDArray[Any] | None = np.zeros(outputs, np.float32)
    bias_scale = None
    if len(node.inputs) > 2 and node.inputs[2] is not None:
        bias, bias_scale = state.constants.restored(node.inputs[2])
        if bias is not None and bias_scale is not None and scale is None:
            bias, bias_scale = bias * bias_scale, None
    if bias is None or bias.size not in (1, outputs):
        return None
    found = {"weight": weight, "bias": np.broadcast_to(bias.reshape(-1), outputs).copy()}
    if scale is not None:
        found["scale"] = np.broadcast_to(scale.reshape(-1), outputs).astype(np.float32)
    if bias_scale is not None:
        found["bias_scale"] = bias_scale
    return found


def _restore(weights: Weights) -> None:
    """Integers as the numbers that they stand for."""
    scale, bias_scale = weights.pop("scale", None), weights.pop("bias_scale", None)
    if scale is not None:
        weight = weights["weight"]
        weights["weight"] = weight.astype(np.float32) * scale.reshape(-1, *([1] * (weight.ndim - 1)))
    if bias_scale is not None:
        weights["bias"] = weights["bias"].astype(np.float32) * bias_scale
