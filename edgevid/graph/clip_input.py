"""Where the input of a foreign graph holds clips, frames, channels, rows and columns.

Foreign networks take the frames of a clip stacked along the batch, along the channels, or as an
axis of their own. Their shapes decide which; what shapes leave open, flags say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import onnx_ir as ir

from edgevid.errors import ConfigError, GraphError
from edgevid.graph.place import place

__all__ = ["ClipInput", "ClipLayout", "clip_input"]

_FLOATS = frozenset({ir.DataType.FLOAT, ir.DataType.FLOAT16, ir.DataType.BFLOAT16, ir.DataType.DOUBLE})


class ClipLayout(str, Enum):
    """How an input holds N clips of T frames."""

    CLIPS = "[N,T,3,H,W]"
    VOLUME = "[N,3,T,H,W]"
    FRAMES = "[N*T,3,H,W]"
    CHANNELS = "[N,T*3,H,W]"

    def __str__(self) -> str:
        return self.value

    @property
    def rank(self) -> int:
        """Axes of the tensor."""
        return 5 if self in (ClipLayout.CLIPS, ClipLayout.VOLUME) else 4


@dataclass(frozen=True)
class ClipInput:
    """The input of a graph.

    Attributes:
        name: in the graph.
        layout: of its axes.
        segments: T.
        size: H and W, pixels.
        batch: N where the file fixes it, else None.
    """

    name: str
    layout: ClipLayout
    segments: int
    size: int
    batch: int | None

    def shape(self, batch: int) -> tuple[int, ...]:
        """The sizes of the input for ``batch`` clips."""
        before = {
            ClipLayout.CLIPS: (batch, self.segments, 3),
            ClipLayout.VOLUME: (batch, 3, self.segments),
            ClipLayout.FRAMES: (batch * self.segments, 3),
            ClipLayout.CHANNELS: (batch, self.segments * 3),
        }[self.layout]
        return (*before, self.size, self.size)


def clip_input(
    model: ir.Model,
    *,
    segments: int | None = None,
    size: int | None = None,
    layout: str | None = None,
    usual_size: int | None = None,
) -> ClipInput:
    """Where the only input of ``model`` has its clips, frames, rows and columns.

    Static sizes decide; a flag fills in a symbolic one and must agree with a static one. The
    frames of a fixed ``[N*T,3,H,W]`` are taken for one clip unless ``segments`` says otherwise.

    Args:
        model: as it was read.
        segments: T.
        size: H and W, pixels.
        layout: one of `ClipLayout`, brackets or not.
        usual_size: H and W where neither the shape nor ``size`` says them.

    Raises:
        ConfigError: the shape leaves something open, or contradicts a flag; the flag is named.
        GraphError: several inputs, or one that holds no clips of square RGB frames.
    """
    if len(model.graph.inputs) != 1:
        names = ", ".join(str(value.name) for value in model.graph.inputs) or "none"
        raise GraphError(
            f"{len(model.graph.inputs)} inputs: {names}",
            where=place(model),
            fix="export the network with the clip as its only input",
        )
    (value,) = model.graph.inputs
    if value.dtype not in _FLOATS:
        raise GraphError(
            f"the input is {value.dtype}, not float",
            where=place(model, value.name),
            fix="export the network with a float input; --mean 0 --std 1 where it takes pixels from 0 to 255",
        )
    if value.shape is None:
        raise GraphError(
            "the input has no shape", where=place(model, value.name), fix="export it with at least its rank"
        )
    sizes = [axis if isinstance(axis, int) and axis > 0 else None for axis in value.shape]
    where = place(model, f"input {value.name} {_written(value.shape)}")
    found = _layout(sizes, layout, where)
    *stacked, rows, columns = sizes
    if rows is not None and columns is not None and rows != columns:
        raise GraphError(f"frames of {rows} x {columns} pixels", where=where, fix="export it for a square")
    told = rows or columns or (usual_size if size is None else None)
    side = _agreed("--size", size, told, "pixels a side", where)
    if found is ClipLayout.FRAMES:
        frames = _agreed(
            "--segments", segments, stacked[0] if segments is None else None, "frames a clip", where
        )
        if stacked[0] is not None and stacked[0] % frames:
            raise ConfigError(
                f"asked for clips of {frames} frames, but the input takes {stacked[0]} frames",
                where=where,
                fix="leave --segments (or the preset) out, or take the file that it belongs to",
            )
        batch = None if stacked[0] is None else stacked[0] // frames
    else:
        axis = stacked[2] if found is ClipLayout.VOLUME else stacked[1]
        held = axis // 3 if axis and found is ClipLayout.CHANNELS else axis
        frames, batch = _agreed("--segments", segments, held, "frames a clip", where), stacked[0]
    return ClipInput(str(value.name), found, frames, side, batch)


def _layout(sizes: Sequence[int | None], flag: str | None, where: str) -> ClipLayout:
    fitting = {layout: exact for layout in ClipLayout if (exact := _fits(layout, sizes)) is not None}
    wanted = None if flag is None else _named(flag)
    if wanted is not None:
        if wanted not in fitting:
            raise ConfigError(f"--input-layout says {wanted}, which the input is not", where=where)
        return wanted
    if not fitting:
        raise GraphError(
            "the input holds no clips of RGB frames",
            where=where,
            fix=f"export the network with an input of {' or '.join(ClipLayout)}",
        )
    chosen = [layout for layout, exact in fitting.items() if exact] or list(fitting)
    if len(chosen) > 1:
        raise ConfigError(
            f"the input may be {' or '.join(chosen)}",
            where=where,
            fix=f"say which by --input-layout '{chosen[0]}'",
        )
    return chosen[0]


def _fits(layout: ClipLayout, sizes: Sequence[int | None]) -> bool | None:
    """Whether the sizes show that they are of this layout; None when they are not."""
    if len(sizes) != layout.rank:
        return None
    channels = sizes[2] if layout is ClipLayout.CLIPS else sizes[1]
    if channels is None:
        return False
    stacks = layout is ClipLayout.CHANNELS and channels > 3 and channels % 3 == 0
    return True if stacks or (channels == 3 and layout is not ClipLayout.CHANNELS) else None


def _named(flag: str) -> ClipLayout:
    plain = flag.strip().strip("[]").replace(" ", "").upper()
    for layout in ClipLayout:
        if plain == layout.value.strip("[]"):
            return layout
    raise ConfigError(
        f"unknown layout {flag!r}", where="--input-layout", fix=f"one of {', '.join(ClipLayout)}"
    )


def _agreed(flag: str, given: int | None, told: int | None, unit: str, where: str) -> int:
    """What the flag or the file says, when they do not contradict each other."""
    if given is not None and given < 1:
        raise ConfigError(f"{flag} is {given}", where=flag, fix="give 1 or more")
    if given is not None and told is not None and given != told:
        raise ConfigError(
            f"asked for {given} {unit}, but the input takes {told}",
            where=where,
            fix=f"leave {flag} (or the preset) out, or take the file that it belongs to",
        )
    found = given or told
    if found is None:
        raise ConfigError(f"the file leaves the {unit} open", where=where, fix=f"give {flag}")
    return found


def _written(shape: ir.Shape) -> str:
    return "[" + ", ".join("?" if axis is None else str(axis) for axis in shape) + "]"
