import argparse
import io
import os
import pickle
import sys
import types
import zipfile

import numpy as np
import pytest
import torch
from checkpoint_layouts import mit, mmaction2, network, shifted, small

from edgevid.checkpoints import read
from edgevid.errors import CheckpointError, KeyMismatchError, UnknownLayoutError, UnsafeCheckpointError

FLAGS = {"segments": 4, "crop": 32}


@pytest.fixture
def model():
    return network(small("resnet18", shifted()))


def saved(path, contents, **options):
    torch.save(contents, path, **options)
    return path


class Trap:
    """Unpickling it creates the file ``sprung``."""

    def __init__(self, sprung):
        self.sprung = sprung

    def __reduce__(self):
        return os.system, (f"touch {self.sprung}",)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["top", "beside the weights", "inside the weights"])
def test_code_in_a_pickle_is_refused_by_name_and_not_run(tmp_path, model, zipped, place):
    trap = Trap(tmp_path / "sprung")
    state = mit(model)
    contents = {
        "top": trap,
        "beside the weights": {"state_dict": state, "extra": trap},
        "inside the weights": {**state, "base_model.conv1.weight": trap},
    }[place]
    path = saved(tmp_path / "weights.pth", contents, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafeCheckpointError, match=r"posix\.system") as caught:
        read(path, **FLAGS)
    assert caught.value.where == str(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("protocol", range(6))
def test_code_in_a_bare_pickle_is_refused_whatever_its_protocol(tmp_path, protocol):
    (tmp_path / "weights.pth").write_bytes(pickle.dumps(Trap(tmp_path / "sprung"), protocol=protocol))
    with pytest.raises(UnsafeCheckpointError, match=r"posix\.system"):
        read(tmp_path / "weights.pth")
    assert not (tmp_path / "sprung").exists()


def test_a_harmless_name_does_not_open_the_door_to_others(tmp_path):
    """``getattr`` becomes inert: it reaches nothing, and what it was to reach is refused."""

    class Sneaky:
        def __reduce__(self):
            return getattr, (os, "system")

    state = {"state_dict": {"fc.weight": torch.zeros(1)}, "x": argparse.Namespace(lr=0.1)}
    saved(tmp_path / "fine.pth", state)
    with pytest.raises(UnknownLayoutError):
        read(tmp_path / "fine.pth")
    code = (
        b"c__builtin__\ngetattr\n(cposix\nsystem\nS'__call__'\ntR(S'touch "
        + bytes(tmp_path)
        + b"/sprung'\ntR."
    )
    (tmp_path / "trap.pth").write_bytes(b"\x80\x02" + code)
    with pytest.raises(UnsafeCheckpointError, match=r"posix\.system"):
        read(tmp_path / "trap.pth")
    assert not (tmp_path / "sprung").exists()


def test_a_whole_pickled_model_is_refused_with_the_way_out(tmp_path, model):
    path = saved(tmp_path / "weights.pth", model)
    with pytest.raises(UnsafeCheckpointError, match="state_dict"):
        read(path)


def test_numpy_scalars_and_history_buffers_beside_the_weights_are_harmless(tmp_path, model, monkeypatch):
    module = types.ModuleType("mmengine.logging.history_buffer")

    class HistoryBuffer:
        def __init__(self):
            self._log_history = np.arange(3.0)
            self._statistics_methods = {"mean": HistoryBuffer.mean}

        def mean(self):
            return 0

    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = module.__name__, "HistoryBuffer"
    HistoryBuffer.mean.__module__ = module.__name__
    HistoryBuffer.mean.__qualname__ = "HistoryBuffer.mean"
    module.HistoryBuffer = HistoryBuffer
    for name in ("mmengine", "mmengine.logging"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    extras = {
        "best_prec1": np.float64(0.7),
        "count": np.int64(3),
        "message_hub": {"log_scalars": {"loss": HistoryBuffer()}},
        "args": argparse.Namespace(lr=0.1),
    }
    for zipped in (True, False):
        contents = {"state_dict": mmaction2(model), "meta": {"epoch": 3}, **extras}
        path = saved(tmp_path / "weights.pth", contents, _use_new_zipfile_serialization=zipped)
        assert read(path, **FLAGS).config == model.config


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_refused(tmp_path, model, zipped, share):
    path = saved(tmp_path / "weights.pth", mit(model), _use_new_zipfile_serialization=zipped)
    contents = path.read_bytes()
    path.write_bytes(contents[: int(len(contents) * share)])
    with pytest.raises(CheckpointError, match="truncated") as caught:
        read(path, **FLAGS)
    assert not isinstance(caught.value, UnsafeCheckpointError)
    assert caught.value.where == str(path)
    assert "download" in caught.value.fix


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [4, 5])
def test_a_pickle_that_cannot_be_read_safely_is_refused_without_bad_advice(tmp_path, model, zipped, protocol):
    path = tmp_path / "weights.pth"
    saved(path, mit(model), pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="protocol") as caught:
        read(path)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize(
    "contents", [b"class Model:\n  pass\n", b"<html>404</html>", b"\x00" * 64, b"PK\x03\x04 not a zip", b"{}"]
)
def test_what_is_no_checkpoint_is_refused(tmp_path, contents):
    (tmp_path / "weights.pth").write_bytes(contents)
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        read(tmp_path / "weights.pth")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        read(tmp_path / "missing.pth")
    with pytest.raises(CheckpointError, match="folder"):
        read(tmp_path)


def test_a_torchscript_program_is_named_as_such(tmp_path):
    path = tmp_path / "weights.pt"
    with zipfile.ZipFile(path, "w") as archive:
        data = io.BytesIO()
        pickle.dump({}, data, protocol=2)
        for name in ("data.pkl", "constants.pkl"):
            archive.writestr(f"weights/{name}", data.getvalue())
        archive.writestr("weights/version", "3\n")
    with pytest.raises(CheckpointError, match="TorchScript"):
        read(path)


@pytest.mark.parametrize("contents", [{}, {"epoch": 3}, [1, 2], torch.zeros(3), {"state_dict": {}}])
def test_a_file_without_named_weights_is_refused(tmp_path, contents):
    with pytest.raises(UnknownLayoutError):
        read(saved(tmp_path / "weights.pth", contents))


def test_another_architecture_is_refused_and_shown(tmp_path):
    state = {"features.0.weight": torch.zeros(64, 3, 3, 3), "classifier.0.weight": torch.zeros(10, 10)}
    with pytest.raises(UnknownLayoutError, match=r"features\.0\.weight"):
        read(saved(tmp_path / "vgg.pth", state))


def test_networks_that_are_known_but_not_supported_are_named(tmp_path, model):
    state = mit(model) | {"base_model.layer2.0.gsf.conv3D.weight": torch.zeros(2, 4, 3, 3, 3)}
    with pytest.raises(UnknownLayoutError, match="Gate-Shift-Fuse"):
        read(saved(tmp_path / "weights.pth", state))
    state = {"Mixed_5b.branch1x1.conv.weight": torch.zeros(64, 192, 1, 1), "fc.weight": torch.zeros(5, 2048)}
    with pytest.raises(UnknownLayoutError, match="torchvision's Inception-V3"):
        read(saved(tmp_path / "weights.pth", state))
    state = {"backbone.conv1.conv.weight": torch.zeros(8, 3, 5, 7, 7)}
    with pytest.raises(UnknownLayoutError, match="3D"):
        read(saved(tmp_path / "weights.pth", state))
    with pytest.raises(UnknownLayoutError, match="temporal pooling"):
        read(saved(tmp_path / "TSM_kinetics_RGB_resnet18_shift8_blockres_avg_segment8_tpool.pth", mit(model)))


@pytest.mark.parametrize("channels", [1, 7, 12, 15])
def test_channels_that_are_neither_rgb_nor_flow_are_refused_by_key_and_shape(tmp_path, model, channels):
    state = mit(model)
    state["base_model.conv1.weight"] = torch.zeros(8, channels, 7, 7)
    told = rf"base_model\.conv1\.weight takes {channels} channels \(8x{channels}x7x7\), neither"
    with pytest.raises(CheckpointError, match=told):
        read(saved(tmp_path / "weights.pth", state), **FLAGS)


def test_missing_keys_are_counted_by_group(tmp_path):
    state = mit(network(small("resnet50", shifted())))
    state = {key: value for key, value in state.items() if "layer3.5" not in key}
    del state["base_model.bn1.weight"]
    with pytest.raises(KeyMismatchError, match=r"layer3\.\*: 15 missing") as caught:
        read(saved(tmp_path / "weights.pth", state), **FLAGS)
    assert "bn1.*: 1 missing (base_model.bn1.weight)" in str(caught.value)
    assert caught.value.where == str(tmp_path / "weights.pth")


@pytest.mark.parametrize("layout", [mit, mmaction2])
@pytest.mark.parametrize("backbone", ["resnet50", "mobilenet_v2"])
def test_any_one_key_that_is_missing_misshapen_or_doubled_is_noticed(tmp_path, layout, backbone):
    state = layout(network(small(backbone, shifted())))
    rng = np.random.default_rng(0)
    keys = [key for key in state if not key.endswith("num_batches_tracked")]
    for key in rng.choice(keys, 4, replace=False):
        missing = {name: value for name, value in state.items() if name != key}
        with pytest.raises((KeyMismatchError, UnknownLayoutError)):
            read(saved(tmp_path / "weights.pth", missing), **FLAGS)
        shape = (state[key].shape[0] + 1, *state[key].shape[1:])
        with pytest.raises(KeyMismatchError, match=r"instead of"):
            read(saved(tmp_path / "weights.pth", {**state, key: torch.zeros(shape)}), **FLAGS)
    surplus = {**state, f"{keys[0].rpartition('.')[0]}.surplus": torch.zeros(1)}
    with pytest.raises(KeyMismatchError, match="1 unexpected"):
        read(saved(tmp_path / "weights.pth", surplus), **FLAGS)


def test_a_misshapen_key_is_named_as_in_the_file_with_both_shapes(tmp_path, model):
    state = mit(model)
    state["base_model.layer2.0.conv2.weight"] = torch.zeros(8, 9, 3, 3)
    with pytest.raises(
        KeyMismatchError, match=r"base_model\.layer2\.0\.conv2\.weight is 8x9x3x3 instead of 8x8x3x3"
    ):
        read(saved(tmp_path / "weights.pth", state), **FLAGS)


def test_a_file_without_a_classifier_is_refused(tmp_path, model):
    state = {key: value for key, value in mit(model).items() if not key.startswith("new_fc")}
    with pytest.raises(KeyMismatchError, match="classifier"):
        read(saved(tmp_path / "weights.pth", state), **FLAGS)


def test_two_heads_are_refused(tmp_path, model):
    state = {**mit(model), "base_model.fc.weight": torch.zeros(5, 8), "base_model.fc.bias": torch.zeros(5)}
    with pytest.raises(KeyMismatchError, match="same weight"):
        read(saved(tmp_path / "weights.pth", state), **FLAGS)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_refused_by_key(tmp_path, model, value):
    state = {key: tensor.clone() for key, tensor in mit(model).items()}
    state["base_model.layer2.0.bn1.running_var"][3] = value
    with pytest.raises(CheckpointError, match=r"base_model\.layer2\.0\.bn1\.running_var"):
        read(saved(tmp_path / "weights.pth", state), **FLAGS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types_become_float32_and_that_is_said(tmp_path, model, dtype):
    state = {key: t.to(dtype) if t.is_floating_point() else t for key, t in mit(model).items()}
    checkpoint = read(saved(tmp_path / "weights.pth", state), **FLAGS)
    assert checkpoint.state["conv1.weight"].dtype is torch.float32
    assert str(dtype).removeprefix("torch.") in checkpoint.settings["dtype"].value
    assert torch.equal(checkpoint.state["conv1.weight"], state["base_model.conv1.weight"].float())


def test_weights_that_are_no_dense_tensors_are_refused(tmp_path, model):
    state = {**mit(model), "base_model.conv1.weight": torch.zeros(8, 3, 7, 7, dtype=torch.complex64)}
    with pytest.raises(CheckpointError, match=r"base_model\.conv1\.weight"):
        read(saved(tmp_path / "weights.pth", state))
    with pytest.raises(CheckpointError, match=r"base_model\.conv1\.weight"):
        read(saved(tmp_path / "weights.pth", {**state, "base_model.conv1.weight": [1.0]}))


def test_a_damaged_safetensors_file_is_refused(tmp_path, model):
    from safetensors.torch import save_file

    path = tmp_path / "weights.safetensors"
    save_file(dict(mit(model)), path)
    contents = path.read_bytes()
    path.write_bytes(contents[: len(contents) // 2])
    with pytest.raises(CheckpointError, match="truncated"):
        read(path)
    save_file(dict(mit(model)), path, metadata={"edgevid": "{not json"})
    with pytest.raises(CheckpointError, match="JSON"):
        read(path)


@pytest.mark.parametrize("name", ["torch.load", "torch.storage._load_from_bytes", "torch.hub.load"])
def test_loaders_of_pytorch_itself_are_refused_as_code(tmp_path, name):
    module, _, function = name.rpartition(".")
    pickled = b"\x80\x02c" + f"{module}\n{function}\n".encode() + b"U\x01xq\x00\x85Rq\x01."
    with zipfile.ZipFile(tmp_path / "evil.pth", "w") as archive:
        archive.writestr("evil/data.pkl", pickled)
        archive.writestr("evil/version", "3")
    with pytest.raises(UnsafeCheckpointError, match=name.replace(".", r"\.")):
        read(tmp_path / "evil.pth", **FLAGS)
