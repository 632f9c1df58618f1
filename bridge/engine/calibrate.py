"""What a tick takes on this machine: measured for a moment before the first call, on rows that nobody has.

It also warms everything up: the first call does not pay for what numpy and the kernel do only once.
"""

import os
import socket
import time
from collections.abc import Iterable
from mmap import mmap

import numpy as np

from bridge.engine.budget import Costs
from bridge.engine.demux import Demux
from bridge.engine.mmsg import BatchSockets
from bridge.engine.ports import peer_key
from bridge.engine.sockets import LegSockets, PlainSockets
from bridge.plane.columns import FRAME_SAMPLES, Columns
from bridge.plane.g711 import encode_ulaw
from bridge.plane.packets import Arrivals
from bridge.plane.plane import Plane
from bridge.plane.ring import PlayoutWriter
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.rtp.header import RtpPacket, build

__all__ = ["calibrate"]

_FEW, _MANY = 20, 160
"""Rows of a small and of a large tick: of 100 calls, and of 800."""
_GROUPS = 4
"""A tick serves other rows than the one before: a thousand calls do not fit into the processor's cache."""
_TICKS = 8
_ROWS = _GROUPS * _MANY
_SLOT_NS = 20_000_000
_HOST = "127.0.0.1"


def calibrate(settings: PlaneSettings, *, ports_shared: bool, plain_sockets: bool) -> Costs:
    """Measure ticks of few and of many rows, which takes about 0.15 s.

    Args:
        settings: As the plane will have them.
        ports_shared: Whether calls will share ports.
        plain_sockets: Whether the standard library's sockets will be used.
    """
    stand = _Stand(settings, ports_shared=ports_shared, plain_sockets=plain_sockets)
    try:
        few_ns = _usual(stand.tick(turn % _GROUPS, _FEW) for turn in range(_TICKS))
        many_ns = _usual(stand.tick(turn % _GROUPS, _MANY) for turn in range(_TICKS))
    finally:
        stand.close()
    pair_ns = max(1, round((many_ns - few_ns) / (_MANY - _FEW)))
    return Costs(tick_ns=max(0, round(few_ns - _FEW * pair_ns)), pair_ns=pair_ns)


def _usual(taken_ns: Iterable[int]) -> int:
    """The lower quartile: what neighbours do to our cache is no part of a tick."""
    ordered = sorted(taken_ns)
    return ordered[len(ordered) // 4]


class _Stand:
    """A plane of its own with its sockets, and one peer who plays every phone."""

    def __init__(self, settings: PlaneSettings, *, ports_shared: bool, plain_sockets: bool) -> None:
        # Pages that no row touches are never there.
        self._columns = Columns(mmap(-1, Columns.size_bytes(_ROWS)), _ROWS)
        self._plane = Plane(self._columns, settings)
        self._arrivals = Arrivals(4 * _MANY)
        self._heard = [Arrivals(_MANY) for _ in range(_GROUPS)]
        demux = Demux(self._plane.peer_ssrc)
        self._sockets: LegSockets = (
            PlainSockets(self._arrivals, demux=demux)
            if plain_sockets
            else BatchSockets(self._arrivals, capacity=_ROWS, demux=demux)
        )
        self._peer = _bound()
        self._key = peer_key(self._peer.getsockname())
        self._kept = [_bound() for _ in range(1 if ports_shared else _ROWS)]
        self._addresses = [sock.getsockname() for sock in self._kept]
        self._turn = 0
        if ports_shared:
            self._sockets.share(0, [os.dup(self._kept[0].fileno())])
        for row in range(_ROWS):
            self._open(row, ports_shared=ports_shared)

    def tick(self, group: int, rows: int) -> int:
        """CPU time of one tick in which so many rows of a group hear a packet and send one."""
        self._turn += 1
        now_ns = self._turn * _SLOT_NS
        packets = self._heard[group]
        packets.count = rows
        packets.headers["sequence"][:rows] = self._turn
        packets.headers["timestamp"][:rows] = self._turn * FRAME_SAMPLES
        begin = group * _MANY
        for at in range(rows):
            address = self._addresses[(begin + at) % len(self._addresses)]
            self._peer.sendto(packets.packets[at, : packets.lengths[at]].data, address)
        begin_ns = time.process_time_ns()
        self._sockets.receive()
        self._plane.receive(packets, now_ns=now_ns)
        self._sockets.send(self._plane.build(np.arange(begin, begin + rows), now_ns=now_ns))
        self._plane.drain()
        taken_ns = time.process_time_ns() - begin_ns
        self._empty()
        return taken_ns

    def close(self) -> None:
        """Give everything back."""
        self._sockets.close()
        for sock in (self._peer, *self._kept):
            sock.close()

    def _open(self, row: int, *, ports_shared: bool) -> None:
        spec = RowSpec(
            generation=row + 1,
            ssrc=row,
            sequence=0,
            timestamp=0,
            codec=0,
            payload_type=0,
            dtmf_payload_type=101,
            remote_key=self._key,
            latch_ip=0,
            sending=True,
            receiving=True,
            interruptible=3,
        )
        if ports_shared:
            self._sockets.seat(row, 0, spec)
        else:
            self._sockets.add(row, [os.dup(self._kept[row].fileno())])
        self._plane.open(row, spec, now_ns=0)
        writer = PlayoutWriter(self._columns, row, row + 1)
        noise = np.random.default_rng(row).normal(0, 2000, FRAME_SAMPLES * 2 * _TICKS).astype(np.int16)
        if row % 2:
            # Half of the callers listen to speech, the others to silence.
            writer.open_utterance(0)
            writer.write(noise, epoch=0)
        codes = encode_ulaw((noise[:FRAME_SAMPLES] // 300).astype(np.int16)).tobytes()
        self._heard[row // _MANY].add(build(RtpPacket(0, 0, 0, row, codes)), row=row, source=self._key)

    def _empty(self) -> None:
        """Take what the peer was sent, so that its buffer never fills."""
        try:
            while True:
                self._peer.recv(2048)
        except BlockingIOError:
            pass


def _bound() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.bind((_HOST, 0))
    return sock
