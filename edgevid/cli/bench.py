"""`edgevid bench`: measure bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgevid.cli.options import Hint, On, Streams, Threads, check_folder, known_hint

__all__ = ["bench"]


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
    on: On = "",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write all samples as JSON.")] = None,
) -> None:
    """Measure bundles side by side on this machine, or on a board behind a network.

    On a board each bundle is verified first. An emulated board has no
    latencies: there it ends with the verification.
    """
    from edgevid import show
    from edgevid.bench.bundles import bench_bundles
    from edgevid.bench.progress import progress_bar
    from edgevid.bench.settings import Settings
    from edgevid.bench.storage import save_result
    from edgevid.bench.table import render

    check_folder(output, "the results")
    if on and _verified_on(bundles, on, batch):
        show.out().print("the board is emulated: how long it takes means nothing, and is not measured")
        return
    protocol = Settings(rounds=rounds, warmup=warmup, processes=processes, budget_seconds=budget)
    with progress_bar() as progress:
        result = bench_bundles(
            bundles,
            batch=batch,
            threads=threads,
            streams=streams,
            hint=known_hint(hint),
            on=on,
            settings=protocol,
            progress=progress,
        )
    show.out().print(render(result))
    if output:
        save_result(result, output)
        show.out().print(f"all samples: {output}")


def _verified_on(bundles: list[Path], on: str, batch: int | None) -> bool:
    """Hold each bundle to its golden data on a board; whether that is emulated.

    Raises:
        VerificationError: it computes something else.
        TargetError: there is no such board, or it refuses.
    """
    from edgevid import show
    from edgevid.bundle import Bundle
    from edgevid.contract import RunSettings
    from edgevid.verification import verify_bundle

    emulated = False
    for path in bundles:
        opened = Bundle.open(path)
        for size, result in verify_bundle(opened, batch=batch or opened.batches[0], on=on).items():
            show.verification(result, f"{path}, batch {size}, on {on}")
            result.raise_if_failed(f"{path}, batch {size}")
        with opened.session(batch, RunSettings(on=on)) as session:
            emulated |= session.emulated
    return emulated
