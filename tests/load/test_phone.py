"""The phone against a bare socket of our own, over loopback, in real time."""

import itertools
import socket
import struct
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from bridge.load.clip import Clip
from bridge.load.phone import RtpPhone, spoken_ns
from bridge.load.tape import read_packet
from tests.load.synthetic import FRAME_NS, MS


@pytest.fixture
def far_end() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.1", 0))
        far.settimeout(2)
        yield far


@pytest.fixture
def phone() -> Iterator[RtpPhone]:
    phone = RtpPhone(ssrc=0xABCD0123)
    yield phone
    phone.close()


def loud(samples: int, onset: int = 0) -> Clip:
    pcm = np.full(samples, 8000, np.int16)
    pcm[:onset] = 0
    return Clip("ah", pcm, onset)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline_ns = time.monotonic_ns() + 2_000 * MS
    while not condition():
        assert time.monotonic_ns() < deadline_ns, "it never happened"
        time.sleep(0.005)


def test_a_sample_is_spoken_before_its_packet_leaves() -> None:
    assert spoken_ns(20 * MS, 0) == 0
    assert spoken_ns(20 * MS, 80) == 10 * MS


def test_packets_leave_on_an_even_port_in_order_20_ms_apart(phone: RtpPhone, far_end: socket.socket) -> None:
    phone.start(far_end.getsockname(), payload_type=8)

    packets = [read_packet(far_end.recv(2048), arrival_ns=0) for _ in range(10)]

    assert phone.local_port % 2 == 0
    assert all(packet is not None for packet in packets)
    found = [packet for packet in packets if packet is not None]
    steps = [(b.sequence - a.sequence) & 0xFFFF for a, b in itertools.pairwise(found)]
    ticks = [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(found)]
    assert steps == [1] * 9
    assert ticks == [160] * 9
    assert {packet.payload_type for packet in found} == {8}
    assert [packet.marker for packet in found] == [True] + [False] * 9
    due = [packet.due_ns for packet in phone.tape.sent]
    assert {b - a for a, b in itertools.pairwise(due)} == {FRAME_NS}


def test_the_onset_is_stamped_with_the_instant_it_was_spoken(phone: RtpPhone, far_end: socket.socket) -> None:
    phone.start(far_end.getsockname(), payload_type=0)
    wanted_ns = time.monotonic_ns() + 70 * MS

    playing = phone.say(loud(400, onset=40), at_ns=wanted_ns)

    onset_ns = playing.onset.result(timeout=2)
    assert playing.end.result(timeout=2) > onset_ns
    first = next(packet for packet in phone.tape.sent if max(_levels(packet.payload)) > 4000)
    place = next(i for i, level in enumerate(_levels(first.payload)) if level > 4000)
    assert onset_ns == spoken_ns(first.sent_ns, place)
    # As asked, but for what the packet left late.
    assert abs(onset_ns - (first.sent_ns - first.due_ns) - (wanted_ns + 5 * MS)) < 200_000


def test_arrivals_carry_the_kernel_s_time_on_the_monotonic_clock(
    phone: RtpPhone, far_end: socket.socket
) -> None:
    phone.start(far_end.getsockname(), payload_type=0)
    data = struct.pack("!BBHII", 0x80, 0, 5, 6, 7) + b"\xff" * 160

    before_ns = time.monotonic_ns()
    far_end.sendto(data, ("127.0.0.1", phone.local_port))
    after_ns = time.monotonic_ns()
    wait_for(lambda: len(phone.tape.received) == 1)

    # Taken from the socket up to 20 ms later; the stamp does not show it.
    assert before_ns - MS < phone.tape.received[0].arrival_ns < after_ns + MS


def test_strangers_and_garbage_are_counted_and_left_out(phone: RtpPhone, far_end: socket.socket) -> None:
    phone.start(far_end.getsockname(), payload_type=0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(b"\x80" * 40, ("127.0.0.1", phone.local_port))
        far_end.sendto(b"not RTP", ("127.0.0.1", phone.local_port))
        wait_for(lambda: phone.tape.strangers == 1 and phone.tape.malformed == 1)

    assert phone.tape.received == ()


def test_a_key_is_one_event_with_three_ends(phone: RtpPhone, far_end: socket.socket) -> None:
    phone.start(far_end.getsockname(), payload_type=0, event_payload_type=101)

    phone.press("#", tone_ms=60).result(timeout=2)

    keys = [packet for packet in phone.tape.sent if packet.payload_type == 101]
    events = [struct.unpack("!BBH", packet.payload) for packet in keys]
    assert [event for event, _, _ in events] == [11] * 6
    assert [volume >> 7 for _, volume, _ in events] == [0, 0, 0, 1, 1, 1]
    assert [duration for _, _, duration in events] == [160, 320, 480, 480, 480, 480]
    assert len({packet.timestamp for packet in keys}) == 1


def test_without_telephone_events_a_key_is_refused(phone: RtpPhone, far_end: socket.socket) -> None:
    phone.start(far_end.getsockname(), payload_type=0)

    with pytest.raises(ValueError, match="telephone-event"):
        phone.press("1")


def test_a_phone_that_lost_its_network_sends_nothing(phone: RtpPhone, far_end: socket.socket) -> None:
    phone.start(far_end.getsockname(), payload_type=0)
    wait_for(lambda: len(phone.tape.sent) >= 2)

    phone.fall_silent()
    before = len(phone.tape.sent)
    phone.say(loud(800)).end.result(timeout=2)
    during = len(phone.tape.sent)
    phone.fall_silent(False)
    wait_for(lambda: len(phone.tape.sent) > during)

    assert during - before <= 1


def test_closing_cancels_what_was_not_said(far_end: socket.socket) -> None:
    phone = RtpPhone(ssrc=1)
    phone.start(far_end.getsockname(), payload_type=0)

    playing = phone.say(loud(80_000))
    phone.close()

    assert playing.end.cancelled()


def test_the_phone_speaks_on_when_nobody_waits_any_more(phone: RtpPhone, far_end: socket.socket) -> None:
    phone.start(far_end.getsockname(), payload_type=0, event_payload_type=101)
    playing = phone.say(loud(3200, onset=1600))
    pressed = phone.press("5", tone_ms=200)

    assert all(promise.cancel() for promise in (playing.onset, playing.end, pressed))

    assert phone.say(loud(1600)).end.result(timeout=2) > 0
    assert phone.press("6", tone_ms=20).result(timeout=2) > 0


def _levels(payload: bytes) -> list[int]:
    from bridge.plane.g711 import decode_ulaw

    return [abs(sample) for sample in decode_ulaw(np.frombuffer(payload, np.uint8)).tolist()]
