"""Checkpoints of TSM with non-local blocks: TSM's published code and mmaction2."""

import re

import pytest
import torch
from checkpoint_layouts import mit, mmaction2, network, shifted, small

from edgevid.checkpoints import read, write
from edgevid.errors import CheckpointError, ConfigError, KeyMismatchError, UnknownLayoutError
from edgevid.models.attention_config import AttentionConfig

FLAGS = {"segments": 4, "crop": 32}
MIT = {"g": "g.0", "phi": "phi.0", "theta": "theta", "out": "W.0", "bn": "W.1"}
MMACTION2 = {
    "g": "g.0.conv",
    "phi": "phi.0.conv",
    "theta": "theta.conv",
    "out": "conv_out.conv",
    "bn": "conv_out.bn",
}
DOT = "tsm_imagenet-pretrained-r50-nl-dot-product_8xb16-1x1x4-50e_kinetics400-rgb.pth"
GAUSSIAN = DOT.replace("dot-product", "gaussian")
DENSE = "TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment4_e100_dense_nl.pth"


def attending(pairwise="embedded_gaussian", shift=None, **fields):
    """A narrow ResNet-50 whose batch norms are fitted: dot products grow from block to block."""
    torch.manual_seed(0)
    attention = AttentionConfig(pairwise=pairwise)
    model = network(small("resnet50", shift or shifted(), attention=attention, **fields))
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        model.train()(torch.randn(2, 4, 3, 32, 32))
    return model.eval()


def wrapped(state, title, parts):
    """Residual blocks under ``block``, and what follows them under ``title``, over volumes."""
    behind = {match[1] for key in state if (match := re.search(r"(layer\d\.\d+).*\.attention\.", key))}
    found = {}
    for key, tensor in state.items():
        part = re.fullmatch(r"(.*layer\d\.\d+)(?:\.net)*\.attention\.(\w+)\.(\w+)", key)
        block = re.search(r"layer\d\.\d+", key)
        if part:
            volumes = tensor[..., None] if tensor.dim() == 4 else tensor
            found[f"{part[1]}.{title}.{parts[part[2]]}.{part[3]}"] = volumes
        elif block and block[0] in behind:
            found[key.replace(block[0], f"{block[0]}.block", 1)] = tensor
        else:
            found[key] = tensor
    return found


def tsm(model):
    return wrapped(mit(model), "nl", MIT)


def mm(model):
    state = wrapped(mmaction2(model), "non_local_block", MMACTION2)
    return {key: tensor for key, tensor in state.items() if not key.endswith("conv_out.conv.bias")}


LAYOUTS = {"mit": tsm, "mmaction2": mm}


def saved(tmp_path, state, name="weights.pth"):
    torch.save({"state_dict": state}, tmp_path / name)
    return tmp_path / name


def same(checkpoint, model):
    """The checkpoint makes the same network: settings, weights, logits."""
    clip = torch.randn(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return checkpoint.config == model.config and torch.equal(checkpoint.network()(clip), model(clip))


def renamed(state, old, new):
    return {key.replace(old, new): tensor for key, tensor in state.items()}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("placement", ["residual", "inplace"])
def test_a_network_with_non_local_blocks_is_read_from_its_layout(tmp_path, layout, placement):
    model = attending(shift=shifted(placement=placement))
    checkpoint = read(saved(tmp_path, LAYOUTS[layout](model)), **FLAGS)
    assert same(checkpoint, model)
    assert checkpoint.layout == layout


@pytest.mark.parametrize("layout", LAYOUTS)
def test_non_local_blocks_stand_in_a_network_without_a_shift_too(tmp_path, layout):
    torch.manual_seed(0)
    model = network(small("resnet50", attention=AttentionConfig()))
    assert same(read(saved(tmp_path, LAYOUTS[layout](model)), **FLAGS), model)


def test_the_keys_are_those_of_the_published_code():
    state = tsm(attending())
    assert len(state) == 385
    assert state["base_model.layer2.0.nl.g.0.weight"].shape == (16, 32, 1, 1, 1)
    assert "base_model.layer3.4.block.conv1.net.weight" in state
    assert {"base_model.layer2.2.nl.W.0.bias", "base_model.layer2.2.nl.W.1.running_var"} < set(state)


def test_the_bias_in_front_of_the_last_batch_norm_counts(tmp_path):
    model = attending()
    torch.nn.init.normal_(model.layer2[0].attention.out.bias)
    checkpoint = read(saved(tmp_path, tsm(model)), **FLAGS)
    assert same(checkpoint, model)
    assert checkpoint.state["layer2.0.attention.out.bias"].abs().max() > 0


def test_nested_wrappers_of_the_shift_are_counted_inside(tmp_path):
    model = attending(shift=shifted(repeats=2))
    assert same(read(saved(tmp_path, mm(model)), **FLAGS), model)


def test_a_gaussian_is_seen_in_the_keys(tmp_path):
    model = attending("gaussian")
    checkpoint = read(saved(tmp_path, mm(model)), **FLAGS)
    assert same(checkpoint, model)
    assert checkpoint.settings["attention"].source == "keys"
    assert same(read(saved(tmp_path, mm(model), GAUSSIAN), **FLAGS), model)


def test_a_dot_product_is_told_by_the_name_a_flag_or_a_preset(tmp_path):
    model = attending("dot_product")
    state = mm(model)
    assert same(read(saved(tmp_path, state, DOT), crop=32), model)
    path = saved(tmp_path, state)
    assert same(read(path, **FLAGS, attention={"pairwise": "dot_product"}), model)
    assert same(read(path, **FLAGS, preset="mmaction2-tsm-resnet50-nl-dot-product"), model)


def test_what_nothing_says_is_an_embedded_gaussian_and_listed(tmp_path):
    told = read(saved(tmp_path, mm(attending("dot_product"))), **FLAGS)
    assert told.config.attention == AttentionConfig()
    assert "attention" in told.assumptions
    published = read(saved(tmp_path, tsm(attending())), **FLAGS)
    assert "attention" not in published.assumptions


@pytest.mark.parametrize(
    ("name", "model", "layout", "flags", "words"),
    [
        (DENSE, {"attention": None}, "mit", {}, "name says attention .*, but the keys say None"),
        (DOT, {"pairwise": "gaussian"}, "mmaction2", {}, "name says attention .*dot_product"),
        (GAUSSIAN, {}, "mmaction2", {}, "name says attention .*'gaussian'"),
        ("w.pth", {}, "mit", {"attention": {"pairwise": "dot_product"}}, "flag says attention"),
        ("w.pth", {}, "mmaction2", {"preset": "tsm-resnet50", "segments": 4}, "preset says attention None"),
        (
            "w.pth",
            {"attention": None},
            "mit",
            {"preset": "tsm-resnet50-nl"},
            "preset says attention .*, but the keys say None",
        ),
    ],
)
def test_what_contradicts_the_keys_is_refused(tmp_path, name, model, layout, flags, words):
    if "attention" in model:
        source = network(small("resnet50", shifted()))
    else:
        source = attending(model.get("pairwise", "embedded_gaussian"))
    state = LAYOUTS[layout](source)
    with pytest.raises(ConfigError, match=words):
        read(saved(tmp_path, state, name), **flags)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_block_that_lacks_its_non_local_part_is_named(tmp_path, layout):
    state = LAYOUTS[layout](attending())
    lacking = {key: value for key, value in state.items() if not re.search(r"layer3\.4\.(nl|non_local)", key)}
    with pytest.raises(UnknownLayoutError, match=r"non-local blocks, but none behind layer3\.4"):
        read(saved(tmp_path, lacking), **FLAGS)
    none = {key: value for key, value in state.items() if not re.search(r"\.(nl|non_local_block)\.", key)}
    with pytest.raises(UnknownLayoutError, match=r"none behind layer2\.0, layer2\.2"):
        read(saved(tmp_path, none), **FLAGS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_non_local_part_where_none_is_published_is_named(tmp_path, layout):
    state = LAYOUTS[layout](attending())
    for key in [key for key in state if re.search(r"layer2\.0\.(nl|non_local_block)\.", key)]:
        state[key.replace("layer2.0", "layer1.1")] = state[key]
    with pytest.raises(UnknownLayoutError, match=r"behind layer1\.1, where no published"):
        read(saved(tmp_path, state), **FLAGS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_non_local_part_beside_a_bare_block_is_named(tmp_path, layout):
    state = renamed(LAYOUTS[layout](attending()), "layer3.2.block.", "layer3.2.")
    with pytest.raises(UnknownLayoutError, match=r"layer3\.2 wrap no residual block"):
        read(saved(tmp_path, state), **FLAGS)


@pytest.mark.parametrize(
    ("layout", "old", "new"),
    [
        ("mit", ".nl.g.0.", ".nl.g."),
        ("mit", ".nl.phi.0.", ".nl.phi."),
        ("mit", ".nl.W.0.", ".nl.W."),
        ("mmaction2", ".g.0.conv.", ".g.conv."),
        ("mmaction2", ".conv_out.conv.", ".conv_out."),
        ("mmaction2", ".theta.conv.", ".concat_project.conv."),
    ],
)
def test_blocks_without_sub_sampling_or_of_another_kind_are_refused_by_their_keys(tmp_path, layout, old, new):
    state = renamed(LAYOUTS[layout](attending()), old, new)
    with pytest.raises(KeyMismatchError, match=r"unexpected") as caught:
        read(saved(tmp_path, state), **FLAGS)
    assert new.strip(".") in str(caught.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_one_key_that_is_missing_or_misshapen_is_noticed(tmp_path, layout):
    state = LAYOUTS[layout](attending())
    keys = [key for key in state if re.search(r"layer3\.2\.(nl|non_local_block)\.", key)]
    for key in keys:
        if key.endswith("num_batches_tracked"):
            continue
        missing = {name: value for name, value in state.items() if name != key}
        with pytest.raises(CheckpointError, match="missing"):
            read(saved(tmp_path, missing), **FLAGS)
        shape = (state[key].shape[0] + 1, *state[key].shape[1:])
        with pytest.raises(KeyMismatchError, match="instead of"):
            read(saved(tmp_path, {**state, key: torch.zeros(shape)}), **FLAGS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_convolution_over_time_in_a_non_local_block_is_refused(tmp_path, layout):
    state = LAYOUTS[layout](attending())
    key = next(key for key in state if "theta" in key and key.endswith("weight"))
    state[key] = torch.zeros(16, 32, 3, 1, 1)
    with pytest.raises(KeyMismatchError, match=r"theta.*is 16x32x3x1x1 instead of 16x32x1x1"):
        read(saved(tmp_path, state), **FLAGS)


def test_in_another_resnet_they_are_refused(tmp_path):
    state = mit(network(small("resnet18", shifted())))
    for block in ("layer2.0", "layer3.0"):
        state = renamed(state, f"{block}.", f"{block}.block.")
        state[f"base_model.{block}.nl.theta.weight"] = torch.zeros(4, 8, 1, 1, 1)
    with pytest.raises(ConfigError, match="resnet18 with attention"):
        read(saved(tmp_path, state), **FLAGS)


@pytest.mark.parametrize("pairwise", ["embedded_gaussian", "dot_product", "gaussian"])
def test_what_is_written_is_read_again(tmp_path, pairwise):
    model = attending(pairwise)
    write(tmp_path / "own.safetensors", model)
    checkpoint = read(tmp_path / "own.safetensors")
    assert same(checkpoint, model)
    assert checkpoint.layout == "edgevid"
