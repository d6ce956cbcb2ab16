"""Compiled models of OpenVINO: how they are opened, and which kernels they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from edgevid.contract import Artifact, Layer, Precision, RunSettings
from edgevid.errors import TargetError
from edgevid.targets._install import require

__all__ = ["config_of", "kernels_of", "layers_of", "open_model"]

_CONVOLUTIONS = frozenset({"Convolution", "GroupConvolution"})
_ARITHMETIC = {"i8": "int8", "f32": "fp32", "bf16": "bf16", "f16": "fp16"}
"""What the names of primitives end with."""


def config_of(precision: Precision, settings: RunSettings) -> dict[str, Any]:
    """Properties of ``compile_model``, by their names in OpenVINO's documentation."""
    config: dict[str, Any] = {
        "PERFORMANCE_HINT": settings.hint.upper(),
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
    }
    if settings.threads is not None:
        config["INFERENCE_NUM_THREADS"] = settings.threads
    if settings.streams is not None:
        config["NUM_STREAMS"] = settings.streams
    return config


def open_model(artifact: Artifact, settings: RunSettings) -> Any:
    """A ``CompiledModel``.

    Raises:
        TargetError: OpenVINO refuses it, or it is not the model that the artifact speaks of.
    """
    openvino = require("openvino", "openvino")
    # The binding makes its table of NumPy's types at the first use. Threads whose first runs met there waited
    # for good: one held Python's lock, the other the guard of the binding's static variable.
    openvino.Type.f32.to_dtype()
    config = config_of(artifact.precision, settings)
    try:
        model = openvino.Core().compile_model(str(artifact.path), "CPU", config)
    except RuntimeError as error:
        raise TargetError(f"OpenVINO refuses the model: {error}", where=artifact.path) from error
    shapes = [tuple(port.get_shape()) for port in (model.input(0), model.output(0))]
    if shapes != [artifact.input.shape, artifact.output.shape]:
        raise TargetError(
            f"the model takes {shapes[0]} and returns {shapes[1]}, the artifact says "
            f"{artifact.input.shape} and {artifact.output.shape}",
            where=artifact.path,
            fix="compile again: the files of two artifacts were mixed up",
        )
    return model


def kernels_of(model: Any) -> Counter[tuple[str, str]]:
    """How many convolutions run as which primitive in which precision.

    The runtime's own word (``primitiveType`` and ``runtimePrecision`` of its execution
    graph) on whether float32 is float32, and whether a convolution fell to a slow kernel.
    """
    return Counter(
        (info["primitiveType"], info["runtimePrecision"])
        for _, info in _executed(model)
        if info["layerType"] in _CONVOLUTIONS
    )


def layers_of(model: Any) -> tuple[Layer, ...]:
    """Each convolution and dense layer with the precision that its primitive is named after."""
    return tuple(
        Layer(
            name=name.split("/WithoutBiases")[0].split("/Dequantization")[0],
            kind="Conv" if info["layerType"] in _CONVOLUTIONS else "Dense",
            precision=_ARITHMETIC.get(info["primitiveType"].rsplit("_", 1)[-1].lower(), "unknown"),
            kernel=info["primitiveType"],
        )
        for name, info in _executed(model)
        if info["layerType"] in _CONVOLUTIONS or info["layerType"] == "FullyConnected"
    )


def _executed(model: Any) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Name and facts of every operation of the execution graph."""
    for node in model.get_runtime_model().get_ordered_ops():
        facts = {key: str(value.astype(str)) for key, value in node.get_rt_info().items()}
        yield node.get_friendly_name(), {"layerType": "", **facts}
