"""Several checkpoints, or bundles that were compiled before, into one ensemble."""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgevid.bundle import MEMBERS, Bundle
from edgevid.compiler import compile_checkpoint
from edgevid.ensemble import Ensemble, Member, check_members, seal_ensemble
from edgevid.errors import ConfigError
from edgevid.int8 import Int8, remove_partial
from edgevid.new_bundle import check_place, new_bundle
from edgevid.plan import plan
from edgevid.source import Say, Source, open_source, with_flow

__all__ = ["compile_ensemble"]


def compile_ensemble(
    networks: Sequence[str | os.PathLike[str]],
    output: str | os.PathLike[str],
    *,
    segments: Sequence[int] = (),
    weights: Sequence[float] = (),
    flags: Mapping[str, Any] | None = None,
    int8: Int8 | None = None,
    say: Say = lambda _: None,
    **options: Any,
) -> Ensemble:
    """Compile several networks for one device, or take those that are compiled, and keep them as one bundle.

    All files are opened before the first one is compiled, so that what is wrong with the last is told soon.

    Args:
        networks: two or more: files as `edgevid.compile_checkpoint` takes them, or folders of bundles.
        output: where the ensemble goes; an older one, or an older bundle, is replaced in one step.
        segments: T, one number for all networks or one for each; what the files say if empty.
        weights: of their scores, one for each; alike if empty.
        flags: what the files do not say, the same for all of them; ``flow`` of those that look at flow.
        int8: calibrates each network by itself. With its ``partial`` each has a file of its own beside that,
            which is removed when all are compiled.
        say: is told each step.
        options: the others of `edgevid.compile_checkpoint`, the same for all files.

    Returns:
        The opened ensemble.

    Raises:
        ConfigError: fewer than two networks, numbers that are not one for each, networks that do not fit
            together, or one table of ranges for several networks.
        EdgevidError: of the step that failed; nothing is written then.
    """
    place = Path(output).expanduser().absolute()
    _check_request(networks, segments, weights, options)
    check_place(place)
    request = plan(int8=int8, **options)
    given = [
        _opened(network, number, dict(flags or {}), say)
        for network, number in zip(networks, _for_each(segments, len(networks)), strict=True)
    ]
    _check_flow(given, (flags or {}).get("flow"))
    bundles = [each for each in given if isinstance(each, Bundle)]
    _check_bundles(bundles, request.device.name)
    if int8 is not None and int8.has_table and len(given) - len(bundles) > 1:
        raise ConfigError(
            "one table of ranges for several networks",
            where="--calibration",
            fix="give --calibration videos; or compile each network by itself with its own table, and give "
            "the bundles",
        )
    partials = [_partial(int8, number) for number in range(1, len(given) + 1)]
    members: list[Member] = []
    with new_bundle(place) as draft:
        for number, each in enumerate(given, start=1):
            folder, partial = draft / MEMBERS / str(number), partials[number - 1]
            say(f"network {number} of {len(given)}")
            if isinstance(each, Bundle):
                shutil.copytree(each.path, folder)
                made = Bundle.open(folder)
            else:
                own = replace(int8, partial=partial) if int8 is not None else None
                made = compile_checkpoint(each, folder, int8=own, say=say, **options)
            weight = weights[number - 1] if weights else 1.0
            members.append(Member.of(made, _title(made, members), weight))
            check_members(members)
        seal_ensemble(draft, members)
    for partial in filter(None, partials):
        remove_partial(partial)
    return Ensemble.open(place)


def _check_request(
    networks: Sequence[object],
    segments: Sequence[int],
    weights: Sequence[float],
    options: Mapping[str, Any],
) -> None:
    count = len(networks)
    if count < 2:
        raise ConfigError(
            f"an ensemble of {count} networks", fix="give two or more, or compile a single one by itself"
        )
    if len(segments) not in (0, 1, count):
        raise ConfigError(
            f"{len(segments)} numbers of frames for {count} networks",
            where=f"--segments {','.join(map(str, segments))}",
            fix="give one for all, or one for each in their order",
        )
    if len(weights) not in (0, count) or not all(math.isfinite(each) and each > 0 for each in weights):
        raise ConfigError(
            f"the weights {', '.join(f'{each:g}' for each in weights)} for {count} networks",
            where="--weights",
            fix="give each network one that is above 0, in their order, or leave them out",
        )
    if options.get("streaming") or options.get("lookahead"):
        raise ConfigError(
            "an ensemble of networks that take frame by frame",
            where="--streaming",
            fix="leave it out: networks of an ensemble take whole clips; or compile each by itself",
        )


def _for_each(segments: Sequence[int], count: int) -> Sequence[int | None]:
    if not segments:
        return [None] * count
    return segments if len(segments) == count else [segments[0]] * count


def _opened(
    network: str | os.PathLike[str], segments: int | None, flags: dict[str, Any], say: Say
) -> Bundle | Source:
    """A bundle, or the file of a network, of that many frames."""
    if not Path(network).is_dir():
        given = {} if segments is None else {"segments": segments}
        flow = flags.pop("flow", None)
        source = open_source(network, say=say, **given, **flags)
        # Networks of pictures refuse the flag, and are its members too.
        return source if flow is None else with_flow(source, flow)
    say(f"checking {os.fspath(network)}")
    bundle = Bundle.open(network)
    own = bundle.manifest.sampling.segments
    if segments not in (None, own):
        raise ConfigError(
            f"a bundle of clips of {own} frames, where {segments} are asked for",
            where=bundle.path,
            fix="give the checkpoint that it was compiled from, or other --segments",
        )
    return bundle


def _check_flow(given: Sequence[Bundle | Source], flow: str | None) -> None:
    """Raise `ConfigError` for how flow is computed where nobody looks at it."""
    if flow is None or any(isinstance(each, Source) and each.sampling.flow is not None for each in given):
        return
    raise ConfigError(
        "no network that is to be compiled looks at optical flow",
        where=f"--flow {flow}",
        fix="leave it out, or give the checkpoint of a network of flow",
    )


def _check_bundles(bundles: Sequence[Bundle], device: str) -> None:
    """What was compiled before fits together, and what will be compiled now."""
    for bundle in bundles:
        own = bundle.manifest.device
        if own != device:
            raise ConfigError(
                f"a bundle for {own} in an ensemble for {device}",
                where=bundle.path,
                fix=f"give --device {own}, or the checkpoint that it was compiled from",
            )
    check_members([Member.of(bundle, str(bundle.path)) for bundle in bundles])


def _title(bundle: Bundle, others: Sequence[Member]) -> str:
    """The name of its file and its frames, with a number where another member has these too."""
    facts = bundle.manifest
    title = f"{Path(facts.source).stem}, {facts.sampling.segments} frames"
    number, taken = 1, {member.title for member in others}
    while (found := title if number == 1 else f"{title} #{number}") in taken:
        number += 1
    return found


def _partial(int8: Int8 | None, number: int) -> Path | None:
    """Where calibration of one network is written down."""
    if int8 is None or int8.partial is None:
        return None
    return int8.partial.with_name(f"{int8.partial.name}.{number}")
