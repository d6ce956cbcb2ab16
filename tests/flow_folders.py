"""Folders of flow images, which several folders' tests share."""

import numpy as np
from PIL import Image

FLOW = "flow_{}_{:05d}.png"


def fields(count, width=64, height=48, seed=0):
    """``uint8`` ``[count, height, width, 2]``, all different."""
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 2), np.uint8)


def write_flow(folder, given, first=1, template=FLOW, directions="xy"):
    for number, field in enumerate(given, start=first):
        for direction, plane in zip(directions, np.moveaxis(field, -1, 0), strict=True):
            file = folder / template.format(direction, number)
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(plane).save(file)
    return folder
