"""What all sessions share: checked input, refused streaming, closing once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

from edgevid.contract import Artifact, Layer, RunSettings, Stream, TensorSpec
from edgevid.errors import ConfigError, TargetError

__all__ = ["CheckedSession", "refuse_boards"]


def refuse_boards(target: str, settings: RunSettings) -> None:
    """Raise `ConfigError` for a device behind a network, of a target that reaches none."""
    if settings.on:
        raise ConfigError(
            f"{target} runs on this machine only",
            where=f"--on {settings.on}",
            fix="leave --on out, or compile for a device of tvm: see 'edgevid devices'",
        )


class CheckedSession(ABC):
    """An open artifact. Subclasses say how to run one clip and what to release."""

    def __init__(self, artifact: Artifact) -> None:
        self.artifact = artifact
        self._closed = False

    @property
    def input(self) -> TensorSpec:
        """The clip it takes."""
        return self.artifact.input

    @property
    def output(self) -> TensorSpec:
        """The logits it returns."""
        return self.artifact.output

    @property
    def emulated(self) -> bool:
        """Never on this machine."""
        return False

    def run(self, clip: NDArray[Any]) -> NDArray[np.float32]:
        """Logits of a clip of exactly the input's shape and type."""
        self.check_open()
        wanted = self.input
        if not isinstance(clip, np.ndarray) or clip.shape != wanted.shape or str(clip.dtype) != wanted.dtype:
            given = f"{clip.dtype}{list(clip.shape)}" if isinstance(clip, np.ndarray) else type(clip).__name__
            channels = wanted.shape[-1]
            frames = "RGB frames" if channels == 3 else "optical flow"
            raise TargetError(
                f"the clip is {given}, the network takes {wanted.dtype}{list(wanted.shape)}",
                where=wanted.name,
                fix=f"give clips as uint8 {frames} [N, T, H, W, {channels}]; for another N compile that "
                "--batch",
            )
        return self._run(np.ascontiguousarray(clip))

    def check_open(self) -> None:
        """Raise `TargetError` if it was closed."""
        if self._closed:
            raise TargetError("the session is closed", where=self.artifact.path, fix="open it again")

    def stream(self) -> Stream:
        """Refused: the artifact takes whole clips."""
        raise self._no_stream()

    def step(self, frame: NDArray[Any]) -> NDArray[np.float32] | None:
        """Refused: the artifact takes whole clips."""
        raise self._no_stream()

    def flush(self) -> NDArray[np.float32]:
        """Refused: the artifact takes whole clips."""
        raise self._no_stream()

    def reset(self) -> None:
        """Refused: the artifact takes whole clips."""
        raise self._no_stream()

    def layers(self) -> tuple[Layer, ...]:
        """Empty: this runtime does not tell how it computes its layers."""
        return ()

    def close(self) -> None:
        """Release the runtime's resources."""
        if not self._closed:
            self._closed = True
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _no_stream(self) -> TargetError:
        return TargetError(
            "this artifact takes whole clips, not single frames",
            where=self.artifact.path,
            fix="use run(clip), or compile the network with --streaming",
        )

    @abstractmethod
    def _run(self, clip: NDArray[Any]) -> NDArray[np.float32]:
        """Logits of a checked, contiguous clip."""

    @abstractmethod
    def _release(self) -> None:
        """Let go of the runtime."""
