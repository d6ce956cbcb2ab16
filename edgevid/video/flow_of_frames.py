"""Fields of optical flow between the frames of one video, each computed once for all networks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import perf_counter_ns, process_time_ns
from typing import TYPE_CHECKING

import numpy as np

from edgevid.contract import Flow, Sampling
from edgevid.video.flow import FlowMeter
from edgevid.video.transform import Library, crops_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["FlowOfFrames"]


class FlowOfFrames:
    """Computes the fields that are asked for, and keeps them.

    Args:
        frames: by the number of a frame and how it was resized, ``uint8`` grey ``[H, W]``.
        check: is called before each field, and raises when time is up.

    Attributes:
        ns: nanoseconds that it took, on the wall and of the process.
    """

    def __init__(
        self, frames: Mapping[int, Mapping[tuple[int, Library], NDArray[np.uint8]]], check: Callable[[], None]
    ) -> None:
        self._frames, self._check = frames, check
        self._meters: dict[tuple[str, float], FlowMeter] = {}
        self._fields: dict[tuple[tuple[str, float], tuple[int, Library], int], NDArray[np.uint8]] = {}
        self.ns = (0, 0)

    def crops(self, how: Sampling, flow: Flow, index: int) -> NDArray[np.uint8]:
        """The crops of the field from frame ``index`` to the next, ``uint8`` ``[crops, crop, crop, 2]``.

        Raises:
            VideoError: there is no flow between these frames.
            MissingDependencyError: OpenCV is here without the algorithm.
        """
        kind, size = (flow.algorithm, flow.bound), (how.resize, how.library)
        field = self._fields.get((kind, size, index))
        if field is None:
            self._check()
            began = perf_counter_ns(), process_time_ns()
            if kind not in self._meters:
                self._meters[kind] = FlowMeter(flow)
            field = self._meters[kind](self._frames[index][size], self._frames[index + 1][size])
            self._fields[kind, size, index] = field
            self.ns = self.ns[0] + perf_counter_ns() - began[0], self.ns[1] + process_time_ns() - began[1]
        return crops_of(field, how.crop, how.crops, how.library, channels=2)
