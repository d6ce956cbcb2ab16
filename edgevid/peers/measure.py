"""A bundle and its peers, held to the same logits and measured in one interleaved comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgevid.bench.bundles import factory_of, names_of, open_variants, parameters_of
from edgevid.bench.factory import Factory
from edgevid.bench.memory import peak_memory
from edgevid.bench.opening import Opening
from edgevid.bench.processes import compare_in_processes
from edgevid.bench.protocol import Comparison, Progress, ProgressEvent, Variant
from edgevid.bench.results import Label, Result
from edgevid.bench.settings import Settings
from edgevid.bundle import Bundle, sha256
from edgevid.contract import TOLERANCES, Precision
from edgevid.errors import BenchmarkError, ConfigError, EdgevidError, MissingDependencyError
from edgevid.graph.verify import Difference, compare, run_all
from edgevid.peers.catalogue import PEERS, Peer
from edgevid.peers.request import PeerRequest
from edgevid.peers.trial import Trial, try_peer
from edgevid.targets._profiles import device as find_device

__all__ = ["bench_peers", "open_with_peers"]

MOST_LETTERS = 300
"""Of a reason why a peer is not measured."""

OPENER = f"{__name__}:open_with_peers"
"""What each measuring process calls; stands in the error of one that dies."""

OPENING = "opening.txt"
"""In the folder of the request: title of the peer that is being opened; empty once all are open."""


def bench_peers(
    bundle: Path,
    network: Path,
    names: Sequence[str],
    how: Opening,
    settings: Settings,
    *,
    progress: Progress | None = None,
    **flags: Any,
) -> Result:
    """Measure a bundle, the baseline, beside other ways to run the network that it was compiled from.

    Every peer takes the bundle's uint8 clips and normalizes them itself, and has as many threads. It is first
    run alone: what fails there, or computes other logits, becomes a note and is not measured. Those
    quantized by tools of their own are other networks: how far they are is told. One that fails only beside
    the others is left out as well, and if a process dies while all run, the one that takes most memory.

    Args:
        bundle: its folder.
        network: the checkpoint that the bundle was compiled from.
        names: of `PEERS`.
        how: the bundle is opened.
        settings: of the protocol.
        progress: called for each step.
        flags: what the checkpoint does not say, as for `edgevid.checkpoints.read`.

    Raises:
        ConfigError: an unknown peer, another network than the bundle's, a board, or several requests in
            flight.
        EdgevidError: the bundle or the checkpoint cannot be read, or the bundle cannot be run.
    """
    _check(names, how)
    opened = Bundle.open(bundle)
    if sha256(network) != opened.manifest.source_sha256:
        raise ConfigError(
            f"the bundle was compiled from another file ({opened.manifest.source})",
            where=network,
            fix="give the checkpoint that the bundle was compiled from",
        )
    own = names_of([bundle])[0]
    with TemporaryDirectory(prefix="edgevid-peers-") as place:
        request, expected = _prepared(opened, network, how, Path(place), flags)
        trials = _Trials(request, expected, opened.manifest.precision, progress)
        for number, name in enumerate(names):
            trials.add(name, number, len(names))
        memory = {own: trials.peak_of(own, factory_of([bundle], how, twin=False))}
        while True:
            factory = Factory(
                target=OPENER,
                arguments={
                    "bundle": str(bundle.absolute()),
                    "opening": how.model_dump(mode="json"),
                    "names": list(trials.memory),
                    "request": request.model_dump(mode="json"),
                },
            )
            try:
                result = compare_in_processes(
                    factory,
                    settings,
                    title=f"{own} and what else the network could be run with",
                    parameters=parameters_of(how),
                    notes=trials.notes,
                    progress=progress,
                )
                break
            except BenchmarkError as error:
                # Alone it ran; beside the others memory may not suffice.
                if not trials.leave_out(error):
                    raise
    memory |= {PEERS[name].title: bytes_ for name, bytes_ in trials.memory.items()}
    known = {name: bytes_ for name, bytes_ in memory.items() if bytes_ is not None}
    return result.model_copy(update={"peak_memory": known})


@contextmanager
def open_with_peers(
    bundle: str, opening: dict[str, Any], names: Sequence[str], request: dict[str, Any]
) -> Iterator[Comparison]:
    """Open the bundle twice and the peers; called in each measuring process.

    Raises:
        BenchmarkError: a peer cannot be opened; where: its title.
        EdgevidError: the bundle cannot be opened.
    """
    asked = PeerRequest.model_validate(request)
    clip = asked.clips()[: asked.batch]
    now = asked.folder / OPENING
    now.unlink(missing_ok=True)
    with ExitStack() as stack:
        own = stack.enter_context(open_variants([bundle], **opening))
        variants = []
        for peer in (PEERS[name] for name in names):
            now.write_text(peer.title, encoding="utf-8")
            try:
                run = stack.enter_context(peer.open(asked))
            except (EdgevidError, RuntimeError, MemoryError) as error:
                raise BenchmarkError(
                    f"it cannot be opened beside the others: {error}", where=peer.title, fix="leave it out"
                ) from error
            label, note = _standing(peer, asked.precision)
            variants.append(Variant(peer.title, partial(run, clip), label, note, clips=asked.batch))
        now.write_text("", encoding="utf-8")
        yield Comparison(own.baseline, variants, twin=own.twin)


def _standing(peer: Peer, beside: Precision) -> tuple[Label, str]:
    """What a peer's figure is worth beside a bundle in that precision, and why."""
    precision, emulated = peer.precision(beside), find_device("host").emulated
    if precision in emulated:
        return "emulated", emulated[precision]
    if peer.kind == "float" and precision != beside:
        return "measured", f"computes in {precision}, the bundle in {beside}"
    return "measured", ""


class _Trials:
    """Which peers are measured, and what is to be noted of each."""

    def __init__(
        self,
        request: PeerRequest,
        expected: NDArray[np.float32],
        precision: Precision,
        progress: Progress | None,
    ) -> None:
        self.request, self.expected, self.precision = request, expected, precision
        self.progress = progress
        self.memory: dict[str, int | None] = {}
        self.notes: list[str] = []

    def add(self, name: str, number: int, total: int) -> None:
        peer = PEERS[name]
        if self.progress is not None:
            self.progress(ProgressEvent(f"trying {peer.title}", number, total))
        try:
            trial = try_peer(name, self.request)
        except EdgevidError as error:
            self._note_failure(peer, error)
            return
        self._hold(name, peer, trial)

    def peak_of(self, name: str, factory: Factory) -> int | None:
        """Bytes that the bundle takes; not to know them ends nothing."""
        try:
            return peak_memory(factory, name)
        except EdgevidError as error:
            self.notes.append(f"peak memory of {name}: not measured: {error.what}")
            return None

    def leave_out(self, error: BenchmarkError) -> bool:
        """Note the peer that the error names, or that a process died of; whether there is one."""
        failed, when = self._blamed(error)
        if failed is None:
            return False
        del self.memory[failed]
        self._note_failure(PEERS[failed], BenchmarkError(when + error.what))
        return True

    def _blamed(self, error: BenchmarkError) -> tuple[str | None, str]:
        """Name of a peer, and what went on as it failed."""
        titles = {PEERS[name].title: name for name in self.memory}
        where, opening = error.where or "", self.request.folder / OPENING
        if where in titles:
            return titles[where], ""
        if OPENER not in where or not titles or not opening.exists():
            return None, ""
        title = opening.read_text(encoding="utf-8")
        if title:
            return titles.get(title), "as it was opened beside the others, "
        # Memory that ran out tells nobody's name.
        most = max(self.memory, key=lambda name: self.memory[name] or 0)
        return most, "as all ran, of which this one takes the most memory beside the bundle, "

    def _note_failure(self, peer: Peer, error: EdgevidError) -> None:
        way_out = f": {error.fix}" if isinstance(error, MissingDependencyError) else ""
        # Runtimes explain themselves over many lines.
        reason = shorten(error.what, MOST_LETTERS, placeholder=" ...")
        self.notes.append(f"{peer.title}: not measured: {reason}{way_out}")

    def _hold(self, name: str, peer: Peer, trial: Trial) -> None:
        found = compare(self.expected, trial.read())
        same_network = peer.kind == "float" and self.precision != "int8"
        if same_network and not found.max_relative <= TOLERANCES[self.precision]:
            self.notes.append(
                f"{peer.title}: not measured: its logits differ from the bundle's by "
                f"{found.max_relative:.1e} (limit {TOLERANCES[self.precision]:.0e})"
            )
            return
        self.memory[name] = trial.peak_memory
        told = (
            f"logits differ by {found.max_relative:.1e}"
            if same_network
            else _distance(found, len(self.expected))
        )
        self.notes.append(f"{peer.title}: {told}")


def _distance(found: Difference, clips: int) -> str:
    return (
        f"its logits are {found.sqnr:.1f} dB from the bundle's, the best class is the same for "
        f"{found.top1_agreement:.0%} of the bundle's {clips} clips, which alone calibrate int8 peers"
    )


def _check(names: Sequence[str], how: Opening) -> None:
    unknown = [name for name in names if name not in PEERS]
    if unknown or len(set(names)) != len(names):
        raise ConfigError(
            f"{', '.join(unknown) or ', '.join(names)}: no peers, or one twice",
            where="--against",
            fix=f"'peers' for all, or some of {', '.join(PEERS)}",
        )
    if how.on or how.streams not in (None, 1):
        raise ConfigError(
            "peers run on this machine, one request at a time",
            where="--on" if how.on else "--streams",
            fix="leave it out",
        )


def _prepared(
    bundle: Bundle, network: Path, how: Opening, folder: Path, flags: dict[str, Any]
) -> tuple[PeerRequest, NDArray[np.float32]]:
    """What the peers are made of, and the bundle's logits for its clips."""
    from edgevid.checkpoints import read, write
    from edgevid.source import is_onnx

    if is_onnx(network):
        raise ConfigError(
            "an ONNX file, of which no PyTorch network can be made",
            where=network,
            fix="peers are measured for bundles of checkpoints",
        )
    write(folder / "network.safetensors", read(network, **flags).network())
    clips = np.concatenate([part.clips for part in bundle.expectations()])
    np.save(folder / "clips.npy", clips, allow_pickle=False)
    artifact = bundle.artifact(how.batch)
    settings = how.run_settings(bundle.manifest.settings)
    request = PeerRequest(
        folder=folder,
        normalization=bundle.manifest.normalization,
        input_shape=artifact.input.shape,
        output_shape=artifact.output.shape,
        threads=settings.threads,
        hint=settings.hint,
        precision=bundle.manifest.precision,
    )
    with bundle.session(how.batch, settings) as session:
        return request, run_all(session, request.clips())
