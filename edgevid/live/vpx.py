"""Which frames of VP8 and VP9 are damaged: FFmpeg's decoders of them do not tell.

They read an arithmetic code without checksums. From a wrong byte on it gives random numbers, which mostly
take more bytes than there are, and FFmpeg goes on with zeros then. libvpx, with which FFmpeg's libraries
encode both, notices that, and which frames are made from a damaged one. So it decodes each packet as well,
only to be asked. What takes no more bytes than there are, nobody can tell from a picture.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ctypes.util import find_library
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.video.stream import VideoStream

__all__ = ["damage_check"]

_INTERFACES = {"vp8": "vpx_codec_vp8_dx", "vp9": "vpx_codec_vp9_dx"}
"""Of libvpx, by the name of FFmpeg's decoder."""

# vpx/vpx_decoder.h, vpx/vpx_codec.h and vpx/vp8dx.h of libvpx 1.8 to 1.16.
_ABI = 12
_CONTEXT_BYTES = 256  # vpx_codec_ctx_t has seven words
_FRAME_CORRUPTED = 257
_NOT_ITS_KIND = (4, 5, 6)  # no such depth of colours or feature in this libvpx, or damage that looks so


@contextmanager
def damage_check(stream: VideoStream) -> Iterator[Callable[[bytes], bool]]:
    """A function that tells of each packet, in order, whether its frame is damaged or made from one that is.

    Where libvpx is missing, and of other codecs, it tells of none.
    """
    library = _library() if stream.codec_context.name in _INTERFACES else None
    context = ctypes.create_string_buffer(_CONTEXT_BYTES)
    if library is None or not _opened(library, context, _INTERFACES[stream.codec_context.name]):
        yield lambda packet: False
        return

    understood = False

    def damaged(packet: bytes) -> bool:
        nonlocal understood
        status = library.vpx_codec_decode(context, packet, len(packet), None, 0)
        # What is corrupted is said of the frame that was taken last.
        place, corrupted = ctypes.c_void_p(), ctypes.c_int()
        while library.vpx_codec_get_frame(context, ctypes.byref(place)):
            library.vpx_codec_control_(context, _FRAME_CORRUPTED, ctypes.byref(corrupted))
        understood = understood or status == 0
        return corrupted.value != 0 or (status != 0 and (understood or status not in _NOT_ITS_KIND))

    try:
        yield damaged
    finally:
        library.vpx_codec_destroy(context)


def _library() -> ctypes.CDLL | None:
    """The libvpx that FFmpeg's libraries have loaded, else the system's; None without either."""
    for name in _loaded() or filter(None, [find_library("vpx")]):
        with suppress(OSError, AttributeError):
            library = ctypes.CDLL(name)
            word, size, place = ctypes.c_long, ctypes.c_uint, ctypes.c_void_p
            for interface in _INTERFACES.values():
                getattr(library, interface).restype = place
            library.vpx_codec_dec_init_ver.argtypes = [place, place, place, word, ctypes.c_int]
            library.vpx_codec_decode.argtypes = [place, ctypes.c_char_p, size, place, word]
            library.vpx_codec_get_frame.argtypes = [place, place]
            library.vpx_codec_get_frame.restype = place
            library.vpx_codec_control_.argtypes = [place, ctypes.c_int]  # and what the control wants
            library.vpx_codec_destroy.argtypes = [place]
            return library
    return None


def _loaded() -> list[str]:
    """Files of libvpx in the memory of this process, by Linux's word."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    paths = (line.split(maxsplit=5)[-1] for line in lines if "libvpx" in line)
    return list(dict.fromkeys(paths))


def _opened(library: ctypes.CDLL, context: ctypes.Array[ctypes.c_char], interface: str) -> bool:
    kind = getattr(library, interface)()
    return bool(library.vpx_codec_dec_init_ver(context, kind, None, 0, _ABI) == 0)
