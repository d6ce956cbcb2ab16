"""The command line as a program: its verbs, its errors as messages, and its exit status."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from pathlib import Path

import typer

from edgevid.cli.bench import bench
from edgevid.cli.calibrate import calibrate
from edgevid.cli.clips import clips
from edgevid.cli.compare import compare
from edgevid.cli.compile import compile_
from edgevid.cli.devices import devices
from edgevid.cli.diff import diff
from edgevid.cli.doctor import doctor
from edgevid.cli.import_trtexec import import_trtexec
from edgevid.cli.inspect import inspect
from edgevid.cli.lint import lint
from edgevid.cli.models import models
from edgevid.cli.overhead import overhead
from edgevid.cli.pack import pack
from edgevid.cli.report import report
from edgevid.cli.run import run
from edgevid.cli.sensitivity import sensitivity
from edgevid.cli.stream import stream
from edgevid.cli.suggest import suggest
from edgevid.cli.verify import verify
from edgevid.errors import EdgevidError

__all__ = ["app", "main"]

_CLOSED_PIPE = 128 + 13  # as shells say it of SIGPIPE

app = typer.Typer(
    name="edgevid",
    help="Compile shift-augmented video networks for edge devices, prove them right and measure them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.command()(inspect)
app.command(name="compile")(compile_)
app.command(name="import-trtexec")(import_trtexec)
for verb in (
    verify,
    run,
    stream,
    bench,
    overhead,
    report,
    diff,
    suggest,
    compare,
    calibrate,
    sensitivity,
    pack,
    lint,
    devices,
    models,
    doctor,
    clips,
):
    app.command()(verb)


def main() -> None:
    """Run the command line; every error of edgevid becomes a message and exit status 1."""
    _replace_closed_streams()
    # Pillow's warnings repeat what check_size and the broken frames' errors say.
    warnings.filterwarnings("ignore", module=r"PIL\.")
    # As an exception, so that what is half written is removed; Typer does the same for Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    status = _status()
    sys.exit(_lost_output() or status)


def _status() -> int:
    """Run the command line and print the error that ends it."""
    try:
        app(standalone_mode=True)
    except SystemExit as end:
        # Typer and Rich make status 1 of a closed pipe.
        return _CLOSED_PIPE if isinstance(end.__context__, BrokenPipeError) else int(end.code or 0)
    except EdgevidError as error:
        print(f"error: {error}", file=sys.stderr)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "edgevid":
            raise
        fix = "pip install 'edgevid[compile]' for this command; 'edgevid doctor' lists what is missing"
        print(f"error: {error.name} is not installed\n  what to do: {fix}", file=sys.stderr)
    except OSError as error:
        if lost := _lost_output():
            return lost
        where = error.filename or "standard output, or a file that was being written"
        print(f"error: {error.strerror or error}\n  where: {where}", file=sys.stderr)
    return 1


def _lost_output() -> int | None:
    """The exit status if standard output cannot be written, ``None`` if it can."""
    try:
        sys.stdout.flush()
    except OSError as error:
        # What is left would fail once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return _CLOSED_PIPE
        print(f"error: {error.strerror}\n  where: standard output", file=sys.stderr)
        return 1
    return None


def _replace_closed_streams() -> None:
    """A stream that the caller closed drops what is written; the next file opened would get it else."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - as long as the program
