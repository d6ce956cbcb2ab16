"""Put frames as a camera gives them, or flow as its images hold it, in front of a network.

Normalization inside the graph means that every runtime is fed the same ``uint8`` frames.
It stands before the first convolution, whose zero padding therefore stays a zero of the
normalized range, as in training.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
from onnx_ir import tape

from edgevid.contract import Normalization
from edgevid.errors import GraphError

__all__ = ["with_uint8_clips"]


def with_uint8_clips(model: ir.Model, normalization: Normalization) -> ir.Model:
    """A copy of ``model`` that takes ``clips`` uint8 ``[N, T, H, W, 3]`` in RGB order, or ``2k`` of flow.

    Requires one float32 input ``[N, T, 3, H, W]``, or ``[N, T, 2k, H, W]`` of flow.

    Raises:
        GraphError: the input is something else, there are numbers for other channels, or a standard deviation
            is not above 0.
    """
    changed = model.clone()
    (frames,) = changed.graph.inputs
    colors = _channels(frames, normalization)
    assert frames.shape is not None
    if min(normalization.std) <= 0:
        raise GraphError(
            f"a standard deviation of {min(normalization.std)}", where="std", fix="give it above 0"
        )
    batch, segments, _, height, width = frames.shape
    clips = ir.Value(
        name="clips",
        type=ir.TensorType(ir.DataType.UINT8),
        shape=ir.Shape([batch, segments, height, width, colors]),
    )
    steps = tape.Tape()

    def constant(values: object, dtype: type, name: str) -> ir.Value:
        tensor = ir.tensor(np.array(values, dtype))
        value = ir.Value(
            name=f"normalization.{name}.values",
            const_value=tensor,
            type=ir.TensorType(tensor.dtype),
            shape=ir.Shape(tensor.shape.numpy()),
        )
        changed.graph.register_initializer(value)
        return value

    def planes(values: tuple[float, ...]) -> np.ndarray:
        return np.broadcast_to(np.array(values, np.float64), colors).reshape(colors, 1, 1)

    pixels = steps.op("Transpose", [clips], {"perm": [0, 1, 4, 2, 3]}, name="normalization.planes")
    if normalization.color == "BGR":
        order = constant([2, 1, 0], np.int64, "order")
        pixels = steps.op("Gather", [pixels, order], {"axis": 2}, name="normalization.bgr")
    pixels = steps.op("Cast", [pixels], {"to": ir.DataType.FLOAT.value}, name="normalization.cast")
    if any(normalization.mean):
        mean = constant(planes(normalization.mean), np.float32, "mean")
        pixels = steps.op("Sub", [pixels, mean], name="normalization.center")
    if any(value != 1 for value in normalization.std):
        scale = constant(1 / planes(normalization.std), np.float32, "scale")
        pixels = steps.op("Mul", [pixels, scale], name="normalization.scale")
    for node in steps.nodes:
        node.outputs[0].name = node.name
    pixels.type, pixels.shape = frames.type, frames.shape

    first = next(iter(changed.graph))
    ir.convenience.replace_all_uses_with(frames, pixels)
    changed.graph.insert_before(first, steps.nodes)
    changed.graph.inputs[0] = clips
    return changed


def _channels(frames: ir.Value, normalization: Normalization) -> int:
    """C of the input: 3 of pictures, an even number of flow."""
    flow = normalization.color == "XY"
    shape = frames.shape
    found = shape[2] if shape is not None and len(shape) == 5 else None
    if not isinstance(found, int) or (found % 2 if flow else found != 3):
        wanted = "[N, T, 2k, H, W]" if flow else "[N, T, 3, H, W]"
        raise GraphError(f"the network's input {shape} is not {wanted}", where=frames.name)
    for name in ("mean", "std"):
        if len(getattr(normalization, name)) not in (1, found):
            raise GraphError(
                f"{len(getattr(normalization, name))} numbers for {found} channels",
                where=name,
                fix="give one for all, or one a channel",
            )
    return found
