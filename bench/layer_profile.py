"""What each operation of a bundle takes, by its runtime's own profile."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pydantic import TypeAdapter

from edgevid.bench.fresh_process import Keep, Told, call_apart
from edgevid.bench.opening import Opening
from edgevid.contract import LayerTime

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PROFILED_RUNS", "ProfiledSession", "layer_times", "profile"]

PROFILED_RUNS = 10
"""Runs whose median is taken, after one that is not counted."""

_TIMES: TypeAdapter[tuple[LayerTime, ...] | None] = TypeAdapter(tuple[LayerTime, ...] | None)


@runtime_checkable
class ProfiledSession(Protocol):
    """A session whose runtime tells what each operation takes."""

    def layer_times(self, clip: NDArray[Any], runs: int) -> tuple[LayerTime, ...]:
        """The operations in the order they ran, each with the median over ``runs`` runs.

        Measured apart from `Session.run`: a runtime that keeps a profile is slower.
        """


def layer_times(folder: Path, how: Opening, name: str) -> tuple[LayerTime, ...] | None:
    """The operations of a bundle, measured in a fresh process; ``None`` where the runtime does not tell.

    Raises:
        EdgevidError: the bundle cannot be opened or run.
    """
    answer = call_apart(
        f"{__name__}:profile",
        {"folder": str(folder.absolute()), "opening": how.model_dump(mode="json")},
        label=f"profile of {name}",
    )
    if answer.interrupted:
        raise KeyboardInterrupt
    return _TIMES.validate_json(answer.text)


def profile(folder: str, opening: dict[str, Any], *, keep: Keep, tell: Told) -> None:
    """What the fresh process calls."""
    with Opening.model_validate(opening).open(Path(folder)) as opened:
        session = opened.session
        found = None
        if isinstance(session, ProfiledSession):
            found = session.layer_times(opened.clip, PROFILED_RUNS)
        keep(_TIMES.dump_json(found).decode())
