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

from edgevid.contract import Sampling
from edgevid.errors import VideoError
from edgevid.video import Item, read_ahead, reason_of

INTERESTING = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]
MOST_MEMORY = 6 << 30
PATIENCE = 20


def flipped_bits(content, chance):
    for _ in range(chance.choice((1, 4, 16, 64))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def zeroed(content, chance):
    start = chance.randrange(len(content))
    stop = min(start + chance.choice((8, 100, 4000, 50000)), len(content))
    content[start:stop] = bytes(stop - start)


def truncated(content, chance):
    del content[chance.randrange(len(content)) :]


def dropped(content, chance):
    start = chance.randrange(len(content))
    del content[start : start + chance.choice((1, 10, 1000, 20000))]


def doubled(content, chance):
    start, target = chance.randrange(len(content)), chance.randrange(len(content))
    content[target:target] = content[start : start + chance.choice((1, 10, 1000, 20000))]


def changed_header(content, chance):
    start, stop = header(content)
    for _ in range(chance.choice((1, 2, 5, 30))):
        content[chance.randrange(start, stop)] = chance.randrange(256)


def extreme_header(content, chance):
    start, stop = header(content)
    order = chance.choice(("big", "little"))
    for _ in range(chance.choice((1, 2, 4))):
        at = chance.randrange(start, stop - 4)
        content[at : at + 4] = chance.choice(INTERESTING).to_bytes(4, order)


def header(content):
    """Where an MP4 has its index, and where other files begin."""
    at = content.find(b"moov")
    if at < 4:
        return 0, min(4096, len(content))
    return at - 4, min(at - 4 + int.from_bytes(content[at - 4 : at], "big"), len(content))


ANYWHERE = (flipped_bits, zeroed, truncated, dropped, doubled)
HEADER = (changed_header, extreme_header)


def mutated(content, chance):
    copy = bytearray(content)
    for _ in range(chance.choice((1, 1, 2))):
        if len(copy) > 64:
            chance.choice(chance.choice((ANYWHERE, HEADER)))(copy, chance)
    return copy


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
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"outcomes": outcomes, "slowest": slowest, "peak_megabytes": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
