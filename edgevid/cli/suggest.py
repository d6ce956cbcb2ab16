"""`edgevid suggest`: which network for a device."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgevid.cli.options import Json, check_file, check_folder
from edgevid.errors import ConfigError

if TYPE_CHECKING:
    from edgevid.contract import Precision
    from edgevid.suggest import Measurement

__all__ = ["suggest"]


def suggest(
    device: Annotated[str, typer.Option(help="A device profile, see 'edgevid devices'.")],
    max_latency: Annotated[str, typer.Option(metavar="TIME", help="Of a clip, as 50ms.")],
    max_memory: Annotated[
        str | None, typer.Option(metavar="SIZE", help="At the peak of a process that runs it, as 200MB.")
    ] = None,
    results: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE|FOLDER", help="What bench, overhead or suggest wrote; several times."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Presets between commas, as 'tsm-*'; all by default.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Between commas; all that the device has by default.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Results of so many count; 1 is measured by default.")
    ] = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure what no result says, on this machine, for hours.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FOLDER", help="Of --measure; read and taken up again."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Of --measure, a process.")] = 40,
    processes: Annotated[int, typer.Option(min=1, help="Of --measure, fresh ones to repeat in.")] = 3,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.png", help="Draw accuracy against latency.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Rank the published networks by measured latency on a device, beside their published accuracies.

    What no result says is "not measured", and never estimated. --measure
    measures it, networks with random weights one after the other; killed, the
    same command goes on. Results of another processor do not count for this machine.
    """
    from edgevid import show
    from edgevid.suggest import Limits, Reader, rank
    from edgevid.suggest.limits import parse_memory, parse_milliseconds
    from edgevid.suggest.plot import check_plot, plot_suggestions
    from edgevid.suggest.ranking import as_json as plain
    from edgevid.suggest.render import render_suggestions
    from edgevid.targets._profiles import device as find_device

    limits = Limits(
        parse_milliseconds(max_latency, "--max-latency"),
        None if max_memory is None else parse_memory(max_memory, "--max-memory"),
    )
    profile = find_device(device)
    networks = [(name, kind) for name in _presets(model) for kind in _precisions(precision, device)]
    if plot is not None:
        check_file(plot, "the plot")
        check_plot(plot)
    folder = _folder(output, measure, device)
    paths = [*(results or []), *([folder] if folder is not None and folder.is_dir() else [])]
    measured = Reader(profile, threads).read(paths)
    failures: dict[tuple[str, str], str] = {}
    if measure and folder is not None:
        enough = [each for each in measured if limits.memory is None or each.memory is not None]
        failures = _measure(networks, enough, device, folder, threads or 1, rounds, processes)
        paths = list(dict.fromkeys((*paths, folder)))
    reader = Reader(profile, threads)
    found = rank(networks, reader.read(paths), limits, failures)
    for remark in reader.remarks:
        print(remark, file=sys.stderr)
    allowed = f"{max_latency}{'' if max_memory is None else f' and {max_memory}'}"
    title = f"{profile.title}: within {allowed}"
    if plot is not None:
        plot_suggestions(found, limits, title, plot)
    if as_json:
        show.print_json(plain(found))
    else:
        show.out().print(render_suggestions(found, title))
    if measure and all(each.measured is None for each in found):
        raise typer.Exit(1)


def _measure(
    networks: Sequence[tuple[str, Precision]],
    known: Sequence[Measurement],
    device: str,
    folder: Path,
    threads: int,
    rounds: int,
    processes: int,
) -> dict[tuple[str, str], str]:
    from edgevid.bench.progress import progress_bar
    from edgevid.bench.settings import Settings
    from edgevid.suggest import measure_missing

    def tell(remark: str) -> None:
        print(remark, file=sys.stderr)

    try:
        with progress_bar() as progress:
            return measure_missing(
                networks,
                known,
                device,
                folder,
                Settings(rounds=rounds, processes=processes),
                threads=threads,
                tell=tell,
                progress=progress,
            )
    except (KeyboardInterrupt, SystemExit):
        tell(f"interrupted; what is finished is in {folder}, and the same command goes on there")
        raise


def _folder(output: Path | None, measure: bool, device: str) -> Path | None:
    """Where measurements of our own are."""
    if output is not None and not measure and not output.is_dir():
        raise ConfigError(
            "a folder for measurements, and nothing to measure", where="-o", fix="add --measure"
        )
    if output is None and measure:
        output = Path(f"suggest-{device}")
    check_folder(output, "the measurements")
    return output


def _presets(text: str | None) -> list[str]:
    """Names of those that one of the patterns fits.

    Raises:
        ConfigError: a pattern that fits none.
    """
    from edgevid.models.registry import preset, preset_names

    patterns = ["*"] if text is None else [word.strip() for word in text.split(",")]
    for pattern in patterns:
        if not any(fnmatch(name, pattern) for name in preset_names()):
            preset(pattern)  # says which names are close
    return [name for name in preset_names() if any(fnmatch(name, pattern) for pattern in patterns)]


def _precisions(text: str | None, device: str) -> list[Precision]:
    """Those of the device, or some of them.

    Raises:
        UnsupportedPrecisionError: one that it lacks.
    """
    from edgevid import targets
    from edgevid.targets._profiles import device as find_device
    from edgevid.targets._profiles import require_precision

    profile = find_device(device)
    if text is not None:
        return [require_precision(word.strip(), profile) for word in dict.fromkeys(text.split(","))]
    own = targets.find(profile.target).probe(profile).precisions
    return [kind for kind in own if kind not in profile.emulated]
