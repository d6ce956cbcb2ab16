"""A network in PyTorch as others write it: the shift by assignment in place, or by concatenation."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from edgevid.bench.in_place import in_place_shift
from edgevid.contract import Normalization
from edgevid.errors import ShiftError

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
    """A module from uint8 RGB clips ``[N, T, H, W, 3]`` to logits ``[N, classes]``.

    Args:
        network: in evaluation mode; it is left as it is.
        normalization: of the pixels; it becomes a part of the module.
        spelling: of the shifts.
        channels_last: keep weights and frames in PyTorch's ``channels_last`` memory format.

    Raises:
        ShiftError: a shift along other axes than time.
    """
    import torch

    from edgevid.models.shift_module import Shift

    own = copy.deepcopy(network)
    for module in list(own.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, Shift):
                setattr(module, name, _spelled(layer.spec, spelling))

    class Published(torch.nn.Module):
        mean: torch.Tensor
        std: torch.Tensor

        def __init__(self) -> None:
            super().__init__()
            self.network = own
            for name in ("mean", "std"):
                values = torch.tensor(getattr(normalization, name), dtype=torch.float32)
                self.register_buffer(name, values.view(1, 3, 1, 1))

        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            frames = clips.flatten(0, 1).permute(0, 3, 1, 2)
            if normalization.color == "BGR":
                frames = frames.flip(1)
            frames = (frames.float() - self.mean) / self.std
            if not channels_last:
                frames = frames.contiguous()
            logits = self.network.classify(frames)
            return logits.reshape(clips.shape[0], clips.shape[1], -1).mean(dim=1)

    made = Published().eval()
    if channels_last:
        made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return made


def _spelled(spec: ShiftSpec, spelling: Spelling) -> torch.nn.Module:
    import torch

    if any(move.dh or move.dw for move in spec.moves):
        raise ShiftError(f"peers know shifts along time alone, not {spec}")
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
                zeros = torch.zeros_like(piece[:, : abs(move.dt)])
                if move.dt < 0:
                    pieces.append(torch.cat([piece[:, -move.dt :], zeros], dim=1))
                else:
                    pieces.append(torch.cat([zeros, piece[:, : -move.dt]], dim=1))
                stays = move.stop
            pieces.append(clips[:, :, stays:])
            return torch.cat([piece for piece in pieces if piece.shape[2]], dim=2).reshape(stacked.shape)

    return Concat()


def export_plain(
    network: VideoNetwork, normalization: Normalization, spelling: Spelling, batch: int, path: Path
) -> None:
    """Write `as_published` as ONNX by ``torch.onnx.export`` with its defaults.

    Raises:
        ShiftError: see `as_published`.
    """
    import torch

    config = network.config
    clips = torch.zeros(batch, config.segments, config.size, config.size, 3, dtype=torch.uint8)
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
