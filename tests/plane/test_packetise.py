import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.plane.packetise import Packetiser


def test_a_leap_of_the_clock_sends_what_waited_short() -> None:
    packetiser = Packetiser(60, 160)
    assert packetiser.put(b"a" * 160, 1000) == []

    assert packetiser.put(b"b" * 160, 2000) == [(1000, b"a" * 160)]
    assert packetiser.flush() == [(2000, b"b" * 160)]
    assert packetiser.flush() == []


def test_what_is_forgotten_is_never_sent() -> None:
    packetiser = Packetiser(40, 160)
    packetiser.put(b"a" * 160, 0)

    packetiser.forget()

    assert packetiser.put(b"b" * 160, 160) == []
    assert packetiser.flush() == [(160, b"b" * 160)]


@given(
    st.sampled_from([10, 30, 40, 60]),
    st.sampled_from([(160, 160), (160, 320), (320, 640)]),
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
)
def test_what_goes_in_comes_out_in_order_and_in_time(
    ptime_ms: int, sizes: tuple[int, int], begin: int, frames: int
) -> None:
    slot_ticks, frame_bytes = sizes
    packetiser = Packetiser(ptime_ms, slot_ticks)
    payloads = [bytes([at % 251]) * frame_bytes for at in range(frames)]

    packets = []
    for at, payload in enumerate(payloads):
        packets += packetiser.put(payload, (begin + at * slot_ticks) % 2**32)
    whole = len(packets)
    packets += packetiser.flush()

    assert b"".join(payload for _, payload in packets) == b"".join(payloads)
    assert {len(payload) for _, payload in packets[:whole]} <= {frame_bytes * ptime_ms // 20}
    stamps = [timestamp for timestamp, _ in packets]
    assert stamps == [(begin + at * slot_ticks * ptime_ms // 20) % 2**32 for at in range(len(packets))]


@pytest.mark.parametrize(("ptime_ms", "counts"), [(10, [2, 2, 2]), (30, [0, 1, 1]), (60, [0, 0, 1])])
def test_packets_leave_as_soon_as_they_are_full(ptime_ms: int, counts: list[int]) -> None:
    packetiser = Packetiser(ptime_ms, 160)

    assert [len(packetiser.put(bytes(160), at * 160)) for at in range(3)] == counts
