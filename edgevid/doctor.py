"""What is installed, what is missing, and the command that installs it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module, metadata
from importlib.util import find_spec

__all__ = ["Finding", "examine"]

_NEEDS = (
    (
        "running bundles and videos",
        "",
        ("numpy", "pydantic", "av", "pillow:PIL", "opencv-python-headless:cv2"),
    ),
    (
        "compiling checkpoints",
        "compile",
        ("torch", "safetensors", "onnx", "onnx-ir:onnx_ir", "onnxscript", "onnxsim", "onnxruntime"),
    ),
    ("Intel Xeon and other x86 CPUs", "openvino", ("openvino",)),
    ("ARM CPUs", "tvm", ("apache-tvm:tvm",)),
    ("NVIDIA GPUs", "tensorrt", ("tensorrt-rtx:tensorrt_rtx",)),
)


@dataclass(frozen=True)
class Finding:
    """One package.

    Attributes:
        purpose: what it is needed for.
        package: distribution name.
        version: empty when it is missing.
        problem: why it cannot be used, empty when it can.
        command: what installs it.
    """

    purpose: str
    package: str
    version: str
    problem: str
    command: str


def examine(*, load: bool = False) -> list[Finding]:
    """Every package that some part of edgevid uses.

    Args:
        load: import each one too: slower, and finds those that are installed but broken.
    """
    findings = []
    for purpose, extra, packages in _NEEDS:
        command = f"pip install 'edgevid[{extra}]'" if extra else "pip install edgevid"
        for entry in packages:
            package, _, module = entry.partition(":")
            version, problem = _version(package), ""
            if not version:
                problem = "not installed"
            elif find_spec(module or package) is None:
                problem = "installed, but its module is not found"
            elif load:
                problem = _load_problem(module or package)
            findings.append(Finding(purpose, package, version, problem, command))
    return findings


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _load_problem(module: str) -> str:
    try:
        import_module(module)
    except Exception as error:  # noqa: BLE001 - a broken package may raise anything while it loads
        return f"installed, but it does not load: {error}"
    return ""
