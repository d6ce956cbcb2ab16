"""Networks that name the brightness of a frame, and sources whose frames are as bright as they are told."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from edgevid.contract import Artifact, Cache, RunSettings, Sampling, Streaming, TensorSpec
from edgevid.live import TimedFrame
from edgevid.targets._session import CheckedSession
from edgevid.targets._streaming import StreamingSession

CLASSES = 5
SIDE = 16
SAMPLING = Sampling(segments=4, resize=SIDE, crop=SIDE)
NAMES = ["black", "dark", "grey", "light", "white"]


def picture(label, side=SIDE):
    """A frame of one class: five steps from black to white."""
    return np.full((side, side, 3), 60 * label, np.uint8)


def frames(labels, interval=0.04):
    """Frames of these classes, one every ``interval`` seconds."""
    return [TimedFrame(index * interval, index, picture(label)) for index, label in enumerate(labels)]


def logits_of(brightness):
    """Logits ``[classes]``; the class of that brightness is by far the most probable."""
    return np.asarray(-np.abs(np.arange(CLASSES) * 60.0 - brightness) / 5, np.float32)


def artifact_of(folder, *, delay=None):
    """Of whole clips, or of single frames with a delay."""
    streaming = None
    if delay is not None:
        cache = Cache("cache0", "cache0.next", (delay + 1,), "float32")
        streaming = Streaming(segments=4, caches=(cache,), delay=delay, network="one")
    length = 4 if delay is None else 1
    return Artifact(
        target="fake",
        folder=Path(folder),
        entry="network",
        precision="fp32",
        batch=1,
        lowering="",
        input=TensorSpec("clips", (1, length, SIDE, SIDE, 3), "uint8"),
        output=TensorSpec("logits", (1, CLASSES), "float32"),
        streaming=streaming,
    )


class ClipSession(CheckedSession):
    """Names the brightness of the last frame of a clip, and keeps all clips."""

    clips: list

    def _run(self, clip):
        self.clips = [*getattr(self, "clips", []), clip[0, :, 0, 0, 0] // 60]
        return logits_of(clip[0, -1].mean())[None]

    def _release(self):
        """Nothing is held."""


class FrameSession(StreamingSession):
    """Names the brightness of the frame D steps ago."""

    def new_caches(self):
        return [None]

    def _advance(self, caches, frame, valid):
        caches[0] = np.append(caches[0][1:], np.float32(frame.mean()))
        return logits_of(caches[0][0])[None]

    def read_caches(self, caches):
        return (caches[0].copy(),)

    def write_caches(self, caches, values):
        caches[0] = values[0].copy()

    def _release(self):
        """Nothing is held."""


class FakeBundle:
    """What the command needs of a bundle."""

    def __init__(self, folder, *, delay=None, frame_interval=None, simulated="", session=None):
        self.path = Path(folder)
        self.simulated = simulated
        self.batches = (1,)
        self._artifact = artifact_of(folder, delay=delay)
        self._session = session or (ClipSession if delay is None else FrameSession)
        self.manifest = SimpleNamespace(
            sampling=replace(SAMPLING, interval=frame_interval),
            settings=RunSettings(),
            labels=NAMES,
            streaming=None if delay is None else SimpleNamespace(delay=delay),
        )

    def artifact(self, batch=None):
        return self._artifact

    def session(self, batch=None, settings=None):
        return self._session(self._artifact)


def write_pictures(folder, labels, side=SIDE):
    """A folder of frames, ``0.png`` and so on; None is one that is damaged."""
    from PIL import Image

    Path(folder).mkdir(exist_ok=True)
    for index, label in enumerate(labels):
        file = Path(folder) / f"{index}.png"
        if label is None:
            file.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
        else:
            Image.fromarray(picture(label, side)).save(file)
    return folder


class Connections:
    """A source that is opened again and again; each opening gives frames, then goes away or ends.

    A connection is a list of ``(time stamp, pixels)`` and of errors to raise; an error alone is an opening
    that fails.
    """

    def __init__(self, *connections):
        self._left = list(connections)
        self.closed = 0

    @contextlib.contextmanager
    def __call__(self):
        connection = self._left.pop(0)
        if isinstance(connection, Exception):
            raise connection
        try:
            yield self._items(connection)
        finally:
            self.closed += 1

    @staticmethod
    def _items(connection):
        for item in connection:
            if isinstance(item, Exception):
                raise item
            yield item
