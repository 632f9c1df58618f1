"""A plane dies and another one goes on in its memory."""

import dataclasses

import numpy as np
import pytest

from bridge.plane.events import Flushed, Latched, PlayoutIdle, Resumed, SpeechStarted, VoiceQuestioned
from bridge.plane.floor import DUCKED, IDLE, SPEAKING
from bridge.plane.g711 import encode_ulaw
from bridge.plane.plane import Plane
from bridge.plane.remains import Remains
from bridge.plane.spec import PlaneSettings, RowSpec, judged
from bridge.rtp.header import parse
from tests.fakes import MS
from tests.plane.rig import PEER, Rig, slam, spec

ELSEWHERE = PEER + 1000


def replace_plane(rig: Rig, *, after_ms: int = 0, call: RowSpec | None = None) -> bool:
    """The plane is gone with everything but its columns; another one takes the row."""
    rig.now_ns += after_ms * MS
    rig.plane = Plane(rig.columns, PlaneSettings())
    return rig.plane.open(rig.row, call or rig.call, now_ns=rig.now_ns)


def speaking(ms: int = 1000) -> tuple[Rig, bytes]:
    rig = Rig()
    pcm = rig.drone(ms)
    rig.wait(200)
    return rig, encode_ulaw(pcm).tobytes()


def test_speech_goes_on_with_the_sample_that_was_next() -> None:
    rig, codes = speaking()
    before = len(rig.heard)

    assert replace_plane(rig)
    rig.wait(900)

    assert rig.sound()[: len(codes)].tobytes() == codes
    assert rig.heard[before].marker
    assert rig.columns.played[rig.row] == len(codes)
    # It had begun before, and ends once.
    assert [type(event) for event in rig.events].count(SpeechStarted) == 1
    assert [event.position for event in rig.events if isinstance(event, PlayoutIdle)] == [len(codes)]


@pytest.mark.parametrize(("after_ms", "missed"), [(1, 0), (20, 1), (45, 2), (160, 8)])
def test_numbers_and_time_go_on_past_what_was_sent(after_ms: int, missed: int) -> None:
    rig, _ = speaking()
    last = rig.heard[-1]

    replace_plane(rig, after_ms=after_ms)
    rig.send()

    first = rig.heard[-1]
    assert (first.sequence - last.sequence - 1) % 2**16 == max(missed, 2)
    assert (first.timestamp - last.timestamp) % 2**32 == (1 + missed) * 160
    assert first.ssrc == last.ssrc


def test_after_a_gap_speech_begins_softly_and_loses_nothing() -> None:
    rig, codes = speaking()
    said = len(rig.sound())

    replace_plane(rig, after_ms=100)
    rig.wait(800)

    heard = rig.sound().tobytes()
    assert heard[said + 40 : len(codes)] == codes[said + 40 :]
    assert heard[said : said + 40] != codes[said : said + 40]


def test_two_deaths_in_a_row_use_no_number_and_skip_no_time_twice() -> None:
    rig, _ = speaking()
    last = rig.heard[-1]

    replace_plane(rig, after_ms=40)
    replace_plane(rig, after_ms=40)
    rig.send()

    first = rig.heard[-1]
    assert (first.sequence - last.sequence) % 2**16 == 1 + 2 + 2
    assert (first.timestamp - last.timestamp) % 2**32 == (1 + 4) * 160


def test_a_death_of_minutes_asks_for_no_number_that_is_not_believed() -> None:
    rig, _ = speaking()
    last = rig.heard[-1]

    replace_plane(rig, after_ms=300_000)
    rig.send()

    assert (rig.heard[-1].sequence - last.sequence) % 2**16 == 2001


def test_counters_go_on_and_what_was_lost_is_not_lost_again() -> None:
    rig, _ = speaking()
    rig.sequence += 3
    rig.wait(1200)
    lost = rig.counter("rx_lost")
    received, sent = rig.counter("rx_packets"), rig.counter("tx_packets")

    replace_plane(rig, after_ms=100)
    rig.wait(3000)

    assert lost == 3
    assert rig.counter("rx_lost") == lost
    assert rig.counter("rx_packets") == received + 150
    assert rig.counter("tx_packets") == sent + 150
    assert rig.columns.loss_in[rig.row] == 0


def test_our_reports_go_on_counting_our_stream() -> None:
    rig = Rig(dataclasses.replace(spec(), rtcp_mux=True, cname="us"))
    rig.wait(400)
    octets = int(rig.columns.tx_octets[rig.row])

    replace_plane(rig)
    rig.wait(200)

    assert octets == len(rig.heard[:20]) * 160
    assert rig.columns.tx_octets[rig.row] == octets + 1600
    (goodbye,) = rig.plane.farewell(rig.row, now_ns=rig.now_ns).packets[:1]
    assert int.from_bytes(goodbye[20:24].tobytes(), "big") == 30


def test_we_go_on_sending_to_where_the_caller_was_heard() -> None:
    rig = Rig(spec(latch_ip=ELSEWHERE >> 16))
    for _ in range(4):
        rig.now_ns += 20 * MS
        rig.deliver(rig.packet(), source=ELSEWHERE)
        rig.send()
    assert rig.columns.remote_key[rig.row] == ELSEWHERE

    replace_plane(rig)
    assert rig.plane.build(np.array([rig.row]), now_ns=rig.now_ns).destinations.tolist() == [ELSEWHERE]
    first = rig.deliver(rig.packet(), source=ELSEWHERE)
    second = rig.deliver(rig.packet(), source=ELSEWHERE)

    # Who it is has to be proven again.
    assert not first
    assert [type(event) for event in second if isinstance(event, Latched)] == [Latched]
    assert rig.columns.latched[rig.row] == 1


def test_an_address_that_signalling_changed_meanwhile_counts() -> None:
    rig, _ = speaking()

    replace_plane(rig, call=dataclasses.replace(rig.call, remote_key=ELSEWHERE))

    assert rig.columns.remote_key[rig.row] == ELSEWHERE


def test_a_duck_ends_with_the_process_that_ducked() -> None:
    rig, codes = speaking(2000)
    rig.talk(slam(ms=40))
    assert rig.columns.floor_state[rig.row] == DUCKED
    position = int(rig.columns.played[rig.row])

    replace_plane(rig, after_ms=60)
    told = rig.plane.drain()
    rig.send()

    assert [event.position for event in told if isinstance(event, Resumed)] == [position]
    assert rig.heard[-1].payload[40:] == codes[position + 40 : position + 160]


def test_no_question_is_asked_by_a_number_that_may_have_been_asked() -> None:
    rig = Rig(settings=judged(PlaneSettings()))
    rig.drone()
    rig.wait(200)
    asked = [event for event in rig.talk(slam(ms=40)) if isinstance(event, VoiceQuestioned)]
    assert asked
    rig.plane = Plane(rig.columns, judged(PlaneSettings()))

    rig.plane.open(rig.row, rig.call, now_ns=rig.now_ns)

    assert rig.columns.question[rig.row] == 0
    rig.wait(400)
    again = [event for event in rig.talk(slam(ms=40, seed=1)) if isinstance(event, VoiceQuestioned)]
    assert again
    assert again[0].question > asked[0].question


def test_a_ring_whose_indices_contradict_each_other_is_flushed_and_goes_on() -> None:
    rig, _ = speaking()
    rig.columns.played[rig.row] = 10**9

    replace_plane(rig)
    (flushed,) = (event for event in rig.plane.drain() if isinstance(event, Flushed))

    assert flushed.epoch == 1 == rig.columns.epoch[rig.row]
    assert flushed.position == rig.columns.play_write[rig.row] == rig.columns.played[rig.row]
    again = rig.drone(100)
    rig.wait(200)
    assert encode_ulaw(again).tobytes() in rig.sound().tobytes()


def test_a_row_of_another_leg_begins_anew() -> None:
    rig, _ = speaking()

    assert not replace_plane(rig, call=dataclasses.replace(rig.call, generation=99, sequence=7))
    rig.send()

    assert rig.heard[-1].sequence == 7
    assert rig.counter("tx_packets") == 1


def test_words_that_cannot_be_true_are_replaced() -> None:
    rig, _ = speaking()
    row, columns = rig.row, rig.columns
    columns.floor_state[row], columns.remote_key[row] = 77, -5
    columns.tx_due_ns[row], columns.tx_sequence[row] = 10**18, 70_000

    found = Remains.of(columns, row, rig.call, now_ns=rig.now_ns)

    assert found is not None
    assert (found.floor_state, found.remote_key) == (IDLE, rig.call.remote_key)
    assert (found.due_ns, found.sequence) == (rig.now_ns, 70_000 - 65_536)


def test_what_was_flushed_is_remembered_for_whoever_was_not_told() -> None:
    rig, _ = speaking()

    rig.plane.flush(rig.row, now_ns=rig.now_ns)

    assert rig.columns.flush_position[rig.row] == rig.columns.played[rig.row]
    assert rig.columns.flush_cause[rig.row] == 2
    assert rig.columns.floor_state[rig.row] != SPEAKING


def test_a_packet_that_was_built_before_the_death_keeps_its_number_to_itself() -> None:
    rig, _ = speaking()
    unsent = rig.plane.build(np.array([rig.row]), now_ns=rig.now_ns + 20 * MS)
    number = parse(unsent.packets[0, : unsent.lengths[0]].tobytes()).sequence

    replace_plane(rig, after_ms=20)
    rig.send()

    assert (rig.heard[-1].sequence - number) % 2**16 == 3
