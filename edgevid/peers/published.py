"""A network in PyTorch as others write it: the shift by assignment in place, or by concatenation."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgevid.bench.in_place import in_place_shift
from edgevid.contract import Normalization

if TYPE_CHECKING:
    import torch

    from edgevid.models.network import VideoNetwork
    from edgevid.shift import ShiftSpec

__all__ = ["Spelling", "as_published", "export_plain"]

Spelling = Literal["in place", "concat"]
"""``in place``: zeros, into which the moved channels and the rest are assigned, as the authors of TSM
published it. ``concat``: pieces with zero frames before or behind them, as many reimplement it."""


def as_published(
    network: VideoNetwork, normalization: Normalization, spelling: Spelling, *, channels_last: bool = False
) -> torch.nn.Module:
    """A module from uint8 clips ``[N, T, H, W, C]`` to logits ``[N, classes]``.

    Args:
        network: in evaluation mode; it is left as it is.
        normalization: of the pixels; it becomes a part of the module.
        spelling: of the shifts.
        channels_last: keep weights and frames in PyTorch's ``channels_last`` memory format, or
            those of a network over volumes in ``channels_last_3d``.
    """
    import torch

    from edgevid.models.network import VolumeNetwork

    own = _respelled(network, spelling)
    volumes = own if isinstance(own, VolumeNetwork) else None

    class Published(torch.nn.Module):
        mean: torch.Tensor
        std: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.network = own
            for name in ("mean", "std"):
                values = torch.tensor(getattr(normalization, name), dtype=torch.float32)
                self.register_buffer(name, values.view(1, -1, *[1] * (2 if volumes is None else 3)))

        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            if volumes is None:
                frames = clips.flatten(0, 1).permute(0, 3, 1, 2)
            else:
                frames = clips.permute(0, 4, 1, 2, 3)
            if normalization.color == "BGR":
                frames = frames.flip(1)
            frames = (frames.float() - self.mean) / self.std
            if not channels_last:
                frames = frames.contiguous()
            if volumes is not None:
                return volumes.classify_volumes(frames)
            logits = self.network.classify(frames)
            return logits.reshape(clips.shape[0], clips.shape[1], -1).mean(dim=1)

    made = Published().eval()
    if channels_last:
        kind = torch.channels_last if volumes is None else torch.channels_last_3d
        made.to(memory_format=kind)  # type: ignore[call-overload]
    return made


def _respelled(network: VideoNetwork, spelling: Spelling) -> VideoNetwork:
    """A copy with its shifts in another spelling."""
    from edgevid.models.shift_module import Shift

    own = copy.deepcopy(network)
    for module in list(own.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, Shift):
                setattr(module, name, _spelled(layer.spec, spelling))
    return own


def _spelled(spec: ShiftSpec, spelling: Spelling) -> torch.nn.Module:
    import torch

    if spelling == "in place":
        return in_place_shift(spec)
    moves, segments = spec.moves, spec.segments

    class Concat(torch.nn.Module):
        def forward(self, stacked: torch.Tensor) -> torch.Tensor:
            clips = stacked.reshape(-1, segments, *stacked.shape[1:])
            pieces, stays = [], 0
            for move in moves:
                pieces.append(clips[:, :, stays : move.start])
                piece = clips[:, :, move.start : move.stop]
                for axis, step in zip((1, 3, 4), move.displacement, strict=True):
                    piece = _moved(piece, axis, step)
                pieces.append(piece)
                stays = move.stop
            pieces.append(clips[:, :, stays:])
            return torch.cat([piece for piece in pieces if piece.shape[2]], dim=2).reshape(stacked.shape)

    return Concat()


def _moved(piece: torch.Tensor, axis: int, step: int) -> torch.Tensor:
    """Zeros before it or behind it along an axis, and cut off at the other end."""
    import torch

    if not step:
        return piece
    every = [slice(None)] * axis
    zeros = torch.zeros_like(piece[(*every, slice(abs(step)))])
    if step < 0:
        return torch.cat([piece[(*every, slice(-step, None))], zeros], dim=axis)
    return torch.cat([zeros, piece[(*every, slice(-step))]], dim=axis)


def export_plain(
    network: VideoNetwork, normalization: Normalization, spelling: Spelling, batch: int, path: Path
) -> None:
    """Write `as_published` as ONNX by ``torch.onnx.export`` with its defaults."""
    import torch

    config = network.config
    shape = (batch, config.segments, config.size, config.size, config.frame_channels)
    clips = torch.zeros(shape, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            as_published(network, normalization, spelling),
            (clips,),
            str(path),
            input_names=["clips"],
            output_names=["logits"],
            dynamo=True,
            external_data=False,
            verbose=False,
        )
