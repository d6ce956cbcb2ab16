"""Every error that edgevid raises on purpose.

::

    EdgevidError
    ├── ShiftError                  a shift that is impossible, or does not fit its tensor
    ├── ConfigError                 a setting that contradicts itself or another one
    ├── CheckpointError             a checkpoint that cannot be read
    │   ├── UnsafeCheckpointError   its pickle holds code; nothing of it was executed
    │   ├── UnknownLayoutError      its keys belong to no layout that edgevid knows
    │   └── KeyMismatchError        keys are missing, unexpected or misshapen
    ├── GraphError                  a graph that cannot be exported, read or rewritten
    │   └── LoweringError           a lowering that does not hold for this shift or batch
    ├── VerificationError           two sessions disagree by more than the tolerance
    ├── TargetError                 a runtime that refuses a graph or an artifact
    │   ├── UnknownTargetError      no module of that name under ``targets``
    │   ├── UnknownDeviceError      no device profile of that name
    │   ├── UnsupportedPrecisionError   the device or its runtime lacks the precision
    │   └── MissingDependencyError  a package that this step needs is not installed
    ├── BundleError                 a bundle that cannot be read or written
    │   ├── BundleIntegrityError    a file is missing, changed or outside the folder
    │   └── BundleVersionError      written by a newer edgevid
    ├── VideoError                  a video, frame folder or list that cannot be read
    └── BenchmarkError              a measurement that cannot be made or read

Each message says what happened, where (file, key or layer) and what to do about it.
"""

from __future__ import annotations

__all__ = [
    "BenchmarkError",
    "BundleError",
    "BundleIntegrityError",
    "BundleVersionError",
    "CheckpointError",
    "ConfigError",
    "EdgevidError",
    "GraphError",
    "KeyMismatchError",
    "LoweringError",
    "MissingDependencyError",
    "ShiftError",
    "TargetError",
    "UnknownDeviceError",
    "UnknownLayoutError",
    "UnknownTargetError",
    "UnsafeCheckpointError",
    "UnsupportedPrecisionError",
    "VerificationError",
    "VideoError",
]


class EdgevidError(Exception):
    """Base of all errors of edgevid.

    Args:
        what: what happened, one sentence without a full stop at its end.
        where: the file, key, layer or setting it happened at.
        fix: what the user can do about it.
    """

    def __init__(self, what: str, *, where: object = None, fix: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.fix = fix
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        if self.where is not None:
            lines.append(f"  where: {self.where}")
        if self.fix is not None:
            lines.append(f"  what to do: {self.fix}")
        return "\n".join(lines)


class ShiftError(EdgevidError):
    """A shift that is impossible, or does not fit the tensor it is applied to."""


class ConfigError(EdgevidError):
    """A setting that contradicts itself or another one."""


class CheckpointError(EdgevidError):
    """A checkpoint that cannot be read."""


class UnsafeCheckpointError(CheckpointError):
    """A pickle that would run code on loading. Nothing of it was executed."""


class UnknownLayoutError(CheckpointError):
    """The keys of a checkpoint belong to no published layout that edgevid knows."""


class KeyMismatchError(CheckpointError):
    """Keys of a checkpoint are missing, unexpected or misshapen."""


class GraphError(EdgevidError):
    """A graph that cannot be exported, read or rewritten."""


class LoweringError(GraphError):
    """A lowering that does not hold for this shift, layout or batch."""


class VerificationError(EdgevidError):
    """Two sessions that should agree do not."""


class TargetError(EdgevidError):
    """A runtime that refuses a graph or an artifact."""


class UnknownTargetError(TargetError):
    """No target of that name."""


class UnknownDeviceError(TargetError):
    """No device profile of that name."""


class UnsupportedPrecisionError(TargetError):
    """The device, or the runtime on it, lacks the precision asked for."""


class MissingDependencyError(TargetError):
    """A package that this step needs is not installed."""


class BundleError(EdgevidError):
    """A bundle that cannot be read or written."""


class BundleIntegrityError(BundleError):
    """A file of a bundle is missing, changed, or outside its folder."""


class BundleVersionError(BundleError):
    """A bundle written by a newer edgevid."""


class VideoError(EdgevidError):
    """A video, frame folder or annotation list that cannot be read."""


class BenchmarkError(EdgevidError):
    """A measurement that cannot be made, or results that cannot be read."""
