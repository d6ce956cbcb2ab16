import pytest
import torch
from torch.nn import functional

from edgevid.errors import ShiftError
from edgevid.models.gate_shift import GateShift
from edgevid.shift import Layout, ShiftSpec, shift_torch

CHANNELS, SEGMENTS = 8, 4


def gate(norm=True):
    torch.manual_seed(0)
    layer = GateShift(CHANNELS, SEGMENTS, norm=norm).eval()
    layer.open_halfway()
    torch.nn.init.normal_(layer.bias)
    if norm:
        for numbers in (layer.bn.weight, layer.bn.running_var):
            torch.nn.init.uniform_(numbers, 0.5, 1.5)
        for numbers in (layer.bn.bias, layer.bn.running_mean):
            torch.nn.init.normal_(numbers)
    return layer


def frames(clips=2):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(clips * SEGMENTS, CHANNELS, 5, 6, generator=generator)


def answer(layer, images):
    with torch.no_grad():
        return layer(images)


def as_volumes(images):
    return images.reshape(-1, SEGMENTS, *images.shape[1:]).transpose(1, 2)


def as_the_paper_writes_it(layer, images):
    """A 3D convolution over volumes, and slices moved by one frame."""
    half = CHANNELS // 2
    weight = layer.taps.weight.reshape(2, 3, half, 3, 3).transpose(1, 2)
    x, seen = as_volumes(images), as_volumes(layer.relu(layer.bn(images)))
    gates = torch.tanh(functional.conv3d(seen, weight, layer.bias, padding=1, groups=2))
    y = gates.repeat_interleave(half, dim=1) * x
    moved = torch.zeros_like(y)
    moved[:, :half, :-1] = y[:, :half, 1:]
    moved[:, half:, 1:] = y[:, half:, :-1]
    return (moved + x - y).transpose(1, 2).reshape(images.shape)


@pytest.mark.parametrize("norm", [True, False])
def test_stacked_frames_are_gated_as_a_3d_convolution_gates_volumes(norm):
    layer, images = gate(norm), frames()
    with torch.no_grad():
        expected = as_the_paper_writes_it(layer, images)
    assert torch.allclose(answer(layer, images), expected, atol=1e-5)
    assert not torch.allclose(expected, images, atol=1e-2)


def test_the_published_gate_looks_through_a_norm_and_the_plain_one_does_not():
    normed, plain = gate(), gate(norm=False)
    plain.load_state_dict(normed.state_dict(), strict=False)
    assert not torch.allclose(answer(normed, frames()), answer(plain, frames()), atol=1e-2)
    assert {key.partition(".")[0] for key in plain.state_dict()} == {"taps", "bias"}


def test_a_shut_gate_leaves_the_frames_as_they_are():
    layer = gate()
    for numbers in (layer.taps.weight, layer.bias):
        torch.nn.init.zeros_(numbers)
    assert torch.equal(answer(layer, frames()), frames())


def test_an_open_gate_shifts_everything():
    layer = gate()
    torch.nn.init.zeros_(layer.taps.weight)
    torch.nn.init.constant_(layer.bias, 100.0)
    spec = ShiftSpec.gsm(CHANNELS, SEGMENTS, layout=Layout.FRAMES)
    assert torch.equal(answer(layer, frames()), shift_torch(frames(), spec))


def test_gates_lie_between_minus_one_and_one():
    with torch.no_grad():
        gates = gate().gates(frames())
    assert gates.shape == (2 * SEGMENTS, 2, 5, 6)
    assert gates.min() < -0.1
    assert gates.max() > 0.1
    assert gates.abs().max() <= 1


def test_clips_of_one_batch_do_not_see_each_other():
    layer, images = gate(), frames(3)
    together = answer(layer, images).chunk(3)
    for one, clip in zip(together, images.chunk(3), strict=True):
        assert torch.allclose(one, answer(layer, clip), atol=1e-6)


def test_an_odd_number_of_channels_has_no_halves():
    with pytest.raises(ShiftError, match="7 channels"):
        GateShift(7, SEGMENTS, norm=True)


def test_a_gate_has_27_weights_a_channel_and_2_biases():
    layer = gate(norm=False)
    assert sum(numbers.numel() for numbers in layer.parameters()) == 27 * CHANNELS + 2
