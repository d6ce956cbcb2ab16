"""Which tiles a module is made with: measured on the device, from records, or by a static rank."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgevid.contract import Tuning
from edgevid.errors import ConfigError
from edgevid.targets.tvm.cpus import Cpu
from edgevid.targets.tvm.kernels.choose import Kernel, candidates
from edgevid.targets.tvm.network import Network, Operation
from edgevid.targets.tvm.records import Records
from edgevid.targets.tvm.static_rank import static_choice
from edgevid.targets.tvm.tune import Board, Host, recorded, tune

__all__ = ["Choice", "choose_tiles", "default_records"]


@dataclass(frozen=True)
class Choice:
    """Kernels by operation; all others keep their first candidate. ``notes`` say how they were chosen."""

    kernels: Mapping[Operation, Kernel]
    notes: tuple[str, ...]


def default_records(cpu: Cpu) -> Path:
    """Where records of a kind of CPU are kept unless a file is named."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "edgevid" / "tvm" / f"{cpu.mcpu}.jsonl"


def choose_tiles(network: Network, cpu: Cpu, tuning: Tuning | None, *, here: bool) -> Choice:
    """The tiles of a network.

    Args:
        tuning: None takes the static rank alone.
        here: this machine is the device.

    Raises:
        ConfigError: measuring was asked for, and no device is at hand.
        VerificationError: a candidate computes something else.
    """
    choices = [
        operation
        for operation in dict.fromkeys(layer.operation for layer in network.layers)
        if len(candidates(operation, cpu)) > 1
    ]
    # Where tiles can be measured, compiling every candidate to look at its code is time ill spent.
    static = {} if here else static_choice(network, cpu)
    how = "by default" if here else "by a static rank"
    if tuning is None:
        return Choice(static, (f"tiles of {len(choices)} operations {how}, not measured",))
    records = Records(tuning.records or default_records(cpu))
    records.merge(tuning.merged)
    aside = (
        (f"the records held lines that are none: the file was kept as {records.set_aside}",)
        if records.set_aside
        else ()
    )
    if not tuning.measure:
        known = recorded(network, cpu, records)
        rest = len(choices) - len(known)
        told = f"tiles of {len(known)} operations from records, of {rest} {how}, not measured"
        return Choice({**static, **known}, (told, *aside))
    with _boards(tuning, cpu, here=here) as boards:
        found = tune(network, cpu, boards, records, budget=tuning.budget, progress=tuning.progress)
    told = f"tiles of {found.measured} operations measured on the device, of {found.reused} from records"
    if found.left:
        told += f", of {found.left} {how}: the time was up"
    return Choice({**static, **found.kernels}, (told, *aside))


@contextmanager
def _boards(tuning: Tuning, cpu: Cpu, *, here: bool) -> Iterator[tuple[Board, ...]]:
    if tuning.boards:
        from edgevid.targets.tvm.tuning_board import tuning_board

        with ExitStack() as stack:
            yield tuple(stack.enter_context(closing(tuning_board(address, cpu))) for address in tuning.boards)
        return
    if not here:
        raise ConfigError(
            "tuning needs the device",
            where="--tune",
            fix="name a board with --on rpc://host:port/key, or leave --tune out for a static rank",
        )
    yield (Host(),)
