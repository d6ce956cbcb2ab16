"""Does a core have every instruction of a library? The assembler that is told of the core knows."""

import re
import subprocess

_WITH_ADDRESS = re.compile(r"(b(\.\w+)?|bl|cbn?z|tbn?z|adrp?|ldr)\s.*<")
"""Branches and literals name a place of the library."""


def foreign_instructions(library, mcpu):
    """Those that the core lacks."""
    dump = subprocess.run(
        ["aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", str(library)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    lines = [
        line.split("\t", 1)[1] for line in dump.stdout.splitlines() if re.match(r"\s+[0-9a-f]+:\t", line)
    ]
    assert lines
    plain = sorted({line.split("//")[0].replace("\t", " ").strip() for line in lines} - {""})
    return refused([line for line in plain if not _WITH_ADDRESS.match(line)], mcpu)


def refused(lines, mcpu):
    """Which of these lines of assembly the core lacks."""
    done = subprocess.run(
        ["aarch64-linux-gnu-as", f"-mcpu={mcpu}", "-o", "/dev/null", "-"],
        input="\n".join(lines) + "\n", capture_output=True, text=True,
    )  # fmt: skip
    numbers = re.findall(r":(\d+): Error", done.stderr)
    return [lines[int(number) - 1] for number in numbers]
