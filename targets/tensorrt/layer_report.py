"""What became of a network's layers and shifts in an engine: fused kernels, types, and bytes moved."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from edgevid.contract import Layer
from edgevid.errors import TargetError
from edgevid.targets.tensorrt.layer_log import Kernel, LogTensor, read_kernels

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["REPORT", "KernelRecord", "LayerReport", "TensorRecord", "load_report", "report_of", "save_report"]

REPORT = "layers.json"

_KINDS: Mapping[str, Literal["Conv", "Dense"]] = {"Conv": "Conv", "Gemm": "Dense", "MatMul": "Dense"}
_MOVING = frozenset(
    {"Cast", "Concat", "Identity", "Pad", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze"}
)
_PAIRS = frozenset({"DequantizeLinear", "QuantizeLinear"})
_GENERATED = "kgen"
"""TensorRT's word for a kernel that it writes itself, beside those of its libraries."""
_SHIFT = re.compile(r"(shift\d+)\.")
"""What `edgevid.graph.lower` begins the names of a shift's operations with."""
_DEPTHWISE = "depthwise: int8 would expand it to a dense convolution"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TensorRecord(_Record):
    """Shape and type that a tensor has in the engine."""

    name: str
    shape: tuple[int, ...]
    type: str
    bytes: int


class KernelRecord(_Record):
    """One launch; ``moved`` are bytes of activations, ``operations`` names of the graph's."""

    name: str
    kind: str
    operations: tuple[str, ...]
    inputs: tuple[TensorRecord, ...]
    constants: tuple[TensorRecord, ...]
    outputs: tuple[TensorRecord, ...]
    moved: int


class _LayerRecord(_Record):
    name: str
    kind: Literal["Conv", "Dense"]
    precision: str
    kernel: str
    reason: str


class LayerReport(_Record):
    """An engine as its builder described it.

    Attributes:
        kernels: in the order in which they run.
        layers_found: convolutions and dense layers with the type they compute in, and for one that is not in
            int8 in an int8 network the reason.
        shifts: name of each shift to the number of kernels that do nothing but move and round it.
        moved: bytes of activations read and written by all kernels.
        weights: bytes of all constants, each in the type that it has in the engine.
    """

    kernels: tuple[KernelRecord, ...]
    layers_found: tuple[_LayerRecord, ...]
    shifts: dict[str, int]
    moved: int
    weights: int

    def layers(self) -> tuple[Layer, ...]:
        """As the contract wants them."""
        return tuple(
            Layer(found.name, found.kind, found.precision, found.kernel) for found in self.layers_found
        )

    def notes(self) -> tuple[str, ...]:
        """Sentences for the compile report."""
        own = sum(self.shifts.values())
        notes = [
            f"{len(self.kernels)} kernels, {own} of them for {len(self.shifts)} shifts; they read and write "
            f"{self.moved / 1e6:.1f} MB of activations, and {self.weights / 1e6:.1f} MB of weights"
        ]
        reasons: dict[str, list[str]] = {}
        for found in self.layers_found:
            if found.reason:
                reasons.setdefault(found.reason, []).append(found.name)
        notes += [f"not in int8: {', '.join(names)} ({why})" for why, names in reasons.items()]
        return tuple(notes)


def report_of(log: str, graph: ir.Model, profile: int = 0) -> LayerReport:
    """What a builder's log says of the graph that it was given, in one of its optimization profiles.

    Raises:
        TargetError: the log lists no kernels, or not one for every layer.
    """
    kernels = read_kernels(log, profile)
    kinds = {str(node.name): node.op_type for node in graph.graph}
    quantized = "QuantizeLinear" in kinds.values()
    constants = {tensor.name: tensor.bytes for kernel in kernels for tensor in kernel.constants}
    return LayerReport(
        kernels=tuple(_kernel_record(kernel) for kernel in kernels),
        layers_found=tuple(
            _layer_record(node, kernels, quantized) for node in graph.graph if _is_layer(node)
        ),
        shifts=_shifts(kernels, kinds, _shift_namer(graph)),
        moved=sum(kernel.moved for kernel in kernels),
        weights=sum(constants.values()),
    )


def save_report(report: LayerReport, folder: Path, batch: int | None = None) -> None:
    """Write it beside the engine; of an engine of several batches, there is one for each ``batch``."""
    _path(folder, batch).write_text(report.model_dump_json(indent=1), encoding="utf-8")


def load_report(folder: Path, batch: int | None = None) -> LayerReport:
    """Read what lies beside an engine.

    Raises:
        TargetError: there is no such file, or it is damaged.
    """
    path = _path(folder, batch)
    try:
        return LayerReport.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # what pydantic raises is a ValueError
        raise TargetError(
            f"the report of the engine's layers cannot be read: {error}",
            where=path,
            fix="compile the bundle again",
        ) from error


def _path(folder: Path, batch: int | None) -> Path:
    return folder / (REPORT if batch is None else f"layers.batch{batch}.json")


def _is_layer(node: ir.Node) -> bool:
    """A convolution or a dense layer; a product of two activations is none."""
    if node.op_type not in _KINDS or node.domain or len(node.inputs) < 2:
        return False
    weight = node.inputs[1]
    while weight is not None and (made := weight.producer()) is not None:
        if made.op_type not in _PAIRS | _MOVING:
            return False
        weight = made.inputs[0]
    return weight is not None and weight.const_value is not None


def _layer_record(node: ir.Node, kernels: Sequence[Kernel], quantized: bool) -> _LayerRecord:
    name = str(node.name)
    own = [kernel for kernel in kernels if name in kernel.origins and kernel.inputs]
    if not own:
        raise TargetError("the builder's log has no kernel for a layer", where=name)
    # A generated kernel may prepare what the layer reads.
    kernel = next((kernel for kernel in own if kernel.kind != _GENERATED), own[-1])
    precision = kernel.inputs[0].type
    reason = ""
    if quantized and precision != "int8":
        depthwise = node.op_type == "Conv" and node.attributes.get_int("group", 1) > 1
        reason = _DEPTHWISE if depthwise else "TensorRT did not take its int8 form"
    return _LayerRecord(
        name=name, kind=_KINDS[node.op_type], precision=precision, kernel=kernel.kind, reason=reason
    )


def _shifts(
    kernels: Sequence[Kernel], kinds: Mapping[str, str], shift_of: Callable[[str], str]
) -> dict[str, int]:
    """Kernels a shift that hold no arithmetic but rounding."""
    names = {shift: 0 for name in kinds if (shift := shift_of(name))}
    for kernel in kernels:
        if all(kinds.get(name, "") in _MOVING | _PAIRS for name in kernel.origins):
            for shift in {shift for name in kernel.origins if (shift := shift_of(name))}:
                names[shift] += 1
    return names


def _shift_namer(graph: ir.Model) -> Callable[[str], str]:
    """From an operation's name to that of the shift that it is a part of; empty for others.

    What reads a cache and moves it is named ``SHIFT.PART`` (`edgevid.graph.streaming`).
    """
    from edgevid.targets.tensorrt.cache_tensors import caches_of

    streamed, left = set(), [cache for cache, _ in caches_of(graph)]
    while left:
        for node in {use.node for use in left.pop().uses()}:
            if node.op_type in ("Cast", "DequantizeLinear"):
                left += node.outputs
            elif node.op_type in _MOVING | {"Where"}:
                streamed.add(str(node.name).rpartition(".")[0])

    def shift_of(name: str) -> str:
        if match := _SHIFT.match(name):
            return match[1]
        shift = name.rpartition(".")[0]
        return shift if shift in streamed else ""

    return shift_of


def _kernel_record(kernel: Kernel) -> KernelRecord:
    return KernelRecord(
        name=kernel.name,
        kind=kernel.kind,
        operations=kernel.origins,
        inputs=_tensor_records(kernel.inputs),
        constants=_tensor_records(kernel.constants),
        outputs=_tensor_records(kernel.outputs),
        moved=kernel.moved,
    )


def _tensor_records(tensors: Sequence[LogTensor]) -> tuple[TensorRecord, ...]:
    return tuple(TensorRecord(name=t.name, shape=t.shape, type=t.type, bytes=t.bytes) for t in tensors)
