"""Read the kernels of an engine from what its builder logged: without a GPU this is the only inspector.

With detailed profiling verbosity the builder ends with one line a kernel: its name and type, its inputs,
constants and outputs with shape, type and layout, and the ONNX operations that were fused in it (TensorRT
documentation, "Engine inspector"; the log has the inspector's fields).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from edgevid.errors import TargetError

__all__ = ["Kernel", "LogTensor", "read_kernels"]

_WORDS = {
    "fp32": ("Float", "FP32"),
    "fp16": ("Half", "FP16"),
    "bf16": ("BFloat16", "BF16"),
    "fp8": ("FP8",),
    "int8": ("Int8", "INT8"),
    "uint8": ("UInt8", "UINT8"),
    "int32": ("Int32", "INT32"),
    "int64": ("Int64", "INT64"),
    "bool": ("Bool", "BOOL"),
}
"""Type to the words that logs have for it."""
_TYPES = {word: kind for kind, words in _WORDS.items() for word in words}
_BYTES = {"fp32": 4, "int32": 4, "fp16": 2, "bf16": 2, "int64": 8}
"""Of types of more than one."""
_LINE = re.compile(
    r"^Name: (?P<name>.*?), LayerType: (?P<kind>\w+), Inputs: \[(?P<tensors>.*)$", re.MULTILINE
)
_TENSOR = re.compile(
    r"\{ ?Name: (?P<name>.*?), (?:Location: \w+, )?Dimensions: \[(?P<shape>[-\d,]*)\](?P<rest>[^}]*)\}"
)
_TYPE = re.compile(rf"\b({'|'.join(_TYPES)})\b")
_ORIGIN = re.compile(r"\[ONNX Layer: (.*?)\]")
_PROFILE = re.compile(r"\[profile (\d+)\]")
"""What names of tensors and kernels have in the kernels of all profiles but the first."""
_WAITING = frozenset({"signal", "wait", "NoOp"})
"""Between streams; nothing is computed."""


@dataclass(frozen=True)
class LogTensor:
    """A tensor of a kernel, in the type that it has there: ``fp32``, ``fp16``, ``int8`` ..."""

    name: str
    shape: tuple[int, ...]
    type: str
    bytes: int


@dataclass(frozen=True)
class Kernel:
    """One launch.

    Attributes:
        name: the builder's.
        kind: the builder's word, as ``correlation`` for convolutions.
        inputs, constants, outputs: with their types.
        tactic: name of the implementation.
        origins: names of the ONNX operations in it.
    """

    name: str
    kind: str
    inputs: tuple[LogTensor, ...]
    constants: tuple[LogTensor, ...]
    outputs: tuple[LogTensor, ...]
    tactic: str
    origins: tuple[str, ...]

    @property
    def moved(self) -> int:
        """Bytes of activations that are read and written; a tensor that is read twice counts once."""
        given = {tensor.name: tensor.bytes for tensor in self.inputs}
        made = {tensor.name: tensor.bytes for tensor in self.outputs}
        return sum(given.values()) + sum(made.values())


def read_kernels(log: str, profile: int = 0) -> tuple[Kernel, ...]:
    """The kernels of an optimization profile in the order in which they run.

    Raises:
        TargetError: the log lists none, or in a form that is not known.
    """
    lines = []
    listed = 0
    for match in _LINE.finditer(log):
        # Between two kernels of its own, a tensor of a profile may be without the mark.
        listed = max(listed, *map(int, _PROFILE.findall(match[0])), 0)
        if listed == profile and match["kind"] not in _WAITING:
            lines.append(match)
    if not lines:
        raise TargetError(
            "the builder's log lists no kernels" + (f" of profile {profile}" if profile else ""),
            where="the layer information of TensorRT's verbose log",
            fix="report the version of TensorRT: the form of its log is not known",
        )
    return tuple(_kernel(match) for match in lines)


def _kernel(line: re.Match[str]) -> Kernel:
    text = line["tensors"]
    given, _, rest = text.partition("], Outputs: [")
    inputs, _, constants = given.partition("], Constants: [")
    outputs, told = _split_outputs(rest)
    tactic = re.search(r"TacticName: ([^,]*)", told)
    return Kernel(
        name=line["name"],
        kind=line["kind"],
        inputs=_tensors(inputs),
        constants=_tensors(constants),
        outputs=_tensors(outputs),
        tactic=tactic[1] if tactic else "",
        origins=tuple(dict.fromkeys(_ORIGIN.findall(told))),
    )


def _split_outputs(rest: str) -> tuple[str, str]:
    """Where the tensors of the outputs end; their shapes hold brackets too."""
    end = 0
    for match in _TENSOR.finditer(rest):
        if rest[end : match.start()].strip(" ,"):
            break
        end = match.end()
    return rest[:end], rest[end:]


def _tensors(text: str) -> tuple[LogTensor, ...]:
    return tuple(_tensor(match) for match in _TENSOR.finditer(text))


def _tensor(match: re.Match[str]) -> LogTensor:
    found = _TYPE.search(match["rest"])
    if found is None:
        raise TargetError(f"the builder's log gives no type: {match[0]}", where=match["name"])
    kind = _TYPES[found[1]]
    shape = tuple(int(extent) for extent in match["shape"].split(",") if extent)
    count = math.prod(max(extent, 1) for extent in shape)
    return LogTensor(match["name"], shape, kind, count * _BYTES.get(kind, 1))
