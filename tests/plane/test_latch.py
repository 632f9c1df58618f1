import numpy as np

from bridge.plane.columns import Columns
from bridge.plane.latch import Admission, Latch
from bridge.plane.packets import Arrivals, parse_headers
from bridge.plane.spec import PlaneSettings, RowSpec
from bridge.rtp.header import RtpPacket, build
from tests.fakes import MS
from tests.plane.rig import PEER, STRANGER, key_of, spec

ROW = 1
NAT = key_of("203.0.113.5", 0)
NAT_IP = NAT >> 16


class Door:
    """One row's latch, and packets that knock."""

    def __init__(self, call: RowSpec) -> None:
        self.columns = Columns(bytearray(Columns.size_bytes(2)), 2)
        self.latch = Latch(self.columns, PlaneSettings())
        self.latch.open(ROW, call)

    def knock(
        self,
        sequence: int,
        *,
        source: int = PEER,
        ssrc: int = 99,
        payload_type: int = 0,
        plausible: bool = True,
        now_ns: int = 0,
    ) -> Admission:
        arrivals = Arrivals(1)
        arrivals.add(build(RtpPacket(payload_type, sequence, 0, ssrc, b"x")), row=ROW, source=source)
        admission = self.latch.admit(
            arrivals.rows,
            arrivals.sources,
            parse_headers(arrivals, np.arange(1)),
            np.array([plausible]),
            now_ns=now_ns,
        )
        if admission.accepted[0]:
            self.columns.last_rx_ns[ROW] = now_ns
        return admission

    @property
    def strangers(self) -> int:
        return int(self.columns.rx_stranger[ROW])

    @property
    def sends_to(self) -> int:
        return int(self.columns.remote_key[ROW])


def test_two_telephone_events_prove_a_phone_that_has_not_said_a_word() -> None:
    door = Door(spec(dtmf_payload_type=101))

    assert not door.knock(7, payload_type=101).accepted[0]
    assert door.knock(8, payload_type=101).accepted[0]
    door.latch.open(ROW, spec(dtmf_payload_type=-1))
    assert not door.knock(9, payload_type=101).accepted[0]
    assert not door.knock(10, payload_type=101).accepted[0]


def latched(call: RowSpec | None = None, *, source: int = PEER) -> Door:
    door = Door(call or spec())
    door.knock(0xFFFF, source=source)
    assert door.knock(0, source=source).restarted == [0]
    return door


def test_two_consecutive_packets_from_the_signalled_address_latch() -> None:
    door = Door(spec())

    assert not door.knock(0xFFFF).accepted[0]
    assert not door.columns.latched[ROW]
    second = door.knock(0)

    assert second.accepted[0]
    assert second.restarted == second.moved == [0]
    assert door.columns.latched[ROW] == 1
    assert door.knock(1).accepted[0]
    assert door.strangers == 0


def test_packets_that_do_not_follow_each_other_do_not_latch() -> None:
    door = Door(spec())

    for sequence in (10, 12, 14, 13):
        assert not door.knock(sequence).accepted[0]

    assert not door.columns.latched[ROW]


def test_packets_of_two_sources_do_not_latch_together() -> None:
    door = Door(spec())

    assert not door.knock(10, ssrc=1).accepted[0]
    assert not door.knock(11, ssrc=2).accepted[0]


def test_another_payload_type_proves_nothing() -> None:
    door = Door(spec())

    assert not door.knock(10, payload_type=9).accepted[0]
    assert not door.knock(11).accepted[0]
    assert door.strangers == 1


def test_what_proves_nothing_is_counted_once_another_takes_its_place() -> None:
    door = latched()

    for step, ssrc in enumerate((5, 6, 5, 6)):
        assert not door.knock(100 * step, ssrc=ssrc).accepted[0]
    assert door.strangers == 3
    assert not door.knock(500, payload_type=9, ssrc=5).accepted[0]
    assert door.strangers == 4
    assert door.knock(301, ssrc=6).restarted == [0]

    # The one before it is taken into account by whoever begins the stream.
    assert door.strangers == 4
    assert not door.knock(40_000, plausible=False).accepted[0]
    assert door.strangers == 4


def test_strangers_are_known_without_looking_at_the_rest_of_their_batch() -> None:
    rows = np.full(4, ROW)
    sources, ssrcs = np.array([PEER, PEER + 1, PEER + 1, STRANGER]), np.array([1, 99, 98, 99])

    before = Door(spec()).latch.are_strangers(rows, sources, ssrcs)
    behind_nat = Door(spec(latch_ip=STRANGER >> 16)).latch.are_strangers(rows, sources, ssrcs)
    after = latched().latch.are_strangers(rows, sources, ssrcs)

    assert before.tolist() == [False, True, True, True]
    assert behind_nat.tolist() == [False, True, True, False]
    assert after.tolist() == [False, False, True, True]


def test_a_stranger_is_counted_and_never_believed() -> None:
    door = latched()

    for sequence in range(1, 6):
        assert not door.knock(sequence, source=STRANGER).accepted[0]

    assert door.strangers == 5
    assert door.sends_to == PEER


def test_without_nat_another_port_of_the_peer_is_a_stranger() -> None:
    door = Door(spec())

    door.knock(1, source=PEER + 1)
    door.knock(2, source=PEER + 1)

    assert door.strangers == 2


def test_behind_nat_any_port_of_the_signalling_source_latches_and_is_sent_to() -> None:
    door = latched(spec(remote_key=key_of("10.0.0.7", 4000), latch_ip=NAT_IP), source=NAT | 61000)

    assert door.sends_to == NAT | 61000
    assert not door.knock(1, source=NAT | 61002).accepted[0]
    assert door.strangers == 1


def test_after_two_seconds_of_silence_the_same_stream_may_come_from_another_port() -> None:
    door = latched()

    assert not door.knock(1, source=PEER + 2, now_ns=1900 * MS).accepted[0]
    assert not door.knock(2, source=PEER + 2, now_ns=1950 * MS).accepted[0]
    assert door.strangers == 2
    door.knock(3, source=PEER + 2, now_ns=2100 * MS)
    moved = door.knock(4, source=PEER + 2, now_ns=2120 * MS)

    assert moved.moved == [0]
    assert door.sends_to == PEER + 2


def test_after_silence_another_stream_or_another_address_is_still_a_stranger() -> None:
    door = latched()

    door.knock(3, source=PEER + 2, ssrc=5, now_ns=9000 * MS)
    door.knock(4, source=STRANGER, now_ns=9000 * MS)

    assert door.strangers == 2


def test_a_new_ssrc_from_the_same_source_proves_itself_and_moves_nothing() -> None:
    door = latched()

    assert not door.knock(500, ssrc=5).accepted[0]
    again = door.knock(501, ssrc=5)

    assert again.accepted[0]
    assert again.restarted == [0]
    assert again.moved == []
    assert not door.knock(1, ssrc=99).accepted[0]


def test_a_leap_of_the_sequence_numbers_proves_itself() -> None:
    door = latched()

    assert not door.knock(30000, plausible=False).accepted[0]
    assert door.knock(30001, plausible=False).restarted == [0]


def test_a_reinvite_with_the_same_address_keeps_the_latch() -> None:
    door = latched()

    door.latch.update(ROW, spec(sending=False))

    assert door.knock(1).accepted[0]


def test_a_reinvite_with_another_address_starts_over() -> None:
    door = latched()

    door.latch.update(ROW, spec(remote_key=STRANGER))

    assert door.sends_to == STRANGER
    assert not door.columns.latched[ROW]
    assert not door.knock(1).accepted[0]
    assert door.strangers == 1


def test_the_stream_that_is_heard_has_a_name() -> None:
    door = Door(spec())
    before = door.latch.peer_ssrc(ROW)

    door.knock(7)
    door.knock(8)

    assert (before, door.latch.peer_ssrc(ROW)) == (-1, 99)
