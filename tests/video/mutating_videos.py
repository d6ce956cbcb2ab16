"""Reads mutated copies of videos; run in a process of its own, which a fault of a C library may end.

Arguments: scratch folder, seed, how many copies, videos. The scratch folder holds the copies that are
being read, and so names the culprit after a crash. Prints the outcomes as JSON.
"""

import itertools
import json
import random
import resource
import sys
from collections import Counter
from pathlib import Path

from mutations import damaged_bytes

from edgevid.contract import Sampling
from edgevid.errors import VideoError
from edgevid.video import Item, read_ahead, reason_of

MOST_MEMORY = 6 << 30
PATIENCE = 120


def header(content):
    """Where an MP4 has its index, and where other files begin."""
    at = content.find(b"moov")
    if at < 4:
        return 0, min(4096, len(content))
    return at - 4, min(at - 4 + int.from_bytes(content[at - 4 : at], "big"), len(content))


def mutated(content, generator: random.Random):
    """Damage anywhere, or in the few bytes that say where all others are."""
    if generator.random() < 0.5:
        return damaged_bytes(content, generator)
    start, stop = header(content)
    return content[:start] + damaged_bytes(content[start:stop], generator) + content[stop:]


def main(scratch, seed, count, *videos):
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    originals = [(Path(video).suffix, Path(video).read_bytes()) for video in videos]

    def items():
        for index, (suffix, content) in zip(range(int(count)), itertools.cycle(originals), strict=False):
            path = Path(scratch, f"seed{seed}_copy{index}{suffix}")
            path.write_bytes(mutated(content, random.Random(f"{seed} {index}")))
            yield Item(path, None)

    outcomes, slowest = Counter(), 0.0
    sampling = Sampling(segments=2, resize=32, crop=24)
    for read in read_ahead(items(), sampling, workers=2, patience=PATIENCE):
        failed = isinstance(read.outcome, VideoError)
        if failed:
            assert read.outcome.fix, f"{read.item.path}: {read.outcome}"
            assert read.outcome.where, f"{read.item.path}: {read.outcome}"
        outcomes[reason_of(read.outcome) if failed else "warned" if read.outcome.warnings else "read"] += 1
        slowest = max(slowest, read.seconds)
        read.item.path.unlink()
    # Not ru_maxrss, which begins with what the process that started this one held.
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) / 1024
    print(json.dumps({"outcomes": outcomes, "slowest": slowest, "peak_megabytes": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
