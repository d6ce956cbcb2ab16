"""NNCF's own post-training quantization of a network, as something to be compared with.

NNCF is no dependency: it is used where it is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from logging import ERROR
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgevid import targets
from edgevid.contract import Artifact, CompileOptions, Device, RunSettings
from edgevid.errors import MissingDependencyError
from edgevid.targets._install import require

__all__ = ["PRESETS", "Preset", "is_installed", "quantize_by_nncf"]

Preset = Literal["performance", "mixed"]
PRESETS: Sequence[Preset] = ("performance", "mixed")
"""Of NNCF: activations symmetric, or those with negative values asymmetric."""


def is_installed() -> bool:
    """Can NNCF be imported here?"""
    return find_spec("nncf") is not None


def quantize_by_nncf(
    graph: ir.Model,
    clips: NDArray[np.uint8],
    preset: Preset,
    folder: Path,
    *,
    device: Device,
    lowering: str,
    threads: int | None = None,
) -> Artifact:
    """Compile a float graph with OpenVINO, let NNCF quantize it, and write the result.

    Args:
        graph: lowered, float32.
        clips: to calibrate with, ``[N, T, H, W, 3]``.
        preset: of NNCF.
        folder: a new one, for the artifact.
        device: that OpenVINO runs on.
        lowering: name of it, for the record.
        threads: of the sessions.

    Raises:
        MissingDependencyError: NNCF or OpenVINO is missing.
        TargetError: OpenVINO refuses the graph.
    """
    if not is_installed():
        raise MissingDependencyError(
            "NNCF is not installed, and nothing to compare with",
            fix="pip install 'nncf==3.4.*', best into an environment of its own",
        )
    nncf: Any = import_module("nncf")
    openvino = require("openvino", "openvino")
    nncf.set_log_level(ERROR)
    folder.mkdir(parents=True)
    options = CompileOptions(
        device=device, folder=folder, lowering=lowering, settings=RunSettings(threads=threads)
    )
    in_float = targets.find(device.target).compile(graph, options)
    with redirect_stdout(StringIO()):  # its progress
        quantized = nncf.quantize(
            openvino.Core().read_model(str(in_float.path)),
            nncf.Dataset([[clip[None]] for clip in clips]),
            preset=nncf.QuantizationPreset(preset),
            subset_size=len(clips),
        )
    # Beside it: the float model's weights are mapped into memory as long as it is open.
    openvino.save_model(quantized, str(folder / "quantized.xml"), compress_to_fp16=False)
    return Artifact(
        target=in_float.target,
        folder=folder,
        entry="quantized.xml",
        precision="int8",
        batch=in_float.batch,
        lowering=lowering,
        input=in_float.input,
        output=in_float.output,
        settings=in_float.settings,
    )
