import subprocess
import sys
from fractions import Fraction

import pytest
from pydantic import ValidationError

from edgevid.errors import ConfigError, ShiftError
from edgevid.models import NetworkConfig, ShiftConfig, build


@pytest.mark.parametrize("proportion", ["1/4", 0.25, Fraction(1, 4), "0.25"])
def test_a_proportion_is_an_exact_fraction_however_it_is_given(proportion):
    shift = ShiftConfig(proportion=proportion)
    assert shift.proportion == Fraction(1, 4)
    assert shift.model_dump(mode="json")["proportion"] == "1/4"


@pytest.mark.parametrize("proportion", [-0.1, 1.5, "lots", "1/0", True, None, [], float("nan")])
def test_a_proportion_that_is_no_share_is_refused(proportion):
    with pytest.raises(ConfigError, match="proportion"):
        ShiftConfig(proportion=proportion)


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig(backbone="resnet50", classes=400),
        NetworkConfig(backbone="resnet101", classes=1, segments=16, shift=ShiftConfig(proportion="1/3")),
        NetworkConfig(
            backbone="mobilenet_v2",
            classes=27,
            size=96,
            channels=(8, 8, 8, 16, 16, 24, 24, 32, 64),
            blocks=(1, 1, 2, 2, 1, 1, 1),
            expansion=3,
            shift=ShiftConfig(proportion=Fraction(1, 8), direction="unidirectional", repeats=2),
        ),
    ],
)
def test_a_configuration_survives_json(config):
    assert NetworkConfig.model_validate_json(config.model_dump_json()) == config
    assert hash(NetworkConfig.model_validate_json(config.model_dump_json())) == hash(config)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("backbone", "vgg16"),
        ("classes", 0),
        ("segments", 0),
        ("size", -1),
        ("blocks", (3, 4, 6)),
        ("blocks", (3, 4, 0, 3)),
        ("channels", (64, 64)),
        ("expansion", 3),
        ("width", "1/2"),
        ("dropout", 1.0),
        ("depth", 50),
        ("shift", {"place": "residual"}),
        ("shift", {"direction": "sideways"}),
        ("shift", {"every": 0}),
        ("shift", {"repeats": 0}),
    ],
)
def test_a_field_that_makes_no_sense_is_named(field, value):
    name = next(iter(value)) if isinstance(value, dict) else field
    with pytest.raises(ConfigError, match=name):
        NetworkConfig(**{"backbone": "resnet50", "classes": 5, field: value})


@pytest.mark.parametrize("backbone", ["bn_inception", "inception_v3", "inception_v1"])
@pytest.mark.parametrize(
    ("field", "value"),
    [("shift", {}), ("synthesis", {}), ("channels", (64,) * 5), ("blocks", (3, 4, 6, 3)), ("width", 2)],
)
def test_an_inception_takes_no_fields_of_other_families(backbone, field, value):
    with pytest.raises(ConfigError, match="proportion" if field == "width" else field):
        NetworkConfig(backbone=backbone, classes=5, **{field: value})


def test_the_width_of_an_inception_scales_to_multiples_of_four():
    whole, sixth = (NetworkConfig(backbone="bn_inception", classes=5, width=width) for width in (1, "1/6"))
    assert [whole.scaled(channels) for channels in (3, 96, 1000)] == [3, 96, 1000]
    assert [sixth.scaled(channels) for channels in (3, 96, 1000)] == [4, 16, 168]


@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2"])
@pytest.mark.parametrize("field", ["gate", "volumes"])
def test_what_belongs_to_an_inception_is_refused_elsewhere(backbone, field):
    with pytest.raises(ConfigError, match=field):
        NetworkConfig(backbone=backbone, classes=5, **{field: {}})


def test_frames_are_mixed_in_one_way_only():
    with pytest.raises(ConfigError, match="shift and by synthesis"):
        NetworkConfig(backbone="resnet50", classes=5, shift={}, synthesis={})


@pytest.mark.parametrize("shift", [{"placement": "inplace"}, {"every": 2}])
def test_a_shift_that_is_not_published_for_mobilenet_is_refused(shift):
    with pytest.raises(ConfigError, match="MobileNetV2"):
        NetworkConfig(backbone="mobilenet_v2", classes=5, shift=shift)


def test_a_configuration_cannot_be_changed():
    config = NetworkConfig(backbone="resnet50", classes=5)
    with pytest.raises(ValidationError, match="frozen"):
        config.classes = 6


@pytest.mark.parametrize(
    ("backbone", "placement", "every"),
    [
        ("resnet50", "residual", 1),
        ("resnet101", "residual", 2),
        ("resnet152", "residual", 2),
        ("resnet101", "inplace", 1),
        ("resnet34", "residual", 1),
    ],
)
def test_deep_networks_shift_every_second_block_as_published(backbone, placement, every):
    shift = ShiftConfig(placement=placement)
    assert NetworkConfig(backbone=backbone, classes=5, shift=shift).shift_every == every
    explicit = ShiftConfig(placement=placement, every=3)
    assert NetworkConfig(backbone=backbone, classes=5, shift=explicit).shift_every == 3


def test_a_proportion_that_moves_no_channel_of_a_layer_names_the_layer():
    config = NetworkConfig(
        backbone="resnet18", classes=5, channels=(8, 8, 2, 8, 8), shift=ShiftConfig(proportion="1/4")
    )
    with pytest.raises(ShiftError, match=r"layer2\.1"):
        build(config)


def test_controls_differ_in_the_shift_only():
    config = NetworkConfig(backbone="resnet50", classes=5, shift=ShiftConfig())
    assert config.without_shift() == NetworkConfig(backbone="resnet50", classes=5)
    assert config.with_swapped_shift().shift == ShiftConfig(first="past")
    assert config.with_swapped_shift().with_swapped_shift() == config
    with pytest.raises(ConfigError):
        config.without_shift().with_swapped_shift()


def test_configurations_and_presets_are_read_without_importing_torch():
    code = (
        "import sys, edgevid.models.config, edgevid.models.registry as r; "
        "r.preset('tsm-resnet50'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
