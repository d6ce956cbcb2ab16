import pytest
import torch
from checkpoint_layouts import mit, mmaction2, network, shifted, small, torchvision_nested

from edgevid.checkpoints import read
from edgevid.checkpoints.checkpoint import load
from edgevid.errors import KeyMismatchError, UnknownLayoutError

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
FLAGS = {"segments": 4, "crop": 32}


def saved(tmp_path, state, **extra):
    torch.save({"state_dict": state, **extra}, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def same(checkpoint, model):
    """The checkpoint makes the same network: settings, weights, logits."""
    clip = torch.randn(2, 4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return checkpoint.config == model.config and torch.equal(checkpoint.network()(clip), model(clip))


@pytest.mark.parametrize("layout", [mit, mmaction2])
@pytest.mark.parametrize("backbone", [*RESNETS, "mobilenet_v2"])
def test_a_shifted_network_is_read_from_its_layout(tmp_path, layout, backbone):
    model = network(small(backbone, shifted()))
    checkpoint = read(saved(tmp_path, layout(model)), **FLAGS)
    assert same(checkpoint, model)
    assert checkpoint.layout == layout.__name__


@pytest.mark.parametrize("layout", [mit, mmaction2])
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "mobilenet_v2"])
def test_a_network_without_shift_is_read_from_its_layout(tmp_path, layout, backbone):
    model = network(small(backbone))
    checkpoint = read(saved(tmp_path, layout(model)), **FLAGS)
    assert same(checkpoint, model)
    assert checkpoint.settings["proportion"].source == "keys"


@pytest.mark.parametrize("layout", [mit, mmaction2])
@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "resnet101"])
def test_an_in_place_shift_is_told_from_a_residual_one(tmp_path, layout, backbone):
    model = network(small(backbone, shifted(placement="inplace")))
    checkpoint = read(saved(tmp_path, layout(model)), **FLAGS)
    assert same(checkpoint, model)
    assert checkpoint.config.shift_every == 1


@pytest.mark.parametrize("times", [1, 2, 3])
def test_nested_wrappers_are_counted(tmp_path, times):
    model = network(small("resnet50", shifted(repeats=times)))
    checkpoint = read(saved(tmp_path, mmaction2(model)), **FLAGS)
    assert same(checkpoint, model)
    assert checkpoint.settings["repeats"].value == times
    assert {abs(move.dt) for _, spec in checkpoint.network().shift_specs() for move in spec.moves} == {times}


def test_every_second_block_is_seen_in_the_keys(tmp_path):
    model = network(small("resnet34", shifted(every=2)))
    assert same(read(saved(tmp_path, mit(model)), **FLAGS), model)


def test_resnet101_shifts_every_second_block_as_published(tmp_path):
    checkpoint = read(saved(tmp_path, mit(network(small("resnet101", shifted())))), **FLAGS)
    names = [name.removesuffix(".shift_branch") for name, _ in checkpoint.network().shift_specs()]
    assert names == [
        *("layer1.0", "layer1.2", "layer2.0", "layer2.2"),
        *(f"layer3.{block}" for block in range(0, 23, 2)),
        *("layer4.0", "layer4.2"),
    ]


def test_blocks_shifted_in_no_regular_pattern_are_refused(tmp_path):
    state = mit(network(small("resnet50", shifted())))
    state["base_model.layer3.2.conv1.weight"] = state.pop("base_model.layer3.2.conv1.net.weight")
    with pytest.raises(UnknownLayoutError, match=r"layer3\.2"):
        read(saved(tmp_path, state), **FLAGS)


def test_a_shift_around_another_convolution_is_refused(tmp_path):
    state = mit(network(small("resnet50")))
    state["base_model.layer3.2.conv2.net.weight"] = state.pop("base_model.layer3.2.conv2.weight")
    with pytest.raises(UnknownLayoutError, match=r"conv2"):
        read(saved(tmp_path, state), **FLAGS)


@pytest.mark.parametrize(
    ("backbone", "head"),
    [("resnet50", "base_model.fc"), ("mobilenet_v2", "base_model.classifier"), ("mobilenet_v2", "new_fc")],
)
def test_the_head_is_found_under_every_published_name(tmp_path, backbone, head):
    model = network(small(backbone, shifted()))
    assert same(read(saved(tmp_path, mit(model, head=head)), **FLAGS), model)


def test_keys_of_the_published_code_are_known_without_their_prefix(tmp_path):
    model = network(small("resnet18", shifted()))
    state = {key.removeprefix("base_model."): tensor for key, tensor in mit(model).items()}
    assert same(read(saved(tmp_path, state), **FLAGS), model)


def test_the_preprocessor_of_mmaction2_gives_the_normalization(tmp_path):
    state = mmaction2(network(small("resnet18", shifted())))
    state["data_preprocessor.mean"] = torch.tensor([1.0, 2.0, 3.0]).reshape(3, 1, 1)
    state["data_preprocessor.std"] = torch.tensor([4.0, 5.0, 6.0]).reshape(3, 1, 1)
    checkpoint = read(saved(tmp_path, state), **FLAGS)
    assert checkpoint.normalization.mean == (1.0, 2.0, 3.0)
    assert checkpoint.normalization.std == (4.0, 5.0, 6.0)
    assert checkpoint.settings["mean"].source == "keys"


def test_mmaction2_preprocesses_with_opencv_and_averages_probabilities(tmp_path):
    sampling = read(saved(tmp_path, mmaction2(network(small()))), **FLAGS).sampling
    assert (sampling.library, sampling.average) == ("opencv", "softmax")


@pytest.mark.parametrize("backbone", ["resnet18", "resnet50", "mobilenet_v2"])
def test_an_image_network_is_read_as_a_network_without_shift(tmp_path, backbone):
    model = network(small(backbone))
    checkpoint = read(saved(tmp_path, model.state_dict()), **FLAGS)
    assert same(checkpoint, model)
    assert checkpoint.layout == "torchvision"
    assert "proportion" in checkpoint.assumptions


def test_torchvisions_nested_mobilenet_is_read(tmp_path):
    model = network(small("mobilenet_v2"))
    assert same(read(saved(tmp_path, torchvision_nested(model)), **FLAGS), model)


def test_a_plain_state_dict_is_shifted_when_a_flag_says_so(tmp_path):
    model = network(small("resnet18", shifted(placement="inplace")))
    checkpoint = read(saved(tmp_path, model.state_dict()), **FLAGS, proportion="1/4", placement="inplace")
    assert same(checkpoint, model)


def test_a_mobilenet_of_27_classes_is_the_online_one_unless_told_otherwise(tmp_path):
    path = saved(tmp_path, network(small("mobilenet_v2", classes=27)).state_dict())
    online = read(path, **FLAGS)
    assert online.layout == "mit-online"
    assert (online.config.shift.direction, str(online.config.shift.proportion)) == ("unidirectional", "1/8")
    assert read(path, **FLAGS, proportion=0).config.shift is None
    assert read(path, **FLAGS, preset="tsn-mobilenetv2").config.shift is None


@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model", "net"])
def test_weights_are_found_in_every_usual_wrapper(tmp_path, wrapper):
    model = network(small())
    contents = {wrapper: mit(model), "optimizer": {"state": {}}, "epoch": 3, "meta": {"x": 1}}
    torch.save(contents, tmp_path / "weights.pth")
    assert same(read(tmp_path / "weights.pth", **FLAGS), model)


@pytest.mark.parametrize("prefix", ["module.", "module.module.", "_orig_mod.", "model."])
def test_prefixes_of_wrapping_modules_are_removed(tmp_path, prefix):
    model = network(small("resnet18", shifted()))
    state = {prefix + key: tensor for key, tensor in mit(model).items()}
    assert same(read(saved(tmp_path, state), **FLAGS), model)


def test_old_files_without_batch_counts_are_read(tmp_path):
    model = network(small())
    state = {key: value for key, value in mit(model).items() if not key.endswith("num_batches_tracked")}
    assert same(read(saved(tmp_path, state), **FLAGS), model)


def test_networks_of_one_checkpoint_do_not_share_weights(tmp_path):
    checkpoint = read(saved(tmp_path, mit(network(small()))), **FLAGS)
    one, other = checkpoint.network(), checkpoint.network()
    assert not one.training
    with torch.no_grad():
        one.fc.weight.zero_()
    assert other.fc.weight.abs().max() > 0


def test_weights_of_another_network_are_listed_where_they_are_loaded():
    state = network(small("resnet34")).state_dict()
    with pytest.raises(KeyMismatchError, match=r"layer1.*unexpected .*layer1\.2"):
        load(small("resnet18"), state)
