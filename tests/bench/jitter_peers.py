"""Other people's jitter buffers behind one face: put a packet, get the number of the one to play, or None."""

import ctypes
import ctypes.util
import importlib
import struct
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Peer", "installed"]

_STEP = 160


class Peer(Protocol):
    """A jitter buffer of one call, packets named by their number."""

    def put(self, number: int, *, at_ms: float) -> None:
        """Take a packet as it comes."""

    def get(self, *, at_ms: float) -> int | None:
        """Give up the packet of this frame of 20 ms, or say that there is none."""


class _Packet(ctypes.Structure):
    """`JitterBufferPacket` of speex_jitter.h."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("len", ctypes.c_uint32),
        ("timestamp", ctypes.c_uint32),
        ("span", ctypes.c_uint32),
        ("sequence", ctypes.c_uint16),
        ("user_data", ctypes.c_uint32),
    )


class _Speex:
    """libspeexdsp as its manual says: get and tick once a frame."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.jitter_buffer_init.restype = ctypes.c_void_p
        self._state = ctypes.c_void_p(library.jitter_buffer_init(_STEP))
        self._room = ctypes.create_string_buffer(64)

    def put(self, number: int, *, at_ms: float) -> None:
        data = ctypes.create_string_buffer(struct.pack("<i", number), 4)
        packet = _Packet(ctypes.addressof(data), 4, number * _STEP, _STEP, number & 0xFFFF, 0)
        self._library.jitter_buffer_put(self._state, ctypes.byref(packet))

    def get(self, *, at_ms: float) -> int | None:
        packet = _Packet(ctypes.addressof(self._room), 64, 0, 0, 0, 0)
        offset = ctypes.c_int32()
        found = self._library.jitter_buffer_get(
            self._state, ctypes.byref(packet), _STEP, ctypes.byref(offset)
        )
        self._library.jitter_buffer_tick(self._state)
        return int(struct.unpack("<i", self._room.raw[:4])[0]) if found == 0 else None


class _Aiortc:
    """aiortc's audio buffer with the settings of its receiver, and the queue of decoded frames behind it."""

    def __init__(self, module: Any) -> None:  # noqa: ANN401 - a library that may not be installed
        rtp = importlib.import_module("aiortc.rtp")
        self._packet = rtp.RtpPacket
        self._buffer = module.JitterBuffer(capacity=16, prefetch=4)
        self._ready: deque[int] = deque()

    def put(self, number: int, *, at_ms: float) -> None:
        packet = self._packet(sequence_number=number & 0xFFFF, timestamp=number * _STEP)
        packet._data = struct.pack("<i", number)
        _, frame = self._buffer.add(packet)
        if frame is not None:
            self._ready.append(struct.unpack("<i", frame.data)[0])

    def get(self, *, at_ms: float) -> int | None:
        return self._ready.popleft() if self._ready else None


def installed() -> tuple[dict[str, Callable[[], Peer]], list[str]]:
    """Return those that are here, and a line for each that is not."""
    peers: dict[str, Callable[[], Peer]] = {}
    missing = []
    if (name := ctypes.util.find_library("speexdsp")) is not None:
        library = ctypes.CDLL(name)
        peers["libspeexdsp"] = lambda: _Speex(library)
    else:
        missing.append("libspeexdsp1 (Debian) is not installed: left out")
    try:
        module = importlib.import_module("aiortc.jitterbuffer")
    except ImportError:
        missing.append(
            "aiortc is not installed: left out (pip install aiortc --target DIR, then --extras DIR)"
        )
    else:
        peers["aiortc"] = lambda: _Aiortc(module)
    return peers, missing
