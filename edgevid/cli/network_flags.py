"""The settings of a network that its weights do not say, as options of every verb that reads one."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer

from edgevid.cli.options import numbers
from edgevid.errors import ConfigError

__all__ = ["takes_network_flags"]

_VIEWS = frozenset({"temporal_clips", "crops", "average"})
"""How often a video is looked at."""


def _setting(help: str, *names: str) -> Any:
    return typer.Option(*names, help=help, rich_help_panel="What weights cannot say")


_SEVERAL = Annotated[str | None, _setting("T, frames a clip; of several networks one each, as 8,16.")]
"""Of ``segments``."""


def _settings(
    preset: Annotated[str | None, _setting("A published network.")] = None,
    segments: Annotated[int | None, _setting("T, frames a clip.")] = None,
    proportion: Annotated[str | None, _setting("Share of channels that move, as 1/4.")] = None,
    shift_div: Annotated[int | None, _setting("The same as the published code says it.")] = None,
    direction: Annotated[str | None, _setting("bidirectional or unidirectional.")] = None,
    first: Annotated[str | None, _setting("What the first fold takes: future or past.")] = None,
    placement: Annotated[str | None, _setting("residual or inplace.")] = None,
    size: Annotated[int | None, _setting("Pixels of the crop.")] = None,
    resize: Annotated[int | None, _setting("Pixels of the short side.")] = None,
    mean: Annotated[str | None, _setting("A number a channel or one, pixels from 0 to 255.")] = None,
    std: Annotated[str | None, _setting("Likewise.")] = None,
    color: Annotated[str | None, _setting("RGB or BGR.")] = None,
    library: Annotated[str | None, _setting("Whose resize: pil or opencv.")] = None,
    flow: Annotated[
        str | None, _setting("What computes optical flow of videos, for a network of flow: dis or tvl1.")
    ] = None,
    mode: Annotated[str | None, _setting("Sampling: uniform or dense.")] = None,
    temporal_clips: Annotated[int | None, _setting("Temporal clips a video.")] = None,
    crops: Annotated[int | None, _setting("1 or 3 crops a clip.")] = None,
    frame_interval: Annotated[
        float | None, _setting("Seconds from frame to frame that it was trained at, for stream.")
    ] = None,
    average: Annotated[str | None, _setting("Over views: logits or softmax.")] = None,
    labels: Annotated[
        Path | None,
        _setting("Class names, one a line or JSON.", "--labels"),
    ] = None,
    output_name: Annotated[
        str | None, typer.Option(help="Which output of an ONNX file holds the class scores.")
    ] = None,
    input_layout: Annotated[
        str | None,
        typer.Option(help="Of the clips in an ONNX file, as 'N,T,3,H,W', where its shape leaves it open."),
    ] = None,
) -> None:
    """The options; what is not given is left to the file."""


def takes_network_flags(
    *, views: bool = True, several: bool = False
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a verb these options instead of its ``flags``, and it those that were given as ``flags``.

    Args:
        views: with the options that say how often a video is looked at.
        several: ``segments`` are a list, since the verb takes several networks.
    """
    declared = dict(signature(_settings, eval_str=True).parameters)
    if several:
        declared["segments"] = declared["segments"].replace(annotation=_SEVERAL)
    added = [each for name, each in declared.items() if views or name not in _VIEWS]

    def wrap(verb: Callable[..., None]) -> Callable[..., None]:
        own = signature(verb, eval_str=True)

        def command(**given: Any) -> None:
            flags = {each.name: given.pop(each.name) for each in added}
            verb(**given, flags=_checked(flags))

        parameters = [each for each in own.parameters.values() if each.name != "flags"] + added
        command.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {each.name: each.annotation for each in parameters}
        command.__doc__, command.__name__ = verb.__doc__, verb.__name__
        return command

    return wrap


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    """Those that were given, by their names in `edgevid.compile_checkpoint`."""
    flags = {name: value for name, value in options.items() if value is not None}
    if "temporal_clips" in flags:
        flags["clips"] = flags.pop("temporal_clips")
    if "frame_interval" in flags:
        flags["interval"] = flags.pop("frame_interval")
    if isinstance(flags.get("segments"), str):
        flags["segments"] = numbers(flags["segments"], "--segments")
    for name in ("mean", "std"):
        if name in flags:
            flags[name] = _a_channel(flags[name], f"--{name}")
    return flags


def _a_channel(text: str, where: str) -> tuple[float, ...]:
    """Three numbers, of which one may stand for all; or as many as stacked fields of flow have channels."""
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        values = ()
    flow = len(values) > 3 and len(values) % 2 == 0
    if not flow and len(values) not in (1, 3):
        raise ConfigError(
            f"{text!r} is not one number or three",
            where=where,
            fix="write 123.675,116.28,103.53; of optical flow one, as 127.5",
        )
    return values * 3 if len(values) == 1 else values
