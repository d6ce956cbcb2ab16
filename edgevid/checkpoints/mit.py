"""The layout of TSM's published code: ``base_model.*``, shift wrappers ``net``, head ``new_fc``.

Also without ``new_fc`` when it was trained without dropout (``base_model.fc`` or
``base_model.classifier``), and without any shift (TSN).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from edgevid.checkpoints.keys import Reading, is_nested, rename, torchvision_key

__all__ = ["read_mit", "recognise_mit"]


def recognise_mit(keys: frozenset[str]) -> bool:
    """The backbone stands under ``base_model``, or shifts or the head are named as there."""
    if any(key.startswith(("backbone.", "cls_head.")) for key in keys):
        return False
    return any(key.startswith(("base_model.", "new_fc.")) or ".net." in key for key in keys)


def read_mit(tensors: Mapping[str, torch.Tensor]) -> Reading:
    """The checkpoint in our keys."""
    mobilenet = any(key.removeprefix("base_model.").startswith("features.") for key in tensors)
    nested = is_nested(tensors)
    head = "classifier" if mobilenet else "fc"

    def translate(key: str) -> str:
        return torchvision_key(key.removeprefix("base_model."), nested=nested, head=head)

    return rename("mit", tensors, translate)
