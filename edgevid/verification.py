"""Hold what a bundle's artifacts compute to what was recorded, or to another bundle."""

from __future__ import annotations

from dataclasses import replace

from edgevid.bundle import Bundle
from edgevid.errors import ConfigError
from edgevid.graph.verify import Verification, expectations
from edgevid.proof import Proof

__all__ = ["verify_bundle"]


def verify_bundle(
    bundle: Bundle, *, against: Bundle | None = None, batch: int | None = None, seed: int = 0, on: str = ""
) -> dict[int, Verification]:
    """Verify the artifacts of a bundle on this machine.

    Args:
        bundle: opened.
        against: another bundle of the same network; it becomes the reference, on new random
            clips beside the golden ones. Without it the recorded logits are. They stay what int8 is held
            to: how far it is from the other bundle is told.
        batch: of one artifact; all by default.
        seed: of the new random clips.
        on: address of a board behind a network that runs ``bundle``; this machine if empty.

    Returns:
        Batch size to verification; nothing is raised for a failed one.

    Raises:
        ConfigError: the two bundles take different clips.
    """
    precision = bundle.manifest.precision
    proof = Proof(tuple(bundle.expectations()), sequence=bundle.sequence())
    if against is not None:
        if (bundle.clip_shape, bundle.classes) != (against.clip_shape, against.classes):
            raise ConfigError(
                f"{bundle.path} takes clips {list(bundle.clip_shape)} of {bundle.classes} classes, "
                f"{against.path} {list(against.clip_shape)} of {against.classes}",
                fix="compare bundles of one network",
            )
        with against.session() as reference:
            found = tuple(expectations(reference, proof.recorded[0].clips, count=4, seed=seed))
        proof = Proof(found, sequence=bundle.sequence())
        if precision == "int8":
            told = (replace(part, name=f"{part.name} of {against.path}") for part in found)
            proof = replace(proof, recorded=tuple(bundle.expectations()), told=tuple(told))
    results = {}
    for size in (batch,) if batch else bundle.batches:
        with bundle.session(size, replace(bundle.manifest.settings, on=on)) as session:
            results[size] = proof.of(session, precision)
    return results
