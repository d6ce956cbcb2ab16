"""As much of an RTSP server (RFC 2326) as FFmpeg asks for: one H.264 track over the connection itself."""

import contextlib
import re
import socketserver
import struct
import threading
from fractions import Fraction

import av
import numpy as np

SDP = (
    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=control:track1\r\n"
)
RATE = 25


def encoded(count, side=64):
    """H.264 access units as lists of NAL units; the picture gets brighter."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width = encoder.height = side
    encoder.pix_fmt = "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, RATE), Fraction(RATE)
    encoder.options = {"tune": "zerolatency", "g": "10"}
    units = []
    for index in range(count):
        frame = av.VideoFrame.from_ndarray(np.full((side, side, 3), 20 + 5 * index, np.uint8), "rgb24")
        frame.pts, frame.time_base = index, Fraction(1, RATE)
        units += [bytes(packet) for packet in encoder.encode(frame)]
    units += [bytes(packet) for packet in encoder.encode(None)]
    return [[nal for nal in re.split(b"\0\0\0\1|\0\0\1", unit) if nal] for unit in units]


class _Connection(socketserver.StreamRequestHandler):
    """Answers until PLAY, sends all frames at once, and hangs up."""

    def handle(self):
        with contextlib.suppress(OSError):
            while self._answer():
                pass

    def _answer(self):
        lines = []
        while (line := self.rfile.readline().decode().strip()) or not lines:
            if not line:
                return False
            lines.append(line)
        method = lines[0].split()[0]
        sequence = next(line.split(":")[1].strip() for line in lines if line.lower().startswith("cseq"))
        head = {
            "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n",
            "DESCRIBE": f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n",
            "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n",
        }.get(method, "Session: 1\r\n")
        body = SDP if method == "DESCRIBE" else ""
        self.wfile.write(f"RTSP/1.0 200 OK\r\nCSeq: {sequence}\r\n{head}\r\n{body}".encode())
        if method == "PLAY":
            self._play()
        return method not in ("PLAY", "TEARDOWN")

    def _play(self):
        number = 0
        for index, nals in enumerate(self.server.units):
            for nal in nals:
                last = 0x80 if nal is nals[-1] else 0
                packet = struct.pack(">BBHII", 0x80, last | 96, number, index * 90000 // RATE, 7) + nal
                self.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                number += 1


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextlib.contextmanager
def rtsp_server(count):
    """The address of a server that sends ``count`` frames to whoever asks, each time."""
    with _Server(("127.0.0.1", 0), _Connection) as server:
        server.units = encoded(count)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"rtsp://someone:secret@127.0.0.1:{server.server_address[1]}/camera"
        finally:
            server.shutdown()
            thread.join()
