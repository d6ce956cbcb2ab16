"""Clips of which some cannot be read, or the reading of which stops."""

from dataclasses import dataclass, replace

from edgevid.calibration.clips import Arrays
from edgevid.errors import VideoError


@dataclass(frozen=True)
class Broken:
    """``data`` with ``unreadable`` numbers; reading stops at number ``stops_at``."""

    data: Arrays
    unreadable: tuple[int, ...] = ()
    stops_at: int | None = None

    def __getattr__(self, name):
        return getattr(self.data, name)

    def read(self, start=0):
        for number, sample in enumerate(self.data.read(start), start=start):
            if number == self.stops_at:
                raise KeyboardInterrupt
            yield replace(sample, clips=VideoError("it is broken")) if number in self.unreadable else sample
