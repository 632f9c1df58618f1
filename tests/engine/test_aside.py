import numpy as np
import pytest

from bridge.engine.aside import Aside
from bridge.engine.commands import Datagram
from bridge.engine.hosts6 import Hosts6
from bridge.plane.packets import MAX_PACKET_BYTES, Arrivals

MS = 1_000_000
PEER, STRANGER = 5 << 16 | 4000, 6 << 16 | 4000
CHECK, HELLO, VOICE = b"\x00\x01check", b"\x16\xfe\xfdhello", b"\x80\x00voice"


def arrived(*packets: tuple[int, bytes, int]) -> Arrivals:
    arrivals = Arrivals(max(1, len(packets)))
    for row, data, source in packets:
        arrivals.add(data, row=row, source=source, is_rtcp=False)
    return arrivals


def sends_to_peer(row: int) -> int:
    return PEER


def left(arrivals: Arrivals) -> list[tuple[int, bytes]]:
    return [
        (int(arrivals.rows[at]), arrivals.packets[at, : arrivals.lengths[at]].tobytes())
        for at in range(arrivals.count)
    ]


def test_checks_and_handshakes_are_taken_from_rows_that_asked() -> None:
    aside = Aside(8, Hosts6())
    aside.watch(3, 77)
    arrivals = arrived((3, VOICE, PEER), (3, CHECK, STRANGER), (4, CHECK, PEER), (3, HELLO, PEER))

    taken = aside.take(arrivals, sends_to_peer, now_ns=9)

    assert taken == [
        Datagram(3, 77, 9, source_key=STRANGER, data=CHECK),
        Datagram(3, 77, 9, source_key=PEER, data=HELLO),
    ]
    assert left(arrivals) == [(3, VOICE), (4, CHECK)]
    assert "check" not in repr(taken[0])


@pytest.mark.parametrize("data", [b"\x04x", b"\x13x", b"\x40x", b"\x80x", b"\xffx", b""])
def test_what_is_neither_stays_for_whoever_counts_it(data: bytes) -> None:
    aside = Aside(8, Hosts6())
    aside.watch(3, 77)
    arrivals = arrived((3, data, PEER))

    assert aside.take(arrivals, sends_to_peer, now_ns=9) == []
    assert arrivals.count == 1


def test_a_datagram_that_was_cut_stays_as_well() -> None:
    aside = Aside(8, Hosts6())
    aside.watch(3, 77)
    arrivals = arrived((3, CHECK + bytes(MAX_PACKET_BYTES), PEER))

    assert aside.take(arrivals, sends_to_peer, now_ns=9) == []
    assert arrivals.count == 1


def test_a_handshake_for_reports_is_nobodys_and_does_not_meddle_with_the_other() -> None:
    aside = Aside(8, Hosts6())
    aside.watch(3, 77)
    arrivals = Arrivals(3)
    for data, is_rtcp in ((HELLO, True), (CHECK, True), (HELLO, False)):
        arrivals.add(data, row=3, source=PEER, is_rtcp=is_rtcp)

    taken = aside.take(arrivals, sends_to_peer, now_ns=9)

    assert taken == [Datagram(3, 77, 9, source_key=PEER, data=HELLO)]
    assert (arrivals.count, aside.dropped) == (0, 2)


def test_a_row_that_is_left_keeps_its_packets() -> None:
    aside = Aside(8, Hosts6())
    assert not aside
    aside.watch(3, 77)
    assert len(aside) == 1
    aside.take(arrived((3, CHECK, PEER)), sends_to_peer, now_ns=9)
    aside.leave(3)
    aside.leave(3)

    assert not aside
    assert aside.take(arrived((3, CHECK, PEER)), sends_to_peer, now_ns=9) == []


def test_strangers_cannot_use_up_what_is_the_peers() -> None:
    aside = Aside(8, Hosts6())
    aside.watch(3, 77)
    flood = [(3, CHECK, STRANGER)] * 500

    passed = aside.take(arrived(*flood, (3, CHECK, PEER)), sends_to_peer, now_ns=0)

    assert len(passed) == 101
    assert passed[-1].source_key == PEER
    assert aside.dropped == 400
    assert aside.take(arrived((3, CHECK, STRANGER)), sends_to_peer, now_ns=999 * MS) == []
    assert len(aside.take(arrived((3, CHECK, STRANGER)), sends_to_peer, now_ns=1001 * MS)) == 1


def test_a_batch_without_such_packets_is_left_as_it_is() -> None:
    aside = Aside(8, Hosts6())
    aside.watch(3, 77)
    arrivals = arrived(*[(3, VOICE, PEER)] * 4)
    before = arrivals.packets.copy()

    assert aside.take(arrivals, sends_to_peer, now_ns=0) == []
    assert np.array_equal(arrivals.packets, before)
