"""`edgevid compile`: a checkpoint into a bundle, or several into an ensemble."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgevid.cli.network_flags import takes_network_flags
from edgevid.cli.options import (
    FrameTemplate,
    Hint,
    Json,
    Streams,
    Threads,
    numbers,
    run_settings,
)
from edgevid.errors import ConfigError

if TYPE_CHECKING:
    from edgevid.bundle import Bundle
    from edgevid.ensemble import Ensemble
    from edgevid.source import Say

__all__ = ["compile_"]


@takes_network_flags(several=True)
def compile_(
    networks: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Checkpoint (MIT TSM, mmaction2, …) or ONNX file (.onnx). Several make an ensemble, "
            "and may be bundles.",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the bundle goes.")],
    device: Annotated[str, typer.Option(help="A device profile, see 'edgevid devices'.")] = "host",
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16 or int8.")] = "fp32",
    lowering: Annotated[str, typer.Option(help="Of the shift: auto or a name.")] = "auto",
    batch: Annotated[str, typer.Option(help="Batch sizes, as 1,16; GPUs hold all in one engine.")] = "1",
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="VIDEOS", help="For int8: a list, a folder, packed clips, or a table (.json)."),
    ] = None,
    clips: Annotated[
        int | None, typer.Option(min=1, help="Clips to calibrate with, at most; 300 by default.")
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Of the ranges: see calibrate; minmax by default.")
    ] = None,
    frame_template: FrameTemplate = None,
    keep_float: Annotated[
        list[str] | None,
        typer.Option(metavar="LAYER", help="Stays float in int8: a name, depthwise, first, last or gates."),
    ] = None,
    max_drop: Annotated[
        float | None,
        typer.Option(
            min=0, max=99, help="Points of top-1 that int8 may lose on --data; layers go back to float."
        ),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="LIST", help="Labelled videos or packed clips for --max-drop.")
    ] = None,
    equalize: Annotated[
        bool, typer.Option("--equalize", help="For int8: like channels' ranges first (depthwise networks).")
    ] = False,
    correct_bias: Annotated[
        bool, typer.Option("--correct-bias", help="For int8: correct biases by the calibration clips.")
    ] = False,
    tune: Annotated[
        bool, typer.Option("--tune", help="Measure kernels on the device, where its target has a choice.")
    ] = False,
    records: Annotated[
        list[Path] | None,
        typer.Option(help="File of measured kernels, which --tune adds to; others are merged into it."),
    ] = None,
    tune_budget: Annotated[float, typer.Option(min=0, help="Seconds of measuring, at most.")] = 180.0,
    on: Annotated[
        list[str] | None,
        typer.Option(metavar="BOARD", help="Measure there: rpc://host:port/key; may be given several times."),
    ] = None,
    runner: Annotated[
        str, typer.Option(help="cpp: add a program that runs the network on boards without Python.")
    ] = "",
    workspace: Annotated[
        int | None,
        typer.Option(min=1, metavar="MIB", help="Memory that layers may use beside their tensors, at most."),
    ] = None,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="Take one frame a call, with a cache a shift.")
    ] = False,
    lookahead: Annotated[
        bool, typer.Option("--lookahead", help="With --streaming: answer late, for shifts from the future.")
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Of several networks: how much the scores of each count, as 2,1; alike by default."
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="List every layer with its precision.")] = False,
    as_json: Json = False,
    threads: Threads = None,
    streams: Streams = None,
    hint: Hint = None,
    *,
    flags: dict[str, Any],
) -> None:
    """Compile a checkpoint or an ONNX file for a device and prove that the result is right.

    Of several networks one bundle is made, whose scores are averaged: an
    ensemble. They may be bundles that were compiled before. One of RGB and
    one of optical flow are the two streams of TSN and TSM.
    """
    from edgevid import show, show_ensemble
    from edgevid.calibration.table import find_method
    from edgevid.contract import Tuning
    from edgevid.int8 import Int8, is_table, partial_of, remove_partial

    only_clips = {"--method": method, "--clips": clips}
    only_int8 = {
        **only_clips,
        "--keep-float": keep_float,
        "--max-drop": max_drop is not None,
        "--data": data,
        "--equalize": equalize,
        "--correct-bias": correct_bias,
    }
    if calibration is None and any(only_int8.values()):
        given = ", ".join(flag for flag, value in only_int8.items() if value)
        raise ConfigError(f"{given} without int8", where=given, fix="give --precision int8 and --calibration")
    if is_table(calibration) and any(only_clips.values()):
        given = ", ".join(flag for flag, value in only_clips.items() if value)
        raise ConfigError(
            f"{given} with a table, whose ranges are found already",
            where=given,
            fix="leave it out, or give --calibration videos",
        )
    if frame_template is not None and not (data or (calibration and not is_table(calibration))):
        raise ConfigError(
            "names of frames without videos",
            where="--frame-template",
            fix="give --calibration or --data folders of frames",
        )
    if on and not tune:
        raise ConfigError("a board, and nothing to measure on it", where="--on", fix="give --tune too")
    with show.steps() as say:
        int8 = tuning = None
        if tune or records:
            files = records or []
            tuning = Tuning(
                tune,
                files[0] if files else None,
                tuple(files[1:]),
                tune_budget,
                tuple(on or ()),
                partial(say.progress, "operations measured"),
            )
        if calibration is not None:
            int8 = Int8(
                calibration,
                find_method(method or "minmax"),
                clips or 300,
                dict.fromkeys(keep_float or (), "kept in float by --keep-float"),
                max_drop=None if max_drop is None else max_drop / 100,
                data=data,
                equalize=equalize,
                correct_biases=correct_bias,
                frame_template=frame_template,
                partial=partial_of(output),
                progress=say.progress,
            )
        made = _compiled(
            networks,
            output,
            weights,
            flags,
            say,
            device=device,
            precision=precision,
            lowering=lowering,
            batches=numbers(batch, "--batch"),
            settings=run_settings(threads, streams, hint),
            int8=int8,
            tuning=tuning,
            runner=runner,
            workspace=None if workspace is None else workspace << 20,
            streaming=streaming,
            lookahead=lookahead,
        )
    remove_partial(partial_of(output))
    show_ensemble.compiled(made, as_json=as_json, every_layer=verbose)


def _compiled(
    networks: list[Path], output: Path, weights: str | None, flags: dict[str, Any], say: Say, **options: Any
) -> Bundle | Ensemble:
    """A bundle of one network, an ensemble of several.

    Raises:
        ConfigError: of one network several numbers of frames, or a weight.
    """
    from edgevid.compiler import compile_checkpoint
    from edgevid.ensemble_compiler import compile_ensemble

    segments = flags.pop("segments", [])
    shares = _weights(weights)
    if len(networks) > 1:
        return compile_ensemble(
            networks, output, segments=segments, weights=shares, flags=flags, say=say, **options
        )
    if shares or len(segments) > 1:
        given = "--weights" if shares else "--segments"
        raise ConfigError(
            "numbers for several networks, and one network", where=given, fix="name all of them, or give one"
        )
    if segments:
        flags["segments"] = segments[0]
    return compile_checkpoint(networks[0], output, say=say, **options, **flags)


def _weights(text: str | None) -> list[float]:
    try:
        return [] if text is None else [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no list of numbers", where="--weights", fix="write one for each network, as 2,1"
        ) from error
