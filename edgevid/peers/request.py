"""What every peer is made of, fit to reach another process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict

from edgevid.contract import Normalization, Precision

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgevid.models.network import VideoNetwork

__all__ = ["PeerRequest"]


class PeerRequest(BaseModel):
    """One network, and how it is run.

    Attributes:
        folder: holds ``network.safetensors`` and ``clips.npy``, and takes what peers are made into.
        normalization: of the pixels.
        input_shape: of the clips of one call, ``[N, T, H, W, 3]``.
        output_shape: of its logits, ``[N, classes]``.
        threads: of each peer; ``None`` leaves it to its runtime.
        hint: what the runtimes of files optimize for.
        precision: of the bundle that the peers stand beside.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    folder: Path
    normalization: Normalization
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    threads: int | None
    hint: Literal["latency", "throughput"]
    precision: Precision

    @property
    def batch(self) -> int:
        """Clips a call."""
        return self.input_shape[0]

    def network(self) -> VideoNetwork:
        """The network, in evaluation mode."""
        from edgevid.checkpoints import read

        return read(self.folder / "network.safetensors").network()

    def clips(self) -> NDArray[np.uint8]:
        """Clips ``[N, T, H, W, 3]`` to compare and to calibrate with, repeated to whole batches."""
        import numpy as np

        clips = np.load(self.folder / "clips.npy", allow_pickle=False)
        whole = -(-len(clips) // self.batch) * self.batch
        return np.ascontiguousarray(clips[np.arange(whole) % len(clips)])
