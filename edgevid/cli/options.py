"""Options that several verbs share, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from edgevid.errors import ConfigError

if TYPE_CHECKING:
    from edgevid.contract import RunSettings

__all__ = [
    "BundlePath",
    "FrameTemplate",
    "Hint",
    "Json",
    "NetworkPath",
    "On",
    "Patience",
    "Streams",
    "Threads",
    "Workers",
    "check_file",
    "check_folder",
    "known_hint",
    "named_files",
    "numbers",
    "run_settings",
    "share",
]

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that compile wrote.")]
NetworkPath = Annotated[
    Path, typer.Argument(metavar="FILE", help="Checkpoint (MIT TSM, mmaction2, …) or ONNX file (.onnx).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of the runtime.")]
Streams = Annotated[int | None, typer.Option(min=1, help="Parallel streams of the runtime.")]
Hint = Annotated[str | None, typer.Option(help="latency or throughput.")]
On = Annotated[
    str, typer.Option("--on", metavar="BOARD", help="Run there: rpc://host:port/key, by TVM's tracker.")
]
FrameTemplate = Annotated[
    str | None,
    typer.Option(
        help="Names of frame files, as img_{:05d}.jpg; of flow images, as flow_{}_{:05d}.jpg; a comma "
        "between both."
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Videos decoded ahead; half the processors by default.")
]
Patience = Annotated[
    float, typer.Option(min=0.001, help="Seconds of decoding after which a video is skipped.")
]


def check_folder(place: Path | None, what: str) -> None:
    """Raise `ConfigError` before hours of work if what they give has no folder to go to."""
    if place is not None and not place.absolute().parent.is_dir():
        raise ConfigError(f"the folder of {what} does not exist", where=place, fix="make it first")


def check_file(place: Path | None, what: str) -> None:
    """Raise `ConfigError` before hours of work if what they give cannot become this file."""
    check_folder(place, what)
    if place is not None and place.is_dir():
        raise ConfigError(f"{what} are one file, and this is a folder", where=place, fix="name a file in it")


def known_hint(hint: str | None) -> Literal["latency", "throughput"]:
    """One of those that there are, the default for none.

    Raises:
        ConfigError: another one.
    """
    if hint in (None, "latency"):
        return "latency"
    if hint == "throughput":
        return "throughput"
    raise ConfigError(f"unknown hint {hint!r}", where="--hint", fix="latency or throughput")


def run_settings(threads: int | None, streams: int | None, hint: str | None) -> RunSettings:
    """How the runtime uses the device, of three options.

    Raises:
        ConfigError: a value that no machine has.
    """
    from edgevid.contract import RunSettings

    return RunSettings(threads=threads, streams=streams, hint=known_hint(hint))


def numbers(text: str, where: str) -> list[int]:
    """Whole numbers between commas.

    Raises:
        ConfigError: something else.
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"{text!r} is no list of numbers", where=where, fix="write 1 or 1,16") from error


def named_files(texts: list[str], where: str) -> dict[str, Path]:
    """``NAME=FILE`` each.

    Raises:
        ConfigError: something else, or a name twice.
    """
    named: dict[str, Path] = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not (name and equals and file) or name in named:
            raise ConfigError(
                f"{text!r} is not a new NAME=FILE", where=where, fix="write NAME=FILE, each name once"
            )
        named[name] = Path(file)
    return named


def share(text: str, where: str) -> float:
    """``5%``, ``5 %`` or ``0.05`` as 0.05.

    Raises:
        ConfigError: something else, or not from 0 to below 1.
    """
    digits = text.strip()
    try:
        value = float(digits.removesuffix("%")) / (100 if digits.endswith("%") else 1)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1:
        raise ConfigError(f"{text!r} is no share below 100 %", where=where, fix="write 5% or 0.05")
    return value
