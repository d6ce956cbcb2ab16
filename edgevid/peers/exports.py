"""ONNX files of a network as PyTorch exports it, their int8, and how each runtime opens them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgevid import targets
from edgevid.calibration.nncf_peer import is_installed, quantize_by_nncf
from edgevid.contract import Artifact, Precision, RunSettings, Session, TensorSpec
from edgevid.errors import MissingDependencyError
from edgevid.peers.published import Spelling, export_plain
from edgevid.peers.request import PeerRequest
from edgevid.targets._profiles import device as find_device

__all__ = ["export_spelled", "opened", "quantized_by_nncf", "quantized_by_onnxruntime"]


def export_spelled(request: PeerRequest, spelling: Spelling) -> Path:
    """The exported file, written once."""
    path = request.folder / f"{spelling.replace(' ', '-')}.onnx"
    if not path.exists():
        draft = path.with_suffix(".tmp.onnx")  # whose process may be killed, while other peers need the file
        export_plain(request.network(), request.normalization, spelling, request.batch, draft)
        draft.replace(path)
    return path


def quantized_by_onnxruntime(request: PeerRequest) -> Path:
    """The concatenating file in int8 by ONNX Runtime's static quantization with its defaults: Q/DQ pairs.

    Weights have a scale a channel. It is calibrated with the request's clips.
    """
    from onnxruntime.quantization import CalibrationDataReader, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Clips(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self, clips: NDArray[np.uint8]) -> None:
            self.batches = iter(np.split(clips, len(clips) // request.batch))

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            clips = next(self.batches, None)
            return None if clips is None else {"clips": clips}

    path, prepared = request.folder / "onnxruntime-int8.onnx", request.folder / "prepared.onnx"
    quant_pre_process(str(export_spelled(request, "concat")), str(prepared), skip_symbolic_shape=True)
    quantize_static(str(prepared), str(path), Clips(request.clips()), per_channel=True)
    return path


def quantized_by_nncf(request: PeerRequest) -> Path:
    """The concatenating file in OpenVINO's int8 by NNCF, calibrated with the request's clips.

    Raises:
        MissingDependencyError: NNCF is not installed.
    """
    from edgevid.graph.read_onnx import read_onnx

    if not is_installed():
        raise MissingDependencyError("not installed", where="nncf", fix="pip install nncf")
    artifact = quantize_by_nncf(
        read_onnx(export_spelled(request, "concat")),
        request.clips(),
        "performance",
        request.folder / "nncf",
        device=find_device("host"),
        lowering="none",
        threads=request.threads,
    )
    return artifact.path


@contextmanager
def opened(request: PeerRequest, path: Path, target: str, precision: Precision) -> Iterator[Session]:
    """A file in a runtime, with the session that the runtime's bundles get."""
    artifact = Artifact(
        target=target,
        folder=path.parent,
        entry=path.name,
        precision=precision,
        batch=request.batch,
        lowering="none",
        input=TensorSpec("clips", request.input_shape, "uint8"),
        output=TensorSpec("logits", request.output_shape, "float32"),
        settings=RunSettings(threads=request.threads, hint=request.hint),
    )
    with targets.find(target).open(artifact) as session:
        yield session
