"""Networks whose answers are written down, and videos that say which they are."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from edgevid.calibration.data import Sample
from edgevid.contract import RunSettings, Sampling, TensorSpec
from edgevid.video.skipped import SkippedVideoError

SHAPE = (2, 4, 4, 3)
SAMPLING = Sampling(segments=2, resize=4, crop=4)
CLASSES = 3


class WrittenSession:
    """Answers clip number n, which its first two pixel values tell, with row n of ``logits``."""

    def __init__(self, logits, batch=1):
        self.logits, self.seen, self.closed = np.asarray(logits, np.float32), [], False
        self.input = TensorSpec("clip", (batch, *SHAPE), "uint8")
        self.output = TensorSpec("logits", (batch, self.logits.shape[1]), "float32")

    def run(self, clip):
        numbers = [int(one[0, 0, 0, 0]) + 256 * int(one[0, 0, 0, 1]) for one in clip]
        self.seen += numbers
        return self.logits[numbers]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.closed = True


class WrittenBundle:
    """A folder with a manifest and an artifact, and a session that only remembers."""

    def __init__(
        self,
        path,
        logits,
        *,
        sampling=SAMPLING,
        labels=None,
        device="host",
        digest="a",
        streaming=None,
        **more,
    ):
        self.path, self._session, self._streaming = path, WrittenSession(logits), streaming
        vars(self._session).update(more)
        self.batches = (1,)
        self.manifest = SimpleNamespace(
            device=device,
            device_title="a device",
            precision="fp32",
            simulates="",
            sampling=sampling,
            labels=labels,
            source="net.onnx",
            source_sha256=digest,
            settings=RunSettings(),
            quantization=None,
        )
        (path / "artifact").mkdir(parents=True, exist_ok=True)
        (path / "manifest.json").write_text(f"{path.name} {np.asarray(logits).tolist()}")
        (path / "artifact" / "net.bin").write_bytes(bytes(1000))

    def artifact(self):
        return SimpleNamespace(
            folder=self.path / "artifact", output=self._session.output, streaming=self._streaming
        )

    def session(self, batch=None, settings=None):
        self.asked = (batch, settings)
        return self._session


@dataclass
class Numbered:
    """Videos 0, 1, ...: clip n says n. ``broken`` ones cannot be read."""

    labels: list
    broken: tuple = ()
    views: int = 1
    sampling: Sampling = SAMPLING
    source: str = "numbered videos"
    sha256: str = "of the numbered videos"
    opened: list = field(default_factory=list)

    def __post_init__(self):
        self.sampling = replace(self.sampling, clips=self.views)

    def read(self, start=0):
        for number in range(start, len(self.labels)):
            self.opened.append(number)
            name = f"video {number}"
            if number in self.broken:
                yield Sample(
                    name, self.labels[number], SkippedVideoError("torn", reason="damaged", where=name)
                )
                continue
            clips = np.zeros((self.views, *SHAPE), np.uint8)
            for view, clip in enumerate(clips):
                at = number * self.views + view
                clip[0, 0, 0, :2] = at % 256, at // 256
            yield Sample(name, self.labels[number], clips)


def one_hot(answers, strength=4.0):
    """Logits ``[clips, 3]`` whose largest are at ``answers``."""
    return strength * np.eye(CLASSES, dtype=np.float32)[np.asarray(answers)]


def write(folder: Path, **bundles):
    """Bundles by name as `compare` takes them: their folders, and what opens these."""
    made = {folder / name: bundle for name, bundle in bundles.items()}
    return list(made), made.__getitem__
