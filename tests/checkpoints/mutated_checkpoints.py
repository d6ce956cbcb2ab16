"""Read many damaged copies of checkpoints in one process of limited memory, and report on each.

Run by test_mutated_checkpoints.py. Whatever is no `EdgevidError` and no network that runs is wrong.
"""

import faulthandler
import io
import json
import random
import resource
import struct
import sys
import traceback
import warnings
import zipfile
from collections import Counter
from pathlib import Path

import torch
from mutations import damaged_bytes

from edgevid.checkpoints import read
from edgevid.errors import EdgevidError

MEMORY = 4 * 2**30
HANG = 20


def damaged(path, generator: random.Random):
    """The bytes of a damaged copy: of the file as it is, or of what its container holds."""
    content = path.read_bytes()
    if generator.random() < 0.4:
        return damaged_bytes(content, generator)
    if path.suffix == ".safetensors":
        return damaged_header(content, generator)
    if zipfile.is_zipfile(path):
        return damaged_member(content, generator)
    # The older format is pickles one after another, then numbers.
    head = min(len(content), 20000)
    return damaged_bytes(content[:head], generator) + content[head:]


def damaged_member(content, generator):
    """A sound archive with one damaged member: checksums hide nothing from the unpickler."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(written, "w") as copy:
        names = archive.namelist()
        pickles = [name for name in names if name.endswith("data.pkl")]
        chosen = generator.choice([generator.choice(names), *pickles, *pickles])
        for name in names:
            data = archive.read(name)
            if name == chosen:
                if generator.random() < 0.1:
                    continue
                data = damaged_bytes(data, generator)
            copy.writestr(name, data)
    return written.getvalue()


def damaged_header(content, generator):
    """A sound file whose header says something else."""
    length = struct.unpack("<Q", content[:8])[0]
    header, data = content[8 : 8 + length], content[8 + length :]
    if generator.random() < 0.5:
        header = damaged_bytes(header, generator)
    else:
        fields = json.loads(header)
        key = generator.choice(sorted(fields))
        entry = fields[key]
        kind = generator.choice(("shape", "dtype", "offsets", "lose", "rename", "metadata"))
        if kind == "metadata" or "shape" not in entry:
            settings = fields.get("__metadata__", {})
            values = ("", "{}", "[]", "null", '{"segments": -3}', '{"backbone": 7}', '{"channels": [1e300]}')
            settings["edgevid"] = generator.choice(values)
            fields["__metadata__"] = settings
        elif kind == "shape":
            entry["shape"] = [*entry["shape"], generator.choice((0, 1, 2**62))]
        elif kind == "dtype":
            entry["dtype"] = generator.choice(("F16", "BF16", "I8", "F8_E5M2", "F64", "BOOL", "X"))
        elif kind == "offsets":
            entry["data_offsets"] = [generator.choice((0, 8, 2**62)), generator.choice((0, 8, 2**63))]
        elif kind == "lose":
            del fields[key]
        else:
            fields[key + ".net"] = fields.pop(key)
        header = json.dumps(fields).encode()
    length = len(header) if generator.random() < 0.9 else generator.choice((0, 1, 2**31, 2**63))
    return struct.pack("<Q", length) + header + data


def outcome(path):
    try:
        checkpoint = read(path)
        network = checkpoint.network()
    except EdgevidError as error:
        return f"refused: {type(error).__name__}"
    config = checkpoint.config
    if config.size > 64 or config.segments > 16:
        config = config.model_copy(update={"size": 64, "segments": min(config.segments, 16)})
    with torch.inference_mode():
        logits = network(torch.zeros(1, network.config.segments, 3, 32, 32))
    assert logits.shape == (1, config.classes)
    return "read"


def main(folder, count, first=0):
    warnings.simplefilter("error", ResourceWarning)
    torch.set_num_threads(1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    faulthandler.enable()
    sources = sorted(Path(folder).glob("source*"))
    counts, wrong = Counter(), []
    for seed in range(first, first + count):
        generator = random.Random(seed)
        source = sources[seed % len(sources)]
        path = source.with_name(f"damaged{source.suffix}")
        path.write_bytes(damaged(source, generator))
        print(seed, file=sys.stderr, flush=True)
        faulthandler.dump_traceback_later(HANG, exit=True)
        try:
            counts[outcome(path)] += 1
        except Exception:  # noqa: BLE001 - all are reported
            wrong.append(f"{seed}: {traceback.format_exc(limit=-3)[-900:]}")
        faulthandler.cancel_dump_traceback_later()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"counts": counts, "wrong": wrong, "MiB": peak}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
