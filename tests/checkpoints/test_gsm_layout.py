"""Checkpoints of Gate-Shift networks and of the plain Inceptions."""

import pytest
import torch
from checkpoint_layouts import mit, network, small
from gsm_layout import release
from torch.nn import functional

from edgevid.checkpoints import read, write
from edgevid.checkpoints.gsm import read_gsm
from edgevid.contract import Normalization
from edgevid.errors import CheckpointError, ConfigError, KeyMismatchError, UnknownLayoutError
from edgevid.models import NetworkConfig, build
from edgevid.models.gate_config import GateConfig
from edgevid.models.gate_shift import GateShift
from edgevid.models.presets_gsm import CAFFE_PIXELS

SMALLEST = {"bn_inception": 64, "inception_v3": 69}
HEADS = {"bn_inception": "base_model.fc", "inception_v3": "base_model.top_cls_fc"}
FIFTH = {"bn_inception": "inception_4b_1x1", "inception_v3": "mixed_4_conv_Conv2D"}


def inception(backbone="bn_inception", gate=None, frame_channels=3):
    torch.manual_seed(0)
    size = SMALLEST[backbone]
    shape = {"classes": 5, "segments": 4, "size": size, "width": "1/8", "frame_channels": frame_channels}
    config = NetworkConfig(backbone=backbone, gate=gate, **shape)
    model = build(config).eval()
    # Statistics and biases all different, so that an order of channels shows.
    for key, tensor in model.state_dict().items():
        if key.endswith(("bias", "running_mean")):
            tensor.normal_(std=0.1)
        elif key.endswith(("bn.weight", "running_var")):
            tensor.uniform_(0.5, 1.5)
    return model


def saved(tmp_path, state):
    torch.save({"state_dict": state}, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def flags(backbone):
    return {"segments": 4, "crop": SMALLEST[backbone]}


def same(checkpoint, model):
    """The checkpoint makes the same network: settings, weights, logits."""
    size = model.config.size
    clip = torch.randn(2, 4, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return checkpoint.config == model.config and torch.equal(checkpoint.network()(clip), model(clip))


@pytest.mark.parametrize("backbone", SMALLEST)
@pytest.mark.parametrize("count", [1, 5, 10])
def test_a_gated_network_is_read_from_the_release(tmp_path, backbone, count):
    model = inception(backbone, GateConfig(count=count))
    checkpoint = read(saved(tmp_path, release(model)), **flags(backbone))
    assert same(checkpoint, model)
    assert checkpoint.layout == "gsm"
    assert checkpoint.settings["gate"].source == "keys"
    assert checkpoint.settings["proportion"].source == "keys"


def test_keys_of_the_release_are_known_without_their_prefix(tmp_path):
    model = inception(gate=GateConfig())
    state = {key.removeprefix("base_model."): tensor for key, tensor in release(model).items()}
    assert same(read(saved(tmp_path, state), **flags("bn_inception")), model)


@pytest.mark.parametrize("backbone", SMALLEST)
@pytest.mark.parametrize("head", ["new_fc", "trained without dropout"])
def test_a_plain_inception_is_read(tmp_path, backbone, head):
    model = inception(backbone)
    state = release(model, head if head == "new_fc" else HEADS[backbone])
    checkpoint = read(saved(tmp_path, state), **flags(backbone))
    assert same(checkpoint, model)
    assert checkpoint.layout == "mit"


def test_what_the_release_does_after_the_shift_stands_in_the_weights():
    """Convolution, 3D gate, shift, then quarters of each half in turns, as the release computes them."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(shape, generator=generator)

    weights = {"conv.weight": random(8, 3, 1, 1), "conv.bias": random(8)}
    weights |= {"conv3D.weight": random(2, 4, 3, 3, 3), "conv3D.bias": random(2)}
    norm = {leaf: random(8) for leaf in ("weight", "bias", "running_mean")}
    norm["running_var"] = random(8).abs() + 0.5
    clip = random(1, 3, 4, 5, 5)

    x = functional.conv3d(clip, weights["conv.weight"][:, :, None], weights["conv.bias"])
    seen = functional.batch_norm(
        x, norm["running_mean"], norm["running_var"], norm["weight"], norm["bias"], training=False
    ).relu()
    gates = functional.conv3d(seen, weights["conv3D.weight"], weights["conv3D.bias"], padding=1, groups=2)
    halves = []
    for gate, half, step in zip(gates.tanh().chunk(2, 1), x.chunk(2, 1), (-1, 1), strict=True):
        y = gate * half
        empty = torch.zeros_like(y[:, :, :1])
        parts = [y[:, :, 1:], empty] if step < 0 else [empty, y[:, :, :-1]]
        z = torch.cat(parts, dim=2) + half - y
        halves.append(z.reshape(1, 2, 2, 4, 5, 5).transpose(1, 2).reshape(1, 4, 4, 5, 5))
    expected = torch.cat(halves, dim=1)[0].transpose(0, 1)

    name = "inception_3a_1x1"
    state = {f"base_model.{name}.{leaf}": weights[f"conv.{leaf}"] for leaf in ("weight", "bias")}
    state |= {f"base_model.gsm_{name}.{key}": weights[key] for key in weights if key.startswith("conv3D")}
    state |= {f"base_model.gsm_{name}.bn.{leaf}": tensor for leaf, tensor in norm.items()}
    found = read_gsm(state).tensors
    layer = GateShift(8, 4, norm=True).eval()
    prefix = f"units.{name}.gate."
    loaded = {key.removeprefix(prefix): found[key] for key in found if key.startswith(prefix)}
    layer.load_state_dict({**loaded, "bn.num_batches_tracked": torch.tensor(0)})
    images = functional.conv2d(
        clip[0].transpose(0, 1), found[f"units.{name}.conv.weight"], found[f"units.{name}.conv.bias"]
    )
    with torch.no_grad():
        assert torch.allclose(layer(images), expected, atol=1e-4)


@pytest.mark.parametrize("backbone", SMALLEST)
@pytest.mark.parametrize("gate", [None, GateConfig(count=5), GateConfig(norm=False)])
def test_what_is_written_is_read_again(tmp_path, backbone, gate):
    model = inception(backbone, gate)
    write(tmp_path / "net.safetensors", model)
    checkpoint = read(tmp_path / "net.safetensors")
    assert same(checkpoint, model)
    assert checkpoint.layout == "edgevid"


@pytest.mark.parametrize(
    ("backbone", "crop", "resize"), [("bn_inception", 224, 256), ("inception_v3", 229, 261)]
)
def test_pixels_and_sizes_are_the_releases_where_nothing_says_them(tmp_path, backbone, crop, resize):
    checkpoint = read(saved(tmp_path, release(inception(backbone, GateConfig()))))
    assert checkpoint.normalization == CAFFE_PIXELS
    assert (checkpoint.sampling.crop, checkpoint.sampling.resize) == (crop, resize)
    assert {"mean", "color", "crop", "segments"} <= set(checkpoint.assumptions)


@pytest.mark.parametrize(
    ("gate", "preset", "words"),
    [
        (
            GateConfig(),
            "tsn-bninception",
            r"preset says gate None, but the keys say count=10 .*does not belong to it: "
            r"base_model\.gsm_inception_3a_1x1\.\w+.* and 58 more",
        ),
        (
            None,
            "gsm-bninception",
            r"preset says gate count=10.*, but the keys say None; is missing for it: "
            r"base_model\.gsm_inception_3a_1x1\.bias|base_model\.gsm_inception_3a_1x1\.conv3D\.\w+",
        ),
        (
            GateConfig(count=5),
            "gsm-bninception",
            r"preset says gate count=10, but the keys say count=5; is missing for it: base_model\.gsm_",
        ),
        (
            GateConfig(),
            "gsm-bninception-plain",
            r"norm=False, but the keys say norm=True; does not belong to it: base_model\.gsm_\w+\.bn\.",
        ),
        (GateConfig(), "gsm-inceptionv3", "preset says backbone inception_v3, but the keys say bn_inception"),
    ],
)
def test_a_network_with_other_gates_than_its_preset_is_refused(tmp_path, gate, preset, words):
    state = release(inception(gate=gate))
    with pytest.raises(ConfigError, match=words):
        read(saved(tmp_path, state), preset=preset)


def test_a_gated_inception_v3_lacks_gates_by_their_names_in_the_release(tmp_path):
    state = release(inception("inception_v3"))
    with pytest.raises(ConfigError, match=r"base_model\.gsm_\w+_Conv2D\.conv3D\.bias"):
        read(saved(tmp_path, state), preset="gsm-inceptionv3")


@pytest.mark.parametrize(
    "flag", [{"volumes": {}}, {"synthesis": {}}, {"blocks": (1, 2, 3, 4)}, {"expansion": 3}]
)
def test_a_flag_of_another_family_is_refused(tmp_path, flag):
    (name,) = flag
    path = saved(tmp_path, release(inception(gate=GateConfig())))
    with pytest.raises(ConfigError, match=f"flag says {name} .*bn_inception"):
        read(path, **flags("bn_inception"), **flag)


def test_a_preset_gives_the_frames(tmp_path):
    path = saved(tmp_path, release(inception("inception_v3", GateConfig())))
    checkpoint = read(path, preset="gsm-inceptionv3-16f")
    assert (checkpoint.config.segments, checkpoint.config.size) == (16, 229)
    assert checkpoint.sampling.resize == 261


@pytest.mark.parametrize("backbone", SMALLEST)
def test_a_gate_that_is_missing_is_named(tmp_path, backbone):
    name = FIFTH[backbone]
    state = release(inception(backbone, GateConfig()))
    state = {key: tensor for key, tensor in state.items() if f"gsm_{name}." not in key}
    with pytest.raises(UnknownLayoutError, match=f"none behind {name.removesuffix('_Conv2D')}"):
        read(saved(tmp_path, state), **flags(backbone))


def test_a_gate_where_no_published_network_has_one_is_named(tmp_path):
    state = release(inception(gate=GateConfig()))
    for key in [key for key in state if "gsm_inception_3a_1x1." in key]:
        state[key.replace("3a_1x1", "3a_3x3")] = state[key]
    with pytest.raises(UnknownLayoutError, match="inception_3a_3x3"):
        read(saved(tmp_path, state), **flags("bn_inception"))


@pytest.mark.parametrize("part", ["conv3D.weight", "conv3D.bias", "bn.running_mean"])
def test_a_part_of_a_gate_that_is_missing_is_named(tmp_path, part):
    state = release(inception(gate=GateConfig()))
    del state[f"base_model.gsm_inception_4d_1x1.{part}"]
    with pytest.raises(KeyMismatchError, match=rf"base_model\.gsm_inception_4d_1x1\.{part}"):
        read(saved(tmp_path, state), **flags("bn_inception"))


@pytest.mark.parametrize("shape", [(2, 6, 1, 3, 3), (2, 3, 3, 3, 3), (1, 6, 3, 3, 3), (12,), ()])
def test_a_gate_of_another_shape_is_named(tmp_path, shape):
    state = release(inception(gate=GateConfig()))
    state["base_model.gsm_inception_4d_1x1.conv3D.weight"] = torch.zeros(shape)
    with pytest.raises(KeyMismatchError, match=r"gsm_inception_4d_1x1\.conv3D\.weight is"):
        read(saved(tmp_path, state), **flags("bn_inception"))


@pytest.mark.parametrize("backbone", SMALLEST)
@pytest.mark.parametrize("gate", [None, GateConfig()])
def test_any_one_key_that_is_missing_misshapen_or_surplus_is_noticed(tmp_path, backbone, gate):
    state = release(inception(backbone, gate))
    keys = [key for key in state if not key.endswith("num_batches_tracked")]
    for key in keys[:: len(keys) // 4]:
        missing = {name: tensor for name, tensor in state.items() if name != key}
        with pytest.raises(CheckpointError, match=r"missing|no classifier"):
            read(saved(tmp_path, missing), **flags(backbone))
        shape = (state[key].shape[0] + 1, *state[key].shape[1:])
        with pytest.raises(KeyMismatchError, match="instead of"):
            read(saved(tmp_path, {**state, key: torch.zeros(shape)}), **flags(backbone))
    with pytest.raises(KeyMismatchError, match="1 unexpected"):
        read(saved(tmp_path, {**state, "base_model.conv9.weight": torch.zeros(1)}), **flags(backbone))


def test_gates_in_a_resnet_are_refused(tmp_path):
    state = mit(network(small("resnet18")))
    gate = {key: tensor for key, tensor in release(inception(gate=GateConfig())).items() if "gsm_" in key}
    with pytest.raises(CheckpointError):
        read(saved(tmp_path, {**state, **gate}), segments=4, crop=64)


def test_a_network_of_optical_flow_has_pixels_of_its_own(tmp_path):
    state = release(inception(gate=GateConfig(), frame_channels=10))
    assert state["base_model.conv1_7x7_s2.weight"].shape[1] == 10
    found = read(saved(tmp_path, state), **flags("bn_inception"))
    assert found.normalization == Normalization((128.0,), (1.0,), "XY")
    assert found.config.frame_channels == 10
    state["base_model.conv1_7x7_s2.weight"] = torch.zeros(8, 18, 7, 7)
    with pytest.raises(CheckpointError, match=r"base_model\.conv1_7x7_s2\.weight takes 18 channels"):
        read(saved(tmp_path, state), **flags("bn_inception"))


def test_frames_on_which_the_branches_do_not_meet_are_refused(tmp_path):
    path = saved(tmp_path, release(inception("inception_v3", GateConfig())))
    with pytest.raises(ConfigError, match="224 pixels"):
        read(path, crop=224)


def test_a_shift_is_not_published_for_these_networks(tmp_path):
    with pytest.raises(ConfigError, match="shift"):
        read(saved(tmp_path, release(inception(gate=GateConfig()))), proportion="1/4")
    with pytest.raises(ConfigError, match="shift"):
        read(saved(tmp_path, release(inception())), proportion="1/4", crop=64)
