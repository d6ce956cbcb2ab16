"""Which lowering a network is compiled in."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from edgevid.choose.candidates import Candidates
from edgevid.choose.key import network_key
from edgevid.choose.measure import measure
from edgevid.choose.store import Situation, kernel_isa, shipped, user_store
from edgevid.errors import ConfigError
from edgevid.manifest import ChoiceRecord
from edgevid.targets._machine import this_processor

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["choose", "situation_of"]


def choose(
    candidates: Candidates, say: Callable[[str], None] = lambda _: None, *, valid: bool = False
) -> ChoiceRecord | None:
    """The fastest verified candidate.

    What was measured on this machine before is taken first, then what edgevid ships for this kind of
    processor. If the device is this machine, it is measured now and kept, for a day only if the machine was
    under load. For another device a shipped choice of the same instruction sets serves, with the machine it
    was measured on; else there is none.

    Args:
        candidates: what is chosen from.
        say: is told each step.
        valid: what was measured under load before is measured again.

    Raises:
        LoweringError: no candidate holds.
    """
    asked = situation_of(candidates)
    names = set(candidates.names)
    device = candidates.device
    if device.is_this_machine:
        for store, source in ((user_store(), "measured before"), (shipped(), "shipped")):
            found = store.find(asked, valid=valid)
            if found is not None and found.chosen in names:
                return found.model_copy(update={"source": source})
        return _measured(candidates, asked, say)
    found = shipped().like(asked)
    if found is None or found.chosen not in names:
        return None
    return found.model_copy(update={"source": "shipped"})


def situation_of(candidates: Candidates) -> Situation:
    """What a choice among them is good for."""
    device = candidates.device
    return Situation(
        network=network_key(candidates.graph),
        target=device.target,
        isa=kernel_isa(device.isa, candidates.precision),
        machine=this_processor().model_name,
        runtime=candidates.runtime,
        precision=candidates.precision,
        batch=candidates.batch,
        threads=candidates.settings.threads,
        streams=candidates.settings.streams,
        hint=candidates.settings.hint,
        cpus=_usable_cpus(),
    )


def _usable_cpus() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _measured(candidates: Candidates, asked: Situation, say: Callable[[str], None]) -> ChoiceRecord:
    found = measure(candidates, asked.machine, say)
    # Without a place to keep it, it is measured again the next time.
    with suppress(ConfigError):
        user_store().add(asked, found)
    return found
