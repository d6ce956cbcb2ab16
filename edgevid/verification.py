"""Hold what a bundle's artifacts compute to what was recorded, or to another bundle."""

from __future__ import annotations

from edgevid.bundle import Bundle
from edgevid.errors import ConfigError
from edgevid.graph.verify import Verification, expectations, verify

__all__ = ["verify_bundle"]


def verify_bundle(
    bundle: Bundle, *, against: Bundle | None = None, batch: int | None = None, seed: int = 0
) -> dict[int, Verification]:
    """Verify the artifacts of a bundle on this machine.

    Args:
        bundle: opened.
        against: another bundle of the same network; it becomes the reference, on new random
            clips beside the golden ones. Without it the recorded logits are.
        batch: of one artifact; all by default.
        seed: of the new random clips.

    Returns:
        Batch size to verification; nothing is raised for a failed one.

    Raises:
        ConfigError: the two bundles take different clips.
    """
    expected = bundle.expectations()
    if against is not None:
        mine, theirs = bundle.artifact(), against.artifact()
        if mine.input.shape[1:] != theirs.input.shape[1:] or mine.output.shape[1:] != theirs.output.shape[1:]:
            raise ConfigError(
                f"{bundle.path} takes {list(mine.input.shape)} and returns {list(mine.output.shape)}, "
                f"{against.path} {list(theirs.input.shape)} and {list(theirs.output.shape)}",
                fix="compare bundles of one network",
            )
        with against.session() as reference:
            expected = expectations(reference, expected[0].clips, count=4, seed=seed)
    results = {}
    for size in (batch,) if batch else bundle.batches:
        with bundle.session(size) as session:
            results[size] = verify(session, expected, bundle.manifest.precision)
    return results
