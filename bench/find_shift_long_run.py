"""`find_shift` on thousands of random graphs: ``python -m edgevid.bench.find_shift_long_run``.

Every graph has its own seed; a miss names it, and ``--seed SEED --graphs 1`` repeats it.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from edgevid.bench.progress import progress_bar
from edgevid.bench.protocol import ProgressEvent
from edgevid.bench.random_shift_graphs import KINDS, NO_SHIFT, RandomGraph, random_graph
from edgevid.shift import ShiftSpec

__all__ = ["Verdict", "judge", "main"]

_BATCH = 25


@dataclass(frozen=True)
class Verdict:
    """What `find_shift` made of one random graph.

    Attributes:
        seed: of the graph.
        kind: of the graph.
        shifts: how many were found.
        complaint: what is wrong; empty if nothing is.
    """

    seed: int
    kind: str
    shifts: int
    complaint: str


def judge(graph: RandomGraph) -> Verdict:
    """Look for shifts in ``graph``: exactly its own must be found, and no output may change."""
    import onnx_ir as ir

    from edgevid.errors import EdgevidError
    from edgevid.graph.find_shift import find_shift
    from edgevid.graph.shift_op import SHIFT, shift_nodes, spec_of
    from edgevid.targets.onnxruntime import evaluate

    before = ir.to_proto(graph.model).SerializeToString(deterministic=True)
    try:
        found = find_shift(graph.model, evaluate)
        specs = [spec_of(node) for node in shift_nodes(found.model)]
        numbers = np.random.default_rng(graph.seed).standard_normal(graph.shape, np.float32)
        wanted, given = (evaluate(model, {"x": numbers}) for model in (graph.model, found.model))
    except EdgevidError as error:
        return Verdict(graph.seed, graph.kind, 0, f"{graph.spelling}: {error}")
    complaints = []
    if not all(np.allclose(a, b, rtol=1e-5, atol=1e-5) for a, b in zip(wanted, given, strict=True)):
        complaints.append("another result")
    if ir.to_proto(graph.model).SerializeToString(deterministic=True) != before:
        complaints.append("the given graph was changed")
    reported = [candidate.spec for candidate in found.candidates if candidate.spec is not None]
    if sorted(map(str, reported)) != sorted(map(str, specs)):
        complaints.append(f"reported {_words(reported)}")
    if graph.specs is not None and _comparable(specs) != _comparable(graph.specs):
        complaints.append(f"wanted {_words(graph.specs)}")
    if graph.specs is None and not specs:
        complaints.append("neither of two shifts in a row was found")
    left = {node.op_type for node in found.model.graph} - graph.others - {SHIFT, "Reshape"}
    if graph.specs and left:
        complaints.append(f"{', '.join(sorted(left))} left over")
    text = f"{graph.spelling}: found {_words(specs)}; {'; '.join(complaints)}" if complaints else ""
    return Verdict(graph.seed, graph.kind, len(specs), text)


def _comparable(specs: Iterable[ShiftSpec]) -> Counter[tuple[object, ...]]:
    """Moves along rows and columns alone do not show the number of segments."""
    return Counter(
        (spec.layout, spec.moves, spec.segments if any(move.dt for move in spec.moves) else None)
        for spec in specs
    )


def _words(specs: Sequence[ShiftSpec]) -> str:
    return " and ".join(map(str, specs)) or "no shift"


def _judge_seeds(seeds: Sequence[int]) -> list[Verdict]:
    return [judge(random_graph(seed)) for seed in seeds]


def _verdicts(seeds: Sequence[int], processes: int) -> Iterator[list[Verdict]]:
    batches = [seeds[start : start + _BATCH] for start in range(0, len(seeds), _BATCH)]
    if processes == 1:
        yield from map(_judge_seeds, batches)
        return
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(_judge_seeds, batches)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; the exit status is 1 if a shift was missed, invented or wrongly written."""
    parser = argparse.ArgumentParser(description="Look for shifts in random graphs that hold known ones.")
    parser.add_argument("--graphs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0, help="of the first graph; the next has the next")
    parser.add_argument("--processes", type=int, default=min(2, os.cpu_count() or 1))
    options = parser.parse_args(arguments)
    seeds = range(options.seed, options.seed + options.graphs)
    done: list[Verdict] = []
    with progress_bar() as progress:
        for verdicts in _verdicts(seeds, options.processes):
            done += verdicts
            progress(ProgressEvent("graphs", len(done), options.graphs))
    misses = [verdict for verdict in done if verdict.complaint]
    for kind in KINDS:
        of_kind = [verdict for verdict in done if verdict.kind == kind]
        right = sum(not verdict.complaint for verdict in of_kind)
        shifts = sum(verdict.shifts for verdict in of_kind)
        result = "left alone" if kind == NO_SHIFT else f"found exactly, {shifts} shifts"
        print(f"{kind:36} {len(of_kind):6} graphs, {right:6} {result} and equal")
    print(f"{'all':36} {len(done):6} graphs, {len(done) - len(misses):6} right, {len(misses)} wrong")
    for verdict in misses:
        print(f"seed {verdict.seed} ({verdict.kind}): {verdict.complaint}")
    return 1 if misses else 0


if __name__ == "__main__":
    raise SystemExit(main())
