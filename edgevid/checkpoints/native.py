"""Our own keys, which are torchvision's where it has the network; TSM's online demo has them too.

These keys hold no shift: a plain state dict is a 2D network unless its metadata, a flag, a
preset or its name says otherwise. `write` stores that metadata.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from edgevid.checkpoints.keys import Reading, is_nested, rename, torchvision_key
from edgevid.checkpoints.tensors import METADATA_KEY
from edgevid.contract import Normalization, Sampling
from edgevid.models.network import VideoNetwork

__all__ = ["JESTER_CLASSES", "read_native", "recognise_native", "write"]

JESTER_CLASSES = 27
"""Of the network that TSM's authors publish for online recognition."""

_OURS = re.compile(r"layer\d\.\d+\.conv\d\.|features\.\d+\.conv\.\d\.|units\.\w+\.conv\.|base\.\d+\.")


def recognise_native(keys: frozenset[str]) -> bool:
    """The blocks of a ResNet or MobileNetV2 stand at the top, or the layers of an Inception."""
    return any(_OURS.match(key) for key in keys)


def read_native(tensors: Mapping[str, torch.Tensor]) -> Reading:
    """The checkpoint in our keys.

    A MobileNetV2 with TSM's own flat keys and 27 classes is the online demo's: the offline
    network that shifts from the past only computes the same logits frame by frame.
    """
    mobilenet = any(key.startswith("features.") for key in tensors)
    nested = is_nested(tensors)
    head = "classifier" if mobilenet else "fc"
    bias = tensors.get("classifier.bias")
    online = mobilenet and not nested and bias is not None and bias.shape == (JESTER_CLASSES,)

    def translate(key: str) -> str:
        return torchvision_key(key, nested=nested, head=head)

    return rename("mit-online" if online else "torchvision", tensors, translate, wrapped=False)


def write(
    path: Path,
    network: VideoNetwork,
    *,
    normalization: Normalization | None = None,
    sampling: Sampling | None = None,
    labels: Sequence[str] | None = None,
) -> None:
    """Write a network as safetensors, with all that `read` needs to build it again.

    The file is written beside and renamed, so that it is never half there.

    Raises:
        OSError: the file cannot be written.
    """
    from safetensors.torch import save_file

    config = network.config
    settings: dict[str, Any] = config.model_dump(mode="json", exclude={"shift", "size"})
    settings |= config.shift.model_dump(mode="json") if config.shift else {"proportion": "0"}
    settings |= {"crop": config.size, "every": config.shift_every if config.has_shift else None}
    if normalization is not None:
        settings |= asdict(normalization)
    if sampling is not None:
        settings |= {key: value for key, value in asdict(sampling).items() if key not in ("segments", "crop")}
        settings["flow"] = sampling.flow.algorithm if sampling.flow else None
    if labels is not None:
        settings["labels"] = list(labels)
    known = {key: value for key, value in settings.items() if value is not None}
    state = {key: tensor.detach().cpu().contiguous() for key, tensor in network.state_dict().items()}
    partial = path.with_name(path.name + ".part")
    try:
        save_file(state, partial, metadata={METADATA_KEY: json.dumps(known)})
        os.replace(partial, path)  # noqa: PTH105 - the atomic rename
    finally:
        partial.unlink(missing_ok=True)
