"""How the files of a folder of frames are named: pictures, images of optical flow, or both."""

from __future__ import annotations

from dataclasses import dataclass

from edgevid.errors import ConfigError

__all__ = ["FrameNames", "check_template", "frame_names"]


@dataclass(frozen=True)
class FrameNames:
    """Names of the files that a frame template stands for.

    Attributes:
        pictures: with a field for the number, as ``img_{:05d}.jpg``; None where there are only flow images.
        flow: with a field for the direction before it, as ``flow_{}_{:05d}.jpg`` or ``{}/frame{:06d}.jpg``;
            None where there are none.
    """

    pictures: str | None
    flow: str | None


def frame_names(template: str) -> FrameNames:
    """What a frame template names; one for pictures and one for flow images have a comma between them.

    Raises:
        ConfigError: it numbers no files.
    """
    if _numbers_pictures(template):
        return FrameNames(template, None)
    if _numbers_flow(template):
        return FrameNames(None, template)
    first, _, second = (part.strip() for part in template.partition(","))
    for pictures, flow in ((first, second), (second, first)):
        if _numbers_pictures(pictures) and _numbers_flow(flow):
            return FrameNames(pictures, flow)
    raise _refused(template, "; of flow images one for x and y before it, as in flow_{}_{:05d}.jpg")


def check_template(template: str) -> None:
    """Refuse a frame template that does not number pictures.

    Raises:
        ConfigError: no replacement field, more than one, or one that takes no whole number.
    """
    if not _numbers_pictures(template):
        raise _refused(template)


def _refused(template: str, more: str = "") -> ConfigError:
    return ConfigError(
        f"the frame template {template!r} does not number files",
        where="--frame-template",
        fix=f"write one field for the number, as in img_{{:05d}}.jpg{more}",
    )


def _numbers_pictures(template: str) -> bool:
    return _tells_apart(template, (1,), (2,))


def _numbers_flow(template: str) -> bool:
    return _tells_apart(template, ("x", 1), ("x", 2)) and _tells_apart(template, ("x", 1), ("y", 1))


def _tells_apart(template: str, one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    try:
        return template.format(*one) != template.format(*other)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return False
