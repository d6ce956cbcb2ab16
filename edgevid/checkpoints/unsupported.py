"""Published layouts that are recognised by name, so that refusing them can say what they are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch

from edgevid.errors import UnknownLayoutError

__all__ = ["refuse_unsupported", "unknown_layout"]

_SIGNATURES = (
    (r"gsm_\w+\.conv3D\.weight$", "a Gate-Shift network (GSM)"),
    (r"\.gsf\.(conv3D|channel_conv1)\.", "a Gate-Shift-Fuse network (GSF)"),
    (r"^base\.0\.conv_s\.weight$", "an S3D network in kylemin's layout"),
    (r"^(text_module\.|conv1\.conv1\.weight$)", "an S3D-G network of the HowTo100M release"),
    (r"\.nl\.|\.non_local_block\.", "a TSM network with non-local blocks"),
    (r"inception_3a_|\.Mixed_5b\.|\bmixed_5", "an Inception backbone"),
    (r"^Mixed_3b\.b1b\.|^logits\.conv3d\.", "an I3D network"),
)


def refuse_unsupported(tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Raise `UnknownLayoutError` for a layout that is known but not supported."""
    for pattern, title in _SIGNATURES:
        key = next((key for key in tensors if re.search(pattern, key)), None)
        if key is not None:
            raise _refusal(title, key, path)
    volume = next((key for key, tensor in tensors.items() if tensor.dim() == 5), None)
    if volume is not None:
        raise _refusal("a network with 3D convolutions", volume, path)


def _refusal(title: str, key: str, path: Path) -> UnknownLayoutError:
    return UnknownLayoutError(
        f"this is {title} (it has {key}), which edgevid does not support yet",
        where=path,
        fix="TSN and TSM networks with a ResNet or MobileNetV2 are supported, of TSM's published code, "
        "mmaction2 and torchvision",
    )


def unknown_layout(tensors: Mapping[str, torch.Tensor], path: Path) -> UnknownLayoutError:
    """The error for keys of no known layout; it shows some."""
    return UnknownLayoutError(
        f"its {len(tensors)} keys belong to no known layout: {', '.join(list(tensors)[:4])}, ...",
        where=path,
        fix="expected are base_model.* (TSM's published code), backbone.* with cls_head.fc_cls (mmaction2), "
        "or conv1, layer1.0.conv1, ..., fc and features.0.0, ..., classifier (torchvision)",
    )
