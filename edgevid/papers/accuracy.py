"""Published accuracies of presets, each with where it stands and how often a video was looked at."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ACCURACIES", "Accuracy", "accuracies_of"]


@dataclass(frozen=True)
class Accuracy:
    """A published top-1 accuracy, of weights in float.

    Attributes:
        preset: name of the network.
        dataset: whose validation videos were classified.
        top1: percent.
        views: how often the network looked at a video, as ``1 clip, 1 crop``: latency is that of one look.
            Empty where the source leaves it open.
        source: where the figure stands.
    """

    preset: str
    dataset: str
    top1: float
    views: str
    source: str

    @property
    def group(self) -> str:
        """Figures of one group may be compared: the same videos, looked at as often."""
        return f"{self.dataset}, {self.views or 'views not stated'}"


_KINETICS, _SOMETHING_V1 = "Kinetics-400", "Something-Something-V1"
_ONE_LOOK, _DENSE, _TEN_CROPS = "1 clip, 1 crop", "10 clips, 3 crops", "1 clip, 10 crops"

_UNIFORM = "TSM's release, README: Kinetics-400, uniform sampling"
_DENSELY = "TSM's release, README: Kinetics-400, dense sampling"
_NON_LOCAL = "Non-local (CVPR 2018), in TSM's release, README: Kinetics-400, dense sampling"
_SOMETHING = "TSM's release, README: Something-Something-V1, efficient setting"
_GSM = "GSM (CVPR 2020), in its release, README: Something Something-v1"
_S3D = "S3D (ECCV 2018), in kylemin/S3D, README"
_MMACTION2 = "mmaction2 1.x, configs/recognition/tsm/README.md"

ACCURACIES = (
    Accuracy("tsn-resnet50", _KINETICS, 68.8, _ONE_LOOK, _UNIFORM),
    Accuracy("tsm-resnet50", _KINETICS, 71.2, _ONE_LOOK, _UNIFORM),
    Accuracy("tsm-resnet50-16f", _KINETICS, 72.6, _ONE_LOOK, _UNIFORM),
    Accuracy("tsm-resnet50-dense", _KINETICS, 74.1, _DENSE, _DENSELY),
    Accuracy("tsm-mobilenetv2", _KINETICS, 69.5, _DENSE, _DENSELY),
    Accuracy("tsm-resnet50-nl", _KINETICS, 75.6, _DENSE, _DENSELY),
    Accuracy("i3d-resnet50", _KINETICS, 73.3, _DENSE, _NON_LOCAL),
    Accuracy("nl-i3d-resnet50", _KINETICS, 74.9, _DENSE, _NON_LOCAL),
    Accuracy("tsm-resnet50", _SOMETHING_V1, 45.6, _ONE_LOOK, _SOMETHING),
    Accuracy("tsm-resnet50-16f", _SOMETHING_V1, 47.2, _ONE_LOOK, _SOMETHING),
    Accuracy("tsm-resnet101", _SOMETHING_V1, 46.9, _ONE_LOOK, _SOMETHING),
    Accuracy("gsm-inceptionv3", _SOMETHING_V1, 49.01, _ONE_LOOK, _GSM),
    Accuracy("gsm-inceptionv3-12f", _SOMETHING_V1, 51.58, _ONE_LOOK, _GSM),
    Accuracy("gsm-inceptionv3-16f", _SOMETHING_V1, 50.63, _ONE_LOOK, _GSM),
    Accuracy("gsm-inceptionv3-24f", _SOMETHING_V1, 49.63, _ONE_LOOK, _GSM),
    Accuracy("i3d", _KINETICS, 71.1, "", _S3D),
    Accuracy("s3d", _KINETICS, 72.2, "", _S3D),
    Accuracy("kylemin-s3d", _KINETICS, 72.1, "", "kylemin/S3D, README"),
    Accuracy("mmaction2-tsm-resnet50", _KINETICS, 73.18, _TEN_CROPS, _MMACTION2),
    Accuracy("mmaction2-tsm-mobilenetv2", _KINETICS, 68.71, _TEN_CROPS, _MMACTION2),
)
"""In no order that means anything. A preset without an entry has no figure that was checked."""


def accuracies_of(preset: str) -> tuple[Accuracy, ...]:
    """All that is known of a preset; empty where nothing is."""
    return tuple(entry for entry in ACCURACIES if entry.preset == preset)
