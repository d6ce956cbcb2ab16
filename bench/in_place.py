"""A network as the published code of TSM writes it, by assignment in place, and its ONNX files.

``python -m edgevid.bench.in_place CKPT FILE.onnx`` writes one, to try what foreign files give.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import torch

    from edgevid.models.network import VideoNetwork
    from edgevid.shift import Move, ShiftSpec

__all__ = ["EXPORTERS", "Exporter", "export_in_place", "in_place", "in_place_shift"]

Exporter = Literal["legacy", "dynamo"]
EXPORTERS: tuple[Exporter, ...] = ("legacy", "dynamo")
"""PyTorch's two: one traces, one exports the program."""

OPSET = 18


def in_place(network: VideoNetwork) -> torch.nn.Module:
    """A network that computes the same from ``[N, T*3, H, W]``, its shifts by assignment in place."""
    import copy

    import torch

    from edgevid.models.shift_module import Shift

    class StackedChannels(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = copy.deepcopy(network)
            self.segments = network.config.segments

        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            logits = self.network.classify(clips.view((-1, 3, *clips.size()[-2:])))
            each = logits.view((-1, self.segments, *logits.size()[1:]))
            return each.mean(dim=1, keepdim=True).squeeze(1)

    foreign = StackedChannels()
    for module in list(foreign.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, Shift):
                setattr(module, name, in_place_shift(layer.spec))
    return foreign.eval()


def in_place_shift(spec: ShiftSpec) -> torch.nn.Module:
    """A shift of stacked frames ``[N*T, C, H, W]``: zeros, into which the pieces are assigned."""
    import torch

    moves, segments = spec.moves, spec.segments

    class InPlaceShift(torch.nn.Module):
        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            stacked, channels, height, width = frames.size()
            clips = frames.view(stacked // segments, segments, channels, height, width)
            shifted = torch.zeros_like(clips)
            stays = 0
            for move in moves:
                if move.start > stays:
                    shifted[:, :, stays : move.start] = clips[:, :, stays : move.start]
                place, source = _places(move)
                shifted[place] = clips[source]
                stays = move.stop
            if stays < channels:
                shifted[:, :, stays:] = clips[:, :, stays:]
            return shifted.view(stacked, channels, height, width)

    return InPlaceShift()


def _places(move: Move) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Indexes into clips ``[N, T, C, H, W]``: where a piece goes, and where it is taken from."""
    time, *space = (_ends(step) for step in move.displacement)
    axes = [(slice(None),) * 2, time, (slice(move.start, move.stop),) * 2]
    axes += space if move.dh or move.dw else []
    return tuple(place for place, _ in axes), tuple(source for _, source in axes)


def _ends(step: int) -> tuple[slice, slice]:
    if not step:
        return slice(None), slice(None)
    return (slice(step), slice(-step, None)) if step < 0 else (slice(step, None), slice(-step))


def export_in_place(network: VideoNetwork, exporter: Exporter, path: Path, *, dynamic: bool = False) -> Path:
    """Write `in_place` of ``network`` as ONNX.

    Args:
        network: its shifts are written so.
        exporter: ``legacy`` traces, ``dynamo`` exports the program.
        path: of the file.
        dynamic: leave the batch open.
    """
    import warnings

    import torch

    config = network.config
    clips = torch.zeros(2 if dynamic else 1, config.segments * 3, config.size, config.size)
    names: dict[str, Any] = {"input_names": ["input"], "output_names": ["output"], "opset_version": OPSET}
    if exporter == "legacy":
        axes = {"input": {0: "batch"}, "output": {0: "batch"}} if dynamic else None
        options: dict[str, Any] = {"dynamo": False, "dynamic_axes": axes}
    else:
        shapes = ({0: torch.export.Dim("batch", min=1)},) if dynamic else None
        options = {"dynamo": True, "dynamic_shapes": shapes, "external_data": False, "verbose": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of exporters that grow old, and of tracing
        torch.onnx.export(in_place(network), (clips,), str(path), **names, **options)
    return path


def main(arguments: Sequence[str] | None = None) -> None:
    """Export a checkpoint as the published code would, with an open batch."""
    from edgevid.checkpoints import read

    parser = argparse.ArgumentParser(prog="python -m edgevid.bench.in_place", description=main.__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--exporter", choices=EXPORTERS, default="legacy")
    chosen = parser.parse_args(arguments)
    network = read(chosen.checkpoint).network()
    print(export_in_place(network, chosen.exporter, chosen.output, dynamic=True))


if __name__ == "__main__":
    main()
