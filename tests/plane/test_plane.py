import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.plane.events import Digit, Flushed, Latched, PlayoutIdle, RowFailed, SpeechStarted
from bridge.plane.g711 import decode_ulaw, encode_alaw, encode_ulaw
from bridge.plane.plane import FOREVER_NS
from bridge.plane.ring import PlayoutWriter
from bridge.rtp.dtmf import event_payloads
from bridge.rtp.header import RtpPacket, build, parse
from tests.fakes import MS
from tests.plane.rig import PEER, STRANGER, Pcm, Rig, hiss, key_of, slam, spec


def melody(samples: int, *, begin: int = 0) -> Pcm:
    """Sound that is nowhere the same, too faint for the gate to care."""
    pcm: Pcm = (np.arange(begin, begin + samples) % 61 - 30).astype(np.int16)
    return pcm


@pytest.mark.parametrize("codec", [0, 1])
def test_what_is_written_is_sent_bit_for_bit(codec: int) -> None:
    rig = Rig(spec(codec=codec))
    rig.wait(100)
    pcm = np.random.default_rng(3).integers(-32768, 32767, 12345, np.int16, endpoint=True)
    rig.say(pcm)

    rig.wait(1700)

    expected = (encode_alaw if codec else encode_ulaw)(pcm)
    begin = 5 * 160
    assert np.array_equal(rig.sound()[begin : begin + len(pcm)], expected)
    silence = 0xD5 if codec else 0xFF
    assert set(rig.sound()[begin + len(pcm) :].tolist()) == {silence}
    started, idle = (event for event in rig.events if not isinstance(event, Latched))
    assert isinstance(started, SpeechStarted)
    assert isinstance(idle, PlayoutIdle)
    assert started.position == 0
    assert idle.position == rig.writer.played == len(pcm)


def test_our_stream_is_continuous_through_every_wrap() -> None:
    rig = Rig()
    rig.wait(2000)

    packets = rig.heard
    assert [packet.marker for packet in packets] == [True] + [False] * 99
    assert {packet.ssrc for packet in packets} == {0xB07}
    assert [packet.sequence for packet in packets] == [(65534 + at) % 2**16 for at in range(100)]
    assert [packet.timestamp for packet in packets] == [(2**32 - 160 + 160 * at) % 2**32 for at in range(100)]


def test_what_the_caller_says_and_hears_is_captured_in_step() -> None:
    rig = Rig()
    said = melody(160 * 30)
    for frame in said.reshape(30, 160):
        rig.tick(frame)
    pcm = rig.drone(200)
    for _ in range(15):
        rig.tick()

    lanes = rig.capture.read(100_000)

    assert lanes.shape == (2, 45 * 160)
    # The first packet only proves the source; the second is heard 40 ms after it arrived.
    heard = decode_ulaw(encode_ulaw(said))[160:]
    assert np.array_equal(lanes[0, 480 : 480 + len(heard)], heard)
    assert np.array_equal(lanes[1, 4800 : 4800 + len(pcm)], pcm)
    assert rig.counter("rx_concealed") == rig.counter("rx_lost") == rig.counter("rx_late") == 0


def test_every_silent_packet_carries_its_cause() -> None:
    rig = Rig()
    rig.wait(100)
    assert rig.counter("silence_idle") == 5

    rig.writer.open_utterance(0)
    rig.writer.write(melody(100), epoch=0)
    rig.wait(40)
    assert rig.counter("silence_tts_late") == 2

    rig.plane.update(1, spec(sending=False), now_ns=rig.now_ns)
    rig.wait(60)
    assert rig.counter("silence_held") == 3

    assert rig.counter("silence_idle") == 5
    assert rig.counter("tx_packets") == len(rig.heard) == 7


def test_a_hold_keeps_the_position_and_marks_the_packet_after_it() -> None:
    rig = Rig()
    rig.wait(20)
    pcm = rig.drone(400)
    rig.wait(100)
    rig.heard.clear()

    rig.plane.update(1, spec(sending=False), now_ns=rig.now_ns)
    rig.wait(100)
    assert rig.heard == []
    rig.plane.update(1, spec(), now_ns=rig.now_ns)
    rig.wait(400)

    assert rig.heard[0].marker
    assert rig.heard[0].payload == encode_ulaw(pcm[800:960]).tobytes()
    assert rig.heard[1].sequence == rig.heard[0].sequence + 1


def test_nothing_is_sent_while_the_peer_is_unknown() -> None:
    rig = Rig(spec(remote_key=0, latch_ip=key_of("203.0.113.5", 0) >> 16))
    rig.drone(200)
    assert rig.send() == []
    assert rig.heard == []

    source = key_of("203.0.113.5", 7000)
    rig.deliver(rig.packet(), rig.packet(), source=source)
    departures = rig.plane.build(np.array([1]), now_ns=rig.now_ns)

    assert departures.destinations.tolist() == [source]
    assert rig.plane.drain()[-1] == SpeechStarted(1, 7, 0, position=0)


def test_strangers_and_garbage_are_counted_and_change_nothing() -> None:
    rig = Rig()
    rig.wait(100)
    before = rig.columns.counters(1)

    rig.deliver(rig.packet(), source=STRANGER)
    rig.deliver(b"\x80garbage", b"", b"\x00" * 40)
    rig.deliver(rig.packet(payload_type=18, payload=b"G.729"))
    rig.deliver(rig.packet(payload=b""))

    after = rig.columns.counters(1)
    changed = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert changed == {
        "rx_stranger": 1,
        "rx_malformed": 3,
        "rx_wrong_payload": 2,
        "rx_packets": 2,
        "rx_lost": 1,
    }


def test_multiplexed_rtcp_and_comfort_noise_are_ignored_quietly() -> None:
    rig = Rig()
    rig.wait(100)
    before = rig.columns.counters(1)

    rig.deliver(b"\x80\xc8" + b"\0" * 26)
    rig.deliver(rig.packet(payload_type=13, payload=b"\x40"))
    rig.now_ns += 20 * MS
    for _ in range(5):
        rig.send()

    after = rig.columns.counters(1)
    assert after["rx_packets"] == before["rx_packets"] + 1
    assert after["rx_concealed"] == 0
    assert after["rx_wrong_payload"] == after["rx_malformed"] == 0
    assert rig.columns.last_rx_ns[1] == 100 * MS


def test_several_packets_of_one_call_in_one_batch_are_taken_in_order() -> None:
    one, many = Rig(), Rig()
    frames = slam(ms=200, decay_ms=5000).reshape(-1, 160)
    for rig in (one, many):
        rig.wait(200)
        rig.now_ns += 20 * MS
    for frame in frames:
        one.deliver(one.packet(frame))

    many.deliver(*[many.packet(frame) for frame in frames])

    assert one.events == many.events
    assert one.columns.counters(1) == many.columns.counters(1)
    assert one.columns.depth_samples[1] == many.columns.depth_samples[1]


def test_a_new_ssrc_is_followed_without_a_new_latch() -> None:
    rig = Rig()
    rig.wait(100)
    rig.events.clear()

    for number in range(10):
        rig.now_ns += 20 * MS
        rig.deliver(build(RtpPacket(0, number, number * 160, 4711, encode_ulaw(melody(160)).tobytes())))
        rig.send()

    assert rig.events == []
    assert rig.counter("rx_packets") == 5 + 10
    assert rig.capture.read(10_000)[0, -160:].any()


def test_packets_with_other_header_lengths_are_understood_beside_plain_ones() -> None:
    rig = Rig()
    rig.plane.open(2, spec(generation=9), now_ns=0)
    rig.wait(100)
    for sequence in range(3):
        plain = build(RtpPacket(0, sequence, sequence * 160, 5, encode_ulaw(melody(160)).tobytes()))
        rig.deliver(plain, row=2)
    extended = bytearray(rig.packet(melody(160)))
    extended[0] |= 0x10
    extended[12:12] = b"\xbe\xde\0\1abcd"
    batch = rig._arrivals
    batch.count = 0
    batch.add(bytes(extended), row=1, source=PEER)
    batch.add(build(RtpPacket(0, 3, 480, 5, encode_ulaw(melody(240)).tobytes())), row=2, source=PEER)

    rig.plane.receive(batch, now_ns=rig.now_ns)

    assert rig.counter("rx_packets") == 6
    assert rig.columns.rx_packets[2] == 4
    assert rig.columns.rx_malformed.tolist() == [0, 0, 0, 0]


def press(rig: Rig, digit: str) -> None:
    for payload in event_payloads(digit, duration_ms=80):
        rig.now_ns += 20 * MS
        rig.deliver(rig.packet(payload_type=101, payload=payload))
        rig.send()
    rig.timestamp += 960


def test_a_digit_interrupts_at_once_and_is_reported_once() -> None:
    rig = Rig()
    rig.wait(100)
    rig.drone()
    rig.wait(100)
    rig.events.clear()
    begin_ns = rig.now_ns

    press(rig, "7")

    flushed, digit = rig.events
    assert isinstance(flushed, Flushed)
    assert (flushed.at_ns, flushed.cause) == (begin_ns + 20 * MS, "dtmf")
    assert digit == Digit(1, 7, begin_ns + 80 * MS, digit="7", duration_ms=80)
    assert rig.counter("rx_concealed") == 0


@pytest.mark.parametrize("bits", [0, 1])
def test_a_digit_does_not_interrupt_where_it_may_not(bits: int) -> None:
    rig = Rig(spec(interruptible=bits))
    rig.wait(100)
    rig.drone()
    rig.wait(100)
    rig.events.clear()

    press(rig, "#")

    assert [type(event) for event in rig.events] == [Digit]


def test_a_digit_while_nothing_is_said_flushes_nothing() -> None:
    rig = Rig()
    rig.wait(100)
    rig.events.clear()

    press(rig, "1")

    assert [type(event) for event in rig.events] == [Digit]
    assert rig.writer.epoch == 0


def test_a_key_whose_ends_are_lost_is_reported_after_a_silence() -> None:
    rig = Rig()
    rig.wait(100)
    rig.events.clear()
    rig.deliver(rig.packet(payload_type=101, payload=event_payloads("5", duration_ms=80)[0]))

    rig.wait(140)
    assert rig.events == []
    rig.wait(20)

    assert [type(event) for event in rig.events] == [Digit]


def test_an_event_that_is_too_short_is_malformed() -> None:
    rig = Rig()
    rig.wait(100)

    rig.deliver(rig.packet(payload_type=101, payload=b"\1\2"))

    assert rig.counter("rx_malformed") == 1


def test_a_reinvite_can_take_digits_away_and_bring_them_back() -> None:
    rig = Rig()
    rig.wait(100)
    rig.events.clear()
    rig.deliver(rig.packet(payload_type=101, payload=event_payloads("5", duration_ms=80)[0]))

    rig.plane.update(1, spec(dtmf_payload_type=-1), now_ns=rig.now_ns)
    rig.wait(200)
    press(rig, "1")
    assert rig.counter("rx_wrong_payload") == 6
    rig.plane.update(1, spec(), now_ns=rig.now_ns)
    press(rig, "2")

    assert [event.digit for event in rig.events if isinstance(event, Digit)] == ["5", "2"]


def test_a_leg_that_does_not_receive_hears_nothing_but_is_alive() -> None:
    rig = Rig(spec(receiving=False))

    rig.talk(slam(ms=400, decay_ms=5000))

    assert [type(event) for event in rig.events] == [Latched]
    assert rig.columns.last_rx_ns[1] == rig.now_ns
    assert not rig.capture.read(10_000)[0].any()


def test_a_reinvite_to_another_address_moves_both_directions() -> None:
    rig = Rig()
    rig.wait(100)

    rig.plane.update(1, spec(remote_key=STRANGER), now_ns=rig.now_ns)
    events = rig.deliver(rig.packet(), rig.packet(), source=STRANGER)
    departures = rig.plane.build(np.array([1]), now_ns=rig.now_ns)

    assert departures.destinations.tolist() == [STRANGER]
    assert events == [Latched(1, 7, rig.now_ns, remote_key=STRANGER)]


def test_packets_that_leave_late_are_counted_and_missed_slots_are_skipped() -> None:
    rig = Rig()
    rig.wait(100)
    due_ns = int(rig.plane.due_ns[1])
    assert due_ns == 100 * MS

    rig.now_ns = due_ns + 21 * MS
    rig.send()
    assert rig.counter("tx_late") == 1
    rig.now_ns = due_ns + 500 * MS
    rig.send()

    assert rig.counter("silence_bridge_late") == 24
    assert rig.heard[-1].marker
    assert rig.heard[-1].timestamp == rig.heard[-2].timestamp + 25 * 160
    assert rig.heard[-1].sequence == rig.heard[-2].sequence + 1
    assert rig.counter("tx_late") == 1


def test_a_broken_row_ends_alone() -> None:
    rig = Rig()
    rig.plane.open(2, spec(generation=9), now_ns=0)
    other = PlayoutWriter(rig.columns, 2, 9)
    other.write(melody(160), epoch=0)
    rig.writer.write(melody(160), epoch=0)
    rig.columns.play_write[1] = 2**40

    departures = rig.plane.build(np.array([1, 2]), now_ns=0)

    assert departures.rows.tolist() == [2]
    failed, started, _idle = rig.plane.drain()
    assert isinstance(failed, RowFailed)
    assert (failed.row, failed.generation) == (1, 7)
    assert "contradict" in failed.message
    assert started == SpeechStarted(2, 9, 0, position=0)
    assert rig.plane.due_ns[1] == FOREVER_NS
    assert len(rig.plane.build(np.array([1]), now_ns=0)) == 0


def test_a_row_is_opened_once_and_updated_by_its_owner_only() -> None:
    rig = Rig()

    with pytest.raises(ValueError, match="row 1 is in service"):
        rig.plane.open(1, spec(), now_ns=0)
    with pytest.raises(ValueError, match="row 1 does not carry generation 8"):
        rig.plane.update(1, spec(generation=8), now_ns=0)
    with pytest.raises(ValueError, match="row 0 does not carry generation 7"):
        rig.plane.update(0, spec(), now_ns=0)


def test_a_freed_row_keeps_nothing_of_its_caller() -> None:
    rig = Rig()
    rig.wait(200)
    rig.drone()
    rig.talk(slam(ms=400, decay_ms=5000))

    rig.plane.close(1)
    rig.plane.close(1)
    rig.plane.flush(1, now_ns=rig.now_ns)
    rig.plane.verdict(1, epoch=0, is_speech=True, now_ns=rig.now_ns)

    assert not rig.columns.play_samples[1].any()
    assert not rig.columns.capture[1].any()
    assert not any(rig.columns.counters(1).values())
    assert not rig.writer.is_open
    assert rig.writer.write(melody(160), epoch=0) == 0
    assert rig.deliver(rig.packet()) == []
    assert rig.plane.due_ns[1] == FOREVER_NS
    rig.plane.open(1, spec(generation=8, dtmf_payload_type=-1), now_ns=rig.now_ns)
    departures = rig.plane.build(np.array([1]), now_ns=rig.now_ns)
    assert set(departures.packets[0, 12:172].tolist()) == {0xFF}
    assert not rig.columns.capture[1].any()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.binary(max_size=200), max_size=12), st.sampled_from([PEER, STRANGER]))
def test_arbitrary_bytes_cost_a_counter_and_nothing_else(datagrams: list[bytes], source: int) -> None:
    rig = Rig()
    rig.wait(60)
    heard = len(rig.heard)

    rig.deliver(*datagrams, source=source)
    rig.wait(60)

    assert len(rig.heard) == heard + 3


@settings(deadline=None, max_examples=25)
@given(st.randoms(use_true_random=False), st.sampled_from([0, 8, 13, 101, 127]))
def test_believed_packets_with_any_content_raise_nothing(dice: random.Random, payload_type: int) -> None:
    rig = Rig()
    rig.wait(60)

    for _ in range(30):
        packet = RtpPacket(
            payload_type if dice.random() < 0.5 else 0,
            (rig.sequence + dice.randrange(-200, 200)) % 2**16,
            (rig.timestamp + dice.randrange(-9000, 9000)) % 2**32,
            99,
            dice.randbytes(dice.choice([0, 1, 4, 79, 80, 160, 161, 240, 1400])),
        )
        rig.deliver(*[build(packet)] * dice.choice([1, 2]))
        rig.now_ns += 20 * MS
        rig.send()

    assert not any(isinstance(event, RowFailed) for event in rig.events)
    assert len(rig.heard) == 33


@settings(deadline=None, max_examples=10)
@given(st.randoms(use_true_random=False))
def test_rows_served_together_are_served_as_if_each_were_alone(dice: random.Random) -> None:
    script = [[dice.random() for _ in range(3)] for _ in range(40)]
    together = Rig(capacity=4)
    for row in (2, 3):
        together.plane.open(row, spec(generation=row), now_ns=0)
    alone = [Rig(spec(generation=generation)) for generation in (7, 2, 3)]
    for rig in alone:
        rig.drone(1000)
    for row, generation in ((1, 7), (2, 2), (3, 3)):
        PlayoutWriter(together.columns, row, generation).write(
            (np.arange(8000) % 7919 + 1000).astype(np.int16), epoch=0
        )

    for number, draws in enumerate(script):
        together.now_ns += 20 * MS
        batch = together._arrivals
        batch.count = 0
        for at, (rig, draw) in enumerate(zip(alone, draws, strict=True)):
            rig.now_ns += 20 * MS
            packet = rig.packet(hiss(level_db=-70 + 60 * draw if draw > 0.6 else -70, seed=number))
            if draw > 0.1:
                rig.deliver(packet)
                batch.add(packet, row=at + 1, source=PEER)
            rig.send()
        together.plane.receive(batch, now_ns=together.now_ns)
        departures = together.plane.build(np.array([1, 2, 3]), now_ns=together.now_ns)

        for at, rig in enumerate(alone):
            assert parse(departures.packets[at, :172].tobytes()) == rig.heard[-1]
    for at, rig in enumerate(alone):
        assert np.array_equal(together.columns.capture[at + 1], rig.columns.capture[1])
        assert together.columns.counters(at + 1) == rig.columns.counters(1)
