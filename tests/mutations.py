"""Damage to files, from seeds: what disks, networks and wrong programs do to them."""

import random


def damaged_bytes(content, generator: random.Random):
    """``content`` with one or a few kinds of damage."""
    damaged = bytearray(content)
    for _ in range(generator.choice((1, 1, 1, 2, 4))):
        if not damaged:
            break
        at = generator.randrange(len(damaged))
        length = min(generator.choice((1, 2, 4, 8, 64, 1024)), len(damaged) - at)
        kind = generator.choice(
            ("bit", "bit", "byte", "run", "zeros", "ones", "cut", "lose", "insert", "copy")
        )
        if kind == "bit":
            damaged[at] ^= 1 << generator.randrange(8)
        elif kind == "byte":
            damaged[at] = generator.randrange(256)
        elif kind == "run":
            damaged[at : at + length] = generator.randbytes(length)
        elif kind in ("zeros", "ones"):
            damaged[at : at + length] = (b"\0" if kind == "zeros" else b"\xff") * length
        elif kind == "cut":
            del damaged[at:]
        elif kind == "lose":
            del damaged[at : at + length]
        elif kind == "insert":
            damaged[at:at] = generator.randbytes(length)
        else:
            source = generator.randrange(len(damaged))
            piece = damaged[source : source + length]
            damaged[at : at + len(piece)] = piece
    return bytes(damaged)
