import hmac
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.engine.srtp import WINDOW_PACKETS, SrtpRows
from bridge.errors import LocalProtocolError
from bridge.plane.columns import Columns
from bridge.plane.packets import Arrivals, Departures
from bridge.plane.shape import Shape
from bridge.rtp.srtp import CLEAR, SUITES, SrtpKeys
from tests.engine.srtp_peer import OURS, THEIRS, Bench, Peer, departures, keys_of, report, rtp, secret

CM, CM_32, GCM = "AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32", "AEAD_AES_128_GCM"
every_suite = pytest.mark.parametrize("suite", SUITES)


def steps(last: int) -> list[int]:
    """Sequence numbers that lead there, with as few packets as no end can misunderstand."""
    return [*range(0, last, 20_000), last]


def opened(suite: str) -> tuple[Bench, Peer]:
    bench = Bench()
    bench.rows.open(1, keys_of(suite), ssrc=OURS)
    return bench, Peer(suite)


@every_suite
@given(payload=st.binary(max_size=200), sequence=st.integers(0, 0x7FFF))
def test_what_is_said_arrives_bit_for_bit_in_both_directions(
    suite: str, payload: bytes, sequence: int
) -> None:
    bench, peer = opened(suite)
    said, answered = rtp(sequence, payload, ssrc=OURS), rtp(sequence, payload)

    (sent,) = bench.send(said)
    heard = bench.hear(peer.sender.protect(answered))

    assert sent[:12] == said[:12]
    assert payload not in sent or len(payload) < 8
    assert peer.receiver.unprotect(sent) == said
    assert heard == [answered]


@every_suite
def test_reports_travel_encrypted_on_either_port(suite: str) -> None:
    bench, peer = opened(suite)

    for name, is_rtcp in ((1, False), (~1, True)):
        (sent,) = bench.send(report(OURS), row=name)
        assert sent != report(OURS)
        assert peer.receiver.unprotect_rtcp(sent) == report(OURS)
        assert bench.hear(peer.sender.protect_rtcp(report()), is_rtcp=is_rtcp) == [report()]
    assert bench.columns.srtcp_sent[1] == 2


def test_session_keys_are_derived_as_rfc_3711_appendix_b_3_shows() -> None:
    master = "e1f97a0d3e018be0d64fa32c06de4139" + "0ec675ad498afeebb6960b3aabe6"
    authentication_key = bytes.fromhex("cebe321f6ff7716b6fd4ab49af256a156d38baa4")
    bench = Bench()
    bench.rows.open(1, SrtpKeys(CM, tx=master, rx=master), ssrc=0)

    # Index 0 of SSRC 0 leaves the session salt alone to make the first counter, and a payload of zeros shows
    # the keystream: this is openssl's aes-128-ctr under the appendix's cipher key and salt.
    (sent,) = bench.send(rtp(0, bytes(48), ssrc=0))

    assert sent[12:60] == bytes.fromhex(
        "fa63bc4668685b65f8fa1ce3909cead54dfb05f154b623dde2bb3dd717dfc3fbf50efc67d817aacedc3edbeb57687c2e"
    )
    assert sent[60:] == hmac.digest(authentication_key, sent[:60] + bytes(4), "sha1")[:10]


@every_suite
def test_a_replayed_packet_is_counted_and_never_heard_again(suite: str) -> None:
    bench, peer = opened(suite)
    first, second = peer.sender.protect(rtp(1)), peer.sender.protect(rtp(2))
    control = peer.sender.protect_rtcp(report())

    assert bench.hear(first, second, first) == [rtp(1), rtp(2)]
    assert bench.hear(second, control, control) == [report()]
    assert bench.counter("rx_srtp_replay") == 3
    assert bench.counter("rx_srtp_auth") == 0


def test_a_packet_within_the_window_is_late_and_one_beyond_it_is_lost() -> None:
    bench, peer = opened(CM)
    protected = [peer.sender.protect(rtp(number)) for number in range(WINDOW_PACKETS + 10)]

    bench.hear(protected[-1])

    assert bench.hear(protected[10]) == [rtp(10)]
    assert bench.hear(protected[9]) == []
    assert bench.counter("rx_srtp_replay") == 1


@every_suite
def test_what_was_not_made_with_the_keys_never_reaches_the_plane(suite: str) -> None:
    bench, peer = opened(suite)
    stranger = Peer(suite, ours=9)
    good, next_one = peer.sender.protect(rtp(1, b"good" * 40)), peer.sender.protect(rtp(2, b"last" * 40))
    tampered = bytearray(peer.sender.protect(rtp(3)))
    tampered[20] ^= 1
    fakes = (
        rtp(4),
        report(),
        bytes(tampered),
        peer.sender.protect(rtp(5))[:-1],
        stranger.sender.protect(rtp(6)),
        stranger.sender.protect_rtcp(report()),
        b"",
        b"\x80",
    )

    heard = bench.hear(*fakes[:4], good, *fakes[4:], next_one)

    assert heard == [rtp(1, b"good" * 40), rtp(2, b"last" * 40)]
    assert bench.counter("rx_srtp_auth") == len(fakes)


@every_suite
@given(data=st.lists(st.binary(max_size=300), max_size=4), is_rtcp=st.booleans())
def test_arbitrary_bytes_never_raise_and_never_pass(suite: str, data: list[bytes], is_rtcp: bool) -> None:
    bench, _ = opened(suite)

    assert bench.hear(*data, is_rtcp=is_rtcp) == []
    assert bench.counter("rx_srtp_auth") + bench.counter("rx_srtp_replay") == len(data)


@given(data=st.binary(min_size=2, max_size=80), second=st.sampled_from([0, 200, 201]))
def test_bytes_that_look_like_a_packet_fare_no_better(data: bytes, second: int) -> None:
    bench, _ = opened(GCM)

    assert bench.hear(bytes([0x80, second]) + data, bytes([0xBF, second]) + data) == []


def test_rows_without_keys_are_left_alone_beside_those_with_keys() -> None:
    bench, peer = opened(CM)
    secured = peer.sender.protect(rtp(1))

    assert bench.hear(secured, row=2) == [secured]
    assert bench.send(rtp(1, ssrc=OURS), row=2) == [rtp(1, ssrc=OURS)]
    batch = departures((2, rtp(1)), (1, rtp(1, ssrc=OURS)), (~2, report()))
    sent = bench.rows.protect(batch)
    assert sent is batch
    assert sent.lengths.tolist() == [172, 182, 8]


def test_without_any_keys_nothing_is_even_looked_at() -> None:
    bench = Bench()
    nonsense = Departures(np.zeros((0, 0), np.uint8), *(np.zeros(1, kind) for kind in ("i4", "i8", "i8")))

    assert bench.rows.protect(nonsense) is nonsense
    assert bench.hear(b"anything") == [b"anything"]
    assert len(bench.rows) == 0


def test_a_closed_row_is_in_the_clear_for_its_next_leg() -> None:
    bench, peer = opened(CM)
    bench.hear(peer.sender.protect(rtp(1)))

    bench.rows.close(1)
    bench.rows.close(1)
    bench.rows.publish(1)

    assert bench.hear(rtp(2)) == [rtp(2)]
    assert bench.rows.rollover(1) == (0, 0)


def test_what_cannot_be_encrypted_does_not_leave() -> None:
    bench, peer = opened(CM)
    first = bench.send(rtp(1, ssrc=OURS))
    repeated = departures((1, rtp(1, ssrc=OURS)), (2, rtp(9)))
    tight = Departures(
        np.frombuffer(rtp(3, ssrc=OURS), np.uint8).reshape(1, -1).copy(),
        np.array([172], np.int32),
        np.array([1]),
        np.array([0]),
    )

    left = bench.rows.protect(repeated)

    assert peer.receiver.unprotect(first[0]) == rtp(1, ssrc=OURS)
    assert left.rows.tolist() == [2]
    assert len(bench.rows.protect(tight)) == 0
    assert bench.counter("tx_srtp_failed") == 2


@pytest.mark.parametrize("suite", [CM, GCM])
def test_a_call_outlives_the_turn_of_its_sequence_numbers(suite: str) -> None:
    bench, peer = opened(suite)
    total = 132_500

    for begin in range(30_000, 30_000 + total, 500):
        numbers = range(begin, begin + 500)
        spoken = [rtp(number, number.to_bytes(4)) for number in numbers]
        assert bench.hear(*(peer.sender.protect(packet) for packet in spoken)) == spoken
        ours = [rtp(number, number.to_bytes(4), ssrc=OURS) for number in numbers]
        assert [peer.receiver.unprotect(packet) for packet in bench.send(*ours)] == ours

    assert bench.rows.rollover(1) == (2, 2)
    assert bench.columns.srtp_tx_end[1] == bench.columns.srtp_rx_end[1] == 30_000 + total
    assert bench.columns.srtp_rx_ssrc[1] == THEIRS


@pytest.mark.parametrize("suite", [CM, GCM])
@pytest.mark.parametrize("last", [70_000, 131_071, 131_100])
def test_another_process_carries_a_leg_on_without_using_an_index_twice(suite: str, last: int) -> None:
    bench, peer = opened(suite)
    for number in steps(last):
        peer.receiver.unprotect(*bench.send(rtp(number, ssrc=OURS)))
        protected = peer.sender.protect(rtp(number))
        assert bench.hear(protected) == [rtp(number)]
    sent_before = bench.send(report(OURS), report(OURS))
    columns, next_sequence = bench.columns, last + 200

    keys = keys_of(suite).resumed(
        tx_end=int(columns.srtp_tx_end[1]),
        sequence=next_sequence & 0xFFFF,
        rx_end=int(columns.srtp_rx_end[1]),
        rx_ssrc=int(columns.srtp_rx_ssrc[1]),
        rtcp_sent=int(columns.srtcp_sent[1]),
    )
    standby = Bench()
    standby.rows.open(1, keys, ssrc=OURS, sequence=next_sequence & 0xFFFF)

    assert standby.columns.srtp_tx_end[1] == next_sequence
    assert standby.columns.srtp_rx_end[1] == last + 1
    # The peer hears us go on, and the reports' counter is past what it was.
    (ours,) = standby.send(rtp(next_sequence, ssrc=OURS))
    for packet in (*sent_before, *standby.send(report(OURS))):
        assert peer.receiver.unprotect_rtcp(packet) == report(OURS)
    assert peer.receiver.unprotect(ours) == rtp(next_sequence, ssrc=OURS)
    # We hear the peer go on, but not what was heard before; forgeries in between change nothing.
    forged = rtp(last + 5)
    assert standby.hear(protected, forged) == []
    assert standby.counter("rx_srtp_replay") == standby.counter("rx_srtp_auth") == 1
    late = [peer.sender.protect(rtp(number)) for number in range(last + 1, last + 4)]
    assert standby.hear(*late) == [rtp(number) for number in range(last + 1, last + 4)]
    assert standby.columns.srtp_rx_end[1] == last + 4
    assert standby.rows.rollover(1)[1] == last + 3 >> 16


def test_a_stranger_stream_does_not_settle_the_counter_of_a_resumed_one() -> None:
    bench, peer = Bench(), Peer(CM)
    bench.rows.open(
        1, keys_of(CM).resumed(tx_end=0, sequence=1, rx_end=70_000, rx_ssrc=THEIRS, rtcp_sent=0), ssrc=OURS
    )

    assert bench.hear(peer.sender.protect(rtp(5, ssrc=77)), b"short") == [rtp(5, ssrc=77)]
    protected = [peer.sender.protect(rtp(number)) for number in steps(70_000)]

    assert bench.hear(protected[-1]) == [rtp(70_000)]


@pytest.mark.parametrize("keeps_counter", [True, False])
@pytest.mark.parametrize("suite", [CM, GCM])
def test_new_keys_are_taken_by_whichever_rule_the_peer_counts(suite: str, keeps_counter: bool) -> None:
    bench, before = opened(suite)
    for number in steps(65_999):
        bench.send(rtp(number, ssrc=OURS))
        assert bench.hear(before.sender.protect(rtp(number))) == [rtp(number)]
    after = Peer(suite, ours=4, theirs=1)
    for number in steps(65_999) if keeps_counter else ():
        after.sender.protect(rtp(number))

    bench.rows.update(1, keys_of(suite, ours=1, theirs=4), ssrc=OURS)

    fresh = [after.sender.protect(rtp(number & 0xFFFF)) for number in range(66_000, 66_004)]
    heard = bench.hear(before.sender.protect(rtp(66_000)), *fresh)
    assert heard[-2:] == [rtp(number & 0xFFFF) for number in (66_002, 66_003)]
    assert bench.rows.rollover(1) == (1, int(keeps_counter))


def test_our_own_new_key_goes_on_at_the_same_counter() -> None:
    bench, _ = opened(CM)
    for number in range(65_530, 65_540):
        bench.send(rtp(number, ssrc=OURS))
    bench.send(report(OURS))

    bench.rows.update(1, keys_of(GCM, ours=7), ssrc=OURS)

    same = Bench()
    resumed = keys_of(GCM, ours=7).resumed(tx_end=65_540, sequence=4, rx_end=0, rx_ssrc=0, rtcp_sent=0)
    same.rows.open(1, resumed, ssrc=OURS, sequence=4)
    assert bench.send(rtp(65_540, ssrc=OURS)) == same.send(rtp(65_540, ssrc=OURS))
    assert bench.columns.srtcp_sent[1] == 0


def test_the_same_keys_again_change_nothing() -> None:
    bench, peer = opened(CM)
    first = peer.sender.protect(rtp(1))
    bench.hear(first)

    bench.rows.update(1, keys_of(CM), ssrc=OURS)

    assert bench.hear(first) == []
    assert bench.counter("rx_srtp_replay") == 1


def test_a_call_may_become_encrypted_and_clear_again() -> None:
    bench, peer = Bench(), Peer(CM)

    bench.rows.update(1, keys_of(CM), ssrc=OURS)
    assert bench.hear(peer.sender.protect(rtp(50_000))) == [rtp(50_000)]
    assert peer.receiver.unprotect(*bench.send(rtp(60_000, ssrc=OURS))) == rtp(60_000, ssrc=OURS)
    bench.rows.update(1, CLEAR, ssrc=OURS)

    assert bench.hear(rtp(50_001)) == [rtp(50_001)]
    assert bench.send(rtp(60_001, ssrc=OURS)) == [rtp(60_001, ssrc=OURS)]


def test_packets_of_two_streams_in_one_batch_are_both_heard() -> None:
    bench, peer = opened(CM)
    bench.hear(peer.sender.protect(rtp(10)))

    mixed = [rtp(11), rtp(3, ssrc=42), rtp(12), rtp(4, ssrc=42)]

    assert bench.hear(*map(peer.sender.protect, mixed)) == mixed
    assert (bench.columns.srtp_rx_ssrc[1], bench.columns.srtp_rx_end[1]) == (42, 5)


def test_keys_that_do_not_fit_are_refused_before_anything_is_touched() -> None:
    bench, peer = opened(CM)

    with pytest.raises(ValueError, match="28 bytes"):
        SrtpKeys(GCM, tx=secret(CM, 1).hex(), rx=secret(GCM, 1).hex())

    assert bench.hear(peer.sender.protect(rtp(1))) == [rtp(1)]


def test_a_header_extension_is_no_obstacle() -> None:
    bench, peer = opened(GCM)
    extended = struct.pack("!BBHIIHHI", 0x90, 0, 1, 160, THEIRS, 0xBEDE, 1, 0x10FF_0000) + b"sound" * 32

    assert bench.hear(peer.sender.protect(extended)) == [extended]


def test_rows_of_every_bank_are_encrypted_told_of_where_they_belong_and_carried_on() -> None:
    wide = Columns(bytearray(Columns.size_bytes(2, Shape(16_000))), 2, Shape(16_000))
    bench, peers = Bench(), {row: Peer(CM) for row in (1, 5)}
    bench.rows = SrtpRows([bench.columns, wide])
    for row in peers:
        bench.rows.open(row, keys_of(CM), ssrc=OURS)
    arrivals = Arrivals(4)
    for row, peer in peers.items():
        arrivals.add(peer.sender.protect(rtp(row)), row=row, source=1)
        arrivals.add(rtp(row + 1), row=row, source=1)

    bench.rows.unprotect(arrivals)
    sent = bench.rows.protect(Departures.of([(row, 9, rtp(row + 7, ssrc=OURS)) for row in (5, 1)]))

    assert arrivals.rows[: arrivals.count].tolist() == [1, 5]
    for at, row in enumerate((5, 1)):
        packet = sent.packets[at, : sent.lengths[at]].tobytes()
        assert peers[row].receiver.unprotect(packet) == rtp(row + 7, ssrc=OURS)
    for columns, at, number in ((bench.columns, 1, 1), (wide, 1, 5)):
        assert columns.counters(at)["rx_srtp_auth"] == 1
        assert (columns.srtp_rx_end[at], columns.srtp_tx_end[at]) == (number + 1, number + 8)
    assert not bench.columns.srtp_rx_end[[0, 2, 3]].any()
    # Another process reads there what it must not use again.
    bench.rows = SrtpRows([bench.columns, wide])
    with pytest.raises(LocalProtocolError, match="sent already"):
        bench.rows.resume(5, keys_of(CM), ssrc=OURS, sequence=12)
    bench.rows.resume(5, keys_of(CM), ssrc=OURS, sequence=13)
    bench.rows.resume(1, CLEAR, ssrc=OURS, sequence=1)
    assert peers[5].receiver.unprotect(*bench.send(rtp(13, ssrc=OURS), row=5)) == rtp(13, ssrc=OURS)
    heard = bench.hear(peers[5].sender.protect(rtp(6)), row=5)
    assert heard == [rtp(6)]
    assert bench.hear(b"clear", row=1) == [b"clear"]


def test_packets_of_both_banks_joined_keep_their_room() -> None:
    bench, peer = opened(GCM)
    long = rtp(1, bytes(480), ssrc=OURS)

    joined = Departures.join([departures((2, rtp(1))), departures((1, long))])
    sent = bench.rows.protect(joined)

    assert peer.receiver.unprotect(sent.packets[1, : sent.lengths[1]].tobytes()) == long


def test_a_datagram_longer_than_its_buffer_is_no_packet_of_anybodys() -> None:
    bench = Bench()
    bench.rows.open(1, SrtpKeys("AES_CM_128_HMAC_SHA1_80", tx="5e" * 30, rx="c4" * 30), ssrc=1)
    arrivals = Arrivals(1)
    arrivals.add(b"\x80" + bytes(1499), row=1, source=5)
    arrivals.lengths[0] = 4000  # as the system tells it when it had to cut

    bench.rows.unprotect(arrivals)

    assert arrivals.count == 0
    assert bench.counter("rx_srtp_auth") == 1
