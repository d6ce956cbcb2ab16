"""The command line: one function a verb, each a thin skin over the library."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from edgevid.errors import ConfigError, EdgevidError

if TYPE_CHECKING:
    from edgevid.contract import RunSettings, Sampling

__all__ = ["app", "main"]

app = typer.Typer(
    name="edgevid",
    help="Compile shift-augmented video networks for edge devices, prove them right and measure them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

BundlePath = Annotated[Path, typer.Argument(metavar="BUNDLE", help="Folder that compile wrote.")]
NetworkPath = Annotated[
    Path, typer.Argument(metavar="FILE", help="Checkpoint (MIT TSM, mmaction2, …) or ONNX file (.onnx).")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads of the runtime.")]
Streams = Annotated[int | None, typer.Option(min=1, help="Parallel streams of the runtime.")]
Hint = Annotated[str | None, typer.Option(help="latency or throughput.")]
_WEIGHTS = "What weights cannot say"
PresetName = Annotated[str | None, typer.Option(help="A published network.", rich_help_panel=_WEIGHTS)]
Segments = Annotated[int | None, typer.Option(help="T, frames a clip.", rich_help_panel=_WEIGHTS)]
Proportion = Annotated[
    str | None, typer.Option(help="Share of channels that move, as 1/4.", rich_help_panel=_WEIGHTS)
]
ShiftDiv = Annotated[
    int | None, typer.Option(help="The same as the published code says it.", rich_help_panel=_WEIGHTS)
]
Direction = Annotated[
    str | None, typer.Option(help="bidirectional or unidirectional.", rich_help_panel=_WEIGHTS)
]
First = Annotated[
    str | None, typer.Option(help="What the first fold takes: future or past.", rich_help_panel=_WEIGHTS)
]
Size = Annotated[int | None, typer.Option(help="Pixels of the crop.", rich_help_panel=_WEIGHTS)]
Resize = Annotated[int | None, typer.Option(help="Pixels of the short side.", rich_help_panel=_WEIGHTS)]
Mean = Annotated[
    str | None, typer.Option(help="Three numbers, pixels from 0 to 255.", rich_help_panel=_WEIGHTS)
]
Std = Annotated[str | None, typer.Option(help="Three numbers, likewise.", rich_help_panel=_WEIGHTS)]
Color = Annotated[str | None, typer.Option(help="RGB or BGR.", rich_help_panel=_WEIGHTS)]
Library = Annotated[str | None, typer.Option(help="Whose resize: pil or opencv.", rich_help_panel=_WEIGHTS)]
Placement = Annotated[str | None, typer.Option(help="residual or inplace.", rich_help_panel=_WEIGHTS)]
Mode = Annotated[str | None, typer.Option(help="Sampling: uniform or dense.", rich_help_panel=_WEIGHTS)]
Clips = Annotated[int | None, typer.Option(help="Temporal clips a video.", rich_help_panel=_WEIGHTS)]
Crops = Annotated[int | None, typer.Option(help="1 or 3 crops a clip.", rich_help_panel=_WEIGHTS)]
Average = Annotated[str | None, typer.Option(help="Over views: logits or softmax.", rich_help_panel=_WEIGHTS)]
LabelsFile = Annotated[
    Path | None,
    typer.Option("--labels", help="Class names, one a line or JSON.", rich_help_panel=_WEIGHTS),
]
OutputName = Annotated[str | None, typer.Option(help="Which output of an ONNX file holds the class scores.")]
InputLayout = Annotated[
    str | None,
    typer.Option(help="Of the clips in an ONNX file, as 'N,T,3,H,W', where its shape leaves it open."),
]
_RANKING_BATCH = 4  # as fast as larger ones
_CLOSED_PIPE = 128 + 13  # as shells say it of SIGPIPE
_NETWORK_FLAGS = (
    *("output_name", "input_layout"),
    *("preset", "segments", "proportion", "shift_div", "direction", "first", "placement", "size", "resize"),
    *("mean", "std", "color", "library", "mode", "clips", "crops", "average", "labels"),
)


@app.command()
def inspect(
    network: NetworkPath,
    preset: PresetName = None,
    segments: Segments = None,
    proportion: Proportion = None,
    shift_div: ShiftDiv = None,
    direction: Direction = None,
    first: First = None,
    placement: Placement = None,
    size: Size = None,
    resize: Resize = None,
    mean: Mean = None,
    std: Std = None,
    color: Color = None,
    library: Library = None,
    mode: Mode = None,
    temporal_clips: Clips = None,
    crops: Crops = None,
    average: Average = None,
    labels: LabelsFile = None,
    output_name: OutputName = None,
    input_layout: InputLayout = None,
    as_json: Json = False,
) -> None:
    """Show what a checkpoint or an ONNX file holds, its shifts, and where every setting comes from."""
    flags = _flags({**locals(), "clips": temporal_clips})
    from edgevid import show, show_network
    from edgevid.source import is_onnx

    if is_onnx(network):
        from edgevid.foreign import read_foreign

        foreign = read_foreign(network, complete=False, **flags)
        facts = show_network.foreign_facts(foreign)
        show.print_json(facts) if as_json else show_network.foreign(facts)
        return
    from edgevid.checkpoints import read

    facts = show_network.checkpoint_facts(read(network, **flags))
    show.print_json(facts) if as_json else show_network.checkpoint(facts)


@app.command(name="compile")
def compile_(
    network: NetworkPath,
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the bundle goes.")],
    device: Annotated[str, typer.Option(help="A device profile, see 'edgevid devices'.")] = "host",
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16 or int8.")] = "fp32",
    lowering: Annotated[str, typer.Option(help="Of the shift: auto or a name.")] = "auto",
    batch: Annotated[str, typer.Option(help="Batch sizes, as 1,16.")] = "1",
    calibration: Annotated[
        Path | None,
        typer.Option(metavar="VIDEOS", help="For int8: a list, a folder, packed clips, or a table (.json)."),
    ] = None,
    clips: Annotated[int, typer.Option(min=1, help="Clips to calibrate with, at most.")] = 300,
    method: Annotated[str, typer.Option(help="Of the ranges: see calibrate.")] = "minmax",
    keep_float: Annotated[
        list[str] | None,
        typer.Option(metavar="LAYER", help="Stays float in int8: a name, depthwise, first or last."),
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
    threads: Threads = None,
    streams: Streams = None,
    hint: Hint = None,
    preset: PresetName = None,
    segments: Segments = None,
    proportion: Proportion = None,
    shift_div: ShiftDiv = None,
    direction: Direction = None,
    first: First = None,
    placement: Placement = None,
    size: Size = None,
    resize: Resize = None,
    mean: Mean = None,
    std: Std = None,
    color: Color = None,
    library: Library = None,
    mode: Mode = None,
    temporal_clips: Clips = None,
    crops: Crops = None,
    average: Average = None,
    labels: LabelsFile = None,
    output_name: OutputName = None,
    input_layout: InputLayout = None,
) -> None:
    """Compile a checkpoint or an ONNX file for a device and prove that the result is right."""
    flags = _flags({**locals(), "clips": temporal_clips})
    from edgevid import show
    from edgevid.calibration.table import find_method
    from edgevid.compiler import compile_checkpoint
    from edgevid.int8 import Int8

    only_int8 = {
        "--keep-float": keep_float,
        "--max-drop": max_drop is not None,
        "--data": data,
        "--equalize": equalize,
        "--correct-bias": correct_bias,
    }
    if calibration is None and any(only_int8.values()):
        given = ", ".join(flag for flag, value in only_int8.items() if value)
        raise ConfigError(f"{given} without int8", where=given, fix="give --precision int8 and --calibration")
    with show.steps() as say:
        int8 = None
        if calibration is not None:
            int8 = Int8(
                calibration,
                find_method(method),
                clips,
                dict.fromkeys(keep_float or (), "kept in float by --keep-float"),
                max_drop=None if max_drop is None else max_drop / 100,
                data=data,
                equalize=equalize,
                correct_biases=correct_bias,
                progress=say.progress,
            )
        bundle = compile_checkpoint(
            network,
            output,
            device=device,
            precision=precision,
            lowering=lowering,
            batches=_numbers(batch, "--batch"),
            settings=_settings(threads, streams, hint),
            int8=int8,
            say=say,
            **flags,
        )
    show.bundle(bundle)


@app.command()
def verify(
    bundle: BundlePath,
    against: Annotated[
        Path | None, typer.Option(help="Another bundle of the same network, compared on new random clips.")
    ] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Which artifact; all by default.")] = None,
    seed: Annotated[int, typer.Option(help="Of the random clips of --against.")] = 0,
) -> None:
    """Run a bundle on its golden clips and hold it to the float32 reference."""
    from edgevid import show
    from edgevid.bundle import Bundle
    from edgevid.verification import verify_bundle

    opened = Bundle.open(bundle)
    other = Bundle.open(against) if against else None
    results = verify_bundle(opened, against=other, batch=batch, seed=seed)
    for size, result in results.items():
        show.verification(result, f"{bundle}, batch {size}")
    for size, result in results.items():
        result.raise_if_failed(f"{bundle}, batch {size}")


@app.command()
def run(
    bundle: BundlePath,
    videos: Annotated[
        list[Path],
        typer.Argument(
            metavar="VIDEO...", help="Videos, lists (.txt, .list), folders of classes, videos or frames."
        ),
    ],
    as_json: Json = False,
    labels: Annotated[Path | None, typer.Option(help="Class names, one a line or JSON.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Answers a video.")] = 5,
    clips: Annotated[int | None, typer.Option(min=1, help="Temporal clips a video.")] = None,
    crops: Annotated[int | None, typer.Option(help="1 or 3.")] = None,
    dense: Annotated[bool, typer.Option("--dense", help="Dense instead of uniform sampling.")] = False,
    frame_template: Annotated[
        str | None, typer.Option(help="Names of frame files, as img_{:05d}.jpg.")
    ] = None,
    threads: Threads = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Videos decoded ahead; half the processors by default.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds of decoding after which a video is skipped.")
    ] = 60.0,
) -> None:
    """Recognize videos: the five most probable classes of each, and a summary.

    A video that cannot be read, or a line of a list that cannot be
    understood, is skipped by name and counted, and the rest goes on.

    Exit status: 0 all recognized; 3 some skipped; 1 none recognized,
    or an error; 2 the command line is wrong; 130 interrupted.
    """
    from edgevid.bundle import Bundle
    from edgevid.recognition import find_items, recognize
    from edgevid.show_recognition import report
    from edgevid.video.labels import read_labels

    opened = Bundle.open(bundle)
    classes = opened.artifact().output.shape[1]
    names = read_labels(labels, classes) if labels else None
    items = find_items(
        videos,
        frame_template=frame_template,
        labels=names or opened.manifest.labels,
        classes=classes,
        warn=lambda warning: print(f"warning: {warning}", file=sys.stderr),
    )
    outcomes = recognize(
        opened,
        items,
        labels=names,
        top=top,
        sampling=_sampling(opened.manifest.sampling, clips, crops, dense),
        settings=replace(opened.manifest.settings, threads=threads) if threads else None,
        workers=workers,
        patience=timeout,
    )
    raise typer.Exit(report(outcomes, len(items), as_json=as_json).status)


@app.command()
def bench(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="The first is the baseline.")],
    batch: Annotated[int | None, typer.Option(min=1, help="Clips a call.")] = None,
    threads: Threads = None,
    streams: Streams = None,
    hint: Hint = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds a process.")] = 40,
    warmup: Annotated[int, typer.Option(min=0, help="Runs of each variant that do not count.")] = 3,
    processes: Annotated[int, typer.Option(min=1, help="Fresh processes to repeat in.")] = 1,
    budget: Annotated[float | None, typer.Option(help="Stop early after so many seconds.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write all samples as JSON.")] = None,
) -> None:
    """Measure bundles side by side on this machine."""
    from edgevid import show
    from edgevid.bench.bundles import bench_bundles
    from edgevid.bench.progress import progress_bar
    from edgevid.bench.settings import Settings
    from edgevid.bench.storage import save_result
    from edgevid.bench.table import render

    if output is not None and not output.absolute().parent.is_dir():
        raise ConfigError("the folder of the results does not exist", where=output, fix="make it first")
    protocol = Settings(rounds=rounds, warmup=warmup, processes=processes, budget_seconds=budget)
    with progress_bar() as progress:
        result = bench_bundles(
            bundles,
            batch=batch,
            threads=threads,
            streams=streams,
            hint=_hint(hint),
            settings=protocol,
            progress=progress,
        )
    show.out().print(render(result))
    if output:
        save_result(result, output)
        show.out().print(f"all samples: {output}")


@app.command()
def compare(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="The first is the reference.")],
    data: Annotated[
        Path, typer.Option(metavar="LIST", help="Videos: a list, a folder, or clips that pack wrote.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write all of it as JSON; resumes from it too.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots.")] = None,
    max_drop: Annotated[
        float | None, typer.Option(min=0, max=100, help="Points of top-1 that may be lost.")
    ] = None,
    logits: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Logits (.npz, .json) that another device computed."),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Class names, one a line or JSON.")] = None,
    frame_template: Annotated[
        str | None, typer.Option(help="Names of frame files, as img_{:05d}.jpg.")
    ] = None,
    threads: Threads = None,
    latency: Annotated[bool, typer.Option("--latency/--no-latency", help="Measure it too.")] = True,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of measuring latency.")] = 20,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Videos decoded ahead; half the processors by default.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds of decoding after which a video is skipped.")
    ] = 60.0,
) -> None:
    """Compare bundles on the same videos: accuracy, agreement, size and latency.

    Exit status: 1 if a candidate surely loses more top-1 than --max-drop (the whole 95 % interval
    of the paired drop is above it), or on an error; 0 otherwise. Videos that cannot be read are
    skipped by name for all networks.
    """
    from edgevid import show_compare
    from edgevid.bench.settings import Settings
    from edgevid.calibration import report
    from edgevid.calibration.compare import compare
    from edgevid.calibration.open_data import open_data

    for place in filter(None, (output, html)):
        if not place.absolute().parent.is_dir():
            raise ConfigError("the folder of the results does not exist", where=place, fix="make it first")
    if html:
        report.check_packages()
    names, found = open_data(
        data, bundles[0], labels=labels, frame_template=frame_template, workers=workers, patience=timeout
    )
    with show_compare.progress_bar(resumes=output is not None) as progress:
        result = compare(
            bundles,
            found,
            logits=_named_files(logits or [], "--logits"),
            max_drop=None if max_drop is None else max_drop / 100,
            threads=threads,
            timing=Settings(rounds=rounds) if latency else None,
            labels=names,
            output=output,
            progress=progress,
        )
    show_compare.comparison(result)
    if html:
        report.write_report(result, html)
    raise typer.Exit(1 if result.exceeded else 0)


@app.command()
def calibrate(
    network: NetworkPath,
    calibration: Annotated[
        Path, typer.Option(metavar="VIDEOS", help="A list, a folder, or clips that pack wrote.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the table (JSON) goes.")],
    clips: Annotated[int, typer.Option(min=1, help="How many at most, spread over the classes.")] = 300,
    method: Annotated[str, typer.Option(help="minmax, average, percentile, entropy or mse.")] = "minmax",
    percentile: Annotated[float, typer.Option(help="Of the method percentile.")] = 99.99,
    equalize: Annotated[
        bool, typer.Option("--equalize", help="Of equalized channels, for compile --equalize.")
    ] = False,
    frame_template: Annotated[
        str | None, typer.Option(help="Names of frame files, as img_{:05d}.jpg.")
    ] = None,
    threads: Threads = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Videos decoded ahead; half the processors by default.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds of decoding after which a video is skipped.")
    ] = 60.0,
    preset: PresetName = None,
    segments: Segments = None,
    proportion: Proportion = None,
    shift_div: ShiftDiv = None,
    direction: Direction = None,
    first: First = None,
    placement: Placement = None,
    size: Size = None,
    resize: Resize = None,
    mean: Mean = None,
    std: Std = None,
    color: Color = None,
    library: Library = None,
    mode: Mode = None,
    labels: LabelsFile = None,
    output_name: OutputName = None,
    input_layout: InputLayout = None,
) -> None:
    """Find the ranges that int8 needs, and write them as a table that compile takes.

    Videos that cannot be read are skipped by name. An interrupted run is taken up by the same command.
    """
    flags = _flags({**locals(), "clips": None})
    from edgevid import show, show_calibration, show_compare
    from edgevid.calibration.calibrate import calibrate, partial_of
    from edgevid.calibration.equalize import equalize as equalized
    from edgevid.calibration.open_data import open_videos
    from edgevid.calibration.table import find_method, save_table
    from edgevid.graph.prelude import with_uint8_clips
    from edgevid.source import open_source

    if not output.absolute().parent.is_dir():
        raise ConfigError("the folder of the table does not exist", where=output, fix="make it first")
    chosen = find_method(method)
    with show.steps() as say:
        source = open_source(network, say=say, **flags)
        graph = with_uint8_clips(source.graph(1), source.normalization)
        if equalize:
            graph = equalized(graph)
    data = open_videos(
        calibration,
        source.sampling,
        labels=source.labels,
        frame_template=frame_template,
        workers=workers,
        patience=timeout,
    )
    with show_compare.progress_bar(resumes=True) as progress:
        table = calibrate(
            graph,
            data,
            method=chosen,
            percentile=percentile,
            count=clips,
            threads=threads,
            partial=partial_of(output),
            progress=progress,
        )
    save_table(table, output)
    show_calibration.table(table, output)


@app.command()
def sensitivity(
    network: NetworkPath,
    calibration: Annotated[
        Path, typer.Option(metavar="VIDEOS", help="A list, a folder, packed clips, or a table (.json).")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="LIST", help="What layers are ranked on; by default what they are calibrated with."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write all of it as JSON; resumes from it too.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw it, as .png or .svg.")] = None,
    device: Annotated[str, typer.Option(help="Whose int8 is imitated.")] = "host",
    count: Annotated[int, typer.Option(min=1, help="Clips to rank on, at most.")] = 64,
    clips: Annotated[int, typer.Option(min=1, help="Clips to calibrate with, at most.")] = 300,
    method: Annotated[str, typer.Option(help="Of the ranges: see calibrate.")] = "minmax",
    frame_template: Annotated[
        str | None, typer.Option(help="Names of frame files, as img_{:05d}.jpg.")
    ] = None,
    threads: Threads = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Videos decoded ahead; half the processors by default.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds of decoding after which a video is skipped.")
    ] = 60.0,
    preset: PresetName = None,
    segments: Segments = None,
    proportion: Proportion = None,
    shift_div: ShiftDiv = None,
    direction: Direction = None,
    first: First = None,
    placement: Placement = None,
    size: Size = None,
    resize: Resize = None,
    mean: Mean = None,
    std: Std = None,
    color: Color = None,
    library: Library = None,
    mode: Mode = None,
    labels: LabelsFile = None,
    output_name: OutputName = None,
    input_layout: InputLayout = None,
) -> None:
    """Rank the layers by the error that each one alone adds in int8, everything else in float.

    Videos that cannot be read are skipped by name. An interrupted run with -o is taken up by the
    same command, after the last layer that was done.
    """
    flags = _flags({**locals(), "clips": None})
    from edgevid import show, show_compare, show_sensitivity
    from edgevid.calibration.calibrate import partial_of
    from edgevid.calibration.ranking import save_ranking
    from edgevid.calibration.ranking_plot import check_plot, draw
    from edgevid.calibration.sensitivity import sensitivity
    from edgevid.calibration.table import find_method
    from edgevid.graph.prelude import with_uint8_clips
    from edgevid.int8 import Int8, opened, table_for, thresholds_for
    from edgevid.plan import plan
    from edgevid.source import open_source

    for place in filter(None, (output, plot)):
        if not place.absolute().parent.is_dir():
            raise ConfigError("the folder of the results does not exist", where=place, fix="make it first")
    if plot:
        check_plot(plot)
    request = Int8(calibration, find_method(method), clips)
    scheme = plan(device, "int8", int8=request).capability.scheme
    assert scheme is not None
    if data is None and request.has_table:
        raise ConfigError("a table holds no clips", where="--calibration", fix="give --data too")
    options = {"frame_template": frame_template, "workers": workers, "patience": timeout}
    with show.steps() as say:
        source = open_source(network, say=say, **flags)
        graph = with_uint8_clips(source.graph(source.batch or _RANKING_BATCH), source.normalization)
    with show_compare.progress_bar(resumes=output is not None) as progress:
        seen = None if request.has_table else opened(calibration, source, **options)
        table = table_for(replace(request, progress=progress), graph, seen)
        found = sensitivity(
            graph,
            thresholds_for(graph, table),
            scheme,
            opened(data or calibration, source, **options),
            count=count,
            threads=threads,
            partial=partial_of(output) if output else None,
            progress=progress,
        )
    if output:
        save_ranking(found, output)
    if plot:
        draw(found, plot)
    show_sensitivity.ranking(found, table=output, plot=plot)


@app.command()
def pack(
    videos: Annotated[Path, typer.Argument(metavar="LIST", help="A list or a folder of videos.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder of the clips.")],
    bundle: Annotated[
        Path | None, typer.Option(help="Takes sampling and class names from it; flags below go before.")
    ] = None,
    segments: Annotated[int | None, typer.Option(help="T, frames a clip.")] = None,
    size: Annotated[int | None, typer.Option(help="Pixels of the crop.")] = None,
    resize: Annotated[int | None, typer.Option(help="Pixels of the short side.")] = None,
    mode: Annotated[str | None, typer.Option(help="uniform or dense.")] = None,
    clips: Annotated[int | None, typer.Option(help="Temporal clips a video.")] = None,
    crops: Annotated[int | None, typer.Option(help="1 or 3 crops a clip.")] = None,
    library: Annotated[str | None, typer.Option(help="Whose resize: pil or opencv.")] = None,
    frame_template: Annotated[
        str | None, typer.Option(help="Names of frame files, as img_{:05d}.jpg.")
    ] = None,
    shard_mb: Annotated[float, typer.Option(min=0.001, help="Megabytes a shard.")] = 256.0,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Videos decoded ahead; half the processors by default.")
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds of decoding after which a video is skipped.")
    ] = 60.0,
) -> None:
    """Decode videos once into clips for a device that cannot; compare takes them too.

    Videos that cannot be read are skipped by name. An interrupted run is taken up by the same command.
    """
    from edgevid import show_compare
    from edgevid.calibration.data import find_videos
    from edgevid.calibration.open_data import sampling_and_labels
    from edgevid.calibration.pack import pack

    sampling, names = sampling_and_labels(
        bundle,
        segments=segments,
        crop=size,
        resize=resize,
        mode=mode,
        clips=clips,
        crops=crops,
        library=library,
    )
    found = find_videos(
        videos, sampling, labels=names, frame_template=frame_template, workers=workers, patience=timeout
    )
    with show_compare.progress_bar(resumes=True) as progress:
        made = pack(found, output, shard_bytes=int(shard_mb * 1e6), progress=progress)
    show_compare.packed(made)


@app.command()
def devices(as_json: Json = False) -> None:
    """List the device profiles, what each can run, and why not."""
    from edgevid import show

    show.devices(as_json=as_json)


@app.command()
def models(as_json: Json = False) -> None:
    """List the published networks with their size and work beside the papers'."""
    from edgevid import show

    show.models(as_json=as_json)


@app.command()
def doctor(
    load: Annotated[bool, typer.Option("--load", help="Import every package too.")] = False,
    as_json: Json = False,
) -> None:
    """Say what is installed, what is missing, and the command that installs it."""
    from edgevid import show
    from edgevid.doctor import examine

    findings = examine(load=load)
    show.print_json([asdict(finding) for finding in findings]) if as_json else show.findings(findings)


@app.command()
def clips(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Gets one folder a class and list.txt.")],
    split: Annotated[str, typer.Option(help="easy or hard.")] = "easy",
    count: Annotated[int, typer.Option(min=1, help="Videos a class.")] = 2,
    seed: Annotated[int, typer.Option(help="Of the generator.")] = 0,
) -> None:
    """Generate the demo's clips as H.264 files."""
    from edgevid import show
    from edgevid.demo import LABELS, write_videos

    written = write_videos(folder, split, count * len(LABELS), seed)
    show.out().print(f"{count * len(LABELS)} videos of {len(LABELS)} classes: {written}")


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


def _flags(arguments: dict[str, Any]) -> dict[str, Any]:
    """The given flags among a verb's arguments, as `edgevid.compile_checkpoint` takes them."""
    flags = {name: arguments[name] for name in _NETWORK_FLAGS if arguments.get(name) is not None}
    for name in ("mean", "std"):
        if name in flags:
            flags[name] = _triple(flags[name], f"--{name}")
    return flags


def _triple(text: str, where: str) -> tuple[float, ...]:
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in (1, 3):
        raise ConfigError(
            f"{text!r} is not one number or three", where=where, fix="write 123.675,116.28,103.53"
        )
    return values * (3 // len(values))


def _numbers(text: str, where: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError as error:
        raise ConfigError(f"{text!r} is no list of numbers", where=where, fix="write 1 or 1,16") from error


def _named_files(texts: list[str], where: str) -> dict[str, Path]:
    """``NAME=FILE`` each."""
    named: dict[str, Path] = {}
    for text in texts:
        name, equals, file = text.partition("=")
        if not (name and equals and file) or name in named:
            raise ConfigError(f"{text!r} is not a new NAME=FILE", where=where, fix="write tx2=logits.npz")
        named[name] = Path(file)
    return named


def _hint(hint: str | None) -> Literal["latency", "throughput"]:
    if hint in (None, "latency"):
        return "latency"
    if hint == "throughput":
        return "throughput"
    raise ConfigError(f"unknown hint {hint!r}", where="--hint", fix="latency or throughput")


def _settings(threads: int | None, streams: int | None, hint: str | None) -> RunSettings:
    from edgevid.contract import RunSettings

    return RunSettings(threads=threads, streams=streams, hint=_hint(hint))


def _sampling(recorded: Sampling, clips: int | None, crops: int | None, dense: bool) -> Sampling:
    if crops is not None and crops not in (1, 3):
        raise ConfigError(f"{crops} crops", where="--crops", fix="1 (centre) or 3")
    changed = replace(recorded, clips=clips or recorded.clips, mode="dense" if dense else recorded.mode)
    return changed if crops is None else replace(changed, crops=3 if crops == 3 else 1)
