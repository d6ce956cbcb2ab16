"""The layout of TSM's published code: ``base_model.*``, shift wrappers ``net``, head ``new_fc``.

Also without ``new_fc`` when it was trained without dropout (``base_model.fc`` or
``base_model.classifier``), and without any shift (TSN). Its Inceptions, which GSM's published code
has too, hold no sign of a shift.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from edgevid.checkpoints.inception import inception_key, is_inception
from edgevid.checkpoints.keys import Reading, is_nested, rename, torchvision_key
from edgevid.checkpoints.non_local import non_local_key, over_frames

__all__ = ["read_mit", "recognise_mit"]


def recognise_mit(keys: frozenset[str]) -> bool:
    """The backbone stands under ``base_model``, or shifts or the head are named as there."""
    if any(key.startswith(("backbone.", "cls_head.")) for key in keys):
        return False
    return is_inception(keys) or any(
        key.startswith(("base_model.", "new_fc.")) or ".net." in key for key in keys
    )


def read_mit(tensors: Mapping[str, torch.Tensor]) -> Reading:
    """The checkpoint in our keys."""
    if is_inception(tensors):
        return rename("mit", tensors, inception_key, wrapped=False)
    mobilenet = any(key.removeprefix("base_model.").startswith("features.") for key in tensors)
    nested = is_nested(tensors)
    head = "classifier" if mobilenet else "fc"

    def translate(key: str) -> str:
        return torchvision_key(non_local_key(key.removeprefix("base_model.")), nested=nested, head=head)

    return over_frames(rename("mit", tensors, translate))
