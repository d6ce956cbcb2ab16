"""Bias correction: what quantization moves the mean of a layer's results by is taken from its bias.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
section 4.2, in its empirical form: means are those over calibration clips.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray
from onnx_ir import tape

from edgevid.calibration.chunks import batch_of, chunks, clip_shape, filled
from edgevid.calibration.data import Data
from edgevid.calibration.inference import Progress
from edgevid.calibration.points import is_layer
from edgevid.calibration.quantize import quantize
from edgevid.contract import Scheme
from edgevid.errors import GraphError
from edgevid.graph.shift_op import attach_functions
from edgevid.targets.onnxruntime import observer

__all__ = ["Corrections", "bias_corrections", "with_corrected_biases"]

Corrections = Mapping[str, NDArray[np.float32]]
"""By the name of a layer what is to be subtracted from its bias, ``[output channels]``."""

_FLOAT = "float."
"""Begins the names in the float network, where it stands beside the int8 one."""


def bias_corrections(
    graph: ir.Model,
    thresholds: Mapping[str, float],
    scheme: Scheme,
    data: Data,
    *,
    float_layers: Collection[str] = (),
    count: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> dict[str, NDArray[np.float32]]:
    """Run the float and the int8 network side by side, and compare the means of every layer's results.

    One pass does for all layers: what the results of a clip are off by is subtracted before the
    next layer reads them, so that no error is corrected twice. Clips of a batch are looked at one by
    one, so that it changes nothing. Memory does not grow with the clips.

    Args:
        graph: canonical, float32; its batch is how many clips are looked at in one call.
        thresholds: by the name of each of `edgevid.calibration.points.points`.
        scheme: of the target.
        data: clips; of several views of a video the first counts.
        float_layers: names of layers that stay in float and need no correction.
        count: how many clips are enough, spread over the classes; all by default.
        threads: of ONNX Runtime.
        progress: is told the number of clips.

    Returns:
        By the name of a layer what quantization adds to the mean of each of its output channels.

    Raises:
        ConfigError: a clip of another shape than the graph takes.
        VideoError: no clip can be read.
        GraphError: a tensor has no threshold; an unknown float layer.
    """
    quantized = quantize(graph, thresholds, scheme, float_layers=float_layers)
    twins, names = _twins(graph, quantized, float_layers)
    run, batch = observer(twins, threads=threads), batch_of(graph)
    own = len(graph.graph.outputs)
    sums = [np.zeros(())] * len(names)
    seen, total = 0, min(count or len(data.labels), len(data.labels))
    for chunk in chunks(data, clip_shape(graph), batch, count=count):
        for clips, counted in filled(chunk.clips, batch):
            found = run({str(graph.graph.inputs[0].name): clips})[own:]
            means = [each[:counted].astype(np.float64) for each in found]
            sums = [sum_ + each.sum(axis=0) for sum_, each in zip(sums, means, strict=True)]
            seen += counted
        if progress:
            progress("correcting biases", seen, total)
    return {name: (sum_ / seen).astype(np.float32) for name, sum_ in zip(names, sums, strict=True)}


def with_corrected_biases(graph: ir.Model, corrections: Corrections) -> ir.Model:
    """A copy of a canonical float graph of any batch with corrections subtracted from its biases.

    Raises:
        GraphError: a correction of a layer that there is not.
    """
    copy = graph.clone()
    if unknown := sorted(set(corrections) - {str(node.name) for node in copy.graph}):
        raise GraphError(f"there are no layers of these names: {', '.join(unknown)}", where=graph.graph.name)
    for node in copy.graph:
        if node.name not in corrections:
            continue
        correction = corrections[str(node.name)]
        bias = node.inputs[2] if len(node.inputs) > 2 else None
        tensor = None if bias is None else ir.convenience.get_const_tensor(bias)
        old = np.zeros_like(correction) if tensor is None else tensor.numpy()
        values = ir.tensor((old - correction).astype(np.float32), name=f"{node.name}.corrected_bias")
        corrected = ir.Value(
            name=values.name,
            const_value=values,
            type=ir.TensorType(ir.DataType.FLOAT),
            shape=ir.Shape(correction.shape),
        )
        copy.graph.register_initializer(corrected)
        node.resize_inputs(3)
        node.replace_input_with(2, corrected)
    return copy


def _twins(graph: ir.Model, quantized: ir.Model, float_layers: Collection[str]) -> tuple[ir.Model, list[str]]:
    """The quantized network with the float one beside it, and the names of the layers that are compared.

    Its further outputs are what each of them is off by on average, ``[clips, output channels]``.
    """
    named = {str(node.name) for node in graph.graph if _has_bias(node)} - set(float_layers)
    layers = [node for node in quantized.graph if node.name in named]
    originals = {node.name: node for node in _add_beside(graph, quantized)}
    steps, batch = tape.Tape(), batch_of(graph)
    differences: list[ir.Value] = []
    for layer in layers:
        result, wanted = layer.outputs[0], originals[f"{_FLOAT}{layer.name}"].outputs[0]
        uses = list(result.uses())
        difference, corrected = _per_clip(steps, result, wanted, layer, batch)
        difference.name, difference.type = f"{layer.name}.difference", ir.TensorType(ir.DataType.FLOAT)
        for user, index in uses:
            user.replace_input_with(index, corrected)
        differences.append(difference)
    quantized.graph.extend(steps.nodes)
    quantized.graph.outputs.extend(differences)
    quantized.graph.sort()
    attach_functions(quantized)
    return quantized, [str(layer.name) for layer in layers]


def _per_clip(
    steps: tape.Tape, result: ir.Value, wanted: ir.Value, layer: ir.Node, batch: int
) -> tuple[ir.Value, ir.Value]:
    """The mean difference of each clip, ``[clips, channels]``, and ``result`` without it.

    The first axis holds clips or frames, those of one clip one after the other; the second one channels.
    """

    def ints(numbers: Sequence[int]) -> ir.Value:
        return steps.op("Constant", [], {"value": ir.tensor(np.array(numbers, np.int64))})

    shape = layer.inputs[1].shape if layer.inputs[1] else None
    assert shape is not None
    rows = layer.op_type == "Conv" or layer.attributes.get_int("transB", 0) != 0
    channels = shape.numpy()[0 if rows else 1]
    frames = steps.op("Sub", [result, wanted])
    if len(shape) > 2:
        frames = steps.op("ReduceMean", [frames, ints(range(2, len(shape)))])
    clips = steps.op("Reshape", [frames, ints([batch, -1, channels])])
    mean = steps.op("ReduceMean", [clips, ints([1])])
    spread = steps.op("Expand", [mean, steps.op("Shape", [clips])])
    spread = steps.op("Reshape", [spread, steps.op("Shape", [frames])])
    difference = steps.op("Reshape", [mean, ints([batch, channels])])
    return difference, steps.op("Sub", [result, spread])


def _has_bias(node: ir.Node) -> bool:
    """A layer whose bias is added as it is, or would be if it had one."""
    if not is_layer(node) or node.op_type == "MatMul":
        return False
    return node.op_type == "Conv" or node.attributes.get_float("beta", 1.0) == 1


def _add_beside(graph: ir.Model, other: ir.Model) -> list[ir.Node]:
    """Copy the operations of ``graph`` into ``other``, reading the same clips, under names of their own."""
    copy = graph.clone().graph
    copy.outputs.clear()
    nodes = list(copy)
    copy.remove(nodes)
    for name, value in list(copy.initializers.items()):
        del copy.initializers[name]
        value.name = f"{_FLOAT}{name}"
        other.graph.register_initializer(value)
    ir.convenience.replace_all_uses_with(copy.inputs[0], other.graph.inputs[0])
    for node in nodes:
        node.name = f"{_FLOAT}{node.name}"
        for value in node.outputs:
            value.name = f"{_FLOAT}{value.name}"
    other.graph.extend(nodes)
    return nodes
