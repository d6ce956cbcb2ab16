"""What networks of optical flow are trained for, where nothing says it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from edgevid.contract import IMAGENET_STD, Flow, Normalization
from edgevid.models.presets_gsm import SIZES

__all__ = ["FLOW_PIXELS", "flow_defaults"]

FLOW_PIXELS = Normalization((127.5,), (round(float(np.mean(IMAGENET_STD)), 4),), "XY")
"""Of TSM's published code: mean 0.5, and of ImageNet's three deviations the mean, 0.226, of values 0 to 1
(mit-han-lab/temporal-shift-module, ``ops/models.py``, ``_prepare_base_model``, modality ``Flow``)."""

_CAFFE = Normalization((128.0,), (1.0,), "XY")
"""The same for an Inception; TSN has it too (yjxiong/tsn-pytorch, ``models.py``)."""

_MMACTION2 = Normalization((128.0,), (128.0,), "XY")
"""``img_norm_cfg`` of mmaction2's flow configurations (``configs/recognition/tsn``)."""


def flow_defaults(layout: str, backbone: str) -> dict[str, Any]:
    """Pixels, and how flow is computed of videos, as settings.

    Args:
        layout: of the checkpoint.
        backbone: of the network.
    """
    of_layout = _MMACTION2 if layout == "mmaction2" else FLOW_PIXELS
    pixels = _CAFFE if backbone in SIZES else of_layout
    return {**asdict(pixels), "flow": Flow().algorithm}
