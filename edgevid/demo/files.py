"""Generated clips as H.264 files: ``python -m edgevid.demo.files FOLDER``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.disk import write_text
from edgevid.errors import VideoError
from edgevid.video.motion_sequence import draw_sequence
from edgevid.video.synthetic import MOTIONS, SPLITS, draw_scene

__all__ = ["LIST_NAME", "RATE", "write_h264", "write_sequence", "write_videos"]

LIST_NAME = "list.txt"
"""Of the annotation list that `write_videos` leaves in its folder."""

RATE = 25
"""Frames a second."""

QUALITY = 12
"""The encoder's constant rate factor. At 12 a decoded clip is within a few grey levels of the
drawn one and the network answers alike; at the encoder's own 23 the noise of the hard split is
smoothed away."""


def write_videos(
    folder: str | Path,
    split: str = "easy",
    count: int = 16,
    seed: int = 0,
    *,
    length: int = 28,
    size: int = 48,
    quality: int = QUALITY,
) -> Path:
    """Write clips ``0`` to ``count - 1`` of a seed as ``folder/CLASS/SPLIT_SEED_NUMBER.mp4``.

    The folders are named after the classes, and ``list.txt`` holds one line a video, its path
    from the folder and the index of its class.

    Args:
        folder: created where it is missing; files of other clips in it stay.
        split: a name in `edgevid.video.synthetic.SPLITS`.
        count: number of videos; the classes take turns.
        seed: not negative.
        length: frames a video.
        size: pixels of the square frame's side, an even number.
        quality: x264's constant rate factor, 0 (best) to 51.

    Returns:
        The path of the list.

    Raises:
        ConfigError: an unknown split, or a number out of its range.
        VideoError: an odd ``size``, a folder that cannot be written, or no H.264 encoder.
    """
    root = Path(folder)
    lines = []
    for index in range(count):
        scene = draw_scene(split, seed, index, length=length, size=size)
        name = f"{scene.motion}/{split}_{seed}_{index:04d}.mp4"
        write_h264(root / name, scene.render(), quality=quality)
        lines.append(f"{name} {MOTIONS.index(scene.motion)}\n")
    path = root / LIST_NAME
    try:
        root.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def write_sequence(
    folder: str | Path,
    split: str = "easy",
    seed: int = 0,
    *,
    motions: int = 6,
    length: int = 48,
    size: int = 48,
    quality: int = QUALITY,
) -> Path:
    """Write ``folder/sequence_SPLIT_SEED.mp4``, in which several motions follow one another.

    Beside it a JSON file of the same name tells ``rate``, frames a second, and for each of ``motions`` its
    ``name``, the ``label`` of its class, its ``first`` frame from 0, and its number of ``frames``.

    Args:
        folder: created where it is missing.
        split: a name in `edgevid.video.synthetic.SPLITS`.
        seed: not negative.
        motions: how many there are.
        length: frames a motion.
        size: pixels of the square frame's side, an even number.
        quality: x264's constant rate factor, 0 (best) to 51.

    Returns:
        The path of the video.

    Raises:
        ConfigError: an unknown split, or a number out of its range.
        VideoError: an odd ``size``, a folder that cannot be written, or no H.264 encoder.
    """
    scenes = draw_sequence(split, seed, motions, length=length, size=size)
    path = Path(folder) / f"sequence_{split}_{seed}.mp4"
    write_h264(path, np.concatenate([scene.render() for scene in scenes]), quality=quality)
    told = [
        {
            "name": scene.motion,
            "label": MOTIONS.index(scene.motion),
            "first": index * length,
            "frames": length,
        }
        for index, scene in enumerate(scenes)
    ]
    write_text(path.with_suffix(".json"), json.dumps({"rate": RATE, "motions": told}, indent=1), VideoError)
    return path


def write_h264(path: Path, frames: NDArray[np.uint8], *, quality: int = QUALITY, rate: int = RATE) -> None:
    """Encode RGB frames ``uint8 [T, H, W, 3]`` as H.264 in an MP4 file of ``rate`` frames a second.

    Raises:
        VideoError: odd sides (the chroma has half the size), or the file cannot be written.
    """
    import av

    height, width = frames.shape[1:3]
    if height % 2 or width % 2:
        raise VideoError(
            f"frames of {width}x{height} pixels", where=path, fix="H.264 needs an even width and height"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w", format="mp4") as container:
            stream: Any = container.add_stream("libx264", rate=rate)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            # One thread: the result does not depend on the number of cores. Nor on what the memory held
            # before, which x264's macroblock tree reads where a frame is two macroblocks wide.
            stream.options = {"crf": str(quality), "preset": "medium", "threads": "1", "mbtree": "0"}
            for frame in frames:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode())
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: Exception) -> VideoError:
    return VideoError(
        f"a video could not be written: {error}",
        where=path,
        fix="check the folder, the free space, and that this PyAV was built with libx264",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Write generated clips as H.264 files in folders of their classes, and a list of them."""
    parser = argparse.ArgumentParser(prog="python -m edgevid.demo.files", description=main.__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--split", choices=tuple(SPLITS), default="easy")
    parser.add_argument("--count", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    print(write_videos(chosen.folder, chosen.split, chosen.count, chosen.seed))


if __name__ == "__main__":
    main()
