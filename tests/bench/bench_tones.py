"""What hearing keys in the sound costs, and how it compares with libspandsp's ear (Debian: libspandsp2).

Nothing here asserts. Each condition is 320 keys: all sixteen, at twenty places in their packets, over G.711.
"""

import ctypes
import ctypes.util
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

from bridge.plane.columns import FRAME_SAMPLES
from bridge.plane.g711 import decode_ulaw, encode_ulaw
from bridge.plane.tones import PAD, Tones
from tests.plane.dialling import Sound, downs, listen, noise, quiet, tone

_RATE_HZ = 8000
_PLACES = [place * 1.03 for place in range(20)]
_CONDITIONS: tuple[tuple[str, dict[str, Any], float | None], ...] = (
    ("100 ms", {"ms": 100}, None),
    ("50 ms", {"ms": 50}, None),
    ("40 ms", {"ms": 40}, None),
    ("23 ms (no key)", {"ms": 23}, None),
    ("20 ms (no key)", {"ms": 20}, None),
    ("40 ms, off by +1.5 %", {"ms": 40, "low_off": 0.015, "high_off": 0.015}, None),
    ("40 ms, off by -1.5 %", {"ms": 40, "low_off": -0.015, "high_off": -0.015}, None),
    ("60 ms, off by 3.5 % (no key)", {"ms": 60, "low_off": 0.035, "high_off": 0.035}, None),
    ("40 ms, low tone 8 dB over high", {"ms": 40, "low_dbm0": -6, "high_dbm0": -14}, None),
    ("40 ms, high tone 4 dB over low", {"ms": 40, "low_dbm0": -12, "high_dbm0": -8}, None),
    ("40 ms at -25 dBm0", {"ms": 40, "low_dbm0": -25, "high_dbm0": -25}, None),
    ("45 ms, noise 15 dB below", {"ms": 45, "low_dbm0": -10, "high_dbm0": -10}, -25.0),
    ("45 ms, noise 12 dB below", {"ms": 45, "low_dbm0": -10, "high_dbm0": -10}, -22.0),
    ("60 ms, noise 8 dB below", {"ms": 60, "low_dbm0": -10, "high_dbm0": -10}, -18.0),
)


class SpanDsp:
    """Another ear; None where the library is not installed."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.dtmf_rx_init.restype = ctypes.c_void_p
        library.dtmf_rx_init.argtypes = [ctypes.c_void_p] * 3
        library.dtmf_rx.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
        library.dtmf_rx_get.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]
        library.dtmf_rx_get.restype = ctypes.c_size_t
        library.dtmf_rx_free.argtypes = [ctypes.c_void_p]

    @classmethod
    def find(cls) -> "SpanDsp | None":
        name = ctypes.util.find_library("spandsp")
        return cls(ctypes.CDLL(name)) if name else None

    def hear(self, sound: Sound) -> str:
        """Keys it finds."""
        pcm = decode_ulaw(encode_ulaw(sound.clip(-32768, 32767).astype(np.int16)))
        ear = self._library.dtmf_rx_init(None, None, None)
        digits, heard = ctypes.create_string_buffer(129), ""
        for begin in range(0, len(pcm), _RATE_HZ):
            part = pcm[begin : begin + _RATE_HZ]
            self._library.dtmf_rx(ear, part.ctypes.data, len(part))
            count = self._library.dtmf_rx_get(ear, digits, 128)
            heard += digits.raw[:count].decode()
        self._library.dtmf_rx_free(ear)
        return heard


def keys(how: dict[str, Any], noise_dbm0: float | None) -> Iterator[tuple[str, Sound]]:
    for seed, (key, place) in enumerate((key, place) for key in PAD for place in _PLACES):
        sound = np.concatenate((quiet(60 + place), tone(key, phase=place, **how), quiet(100)))
        yield key, sound if noise_dbm0 is None else noise(sound, dbm0=noise_dbm0, seed=seed)


def compare() -> None:
    other = SpanDsp.find()
    print(f"{'condition':34s}  {'ours':>7s}  {'spandsp':>7s}")
    for name, how, noise_dbm0 in _CONDITIONS:
        asked = list(keys(how, noise_dbm0))
        found = [downs(changes) for changes in listen([sound for _, sound in asked])]
        ours = np.mean([heard == key for heard, (key, _) in zip(found, asked, strict=True)])
        theirs = "-" if other is None else f"{np.mean([other.hear(s) == key for key, s in asked]):.1%}"
        print(f"{name:34s}  {ours:7.1%}  {theirs:>7s}")


def cost() -> None:
    dice = np.random.default_rng(1)
    print("rows that listen   µs per row and packet: a quiet line, a loud one, a key held down")
    for count in (1, 100, 500):
        held = np.tile(tone("5", ms=20), (count, 1))
        lines = [dice.normal(0, 20, held.shape), dice.normal(0, 3000, held.shape), held]
        took = []
        for line in lines:
            tones, rows, pcm, spent_ns = Tones(count), np.arange(count), line.astype(np.int16), []
            for _ in range(200):
                begin_ns = time.process_time_ns()
                tones.hear(rows, pcm)
                spent_ns.append(time.process_time_ns() - begin_ns)
            took.append(float(np.median(spent_ns)) / count / 1000)
        print(f"{count:16d}   " + "  ".join(f"{each:8.2f}" for each in took))
    assert held.shape[1] == FRAME_SAMPLES


if __name__ == "__main__":
    cost()
    compare()
