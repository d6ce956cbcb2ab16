"""Small real videos for the tests of this folder."""

import os
import struct
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

SHARED = Path(__file__).resolve().parents[2].parent / "shared"


def moving_frames(count, width=64, height=48, seed=0):
    """Frames that all differ: a bright block that wanders over a textured ground."""
    random = np.random.default_rng(seed)
    ground = random.integers(0, 120, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    ground = ground.repeat(8, 0).repeat(8, 1)[:height, :width]
    frames = np.stack([ground] * count)
    for index, frame in enumerate(frames):
        left, top = (index * 5) % (width - 10), (index * 3) % (height - 10)
        frame[top : top + 10, left : left + 10] = (255 - index % 200, 40 + 2 * index % 200, 230)
    return frames


def write_video(
    path,
    frames,
    codec="libx264",
    options=None,
    pixel_format="yuv420p",
    matrix=None,
    times=None,
    container_options=None,
    colorspace=None,
    color_range=None,
):
    """Encode ``[N, H, W, 3]`` frames; ``times`` are presentation times in 1/25 s."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pixel_format
        if colorspace is not None:
            stream.codec_context.colorspace = colorspace
        if color_range is not None:
            stream.codec_context.color_range = color_range
        for index, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            if colorspace is not None or color_range is not None:
                frame = frame.reformat(
                    format=pixel_format, dst_colorspace=colorspace, dst_color_range=color_range
                )
            frame.pts = index if times is None else times[index]
            frame.time_base = Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    if matrix is not None:
        turn(path, matrix)
    return path


def turn(path, matrix):
    """Write a display matrix into the track header of an MP4 file (ISO/IEC 14496-12, 8.3.2)."""
    content = bytearray(path.read_bytes())
    at = content.index(b"tkhd") + 4
    assert content[at] == 0
    content[at + 40 : at + 76] = struct.pack(">9i", *matrix)
    path.write_bytes(content)


def decode_everything(path):
    """All frames by the plainest use of PyAV: one thread, from the beginning, no rotation."""
    frames = []
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        for packet in container.demux(stream):
            try:
                decoded = packet.decode()
            except av.FFmpegError:
                continue
            frames.extend(frame.to_ndarray(format="rgb24") for frame in decoded)
    return frames


def write_wav(path):
    """A second of silence."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@contextmanager
def nobody():
    """Root may read everything, so be nobody for a moment."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
