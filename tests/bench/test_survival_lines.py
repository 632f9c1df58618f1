import socket
from collections.abc import Iterator

import numpy as np
import pylibsrtp
import pytest

from tests.bench.survival_lines import Lines
from tests.bench.survival_specs import SPECS, keys_of
from tests.engine.srtp_peer import PROFILES, rtp

SRTP = SPECS["srtp"]
OURS = [0x11, 0x22]


@pytest.fixture
def legs() -> Iterator[list[socket.socket]]:
    made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in OURS]
    for sock in made:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(2)
    yield made
    for sock in made:
        sock.close()


def session(leg: int, *, inbound: bool) -> pylibsrtp.Session:
    """The engine's side of a call."""
    policy, keys = pylibsrtp.Policy, keys_of(SRTP, leg)
    way = policy.SSRC_ANY_INBOUND if inbound else policy.SSRC_ANY_OUTBOUND
    key = bytes.fromhex(keys.rx if inbound else keys.tx)
    return pylibsrtp.Session(policy(key, way, 0, PROFILES[keys.suite]))


def test_phones_speak_under_keys_of_their_own(legs: list[socket.socket]) -> None:
    lines = Lines(SRTP, 2)
    lines.call([sock.getsockname()[1] for sock in legs])

    for _ in range(100):
        lines.send(0, 2)
    packets = [[sock.recv(2048) for _ in range(100)] for sock in legs]

    assert lines.sent == 200
    for leg, came in enumerate(packets):
        receiver = session(leg, inbound=True)
        numbers = [int.from_bytes(receiver.unprotect(packet)[2:4], "big") for packet in came]
        # Its counter turns over on the way.
        assert numbers == [(SRTP.first_sequence + at) & 0xFFFF for at in range(100)]
    lines.close()


def test_what_came_twice_or_under_another_key_or_of_another_call_is_told(legs: list[socket.socket]) -> None:
    lines = Lines(SRTP, 2)
    sender, other = session(0, inbound=False), session(1, inbound=False)
    good = [sender.protect(rtp(number, ssrc=OURS[0])) for number in (65_534, 65_535, 65_536)]
    strange = sender.protect(rtp(9, ssrc=OURS[1]))
    wrong = other.protect(rtp(65_537, ssrc=OURS[0]))

    for packet in (*good, good[0], strange, wrong):
        legs[0].sendto(packet, ("127.0.0.1", lines.ports[0]))
    lines.drain()
    streams, told = lines.streams(OURS)

    assert (told["replayed"], told["undecryptable"], told["strangers"]) == (1, 1, 1)
    # What was refused is kept as a number, so that it counts as one that was sent.
    assert streams[0].sequence.tolist() == [65_534, 65_535, 0, 65_534, 1]
    assert streams[0].lengths.tolist() == [160, 160, 160, 0, 0]
    assert not len(streams[1])
    assert (np.diff(streams[0].arrival_ns) >= 0).all()
    lines.close()
