"""Other people's jitter buffers behind one face: put a packet, get the number of the one to play, or None."""

import ctypes
import ctypes.util
import importlib
import struct
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

__all__ = ["Peer", "installed"]

_STEP = 160
_MADE_UP = struct.pack("<i", -1).ljust(2 * _STEP, b"\0")


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


class _Marked:
    """A codec whose sound is the packet it was made of, and which says what it made up (aiortp's `Codec`)."""

    sample_rate = 8000
    samples_per_frame = _STEP

    def decode(self, data: bytes) -> bytes:
        return data

    def conceal(self, num_samples: int) -> bytes:
        return _MADE_UP


class _Aiortp:
    """aiortp with `playout=True`: its sorting buffer and its adaptive playout, wired as its session does."""

    def __init__(self, module: Any) -> None:  # noqa: ANN401 - a library that may not be installed
        self._now_s = 0.0
        self._packet = module.RtpPacket
        self._sorted = module.JitterBuffer(capacity=16, prefetch=0, skip_audio_gaps=True)
        self._playout = module.AdaptivePlayout(_Marked(), now=lambda: self._now_s, clock_rate=8000)

    def put(self, number: int, *, at_ms: float) -> None:
        self._now_s = at_ms / 1000
        packet = self._packet(
            sequence_number=number & 0xFFFF,
            timestamp=number * _STEP,
            payload=struct.pack("<i", number).ljust(2 * _STEP, b"\0"),
        )
        _, frame = self._sorted.add(packet)
        if frame is not None:
            self._playout.put(frame.timestamp, frame.data)

    def get(self, *, at_ms: float) -> int | None:
        self._now_s = at_ms / 1000
        played = self._playout.tick()
        if played is None or played[0] == _MADE_UP:
            return None
        return int(struct.unpack_from("<i", played[0])[0])


def installed() -> tuple[dict[str, Callable[[], Peer]], dict[str, str]]:
    """Return those that are here, and of each that is not how to get it."""
    peers: dict[str, Callable[[], Peer]] = {}
    missing = {}
    if (name := ctypes.util.find_library("speexdsp")) is not None:
        library = ctypes.CDLL(name)
        peers["libspeexdsp"] = lambda: _Speex(library)
    else:
        missing["libspeexdsp"] = "apt-get install libspeexdsp1"
    for peer, name, build in (
        ("aiortc", "aiortc.jitterbuffer", _Aiortc),
        ("aiortp", "aiortp", _Aiortp),
    ):
        try:
            module = importlib.import_module(name)
        except ImportError:
            missing[peer] = f"pip install --target DIR {peer}, then --extras DIR"
        else:
            peers[peer] = partial(build, module)
    return peers, missing
