"""Compiled artifacts as variants of a comparison, opened in each measuring process."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from edgevid import targets
from edgevid.bench.factory import Factory
from edgevid.bench.protocol import Comparison, Variant
from edgevid.bench.results import Label
from edgevid.contract import Artifact

__all__ = ["factory_of", "open_variants"]

SEED = 0
_ARTIFACT = TypeAdapter(Artifact)


def factory_of(artifacts: Mapping[str, Artifact], label: Label = "measured") -> Factory:
    """What opens these artifacts in a measuring process, by the names of the variants.

    Args:
        artifacts: the first is the baseline.
        label: of all of them.
    """
    recorded = {name: _ARTIFACT.dump_python(artifact, mode="json") for name, artifact in artifacts.items()}
    return Factory(target=f"{__name__}:open_variants", arguments={"artifacts": recorded, "label": label})


@contextmanager
def open_variants(artifacts: Mapping[str, Any], label: Label = "measured") -> Iterator[Comparison]:
    """Open the artifacts, the first of them twice; all of one shape get the same clip of noise.

    A streaming one gets its first frame again and again, as further frames of one video. The order in which
    they are opened is left to chance: what is opened early may lie better in memory, and over several
    processes that shall favour none.

    Raises:
        TargetError: a runtime refuses an artifact.
    """
    with ExitStack() as stack:

        def opened(name: str) -> Variant:
            artifact = _ARTIFACT.validate_python(artifacts[name])
            session = stack.enter_context(targets.find(artifact.target).open(artifact))
            clip = np.random.default_rng(SEED).integers(0, 256, session.input.shape, dtype=np.uint8)
            run: Callable[[], object] = partial(session.run, clip)
            if artifact.streaming is not None:
                run = partial(session.step, clip[0, 0])
            return Variant(name, run, label)

        baseline, *others = artifacts
        places = [baseline, *others, baseline]
        order = random.sample(range(len(places)), len(places))
        found = {place: opened(places[place]) for place in order}
        variants = [found[place] for place in range(len(places))]
        yield Comparison(variants[0], variants[1:-1], twin=variants[-1].run)
