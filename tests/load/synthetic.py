"""Calls made up packet by packet, so that every instant in them is known."""

import numpy as np
from numpy.typing import NDArray

from bridge.load.tape import ReceivedPacket, SentPacket
from bridge.plane.g711 import encode_ulaw

MS = 1_000_000
FRAME_NS = 20 * MS
SILENCE = np.full(160, 0xFF, np.uint8)


def speech(seed: int, samples: int) -> NDArray[np.uint8]:
    """Codes like those of loud speech: nowhere silent, and no stretch of them like another."""
    pcm = np.random.default_rng(seed).integers(-9000, 9000, samples)
    pcm[np.abs(pcm) < 40] = 40
    return encode_ulaw(pcm.astype(np.int16))


def silence(packets: int) -> NDArray[np.uint8]:
    return np.tile(SILENCE, packets)


def received(
    codes: NDArray[np.uint8],
    *,
    begin_ns: int = 0,
    sequence: int = 65_530,
    timestamp: int = 2**32 - 480,
    late_ns: dict[int, int] | None = None,
    lost: frozenset[int] = frozenset(),
) -> list[ReceivedPacket]:
    """Cut `codes` into packets of 20 ms that arrive on the grid, but for those in `late_ns` and `lost`."""
    codes = np.concatenate((codes, np.full(-len(codes) % 160, 0xFF, np.uint8)))
    return [
        ReceivedPacket(
            arrival_ns=begin_ns + index * FRAME_NS + (late_ns or {}).get(index, 0),
            sequence=(sequence + index) & 0xFFFF,
            timestamp=(timestamp + index * 160) & 0xFFFFFFFF,
            payload_type=0,
            marker=index == 0,
            ssrc=7,
            payload=codes[index * 160 : index * 160 + 160].tobytes(),
        )
        for index in range(len(codes) // 160)
        if index not in lost
    ]


def sent(codes: NDArray[np.uint8], *, begin_ns: int = 0) -> tuple[SentPacket, ...]:
    """The caller's side: packet 0 holds what was spoken from `begin_ns` on."""
    return tuple(
        SentPacket(
            due_ns=begin_ns + (index + 1) * FRAME_NS,
            sent_ns=begin_ns + (index + 1) * FRAME_NS,
            sequence=index,
            timestamp=index * 160,
            payload_type=0,
            payload=codes[index * 160 : index * 160 + 160].tobytes(),
        )
        for index in range(len(codes) // 160)
    )
