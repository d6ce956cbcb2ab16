"""`edgevid overhead`: what a shift costs on every device."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgevid.cli.options import numbers, share
from edgevid.errors import ConfigError

if TYPE_CHECKING:
    from edgevid.contract import Precision

__all__ = ["overhead"]


def overhead(
    output: Annotated[
        Path,
        typer.Option("-o", "--output", metavar="FOLDER", help="Samples, record and plots; taken up again."),
    ],
    model: Annotated[
        str, typer.Option(help="See 'edgevid models'; its weights are random.")
    ] = "tsm-resnet50",
    device: Annotated[
        list[str] | None,
        typer.Option(metavar="DEV", help="Several times, or between commas; host by default."),
    ] = None,
    proportions: Annotated[str, typer.Option(help="Shares of the channels that move.")] = "0,1/8,1/4,1/2,1",
    precision: Annotated[str, typer.Option(help="fp32, bf16, fp16, int8; several between commas.")] = "fp32",
    batch: Annotated[str, typer.Option(help="Clips a call; several between commas.")] = "1",
    threads: Annotated[int, typer.Option(min=1, help="Threads of the runtime.")] = 1,
    lowering: Annotated[str, typer.Option(help="auto, all that a target offers, or a name.")] = "auto",
    plain: Annotated[
        bool, typer.Option("--plain", help="Measure what an exporter writes for the shift, too.")
    ] = False,
    frames: Annotated[int | None, typer.Option(min=1, help="T; the model's by default.")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Pixels; the model's by default.")] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Rounds a process: 40; the paper's are 1000.")
    ] = None,
    warmup: Annotated[
        int, typer.Option(min=0, help="Runs of each variant that do not count; the paper's are 200.")
    ] = 3,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Fresh processes to repeat in, at least: 3.")
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(
            help="Go on until the 95 % interval of every ratio is so narrow: 1% unless --rounds or "
            "--processes are given."
        ),
    ] = None,
    budget: Annotated[
        float | None, typer.Option(min=0.001, help="Seconds of measuring a curve, after which it ends.")
    ] = None,
    records: Annotated[
        Path | None, typer.Option(help="File of tuned kernels, for targets that tune.")
    ] = None,
) -> None:
    """Measure the latency overhead of the shift against the share of channels it moves.

    Each device, precision and batch makes a curve, against the network
    without a shift in its default and in its fastest form. What cannot be
    measured is shown as a hole. Killed, the same command goes on.
    """
    from edgevid import show
    from edgevid.bench.progress import progress_bar
    from edgevid.bench.settings import Settings
    from edgevid.bench.storage import check_writable
    from edgevid.overhead import Sweep, measure_sweep, model_config, parse_proportions
    from edgevid.overhead.folder import SweepFolder
    from edgevid.overhead.plot import PLOTS, save_plots
    from edgevid.overhead.sweep import PROTOCOL
    from edgevid.overhead.table import render_sweep

    adaptive = rounds is None and processes is None
    sweep = Sweep(
        model=model,
        config=model_config(model, size=size, frames=frames),
        devices=_words(device or ["host"]),
        proportions=parse_proportions(proportions),
        precisions=_precisions(precision),
        batches=_batches(batch),
        threads=threads,
        lowering=lowering,
        plain=plain,
        settings=Settings(
            rounds=rounds or PROTOCOL.rounds,
            warmup=warmup,
            processes=processes or PROTOCOL.processes,
            budget_seconds=budget,
        ),
        within=share(within, "--within") if within is not None else (0.01 if adaptive else None),
        records=records,
    )

    written = [output / name for name in (*PLOTS, *(f"{curve.name}.json" for curve in sweep.curves))]
    for place in (*written, *filter(None, [records])):
        if place.absolute().parent.is_dir():  # else it is made
            check_writable(place, "what is measured")

    def tell(remark: str) -> None:
        print(remark, file=sys.stderr)

    try:
        with progress_bar() as progress:
            record = measure_sweep(sweep, output, tell=tell, progress=progress)
    except (KeyboardInterrupt, SystemExit):
        tell(f"interrupted; what is finished is in {output}, and the same command goes on there")
        raise
    results = SweepFolder(output, tell).results(record)
    show.out().print(render_sweep(record, results))
    files = save_plots(record, results, output)
    show.out().print(f"samples: {output}/*.json; plots: {', '.join(map(str, files))}", markup=False)
    asked = {"0", *map(str, sweep.proportions)}
    points = [p for p in record.points if p.curve in sweep.curves and p.proportion in asked]
    if not any(point.state == "done" for point in points):
        raise typer.Exit(1)


def _words(texts: list[str]) -> list[str]:
    """What stands between commas, each once."""
    return list(dict.fromkeys(word.strip() for text in texts for word in text.split(",")))


def _precisions(text: str) -> list[Precision]:
    from edgevid.contract import PRECISIONS

    words = _words([text])
    if unknown := [word for word in words if word not in PRECISIONS]:
        raise ConfigError(
            f"unknown precision {unknown[0]!r}",
            where=f"--precision {text}",
            fix=f"write some of {','.join(PRECISIONS)}",
        )
    return [precision for precision in PRECISIONS if precision in words]


def _batches(text: str) -> list[int]:
    found = numbers(text, "--batch")
    if min(found) < 1:
        raise ConfigError(f"a batch of {min(found)} clips", where=f"--batch {text}", fix="give 1 or more")
    return list(dict.fromkeys(found))
