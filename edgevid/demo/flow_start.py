"""A network of optical flow as its training begins: ``python -m edgevid.demo.flow_start RGB FLOW``.

TSN takes a network of RGB over: the weights of its first convolution are averaged over the three colours, and
each channel of the stacked fields gets that average (Wang et al., ECCV 2016, section 3.3, cross modality
pre-training). TSM's published code does the same (``ops/models.py``, ``_construct_flow_model``). It is made
to be trained, or to try commands and measure latencies with: its answers mean nothing yet.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from edgevid.checkpoints import Checkpoint, read, write
from edgevid.checkpoints.flow import FLOW_PIXELS
from edgevid.contract import Flow
from edgevid.errors import ConfigError
from edgevid.models.network import VideoNetwork

__all__ = ["flow_network", "write_flow_network"]


def flow_network(checkpoint: Checkpoint, fields: int = 5) -> VideoNetwork:
    """The network of a checkpoint with a first convolution for ``fields`` stacked fields of flow.

    Raises:
        ConfigError: it is no network of RGB, or over volumes.
    """
    config = checkpoint.config
    if config.frame_channels != 3:
        raise ConfigError(
            f"a network that takes {config.frame_channels} channels a frame",
            where=checkpoint.path,
            fix="give one of RGB",
        )
    channels = 2 * fields
    changed = type(config).model_validate({**config.model_dump(), "frame_channels": channels})
    # The first convolution stands first.
    first = next(key for key, tensor in checkpoint.state.items() if tensor.dim() == 4)
    weight = checkpoint.state[first]
    average = weight.mean(dim=1, keepdim=True).expand(-1, channels, -1, -1).contiguous()
    return replace(checkpoint, config=changed, state={**checkpoint.state, first: average}).network()


def write_flow_network(rgb: Path, flow: Path) -> None:
    """Write `flow_network` of a file, with the file's frames and labels and TSM's pixels of flow.

    Raises:
        CheckpointError, ConfigError: the file cannot be read, or is no network of RGB frames.
        OSError: the file cannot be written.
    """
    checkpoint = read(rgb)
    network = flow_network(checkpoint)
    sampling = replace(checkpoint.sampling, flow=Flow(network.config.frame_channels // 2))
    write(flow, network, normalization=FLOW_PIXELS, sampling=sampling, labels=checkpoint.labels)


def main(arguments: Sequence[str] | None = None) -> None:
    """Write one file of another."""
    parser = argparse.ArgumentParser(prog="python -m edgevid.demo.flow_start", description=__doc__)
    parser.add_argument("rgb", type=Path, metavar="RGB", help="checkpoint of a network of RGB frames")
    parser.add_argument("flow", type=Path, metavar="FLOW", help="file to write, as flow.safetensors")
    chosen = parser.parse_args(arguments)
    write_flow_network(chosen.rgb, chosen.flow)
    print(f"{chosen.flow}: {chosen.rgb.name} for optical flow, before any training on it")


if __name__ == "__main__":
    main()
