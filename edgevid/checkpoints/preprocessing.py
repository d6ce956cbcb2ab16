"""Normalization and sampling of a checkpoint from its merged settings, validated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from pydantic import TypeAdapter, ValidationError

from edgevid.checkpoints.settings import Merger
from edgevid.contract import Flow, Normalization, Sampling, known_algorithm
from edgevid.errors import ConfigError

__all__ = ["normalization_of", "sampling_of"]

_FULL_SIZE = 224
_FULL_RESIZE = 256


def normalization_of(merger: Merger, channels: int = 3) -> Normalization:
    """Mean, std and order of the channels.

    Args:
        merger: of the settings.
        channels: 3 of pictures, 2k of k stacked fields of optical flow.

    Raises:
        ConfigError: no three numbers each, or of flow neither one nor as many as channels; meant for pixels
            from 0 to 1; or an order that is not of such channels.
    """
    values = {name: merger.choose(name) for name in ("mean", "std", "color")}
    for name in ("mean", "std"):
        read = _three_numbers if channels == 3 else partial(_numbers_of_flow, channels=channels)
        values[name] = read(name, values[name], merger.where)
        if not all(math.isfinite(value) for value in values[name]):
            raise ConfigError(f"{name} is {values[name]}", where=merger.where, fix="give finite numbers")
    if min(values["std"]) <= 0:
        raise ConfigError(f"std is {values['std']}", where=merger.where, fix="give numbers above 0")
    if max(values["std"]) < 1 and max(values["mean"]) <= 1:
        raise ConfigError(
            f"mean {values['mean']} and std {values['std']} are for pixels from 0 to 1",
            where=merger.where,
            fix="multiply both by 255: pixels are 0 to 255 here",
        )
    if (values["color"] == "XY") != (channels != 3):
        raise ConfigError(
            f"channels in the order {values['color']}, of a network that takes {channels} of them",
            where=merger.where,
            fix="give RGB or BGR for pictures, and XY for optical flow, or leave it out",
        )
    normalization: Normalization = _validated(TypeAdapter(Normalization), values, merger.where)
    return normalization


def sampling_of(merger: Merger, segments: int, channels: int = 3) -> Sampling:
    """Which frames are looked at. The short side is 256/224 of the crop where nothing says it.

    Args:
        merger: of the settings.
        segments: T.
        channels: 3 of pictures, 2k of k stacked fields of optical flow.

    Raises:
        ConfigError: a value out of range, a crop larger than the frame, or flow of a network of pictures.
    """
    crop = merger.choose("crop")
    merger.candidates["default"].setdefault("resize", round(int(crop) * _FULL_RESIZE / _FULL_SIZE))
    names = ("mode", "window", "clips", "crops", "resize", "library", "average")
    values = {name: merger.choose(name) for name in names}
    if merger.says("interval"):
        values["interval"] = merger.choose("interval")
    flow = _flow_of(merger, channels)
    if flow is not None:
        values["flow"] = flow
    sampling: Sampling = _validated(
        TypeAdapter(Sampling), {**values, "segments": segments, "crop": crop}, merger.where
    )
    for name in ("window", "clips", "resize", "crop"):
        if getattr(sampling, name) < 1:
            raise ConfigError(
                f"{name} is {getattr(sampling, name)}", where=merger.where, fix="give 1 or more"
            )
    if sampling.interval is not None and not 0 < sampling.interval < math.inf:
        raise ConfigError(
            f"an interval of {sampling.interval} s from frame to frame",
            where=merger.where,
            fix="give seconds above 0, as 0.08",
        )
    if sampling.crop > sampling.resize:
        raise ConfigError(
            f"a crop of {sampling.crop} pixels of frames resized to {sampling.resize}",
            where=merger.where,
            fix="raise resize, or lower crop",
        )
    return sampling


def _three_numbers(name: str, value: Any, where: object) -> tuple[float, ...]:
    numbers = _numbers(value)
    if len(numbers) != 3:
        raise ConfigError(f"{name} is {value!r}", where=where, fix="give three numbers, one a channel")
    return numbers


def _numbers_of_flow(name: str, value: Any, where: object, channels: int) -> tuple[float, ...]:
    """One number, or one a channel; two are of x and of y."""
    numbers = _numbers(value)
    if len(set(numbers)) == 1:
        return numbers[:1]
    if len(numbers) == 2:
        return numbers * (channels // 2)
    if len(numbers) != channels:
        raise ConfigError(
            f"{name} is {value!r}",
            where=where,
            fix=f"give one number, or one for each of {channels} channels",
        )
    return numbers


def _numbers(value: Any) -> tuple[float, ...]:
    """Of a list, or of text with commas between them; none of what is neither."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Sequence):
        return ()
    try:
        return tuple(float(number) for number in value)
    except (TypeError, ValueError):
        return ()


def _flow_of(merger: Merger, channels: int) -> Flow | None:
    if channels == 3:
        if "flow" in merger.candidates["flag"]:
            raise ConfigError(
                "the network takes pictures, and no optical flow",
                where=merger.where,
                fix="leave --flow out, or take the network of flow",
            )
        return None
    return Flow(channels // 2, known_algorithm(merger.choose("flow"), merger.where))


def _validated(adapter: TypeAdapter[Any], values: dict[str, Any], where: object) -> Any:
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise ConfigError(
            "; ".join(faults), where=where, fix="see edgevid.contract for the choices"
        ) from error
