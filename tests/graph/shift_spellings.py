"""How others write a shift in PyTorch, and what either exporter makes of it."""

import io
import logging
import warnings
from functools import cache

import onnx
import onnxsim
import torch
from torch import nn
from torch.nn import functional

from edgevid.shift import Move, ShiftSpec

CLIPS, SEGMENTS, CHANNELS, SIZE = 2, 4, 9, 3
FRAMES = (CLIPS * SEGMENTS, CHANNELS, SIZE, SIZE)
VOLUME = (CLIPS, 8, SEGMENTS, SIZE, SIZE)

TSM = ShiftSpec(SEGMENTS, (Move(0, 2, -1), Move(2, 4, +1)))
PAST_FIRST = ShiftSpec(SEGMENTS, (Move(0, 2, +1), Move(2, 4, -1)))
STSM = ShiftSpec(
    SEGMENTS,
    (
        *(Move(0, 1, -1), Move(1, 2, +1), Move(2, 3, 0, -1)),
        *(Move(3, 4, 0, +1), Move(4, 5, 0, 0, -1), Move(5, 6, 0, 0, +1)),
    ),
)
ONLINE = ShiftSpec(SEGMENTS, (Move(0, 2, +1),))
GSM = ShiftSpec.gsm(8, SEGMENTS)


def clips_of(frames):
    """[N*T,C,H,W] → [N,T,C,H,W]."""
    stacked, channels, height, width = frames.shape
    return frames.view(stacked // SEGMENTS, SEGMENTS, channels, height, width)


def in_place_assignment(x):
    """MIT's published code."""
    clips = clips_of(x)
    out = torch.zeros_like(clips)
    out[:, :-1, :2] = clips[:, 1:, :2]
    out[:, 1:, 2:4] = clips[:, :-1, 2:4]
    out[:, :, 4:] = clips[:, :, 4:]
    return out.view(x.shape)


def in_place_on_a_copy(x):
    """Resting channels are never written; the gaps are."""
    clips = clips_of(x)
    out = clips.clone()
    out[:, :, :4] = 0
    out[:, 1:, 2:4] = clips[:, :-1, 2:4]
    out[:, :-1, :2] = clips[:, 1:, :2]
    return out.view(x.shape)


def concatenation(x):
    clips = clips_of(x)
    blank = torch.zeros_like(clips[:, :1, :2])
    future = torch.cat((clips[:, 1:, :2], blank), 1)
    past = torch.cat((blank, clips[:, :-1, 2:4]), 1)
    return torch.cat((future, past, clips[:, :, 4:]), 2).view(x.shape)


def zeros_by_subtraction(x):
    """mmaction2: blanks are a slice minus itself, and rows and columns are one axis."""
    stacked, channels, height, width = x.shape
    clips = x.view(-1, SEGMENTS, channels, height * width)
    left, middle, right = clips[:, :, :2], clips[:, :, 2:4], clips[:, :, 4:]
    blank = (left - left)[:, :1]
    left = torch.cat((left[:, 1:], blank), 1)
    blank = (middle - middle)[:, :1]
    middle = torch.cat((blank, middle[:, :-1]), 1)
    return torch.cat((left, middle, right), 2).view(stacked, channels, height, width)


def pad_and_slice(x):
    """Paddle's operation: the clip padded by a frame at either end; the past comes first."""
    padded = functional.pad(clips_of(x), (0, 0, 0, 0, 0, 0, 1, 1))
    past, future = padded[:, :SEGMENTS, :2], padded[:, 2:, 2:4]
    return torch.cat((past, future, padded[:, 1:-1, 4:]), 2).view(x.shape)


def roll_with_a_mask(x):
    clips = clips_of(x)
    first = torch.ones(SEGMENTS).index_fill(0, torch.tensor([0]), 0).view(1, -1, 1, 1, 1)
    last = torch.ones(SEGMENTS).index_fill(0, torch.tensor([SEGMENTS - 1]), 0).view(1, -1, 1, 1, 1)
    future = torch.roll(clips[:, :, :2], -1, 1) * last.to(x.dtype)
    past = torch.roll(clips[:, :, 2:4], 1, 1) * first.to(x.dtype)
    return torch.cat((future, past, clips[:, :, 4:]), 2).view(x.shape)


def gather_of_frames(x):
    """Frames are indexed; index T is a frame of zeros."""
    padded = functional.pad(clips_of(x), (0, 0, 0, 0, 0, 0, 0, 1))
    future = padded[:, :, :2].index_select(1, torch.tensor([*range(1, SEGMENTS), SEGMENTS]))
    past = padded[:, :, 2:4].index_select(1, torch.tensor([SEGMENTS, *range(SEGMENTS - 1)]))
    return torch.cat((future, past, padded[:, :SEGMENTS, 4:]), 2).view(x.shape)


def one_hot_convolution(x):
    """Depthwise along T, with pixels in the batch."""
    height, width = x.shape[2:]
    lines = clips_of(x).permute(0, 3, 4, 2, 1).reshape(-1, CHANNELS, SEGMENTS)
    kernel = torch.zeros(CHANNELS, 1, 3)
    kernel[:2, 0, 2] = kernel[2:4, 0, 0] = kernel[4:, 0, 1] = 1
    moved = functional.conv1d(lines, kernel.to(x.dtype), padding=1, groups=CHANNELS)
    return moved.view(-1, height, width, CHANNELS, SEGMENTS).permute(0, 4, 3, 1, 2).reshape(x.shape)


def along_time_height_and_width(x):
    """STSM's T+H+W, one channel each."""
    clips = clips_of(x)
    out = torch.zeros_like(clips)
    out[:, :-1, 0] = clips[:, 1:, 0]
    out[:, 1:, 1] = clips[:, :-1, 1]
    out[:, :, 2, :-1] = clips[:, :, 2, 1:]
    out[:, :, 3, 1:] = clips[:, :, 3, :-1]
    out[:, :, 4, :, :-1] = clips[:, :, 4, :, 1:]
    out[:, :, 5, :, 1:] = clips[:, :, 5, :, :-1]
    out[:, :, 6:] = clips[:, :, 6:]
    return out.view(x.shape)


def past_only(x):
    """Uni-directional, for networks that run online."""
    clips = clips_of(x)
    moved = functional.pad(clips[:, :-1, :2], (0, 0, 0, 0, 0, 0, 1, 0))
    return torch.cat((moved, clips[:, :, 2:]), 2).view(x.shape)


def halves_of_a_volume(x):
    """GSM's inner shift in [N,C,T,H,W]."""
    first, second = x[:, :4], x[:, 4:]
    blank = torch.zeros_like(x[:, :4, :1])
    return torch.cat((torch.cat((first[:, :, 1:], blank), 2), torch.cat((blank, second[:, :, :-1]), 2)), 1)


FROM_TORCH = {
    **dict.fromkeys((in_place_assignment, in_place_on_a_copy, concatenation, zeros_by_subtraction), TSM),
    **dict.fromkeys((roll_with_a_mask, gather_of_frames, one_hot_convolution), TSM),
    pad_and_slice: PAST_FIRST,
    along_time_height_and_width: STSM,
    past_only: ONLINE,
    halves_of_a_volume: GSM,
}
"""Spelling to the shift that it is."""


def channel_shuffle(x):
    return x.view(len(x), 3, -1, *x.shape[2:]).transpose(1, 2).reshape(x.shape)


def circular_roll(x):
    clips = clips_of(x)
    return torch.cat((torch.roll(clips[:, :, :2], 1, 1), clips[:, :, 2:]), 2).view(x.shape)


def reversed_clip(x):
    return clips_of(x).flip(1).reshape(x.shape)


def temporal_pooling(x):
    pooled = functional.avg_pool3d(clips_of(x).transpose(1, 2), (3, 1, 1), 1, (1, 0, 0))
    return pooled.transpose(1, 2).reshape(x.shape)


def mean_of_neighbours(x):
    clips = clips_of(x)
    return (0.5 * clips + 0.5 * torch.roll(clips, 1, 1)).view(x.shape)


def frames_by_their_energy(x):
    """A gather whose indices are data."""
    clips = clips_of(x)
    order = clips.mean((2, 3, 4)).argsort(1)[:, :, None, None, None]
    return torch.gather(clips, 1, order.expand_as(clips)).view(x.shape)


def repeated_edge(x):
    clips = clips_of(x)
    past = torch.cat((clips[:, :1, :2], clips[:, :-1, :2]), 1)
    return torch.cat((past, clips[:, :, 2:]), 2).view(x.shape)


def zeroed_channels(x):
    return torch.cat((torch.zeros_like(x[:, :2]), x[:, 2:]), 1)


NO_SHIFT = {
    channel_shuffle: "channels change places",
    circular_roll: "circular roll",
    reversed_clip: "permutation",
    temporal_pooling: None,
    mean_of_neighbours: None,
    frames_by_their_energy: "computed from the input",
    repeated_edge: "repeated",
    zeroed_channels: "whole channels are set to zero",
}
"""Movement to what is said of it; None where it is no movement at all."""


class Network(nn.Module):
    """A convolution, the movement, a convolution."""

    def __init__(self, movement, channels, volume=False):
        super().__init__()
        kind = nn.Conv3d if volume else nn.Conv2d
        torch.manual_seed(0)
        self.before, self.after = kind(channels, channels, 1), kind(channels, channels, 1)
        self.movement = movement

    def forward(self, x):
        return self.after(self.movement(torch.relu(self.before(x))))


def shape_of(movement):
    """Of the tensor that it moves."""
    return VOLUME if FROM_TORCH.get(movement) is GSM else FRAMES


@cache
def exported(movement, exporter="legacy", opset=17, *, half=False, dynamic=False, simplified=False):
    """`Network` with ``movement`` as an ONNX file of an exporter of PyTorch, input ``x``."""
    shape = shape_of(movement)
    network = Network(movement, shape[1], volume=len(shape) == 5).eval()
    x = torch.zeros(shape)
    if half:
        network, x = network.half(), x.half()
    logger, written = logging.getLogger("torch.onnx"), io.BytesIO()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            settings = {"input_names": ["x"], "output_names": ["y"], "opset_version": opset}
            if exporter == "dynamo":
                sizes = ({0: SEGMENTS * torch.export.Dim("clips", min=1)},) if dynamic else None
                program = torch.onnx.export(
                    network, (x,), dynamo=True, dynamic_shapes=sizes, verbose=False, **settings
                )
                proto = program.model_proto
            else:
                sizes = {"x": {0: "frames"}, "y": {0: "frames"}} if dynamic else None
                torch.onnx.export(network, (x,), written, dynamo=False, dynamic_axes=sizes, **settings)
                proto = onnx.load_from_string(written.getvalue())
    finally:
        logger.setLevel(level)
    if simplified:
        proto, right = onnxsim.simplify(proto)
        assert right
    return proto
