"""Mixed precision: the most sensitive layers go back to float until int8 loses no more than is allowed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgevid.calibration.comparison import Verdict
from edgevid.calibration.data import Data, check_labels
from edgevid.calibration.inference import Progress
from edgevid.calibration.pairs import judge
from edgevid.calibration.statistics import Paired, paired
from edgevid.contract import Session
from edgevid.errors import ConfigError, VerificationError, VideoError
from edgevid.graph.verify import run_all
from edgevid.recognition import scores

__all__ = ["Mixed", "Trial", "float_layers_within", "right_answers"]

_Answers = NDArray[np.int8]

_UNKNOWN = -1
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Trial:
    """A number of layers, the most sensitive ones, in float, and what the network then loses."""

    float_layers: int
    top1: Paired


@dataclass(frozen=True)
class Mixed:
    """What was found.

    Attributes:
        layers: that go back to float, the most sensitive first; none is the normal case.
        top1: right first answers in float and with these layers in float.
        trials: all that was measured, in its order.
        verdict: whether the data can tell that the drop is within the limit.
        remark: the same in a sentence.
    """

    layers: tuple[str, ...]
    top1: Paired
    trials: tuple[Trial, ...]
    verdict: Verdict
    remark: str


def float_layers_within(
    limit: float,
    reference: Session,
    open_int8: Callable[[Collection[str]], AbstractContextManager[Session]],
    rank: Callable[[], Sequence[str]],
    data: Data,
    progress: Progress | None = None,
) -> Mixed:
    """The fewest of the most sensitive layers that must be in float for a drop within ``limit``.

    Their number is doubled until the drop is within the limit, and then halved between the last two
    that were tried. What is returned was measured, on all labelled videos of ``data``.

    Args:
        limit: allowed drop of top-1 against ``reference`` on ``data``, from 0 to 1.
        reference: the float network.
        open_int8: opens the int8 network with layers of these names in float.
        rank: names of all layers that can go back, the most sensitive first; asked only when needed.
        data: videos with labels.
        progress: is told the number of videos of each measurement.

    Raises:
        ConfigError: no labels, a label beyond the classes, or clips of another shape.
        VideoError: no labelled video can be read.
        VerificationError: more is lost with all of these layers but one in float.
    """
    check_labels(data, reference.output.shape[1])
    if all(label is None for label in data.labels):
        raise ConfigError(
            "without labels there is no accuracy, and so no drop",
            where=data.source,
            fix="give a list with labels, or leave --max-drop out",
        )
    before = right_answers(reference, data, "float", progress)
    if (before == _UNKNOWN).all():
        raise VideoError("no labelled video can be read", where=data.source, fix="mend the list")
    ranked: Sequence[str] = ()
    trials: dict[int, Trial] = {}

    def fits(count: int) -> bool:
        with open_int8(ranked[:count]) as session:
            stage = f"int8, {count} layers in float" if count else "int8"
            after = right_answers(session, data, stage, progress)
        both = (before != _UNKNOWN) & (after != _UNKNOWN)
        lost, gained = (both & (before > after)).sum(), (both & (after > before)).sum()
        trials[count] = Trial(count, paired(int(lost), int(gained), int(both.sum())))
        return trials[count].top1.drop.value <= limit + _ROUNDING

    count = 0
    if not fits(0):
        ranked, failed, count = rank(), 0, 1
        most = len(ranked) - 1  # with all of them in float nothing would be in int8
        while count > most or not fits(count):
            if count >= most:
                raise _impossible(limit, len(ranked), trials[max(trials)])
            failed, count = count, min(2 * count, most)
        while count - failed > 1:
            middle = (failed + count) // 2
            failed, count = (failed, middle) if fits(middle) else (middle, count)
    verdict, remark = judge(trials[count].top1, limit)
    assert verdict is not None
    return Mixed(tuple(ranked[:count]), trials[count].top1, tuple(trials.values()), verdict, remark)


def right_answers(session: Session, data: Data, stage: str, progress: Progress | None = None) -> _Answers:
    """Of every video whether the first answer is its label: 1, 0, or -1 where that cannot be told.

    Raises:
        ConfigError: clips of another shape than the session takes.
    """
    answers = np.full(len(data.labels), _UNKNOWN, np.int8)
    with closing(data.read()) as reading:
        for number, sample in enumerate(reading):
            if progress:
                progress(stage, number + 1, len(answers))
            if isinstance(sample.clips, VideoError) or sample.label is None:
                continue
            if sample.clips.shape[1:] != tuple(session.input.shape[1:]):
                raise ConfigError(
                    f"the clip is {list(sample.clips.shape[1:])}, "
                    f"the network takes {list(session.input.shape[1:])}",
                    where=sample.name,
                    fix="sample and crop the videos as this network wants them",
                )
            first = scores(run_all(session, sample.clips), data.sampling).argmax()
            answers[number] = first == sample.label
    return answers


def _impossible(limit: float, layers: int, trial: Trial) -> VerificationError:
    top1 = trial.top1
    low, high = 100 * top1.drop.low, 100 * top1.drop.high
    return VerificationError(
        f"int8 loses too much: with {trial.float_layers} of {layers} layers in float the top-1 drop is "
        f"{100 * top1.drop.value:.2f} points ({low:.2f} to {high:.2f} with 95 % confidence) of {top1.count} "
        f"videos, and {100 * limit:g} are allowed; with all of them in float nothing would be in int8",
        where="--max-drop",
        fix="calibrate with more clips that look like --data, or with another --method; compile for fp16, "
        "bf16 or fp32; or, where the interval is wide, give more labelled videos",
    )
