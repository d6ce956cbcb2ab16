"""A file is told to be ONNX by its name, or by how it begins."""

import shutil

import pytest

from edgevid.source import is_onnx


@pytest.mark.parametrize("name", ["net", "net.pb", "net.pth", "net.ONNX"])
def test_an_onnx_file_is_one_whatever_its_name(tiny_onnx, tmp_path, name):
    assert is_onnx(shutil.copy(tiny_onnx, tmp_path / name))


def test_a_checkpoint_is_none(tiny_checkpoint, tmp_path):
    import torch

    assert not is_onnx(tiny_checkpoint)
    for number, zipped in enumerate((False, True)):
        path = tmp_path / f"{number}"
        torch.save({"weight": torch.zeros(2)}, path, _use_new_zipfile_serialization=zipped)
        assert not is_onnx(path)


def test_a_safetensors_file_whose_length_looks_alike_is_none(tmp_path):
    path = tmp_path / "net"
    path.write_bytes((0x120A08).to_bytes(8, "little") + b"{")
    assert not is_onnx(path)


def test_what_cannot_be_opened_goes_by_its_name(tmp_path):
    assert is_onnx(tmp_path / "none.onnx")
    assert not is_onnx(tmp_path / "none.pth")
    assert not is_onnx(tmp_path)
