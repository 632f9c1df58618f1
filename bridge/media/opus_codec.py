"""Opus packets of one leg through libopus, by cffi in ABI mode (RFC 6716).

The library is the one inside PyAV's wheel: FFmpeg's own way to it hides concealment and in-band FEC, and
costs 35 to 85 µs more a packet.
"""

import importlib.util
from functools import cache
from pathlib import Path
from typing import Any

import cffi
import numpy as np
from numpy.typing import NDArray

from bridge.errors import SetupError

__all__ = [
    "CLOCK_HZ",
    "LONGEST_PACKET_TICKS",
    "OpusDecoder",
    "OpusEncoder",
    "carries_previous",
    "library_files",
    "load",
    "packet_ticks",
]

CLOCK_HZ = 48000
"""RTP timestamps of Opus count these, whatever the rate of the sound (RFC 7587 §4.1)."""
LONGEST_PACKET_TICKS = CLOCK_HZ * 120 // 1000

_DECLARATIONS = """
typedef struct OpusEncoder OpusEncoder;
typedef struct OpusDecoder OpusDecoder;
int opus_encoder_get_size(int channels);
int opus_encoder_init(OpusEncoder *st, int32_t rate, int channels, int application);
int opus_encoder_ctl(OpusEncoder *st, int request, ...);
int32_t opus_encode(OpusEncoder *st, uintptr_t pcm, int frame_size, uintptr_t data, int32_t max_bytes);
int opus_decoder_get_size(int channels);
int opus_decoder_init(OpusDecoder *st, int32_t rate, int channels);
int opus_decode(OpusDecoder *st, const char *data, int32_t len, uintptr_t pcm, int frame_size, int fec);
int opus_packet_get_nb_samples(const char *packet, int32_t len, int32_t rate);
int opus_packet_parse(const char *data, int32_t len, unsigned char *toc, uintptr_t *frames, int16_t *size,
                      int *payload_offset);
const char *opus_strerror(int error);
"""
_VOIP = 2048
_SET_BITRATE, _SET_MAX_BANDWIDTH, _SET_COMPLEXITY = 4002, 4004, 4010
_SET_INBAND_FEC, _SET_LOSS_PERCENT, _SET_DTX = 4012, 4014, 4016
_BANDWIDTHS = ((8000, 1101), (12000, 1102), (16000, 1103), (24000, 1104), (48000, 1105))
"""Highest sampling frequency that the far end plays, and the widest band worth sending (RFC 7587 §6.1)."""
_MOST_BYTES = 1275
_MOST_FRAMES = 48
_SYSTEM_NAMES = ("libopus.so.0", "libopus.0.dylib")
_MISSING = "libopus was not found; install PyAV's wheel (pip install av) or Debian's libopus0"


class OpusEncoder:
    """One leg's frames to packets: mono, tuned for voices.

    Args:
        rate_hz: Of the frames: 8000, 16000, 24000 or 48000.
        bit_rate: Bits a second, 6000 to 510,000.
        is_fec: Each packet may carry the one before again, more coarsely (in-band FEC): the more
            `loss_percent`, the better; at 0 nothing.
        loss_percent: Loss to be ready for, 0 to 100.
        is_dtx: Say next to nothing while the voice is silent: packets of one or two bytes, which need not be
            sent.
        max_rate_hz: The highest sampling frequency that the far end plays.
        complexity: 0 to 10: the more, the better and the slower.

    Raises:
        SetupError: If there is no libopus.
        ValueError: If libopus refuses a value.
    """

    def __init__(
        self,
        rate_hz: int,
        *,
        bit_rate: int,
        is_fec: bool = False,
        loss_percent: int = 0,
        is_dtx: bool = False,
        max_rate_hz: int = CLOCK_HZ,
        complexity: int = 5,
    ) -> None:
        ffi, self._opus = load()
        self._memory = ffi.new("char[]", self._opus.opus_encoder_get_size(1))
        self._state = ffi.cast("OpusEncoder *", self._memory)
        _check(self._opus.opus_encoder_init(self._state, rate_hz, 1, _VOIP))
        band = next(band for highest_hz, band in _BANDWIDTHS if max_rate_hz <= highest_hz)
        for request, value in (
            (_SET_BITRATE, bit_rate),
            (_SET_MAX_BANDWIDTH, band),
            (_SET_COMPLEXITY, complexity),
            (_SET_INBAND_FEC, int(is_fec)),
            (_SET_LOSS_PERCENT, loss_percent),
            (_SET_DTX, int(is_dtx)),
        ):
            _check(self._opus.opus_encoder_ctl(self._state, request, ffi.cast("int", value)))
        self._packet = np.zeros(_MOST_BYTES, np.uint8)
        self._packet_address = self._packet.ctypes.data

    def encode(self, pcm: NDArray[np.int16]) -> bytes:
        """Encode one frame of 2.5 to 60 ms; 20 as a rule.

        Raises:
            ValueError: If it has no length that Opus knows.
        """
        pcm = np.ascontiguousarray(pcm, np.int16)
        size = self._opus.opus_encode(
            self._state, pcm.ctypes.data, len(pcm), self._packet_address, _MOST_BYTES
        )
        return self._packet[: _check(size)].tobytes()


class OpusDecoder:
    """Packets to mono sound at one rate, whatever rate and however many channels were coded.

    Args:
        rate_hz: 8000, 16000, 24000 or 48000.
    """

    def __init__(self, rate_hz: int) -> None:
        self._ffi, self._opus = load()
        self._size = self._opus.opus_decoder_get_size(1)
        self._memory = self._ffi.new("char[]", self._size)
        self._state = self._ffi.cast("OpusDecoder *", self._memory)
        _check(self._opus.opus_decoder_init(self._state, rate_hz, 1))
        self._sound = np.zeros(LONGEST_PACKET_TICKS * rate_hz // CLOCK_HZ, np.int16)
        self._sound_address = self._sound.ctypes.data

    def decode(self, payload: bytes) -> NDArray[np.int16]:
        """Decode the packet that follows.

        Raises:
            ValueError: If it is no Opus.
        """
        return self._run(payload, len(payload), len(self._sound), 0)

    def conceal(self, samples: int) -> NDArray[np.int16]:
        """Make up what comes next: a multiple of 2.5 ms, at most 120."""
        return self._run(self._ffi.NULL, 0, samples, 0)

    def recover(self, payload: bytes, samples: int) -> NDArray[np.int16]:
        """Make good the `samples` before a packet: the last frame as the packet tells, the rest made up.

        The packet itself is decoded afterwards.

        Args:
            payload: What `carries_previous` is true of.
            samples: As for `conceal`; no less than a frame of the packet.
        """
        return self._run(payload, len(payload), samples, 1)

    def save(self) -> bytes:
        """The whole state, for `restore`: about 20 kB."""
        return bytes(self._ffi.buffer(self._memory, self._size))

    def restore(self, state: bytes) -> None:
        """Be again as when `state` was saved."""
        self._ffi.memmove(self._memory, state, self._size)

    def _run(self, data: Any, length: int, samples: int, fec: int) -> NDArray[np.int16]:  # noqa: ANN401
        count = self._opus.opus_decode(self._state, data, length, self._sound_address, samples, fec)
        return self._sound[: _check(count)].copy()


def packet_ticks(payload: bytes) -> int:
    """How long a packet lasts, in ticks of 48,000 a second.

    Raises:
        ValueError: If it is no Opus.
    """
    return _check(load()[1].opus_packet_get_nb_samples(payload, len(payload), CLOCK_HZ))


def carries_previous(payload: bytes) -> bool:
    """Whether a packet carries the frame before it again (LBRR, RFC 6716 §4.2.4).

    Raises:
        ValueError: If it is no Opus.
    """
    ffi, opus = load()
    frames, sizes = ffi.new("uintptr_t[]", _MOST_FRAMES), ffi.new("int16_t[]", _MOST_FRAMES)
    data = ffi.from_buffer("char[]", payload)
    _check(opus.opus_packet_parse(data, len(payload), ffi.NULL, frames, sizes, ffi.NULL))
    config = payload[0] >> 3
    if config >= 16 or sizes[0] < 2:
        return False  # CELT alone has none, and silence needs none.
    # SILK's header has for each channel a bit of activity for each frame of at most 20 ms, then this flag.
    frame_ms = (10, 20, 40, 60)[config % 4] if config < 12 else (10, 20)[config % 2]
    silk_frames = max(1, frame_ms // 20)
    head = payload[frames[0] - int(ffi.cast("uintptr_t", data))]
    flags = (silk_frames, 2 * silk_frames + 1) if payload[0] & 4 else (silk_frames,)
    return any(head >> (7 - flag) & 1 for flag in flags)


def library_files() -> list[str]:
    """Where libopus may be: in PyAV's wheel, whose file names carry a hash, then in the system."""
    found: list[Path] = []
    spec = importlib.util.find_spec("av")
    for package in spec.submodule_search_locations or () if spec else ():
        for place in (Path(package).parent / "av.libs", Path(package) / ".dylibs"):
            found += sorted(place.glob("libopus[-.]*"))
    return [*map(str, found), *_SYSTEM_NAMES]


@cache  # Parsing the declarations takes 20 ms.
def load(files: tuple[str, ...] | None = None) -> tuple[Any, Any]:
    """The library, and cffi's door to it.

    Raises:
        SetupError: If none of the files is there; says what to install.
    """
    ffi = cffi.FFI()
    ffi.cdef(_DECLARATIONS)
    for name in library_files() if files is None else files:
        try:
            return ffi, ffi.dlopen(name)
        except OSError:
            continue
    raise SetupError(_MISSING)


def _check(result: int) -> int:
    if result < 0:
        ffi, opus = load()
        raise ValueError(f"Opus: {ffi.string(opus.opus_strerror(result)).decode()}")
    return result
