"""Measure those presets of which no result says anything, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from edgevid.bench.protocol import Progress
from edgevid.bench.settings import Settings
from edgevid.contract import Precision
from edgevid.errors import EdgevidError
from edgevid.models.registry import preset
from edgevid.overhead.folder import SweepFolder
from edgevid.suggest.known import Measurement, shape_of
from edgevid.suggest.measure import Tell, Workshop, measure_run
from edgevid.suggest.network import PresetRun, reachable
from edgevid.suggest.table_run import file_of

__all__ = ["measure_missing"]


def measure_missing(
    networks: Sequence[tuple[str, Precision]],
    known: Iterable[Measurement],
    device: str,
    path: Path,
    settings: Settings,
    *,
    threads: int = 1,
    tell: Tell = lambda _: None,
    progress: Progress | None = None,
) -> dict[tuple[str, str], str]:
    """Measure latency and memory of networks, each into a file of its own; killed, it goes on.

    Of presets that are the same network but for the number of classes the first is measured.

    Args:
        networks: preset and precision of each.
        known: measurements that are there already; those that are not valid do not count.
        device: name of a profile of this machine.
        path: of the folder; made if it is not there.
        settings: of the timing protocol.
        threads: of each session.
        tell: is told what the user should know.
        progress: called for each step.

    Returns:
        Why some of them could not be measured.

    Raises:
        TargetError: the device is not this machine, or lacks a precision.
        ConfigError: the folder cannot be made.
        KeyboardInterrupt: what is finished is in the folder.
    """
    for precision in dict.fromkeys(precision for _, precision in networks):
        reachable(device, precision)
    folder = SweepFolder(path, tell)
    done = {(each.preset, each.precision) for each in known if not each.invalid}
    shapes = {(shape_of(preset(name).config), precision) for name, precision in done}
    failures: dict[tuple[str, str], str] = {}
    with TemporaryDirectory(prefix="edgevid-suggest-") as place:
        shop = Workshop(Path(place), progress)
        for name, precision in networks:
            config = preset(name).config
            if (shape_of(config), precision) in shapes:
                continue
            shapes.add((shape_of(config), precision))
            run = PresetRun(
                title=name, preset=name, config=config, device=device, precision=precision, threads=threads
            )
            try:
                with folder.turn():
                    measure_run(run, None, folder.path / file_of(run), settings, shop, tell=tell)
            except EdgevidError as error:
                tell(f"{run} is not measured: {error}")
                failures[name, precision] = error.what
            finally:
                shop.discard(run)
    return failures
