"""Published layouts that are recognised by name, so that refusing them can say what they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch

from edgevid.checkpoints.non_local import is_non_local
from edgevid.errors import UnknownLayoutError

__all__ = ["refuse_unsupported", "unknown_layout"]

_SIGNATURES = (
    (r"\.gsf\.(conv3D|channel_conv1)\.", "a Gate-Shift-Fuse network (GSF)"),
    (r"(^|\.)Mixed_5b\.branch", "torchvision's Inception-V3"),
    (r"^Mixed_3b\.b1b\.|^logits\.conv3d\.", "an I3D network of pytorch-i3d"),
)


def refuse_unsupported(tensors: Mapping[str, torch.Tensor], path: Path, *, volumes: bool) -> None:
    """Raise `UnknownLayoutError` for a layout that is known but not supported.

    Args:
        tensors: by the key in the file.
        path: of the file.
        volumes: it is of a layout with 3D convolutions.
    """
    for pattern, title in _SIGNATURES:
        key = next((key for key in tensors if re.search(pattern, key)), None)
        if key is not None:
            raise _refusal(title, key, path)
    volume = next((key for key, tensor in tensors.items() if tensor.dim() == 5 and not _known(key)), None)
    if volume is not None and not volumes:
        raise _refusal("a network with 3D convolutions", volume, path)


def _known(key: str) -> bool:
    """The weight may be over volumes: it is of a non-local block, or of ECO."""
    return is_non_local(key) or key.startswith("net3d.")


def _refusal(title: str, key: str, path: Path) -> UnknownLayoutError:
    return UnknownLayoutError(
        f"this is {title} (it has {key}), which edgevid does not support yet",
        where=path,
        fix="TSN and TSM networks with a ResNet (also with non-local blocks) or MobileNetV2 are supported, "
        "of TSM's published code, mmaction2 and torchvision, GSM's published networks, and three layouts "
        "of S3D; a ResNet over volumes with torchvision's keys is, when its inflation is given",
    )


def unknown_layout(tensors: Mapping[str, torch.Tensor], path: Path) -> UnknownLayoutError:
    """The error for keys of no known layout; it shows some."""
    return UnknownLayoutError(
        f"its {len(tensors)} keys belong to no known layout: {', '.join(list(tensors)[:4])}, ...",
        where=path,
        fix="expected are base_model.* (TSM's and GSM's published code), backbone.* with cls_head.fc_cls "
        "(mmaction2), conv1, layer1.0.conv1, ..., fc and features.0.0, ..., classifier (torchvision), or "
        "base.0.conv_s, features.0.0.0 and conv1.conv1 (S3D)",
    )
