"""`edgevid bench`: measure bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgevid.cli.bench_table import bench_table, only_of_tables, refuse_with_table
from edgevid.cli.network_flags import takes_network_flags
from edgevid.cli.options import Hint, On, known_hint, numbers, share
from edgevid.errors import ConfigError

if TYPE_CHECKING:
    from edgevid.bench.opening import Opening
    from edgevid.bench.protocol import Progress
    from edgevid.bench.results import Result
    from edgevid.bench.settings import Settings
    from edgevid.ensemble import Ensemble

__all__ = ["bench"]


@takes_network_flags(views=False)
def bench(
    bundles: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[BUNDLE]...", help="The first is the baseline; or one ensemble."),
    ] = None,
    batch: Annotated[str | None, typer.Option(help="Clips a call, as 1,4,16: as compiled.")] = None,
    threads: Annotated[str | None, typer.Option(help="Threads of the runtime in all, as 1,2.")] = None,
    streams: Annotated[
        str | None, typer.Option(help="Requests in flight, as 1,2; they share the threads.")
    ] = None,
    hint: Hint = None,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds a process, at most.")] = 40,
    warmup: Annotated[int, typer.Option(min=0, help="Runs of each variant that do not count.")] = 3,
    processes: Annotated[int, typer.Option(min=1, help="Fresh processes to repeat in.")] = 1,
    within: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="Stop once the 95 % interval of each median is as narrow, as 1%."),
    ] = None,
    budget: Annotated[float | None, typer.Option(help="Stop early after so many seconds.")] = None,
    video: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Time decode, preprocess, inference and the whole on it."),
    ] = None,
    layers: Annotated[bool, typer.Option("--layers", help="What each operation takes.")] = False,
    sustained: Annotated[
        float | None,
        typer.Option(min=0.001, metavar="MINUTES", help="Run it without a pause, too; one bundle."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="PEERS", help="peers: the network in other runtimes; or some of their names."),
    ] = None,
    network: Annotated[
        Path | None, typer.Option(metavar="CKPT", help="For --against: what the bundle was compiled from.")
    ] = None,
    on: On = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="Write all samples as JSON; of several settings, one file each. Of a table a folder, "
            "taken up again.",
        ),
    ] = None,
    table: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Remake a paper's efficiency table instead: tsm-4, tsm-5, stsm-1, s3d-fig4 or gsm-2.",
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="DEV", help="Of --table: a profile of this machine, or host.")
    ] = None,
    precision: Annotated[str | None, typer.Option(help="Of --table: of all networks, or fp32.")] = None,
    rows: Annotated[
        str | None, typer.Option(metavar="NAMES", help="Of --table: some between commas, as 'top-heavy-*'.")
    ] = None,
    *,
    flags: dict[str, Any],
) -> None:
    """Measure bundles side by side on this machine, or on a board behind a network.

    Several batches, numbers of threads or of requests in flight are
    measured one after the other, each as a comparison of its own.

    Of an ensemble the first network is the baseline, and each other one is
    measured after those before it: what it adds. With --video they share
    what is decoded; --sustained runs all of them.

    On a board each bundle is verified first. An emulated board has no
    latencies: there it ends with the verification.

    With --table networks with random weights are compiled and measured
    beside the paper's reference, row by row; killed, the same command goes on.
    """
    from edgevid import show
    from edgevid.bench.ensembles import factories_of
    from edgevid.bench.extended import Extras, check_extras, with_extras
    from edgevid.bench.opening import Opening
    from edgevid.bench.progress import progress_bar
    from edgevid.bench.settings import Settings
    from edgevid.bench.storage import check_writable, save_result
    from edgevid.bench.table import render

    if table is not None:
        refuse_with_table(
            {"bundles": bundles, "--streams": streams, "--hint": hint, "--video": video, "--layers": layers},
            {"--sustained": sustained, "--against": against, "--network": network, "--on": on, **flags},
        )
        bench_table(
            table,
            device=device or "host",
            precision=precision or "fp32",
            rows=rows,
            batches=_several(batch, "--batch"),
            threads=_several(threads, "--threads"),
            settings={"rounds": rounds, "warmup": warmup, "processes": processes, "budget_seconds": budget},
            within=within,
            output=output,
        )
        return
    bundles = only_of_tables({"--device": device, "--precision": precision, "--rows": rows}, bundles)
    if (network is not None or flags) and against is None:
        raise ConfigError("a network, and nothing to compare", where="--network", fix="add --against peers")
    ensemble = _ensemble(bundles, {"--layers": layers, "--against": against})
    batches, all_threads, all_streams = (
        _several(text, where)
        for text, where in ((batch, "--batch"), (threads, "--threads"), (streams, "--streams"))
    )
    protocol = Settings(
        rounds=rounds,
        warmup=warmup,
        processes=processes,
        budget_seconds=budget,
        within=None if within is None else share(within, "--within"),
    )
    extras = Extras(
        memory=against is None,  # peers have it already
        layers=layers,
        video=video,
        sustained_seconds=None if sustained is None else 60 * sustained,
    )
    wanted = None if hint is None else known_hint(hint)
    ways = [
        Opening(batch=size, threads=count, streams=flying, hint=wanted, on=on)
        for size, count, flying in product(batches, all_threads, all_streams)
    ]
    places = [None if output is None else _place(output, how, len(ways)) for how in ways]
    for file in filter(None, places):
        check_writable(file, "the results")
    members = [member.bundle.path for member in ensemble.members] if ensemble else bundles
    check_extras(members, ways[0], extras, of_ensemble=ensemble is not None)
    if on and _verified_on(members, on, batches):
        show.out().print("the board is emulated: how long it takes means nothing, and is not measured")
        return
    for how, place in zip(ways, places, strict=True):
        keep = None if place is None else partial(save_result, path=place)
        with progress_bar() as progress:
            if against is None:
                result = _latencies(ensemble or bundles, how, protocol, progress)
            else:
                result = _against_peers(bundles, how, protocol, against, network, flags, progress)
            interrupted = result.status == "interrupted"
            if not interrupted:  # each further part may take an hour, and be killed
                alone = factories_of(ensemble, how) if ensemble else None
                result, interrupted = with_extras(
                    result, members, how, extras, progress=progress, keep=keep, alone=alone
                )
        show.out().print(render(result))
        if place is not None:
            save_result(result, place)
            show.out().print(f"all samples: {place}")
        if interrupted:
            raise typer.Exit(130)


def _several(text: str | None, where: str) -> list[int] | list[None]:
    """What is measured one after the other.

    Raises:
        ConfigError: not whole numbers from 1, or one twice.
    """
    if text is None:
        return [None]
    found = numbers(text, where)
    if min(found) < 1 or len(set(found)) != len(found):
        raise ConfigError(f"{text!r} are not different numbers from 1", where=where, fix="write 1 or 1,2,4")
    return found


def _place(output: Path, how: Opening, ways: int) -> Path:
    """A file for each of several settings, named after them."""
    if ways == 1:
        return output
    named = {"batch": how.batch, "threads": how.threads, "streams": how.streams}
    told = "".join(f"-{name}{value}" for name, value in named.items() if value is not None)
    return output.with_name(f"{output.stem}{told}{output.suffix}")


def _ensemble(bundles: list[Path], of_bundles: Mapping[str, object]) -> Ensemble | None:
    """The ensemble that is measured; None of bundles.

    Raises:
        ConfigError: one among others, or an option that only bundles have.
    """
    from edgevid.ensemble import Ensemble, is_ensemble

    found = next(filter(is_ensemble, bundles), None)
    if found is None:
        return None
    if len(bundles) > 1:
        raise ConfigError(
            "an ensemble beside other bundles: its first network is the baseline of the others",
            where=found,
            fix="measure it by itself, or give the folder of one of its networks, as members/1",
        )
    ensemble = Ensemble.open(found)
    if given := [name for name, value in of_bundles.items() if value]:
        raise ConfigError(
            f"{', '.join(given)} of several networks",
            where=given[0],
            fix=f"give the folder of one of them, as {ensemble.members[0].bundle.path}",
        )
    return ensemble


def _latencies(
    measured: Ensemble | list[Path], how: Opening, protocol: Settings, progress: Progress
) -> Result:
    from edgevid.bench.bundles import bench_bundles
    from edgevid.bench.ensembles import bench_ensemble

    if isinstance(measured, list):
        return bench_bundles(measured, settings=protocol, progress=progress, **how.model_dump())
    return bench_ensemble(measured, how, protocol, progress=progress)


def _against_peers(
    bundles: list[Path],
    how: Opening,
    protocol: Settings,
    against: str,
    network: Path | None,
    flags: dict[str, Any],
    progress: Progress,
) -> Result:
    """The bundle beside what else the network could be run with.

    Raises:
        ConfigError: not one bundle, no network, or an unknown peer.
    """
    from edgevid.peers import PEERS, bench_peers

    if len(bundles) != 1 or network is None:
        raise ConfigError(
            "peers are measured against one bundle, and made of the network that it was compiled from",
            where="--against",
            fix="edgevid bench BUNDLE --against peers --network CKPT",
        )
    names = tuple(PEERS) if against == "peers" else tuple(against.split(","))
    return bench_peers(bundles[0], network, names, how, protocol, progress=progress, **flags)


def _verified_on(bundles: list[Path], on: str, batches: Sequence[int | None]) -> bool:
    """Hold each bundle to its golden data on a board, batch by batch; whether that is emulated.

    Raises:
        VerificationError: it computes something else.
        TargetError: there is no such board, or it refuses.
    """
    from edgevid import show
    from edgevid.bundle import Bundle
    from edgevid.contract import RunSettings
    from edgevid.verification import verify_bundle

    emulated = False
    for path, batch in product(bundles, batches):
        opened = Bundle.open(path)
        for size, result in verify_bundle(opened, batch=batch or opened.batches[0], on=on).items():
            show.verification(result, f"{path}, batch {size}, on {on}")
            result.raise_if_failed(f"{path}, batch {size}")
        with opened.session(batch, RunSettings(on=on)) as session:
            emulated |= session.emulated
    return emulated
