"""The command line that a result tells, for whoever repeats it elsewhere."""

from __future__ import annotations

import sys
from pathlib import PurePath

__all__ = ["own_command"]


def own_command() -> tuple[str, ...]:
    """The words of this process's command line; interpreter and program without their folders, which say
    nothing on another machine."""
    words = list(sys.orig_argv)
    for place in range(min(2, len(words))):
        if place == 0 or PurePath(words[place]).name == "edgevid":
            words[place] = PurePath(words[place]).name
    return tuple(words)
