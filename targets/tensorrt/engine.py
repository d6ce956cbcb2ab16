"""Which GPU and which TensorRT an engine is for: a file beside it, read before the engine is.

Without special flags an engine runs with exactly the TensorRT that built it, and one of full TensorRT only on
the model of GPU it was built on (TensorRT documentation, "Version compatibility" and "Hardware
compatibility"). TensorRT for RTX names the compute capabilities (its documentation, "CPU-only AOT").
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict

from edgevid.errors import TargetError
from edgevid.targets.tensorrt.gpu import Gpu
from edgevid.targets.tensorrt.vendor import Flavor

__all__ = ["IDENTITY", "EngineIdentity", "check_identity", "load_identity", "save_identity"]

IDENTITY = "engine.json"


class EngineIdentity(BaseModel):
    """What has to hold where an engine is loaded.

    Attributes:
        flavor: whose engine it is.
        version: of that TensorRT, to the last digit.
        capabilities: compute capabilities that it runs on.
        gpu: the only model that it runs on; empty if any of these capabilities does.
        batches: clips of its optimization profiles; empty if its shapes are fixed.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    flavor: Flavor
    version: str
    capabilities: tuple[str, ...]
    gpu: str = ""
    batches: tuple[int, ...] = ()


def save_identity(identity: EngineIdentity, folder: Path) -> None:
    """Write it beside the engine."""
    (folder / IDENTITY).write_text(identity.model_dump_json(indent=1), encoding="utf-8")


def load_identity(folder: Path) -> EngineIdentity:
    """Read what lies beside an engine.

    Raises:
        TargetError: there is no such file, or it is damaged.
    """
    path = folder / IDENTITY
    try:
        return EngineIdentity.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # what pydantic raises is a ValueError
        raise TargetError(
            f"nothing says which GPU the engine is for: {error}", where=path, fix="compile the bundle again"
        ) from error


def check_identity(identity: EngineIdentity, *, version: str, gpu: Gpu, where: Path) -> None:
    """Raise `TargetError` if the engine is for another TensorRT or another GPU than these."""
    if version != identity.version:
        raise TargetError(
            f"the engine is of {identity.flavor} {identity.version}, and {version} is installed",
            where=where,
            fix=f"install {identity.version}, or compile the bundle again with {version}",
        )
    if gpu.capability not in identity.capabilities:
        raise TargetError(
            f"the engine is for compute capability {' and '.join(identity.capabilities)}, "
            f"and this {gpu.name} has {gpu.capability}",
            where=where,
            fix="compile the bundle for this GPU: see 'edgevid devices'",
        )
    if identity.gpu not in ("", gpu.name):
        raise TargetError(
            f"the engine was built on {identity.gpu}, and this is {gpu.name}",
            where=where,
            fix="compile the bundle on this machine",
        )
