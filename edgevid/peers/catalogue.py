"""The peers: each a name, and how it is made and opened."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgevid.contract import Precision
from edgevid.errors import MissingDependencyError
from edgevid.peers.exports import export_spelled, opened, quantized_by_nncf, quantized_by_onnxruntime
from edgevid.peers.published import as_published
from edgevid.peers.request import PeerRequest

__all__ = ["PEERS", "Peer", "Run"]

Run = Callable[[NDArray[Any]], NDArray[np.float32]]
"""Logits of a clip."""


@dataclass(frozen=True)
class Peer:
    """Something that a network could be run with.

    Attributes:
        title: name of the variant.
        kind: ``int8`` where it is quantized by a tool of its own, so that its logits are another network's.
        open: the network of a request, ready to run.
        make: writes what it is opened from, apart from where its memory is measured.
        in_bf16: it computes in bf16 beside a bundle in bf16; the other floats stay in float32.
    """

    title: str
    kind: Literal["float", "int8"]
    open: Callable[[PeerRequest], AbstractContextManager[Run]]
    make: Callable[[PeerRequest], object] = lambda request: None
    in_bf16: bool = False

    def precision(self, beside: Precision) -> Precision:
        """What it computes in, beside a bundle in ``beside``."""
        return "int8" if self.kind == "int8" else _float_beside(beside, self.in_bf16)


def _float_beside(bundle: Precision, in_bf16: bool) -> Precision:
    return "bf16" if in_bf16 and bundle == "bf16" else "fp32"


@contextmanager
def _in_torch(request: PeerRequest, *, channels_last: bool = False, compiled: bool = False) -> Iterator[Run]:
    import torch

    if request.threads is not None:
        torch.set_num_threads(request.threads)
    module: Any = as_published(
        request.network(), request.normalization, "in place", channels_last=channels_last
    )
    if compiled:
        module = torch.compile(module, dynamic=False)

    def run(clip: NDArray[Any]) -> NDArray[np.float32]:
        with torch.inference_mode():
            logits: NDArray[np.float32] = module(torch.from_numpy(clip)).numpy()
        return logits

    yield run


def _needs_compiler(request: PeerRequest) -> None:
    compilers = [os.environ.get("CXX", ""), "g++", "c++", "clang++"]
    if not any(name and shutil.which(name) for name in compilers):
        raise MissingDependencyError(
            "there is no C++ compiler, which torch.compile needs", fix="apt-get install g++"
        )


@contextmanager
def _from_file(
    request: PeerRequest, file: Callable[[PeerRequest], Path], target: str, *, in_bf16: bool = False
) -> Iterator[Run]:
    # An int8 file is opened as float32: it is to be optimized, not simulated operation by operation.
    precision = _float_beside(request.precision, in_bf16)
    with opened(request, file(request), target, precision) as session:
        yield session.run


def _spelled(spelling: Literal["in place", "concat"]) -> Callable[[PeerRequest], Path]:
    return partial(export_spelled, spelling=spelling)


def _exported(title: str, target: str, spelling: Literal["in place", "concat"], in_bf16: bool) -> Peer:
    file = _spelled(spelling)
    opener = partial(_from_file, file=file, target=target, in_bf16=in_bf16)
    return Peer(title, "float", opener, file, in_bf16)


def _quantized(name: str) -> Callable[[PeerRequest], Path]:
    return lambda request: request.folder / name


PEERS: Mapping[str, Peer] = MappingProxyType(
    {
        "eager": Peer("torch eager", "float", _in_torch),
        "channels-last": Peer("torch eager, channels_last", "float", partial(_in_torch, channels_last=True)),
        "compile": Peer("torch.compile", "float", partial(_in_torch, compiled=True), _needs_compiler),
        "onnxruntime": _exported("ONNX Runtime, in-place export", "onnxruntime", "in place", False),
        "onnxruntime-concat": _exported("ONNX Runtime, concat export", "onnxruntime", "concat", False),
        "onnxruntime-int8": Peer(
            "ONNX Runtime int8",
            "int8",
            partial(_from_file, file=_quantized("onnxruntime-int8.onnx"), target="onnxruntime"),
            quantized_by_onnxruntime,
        ),
        "openvino": _exported("OpenVINO, in-place export", "openvino", "in place", True),
        "openvino-concat": _exported("OpenVINO, concat export", "openvino", "concat", True),
        "nncf": Peer(
            "OpenVINO, NNCF int8",
            "int8",
            partial(_from_file, file=_quantized("nncf/quantized.xml"), target="openvino"),
            quantized_by_nncf,
        ),
    }
)
"""By the names that ``--against`` takes."""
