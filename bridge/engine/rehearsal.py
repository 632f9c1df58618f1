"""Calls that nobody hears, so that a process has done everything once before it is needed.

What is used for the first time has to be found, made or mapped, and a standby that takes calls over has no
time to give away.
"""

from contextlib import suppress
from dataclasses import replace

import numpy as np

from bridge.engine.codecs import make_codec
from bridge.engine.sockets import FOREVER_NS
from bridge.engine.srtp import SrtpRows
from bridge.errors import SetupError
from bridge.plane.codec import G722, OPUS
from bridge.plane.columns import Columns
from bridge.plane.g711 import encode_ulaw
from bridge.plane.packets import Arrivals, Departures
from bridge.plane.plane import Plane
from bridge.plane.ring import PlayoutWriter
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.rtp.srtp import SUITES, SrtpKeys

__all__ = ["rehearse"]

_ROWS = 3
_FRAMES = 40
_SLOT_NS = 20_000_000
_PEER = 0x7F00_0001 << 16 | 9


def rehearse(settings: PlaneSettings) -> None:
    """Carry a few rows of memory of our own: a voice over our speech, a flush, a report, a goodbye."""
    columns = Columns(bytearray(Columns.size_bytes(_ROWS)), _ROWS)
    plane = Plane(columns, settings)
    rows = np.arange(_ROWS)
    for row in range(_ROWS):
        plane.open(row, _spec(row), now_ns=0)
        writer = PlayoutWriter(columns, row, row + 1)
        writer.begin(0)
        writer.write(np.full(_FRAMES * 160, 500, np.int16), epoch=0)
    arrivals = Arrivals(_ROWS)
    for frame in range(_FRAMES):
        now_ns = frame * _SLOT_NS
        _speak(arrivals, frame)
        plane.receive(arrivals, now_ns=now_ns)
        plane.build(rows[plane.due_ns <= now_ns], now_ns=now_ns)
        plane.drain()
    plane.flush(0, now_ns=now_ns)
    plane.report_due_ns[:] = 0
    plane.report(rows, now_ns=FOREVER_NS // 4)
    _encrypt(columns)
    _code()
    for row in range(_ROWS):
        plane.farewell(row, now_ns=now_ns)
        plane.close(row)


def _encrypt(columns: Columns) -> None:
    """A packet there and one back, under keys that guard nothing: library and ciphers have been used once."""
    rows = SrtpRows([columns])
    arrivals = Arrivals(_ROWS)
    for suite in SUITES.values():
        secret = "00" * suite.secret_bytes
        rows.open(0, SrtpKeys(suite.name, secret, secret), ssrc=7)
        _speak(arrivals, 0)
        packets = [(0, _PEER, arrivals.packets[0, :172].tobytes())]
        sent = rows.protect(Departures.of(packets))
        arrivals.packets[0, : sent.lengths[0]] = sent.packets[0, : sent.lengths[0]]
        arrivals.lengths[0], arrivals.count = sent.lengths[0], 1
        rows.unprotect(arrivals)
    rows.close(0)


def _code() -> None:
    """A packet of each codec that has a state: to find and load libopus takes 5 ms of a gap.

    Where there is none, no row asks for it either.
    """
    for codec, rate_hz in ((OPUS, 24_000), (G722, 16_000)):
        spec = replace(_spec(0), codec=codec, rate_hz=rate_hz, payload_type=96)
        with suppress(SetupError):
            decoder, encoder = make_codec(spec)
            for number in range(2):
                sound = np.full(rate_hz // 50, 500 * number, np.int16)
                decoder.receive(number, number * spec.clock_hz // 50, encoder.encode(sound))


def _speak(arrivals: Arrivals, frame: int) -> None:
    """A packet from the peer of each row: quiet, then a voice."""
    sound = np.random.default_rng(frame).normal(0, 8 if frame < 20 else 4000, 160)
    header = [0x80, 0, frame >> 8, frame & 0xFF, *(frame * 160).to_bytes(4, "big"), 0, 0, 0, 7]
    arrivals.packets[:_ROWS, :12] = header
    arrivals.packets[:_ROWS, 12:172] = encode_ulaw(sound.clip(-32000, 32000).astype(np.int16))
    arrivals.lengths[:_ROWS] = 172
    arrivals.rows[:_ROWS] = np.arange(_ROWS)
    arrivals.sources[:_ROWS] = _PEER
    arrivals.is_rtcp[:_ROWS] = False
    arrivals.count = _ROWS


def _spec(row: int) -> RowSpec:
    return RowSpec(
        generation=row + 1,
        ssrc=row,
        sequence=0,
        timestamp=0,
        codec=0,
        payload_type=0,
        dtmf_payload_type=101,
        remote_key=_PEER,
        latch_ip=0,
        sending=True,
        receiving=True,
        interruptible=3,
        rtcp_mux=True,
        cname="rehearsal",
    )
