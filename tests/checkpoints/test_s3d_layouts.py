"""Checkpoints of S3D: kylemin/S3D, torchvision's, and the HowTo100M release of S3D-G."""

import importlib.util
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from edgevid.checkpoints import read, write
from edgevid.checkpoints.s3d import read_s3d, recognise_s3d
from edgevid.errors import CheckpointError, ConfigError, EdgevidError, KeyMismatchError
from edgevid.models import NetworkConfig, build
from edgevid.models.volume_config import VolumeConfig

CONFORMANCE = Path(__file__).resolve().parents[2].parent / "shared" / "conformance"
TOLERANCE = 1e-4
FLAGS = {"segments": 8, "crop": 32}
VARIANTS = {
    "s3d": {},
    "i3d": {"kernels": "full"},
    "i2d": {"temporal": (0, 0)},
    "top-heavy": {"temporal": (9, 11)},
    "bottom-heavy": {"kernels": "full", "temporal": (0, 4)},
    "s3d-g": {"gating": "temporal"},
    "gated branches": {"gating": "branches"},
}
RELEASE = {"gating": "branches", "release": "howto100m"}
MIXED = ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c")
NUMBERS = (5, 6, 8, 9, 10, 11, 12, 14, 15)


def network(classes=5, **volumes):
    torch.manual_seed(0)
    config = NetworkConfig(
        backbone="inception_v1",
        classes=classes,
        segments=8,
        size=32,
        width=Fraction(1, 8),
        volumes=VolumeConfig(**volumes),
    )
    return build(config).eval()


def kylemin(model):
    state = {key: tensor for key, tensor in model.state_dict().items() if not key.startswith("fc.")}
    weight = model.fc.weight.detach()
    return state | {"fc.0.weight": weight[:, :, None, None, None], "fc.0.bias": model.fc.bias.detach()}


def torchvision(model):
    """Sequences inside sequences, the same tensors in the same order."""
    found = {}
    for key, tensor in kylemin(model).items():
        match = re.fullmatch(r"base\.(\d+)\.(?:(branch\d)\.(\d)\.)?(conv|bn)(_[st])?\.(\w+)", key)
        if match is None:
            found[key.replace("fc.0.", "classifier.1.")] = tensor
            continue
        number, branch, index, part, half, leaf = match.groups()
        place = [] if branch is None else [branch] if branch == "branch0" else [branch, index]
        steps = [] if half is None else [str("_s_t".index(half) // 2)]
        found[".".join(["features", number, *place, *steps, str(("conv", "bn").index(part)), leaf])] = tensor
    return found


def howto100m(model, texts=True):
    """The release, with its stem over joined pixels and its text network."""
    found = {}
    ends = {"branch0.0": "b0", "branch1.1": "b1", "branch2.1": "b2", "branch3.1": "b3"}
    layers = {"branch0.0": "b0", "branch1.0": "b1_a", "branch1.1": "b1_b"} | {
        "branch2.0": "b2_a",
        "branch2.1": "b2_b",
        "branch3.1": "b3_b",
    }
    for key, tensor in model.state_dict().items():
        if key.startswith("fc."):
            found[key] = tensor
            continue
        _, number, *place, leaf = key.split(".")
        if "gate" in place:
            branch = ".".join(place[: place.index("gate")])
            module = (
                f"mixed_{MIXED[NUMBERS.index(int(number))]}.gating_{ends[branch]}" if branch else "gating"
            )
            found[f"{module}.fc.{leaf}"] = tensor
            continue
        *place, part = place
        which = {"s": "1", "t": "2"}.get(part.rpartition("_")[2], "1")
        branch = ".".join(place)
        outer = {"0": "conv1", "2": "conv_2b", "3": "conv_2c"}
        module = (
            f"mixed_{MIXED[NUMBERS.index(int(number))]}.conv_{layers[branch]}" if branch else outer[number]
        )
        found[f"{module}.{part.partition('_')[0]}{which}.{leaf}"] = tensor
    weight = found["conv1.conv1.weight"]
    outputs = weight.shape[0]
    apart = weight.reshape(outputs, 3, 2, 2, 4, 2, 4, 2).permute(0, 3, 5, 7, 1, 2, 4, 6)
    found["conv1.conv1.weight"] = apart.reshape(outputs, 24, 2, 4, 4)
    if texts:
        found |= {
            "text_module.fc1.weight": torch.ones(2, 3),
            "text_module.word_embd.weight": torch.ones(7, 3),
        }
        found |= {"fc.weight": torch.ones(6, 128), "fc.bias": torch.ones(6)}
    return found


def saved(tmp_path, state):
    torch.save({"state_dict": state}, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def same(checkpoint, model):
    """The checkpoint makes the same network: settings, weights, logits."""
    clip = torch.randn(2, 8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return checkpoint.config == model.config and torch.allclose(
            checkpoint.network()(clip), model(clip), atol=1e-6
        )


@pytest.mark.parametrize("layout", [kylemin, torchvision])
def test_s3d_is_read_from_its_layout(tmp_path, layout):
    model = network()
    checkpoint = read(saved(tmp_path, layout(model)), **FLAGS)
    assert same(checkpoint, model)
    assert checkpoint.layout == f"{layout.__name__}-s3d"


def test_the_release_of_howto100m_returns_its_features(tmp_path):
    model = network(classes=128, **RELEASE, head="features")
    checkpoint = read(saved(tmp_path, howto100m(model)), **FLAGS)
    assert same(checkpoint, model)
    assert checkpoint.layout == "howto100m"


def test_the_release_without_its_texts_returns_logits(tmp_path):
    model = network(**RELEASE)
    assert same(read(saved(tmp_path, howto100m(model, texts=False)), **FLAGS), model)


def test_the_stem_over_pixels_is_that_over_joined_pixels(tmp_path):
    """Blocks of 2 x 2 x 2 pixels as channels, padded on both sides, the first results left out."""
    joined = torch.randn(2, 24, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    model = network(classes=128, **RELEASE, head="features")
    stem = model.base[0]
    stem.conv.weight.data = read_s3d(howto100m(model) | {"conv1.conv1.weight": joined}).tensors[
        "base.0.conv.weight"
    ]
    clip = torch.randn(1, 3, 4, 6, 8)
    blocks = clip.reshape(1, 3, 2, 2, 3, 2, 4, 2).permute(0, 3, 5, 7, 1, 2, 4, 6).reshape(1, 24, 2, 3, 4)
    expected = torch.nn.functional.conv3d(blocks, joined, padding=(1, 2, 2))[:, :, 1:, 1:, 1:]
    padded = torch.nn.functional.pad(clip, (2, 4, 2, 4, 0, 2))
    assert torch.allclose(stem.conv(padded), expected, atol=1e-4)


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_reaches_over_time_is_seen_in_the_keys(tmp_path, variant):
    model = network(**VARIANTS[variant])
    assert same(read(saved(tmp_path, model.state_dict()), **FLAGS), model)


@pytest.mark.parametrize("variant", ["s3d-g", "i3d"])
def test_a_network_over_volumes_is_written_and_read_again(tmp_path, variant):
    model = network(**VARIANTS[variant])
    write(tmp_path / "own.safetensors", model)
    assert same(read(tmp_path / "own.safetensors"), model)


@pytest.mark.parametrize(
    ("layout", "mean", "segments"),
    [(kylemin, 127.5, 64), (torchvision, 110.2008, 16), (howto100m, 0.0, 32)],
)
def test_each_layout_brings_its_publishers_defaults(tmp_path, layout, mean, segments):
    model = network(classes=128, **RELEASE, head="features") if layout is howto100m else network()
    checkpoint = read(saved(tmp_path, layout(model)))
    assert checkpoint.normalization.mean[0] == pytest.approx(mean)
    assert checkpoint.config.segments == checkpoint.sampling.segments == segments
    assert {"mean", "segments"} <= set(checkpoint.assumptions)


@pytest.mark.parametrize(
    ("layout", "stride", "preset"),
    [
        *(
            (layout, stride, preset)
            for layout, stride in ((kylemin, 1), (torchvision, 2), (howto100m, 3))
            for preset in (None, "own")
        ),
        *((layout, stride, "s3d") for layout, stride in ((kylemin, 1), (torchvision, 2))),
    ],
)
def test_more_or_fewer_frames_keep_the_publishers_stride(tmp_path, layout, stride, preset):
    model = network(classes=128, **RELEASE, head="features") if layout is howto100m else network()
    own = "howto100m-s3dg" if layout is howto100m else f"{layout.__name__}-s3d"
    path = saved(tmp_path, layout(model))
    for segments in (8, 24):
        sampling = read(path, preset=own if preset == "own" else preset, segments=segments, crop=32).sampling
        assert (sampling.segments, sampling.window) == (segments, segments * stride)


def test_the_keys_of_torchvision_overrule_the_pixels_and_frames_of_the_paper(tmp_path):
    path = saved(tmp_path, torchvision(network()))
    alone, checkpoint = read(path), read(path, preset="s3d")
    assert checkpoint.normalization == alone.normalization
    assert checkpoint.sampling == alone.sampling
    assert checkpoint.settings["mean"].source == "keys"


@pytest.mark.parametrize(
    ("layout", "preset"),
    [(torchvision, "kylemin-s3d"), (kylemin, "torchvision-s3d"), (kylemin, "howto100m-s3dg")],
)
def test_the_preset_of_another_publisher_is_refused(tmp_path, layout, preset):
    with pytest.raises(ConfigError, match=f"preset {preset} .*keys are of {layout.__name__}-s3d"):
        read(saved(tmp_path, layout(network())), preset=preset)


@pytest.mark.parametrize(
    ("variant", "preset", "words"),
    [
        ("s3d-g", "s3d", r"gating='none', but the keys say gating='temporal'; does not belong to it: .*gate"),
        ("s3d", "s3d-g", r"gating='temporal', but the keys say gating='none'; is missing for it: .*gate"),
        ("i3d", "s3d", r"kernels='separable', but the keys say kernels='full'; does not .*base\.0\.conv\.we"),
    ],
)
def test_another_variant_than_the_presets_is_told_by_its_keys(tmp_path, variant, preset, words):
    with pytest.raises(ConfigError, match=words):
        read(saved(tmp_path, kylemin(network(**VARIANTS[variant]))), preset=preset)


@pytest.mark.parametrize(
    "damage",
    [
        lambda state: state.pop("base.9.branch2.1.conv_t.weight"),
        lambda state: state.update({"base.9.branch0.0.gate.fc.weight": torch.ones(20, 20)}),
        lambda state: state.update({"base.6.branch1.0.conv.weight": torch.ones(16, 32, 1, 3, 3)}),
        lambda state: state.update({"base.16.branch0.0.conv.weight": torch.ones(4, 4, 1, 1, 1)}),
    ],
)
def test_near_misses_are_refused_by_naming_what_does_not_fit(tmp_path, damage):
    state = kylemin(network())
    damage(state)
    with pytest.raises(KeyMismatchError, match=r"base\.\d+"):
        read(saved(tmp_path, state), **FLAGS)


def test_a_wider_network_than_the_published_is_refused_by_its_shapes(tmp_path):
    state = kylemin(network())
    for leaf in ("conv.weight", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"):
        state[f"base.2.{leaf}"] = torch.ones(128, *state[f"base.2.{leaf}"].shape[1:])
    with pytest.raises(KeyMismatchError, match=r"do not fit inception_v1:\n  base\..*misshapen"):
        read(saved(tmp_path, state), **FLAGS)


def test_a_network_without_its_classifier_is_refused(tmp_path):
    state = {key: tensor for key, tensor in kylemin(network()).items() if not key.startswith("fc.")}
    with pytest.raises(KeyMismatchError, match="classifier"):
        read(saved(tmp_path, state), **FLAGS)


def test_a_network_of_optical_flow_is_refused(tmp_path):
    state = kylemin(network())
    state["base.0.conv_s.weight"] = torch.ones(8, 2, 1, 7, 7)
    with pytest.raises(CheckpointError, match="RGB"):
        read(saved(tmp_path, state), **FLAGS)


def test_a_shift_cannot_be_asked_of_a_network_over_volumes(tmp_path):
    with pytest.raises(EdgevidError):
        read(saved(tmp_path, kylemin(network())), **FLAGS, proportion="1/4")


def test_other_networks_are_not_taken_for_s3d():
    for keys in ({"base_model.layer1.0.conv1.net.weight"}, {"features.3.conv.0.weight"}, {"conv1.weight"}):
        assert not recognise_s3d(frozenset(keys))


@pytest.fixture(scope="module")
def published():
    """The rule that makes the weights, from the folder that is shared beside the checkout."""
    if not CONFORMANCE.is_dir():
        pytest.skip("the conformance data is not beside this checkout")
    spec = importlib.util.spec_from_file_location("conformance_rule", CONFORMANCE / "weights.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "layout"), [("kylemin_s3d_64f", "kylemin-s3d"), ("howto100m_s3dg_32f", "howto100m")]
)
def test_a_published_s3d_reproduces_its_output(published, tmp_path, name, layout):
    state = {key: torch.from_numpy(np.asarray(value)) for key, value in published.weights(name).items()}
    checkpoint = read(saved(tmp_path, state))
    assert checkpoint.layout == layout
    clip = torch.from_numpy(published.clip(name)).transpose(1, 2)
    with torch.no_grad():
        found = checkpoint.network()(clip).numpy()
    expected = published.expected(name)[0]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() / np.abs(expected).max() <= TOLERANCE
