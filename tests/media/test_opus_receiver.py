import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from bridge.media.opus_codec import OpusDecoder, OpusEncoder, carries_previous, packet_ticks
from bridge.media.opus_receiver import OpusReceiver
from tests.media.listening import voice

RATE_HZ = 16000
FRAME = 320
TICKS = 960
FIRST_SEQUENCE = 65530
FIRST_TIMESTAMP = (1 << 32) - 5 * TICKS

Sound = NDArray[np.int16]


def coded(*, loss_percent: int = 20, seconds: float = 2.0, ms: int = 20) -> list[bytes]:
    encoder = OpusEncoder(RATE_HZ, bit_rate=24000, is_fec=loss_percent > 0, loss_percent=loss_percent)
    frames = voice(RATE_HZ, seconds).reshape(-1, 16 * ms)
    return [encoder.encode(frame) for frame in frames]


PACKETS = coded()
PLAIN = coded(loss_percent=0)
LOST = next(n for n in range(30, len(PACKETS)) if carries_previous(PACKETS[n + 1]))
"""A frame that the packet after it carries again."""


class Line:
    """A receiver, and what it gave for each frame last."""

    def __init__(self, packets: list[bytes] = PACKETS, rate_hz: int = RATE_HZ) -> None:
        self.receiver = OpusReceiver(rate_hz)
        self.packets = packets
        self.heard: dict[int, Sound] = {}
        self.frame = rate_hz // 50

    def bring(self, *numbers: int, late_ticks: int = 0) -> list[int]:
        """Let packets come; which frames they gave."""
        given = []
        for number in numbers:
            sequence, timestamp = (
                FIRST_SEQUENCE + number & 0xFFFF,
                FIRST_TIMESTAMP + number * TICKS + late_ticks,
            )
            for begin, sound in self.receiver.receive(sequence, timestamp & 0xFFFFFFFF, self.packets[number]):
                assert 0 <= begin < 1 << 32
                first = ((begin - FIRST_TIMESTAMP - late_ticks) % (1 << 32)) // TICKS
                for at in range(0, len(sound), self.frame):
                    given.append(first + at // self.frame)
                    self.heard[given[-1]] = sound[at : at + self.frame]
        return given


def in_order(packets: list[bytes] = PACKETS) -> list[Sound]:
    decoder = OpusDecoder(RATE_HZ)
    return [decoder.decode(packet) for packet in packets]


def likeness(one: Sound, other: Sound) -> float:
    return float(np.corrcoef(one, other)[0, 1])


def test_packets_in_order_are_decoded_as_they_come() -> None:
    line = Line()

    given = line.bring(*range(40))

    assert given == list(range(40))
    for number, right in enumerate(in_order()[:40]):
        assert np.array_equal(line.heard[number], right)


def test_a_lost_frame_is_recovered_from_the_packet_after_it() -> None:
    line, made_up = Line(), Line(PLAIN)
    line.bring(*range(LOST))
    made_up.bring(*range(LOST))

    given = line.bring(LOST + 1)
    made_up.bring(LOST + 1)

    assert given == [LOST, LOST + 1]
    assert likeness(line.heard[LOST], in_order()[LOST]) > 0.8
    assert likeness(line.heard[LOST], in_order()[LOST]) > likeness(made_up.heard[LOST], in_order(PLAIN)[LOST])


def test_a_packet_with_what_was_lost_says_so_even_if_it_was_made_up_by_then() -> None:
    line, plain = Line(), Line(PLAIN)
    for each in (line, plain):
        each.bring(*range(LOST))
        each.receiver.conceal(FRAME)
    assert not line.receiver.carried_lost

    assert line.bring(LOST + 1) == [LOST + 1]
    plain.bring(LOST + 1)
    assert line.receiver.carried_lost
    assert not plain.receiver.carried_lost

    line.bring(LOST + 2)
    assert not line.receiver.carried_lost


def test_of_three_lost_frames_the_last_is_recovered_and_the_others_made_up() -> None:
    line = Line()
    line.bring(*range(LOST - 2))

    given = line.bring(LOST + 1)

    assert given == [LOST - 2, LOST - 1, LOST, LOST + 1]
    assert likeness(line.heard[LOST], in_order()[LOST]) > 0.8
    assert np.any(line.heard[LOST - 2])


def test_without_fec_a_lost_frame_is_made_up() -> None:
    line = Line(PLAIN)
    line.bring(*range(30))

    assert line.bring(31) == [30, 31]
    assert np.any(line.heard[30])


def test_a_straggler_puts_right_what_was_decoded_without_it() -> None:
    line = Line()
    line.bring(*range(30), 31, 32, 33)

    given = line.bring(30)
    line.bring(34)

    assert given == [30, 31, 32, 33]
    for number in range(35):
        assert np.array_equal(line.heard[number], in_order()[number])


def test_a_straggler_between_two_holes_leaves_the_other_as_it_can() -> None:
    line = Line()
    line.bring(*range(30), 32, 34)

    first, second, third = line.bring(33), line.bring(30), line.bring(31)

    assert first == [33, 34]
    assert second == [30, 31, 32, 33, 34]
    assert third == [31, 32, 33, 34]
    for number in range(35):
        assert np.array_equal(line.heard[number], in_order()[number])


def test_no_more_than_two_holes_wait_for_stragglers() -> None:
    line = Line()
    line.bring(*range(30), 31, 33, 35)

    assert line.bring(30) == []
    assert line.bring(34) == [34, 35]


def test_a_straggler_after_100_ms_is_too_late() -> None:
    line = Line()
    line.bring(*range(30), *range(31, 37))

    assert line.bring(30) == []
    assert line.bring(37) == [37]


def test_a_packet_that_comes_twice_is_heard_once() -> None:
    line = Line()
    line.bring(*range(30), 31)

    assert line.bring(31, 29, 20) == []
    assert line.bring(30) == [30, 31]
    assert line.bring(30, 31) == []


def test_garbage_changes_nothing() -> None:
    line = Line()
    garbage = bytes([0x5B, 3, 1])
    with pytest.raises(ValueError, match="Opus"):
        line.receiver.receive(9, 9, garbage)
    assert line.receiver.conceal(FRAME) is None

    line.bring(*range(30), 31)
    for sequence in (FIRST_SEQUENCE + 30, FIRST_SEQUENCE + 32, FIRST_SEQUENCE + 40, FIRST_SEQUENCE - 5000):
        with pytest.raises(ValueError, match="Opus"):
            line.receiver.receive(sequence & 0xFFFF, 0, garbage)
    line.bring(30, 32)

    for number in range(33):
        assert np.array_equal(line.heard[number], in_order()[number])


def test_what_was_made_up_is_not_made_up_again_when_the_next_packet_comes() -> None:
    line = Line(PLAIN)
    line.bring(*range(30))

    made_up = line.receiver.conceal(FRAME)

    assert made_up is not None
    assert len(made_up) == FRAME
    assert line.bring(31) == [31]
    assert line.bring(32) == [32]


def test_of_a_hole_half_made_up_only_the_rest_is() -> None:
    line = Line(PLAIN)
    line.bring(*range(30))
    line.receiver.conceal(FRAME)

    assert line.bring(32) == [31, 32]


def test_a_packet_that_comes_while_its_sound_was_made_up_is_decoded_as_if_in_time() -> None:
    line = Line()
    line.bring(*range(30))
    line.receiver.conceal(FRAME)
    line.receiver.conceal(FRAME)

    assert line.bring(30, 31, 32) == [30, 31, 32]
    for number in range(33):
        assert np.array_equal(line.heard[number], in_order()[number])


def test_after_a_long_stall_the_voice_goes_on_from_what_was_made_up() -> None:
    line = Line()
    line.bring(*range(30))
    for _ in range(10):
        line.receiver.conceal(FRAME)

    assert line.bring(30, 31) == [30, 31]
    assert line.bring(29) == []


def test_made_up_sound_has_the_length_asked_for() -> None:
    line = Line()
    line.bring(*range(3))

    sound = line.receiver.conceal(250)

    assert sound is not None
    assert len(sound) == 250


def test_a_jump_of_time_without_a_lost_packet_is_silence_and_the_gap_is_filled_softly() -> None:
    line = Line()
    line.bring(*range(30))

    pieces = line.receiver.receive(
        FIRST_SEQUENCE + 30 & 0xFFFF, (FIRST_TIMESTAMP + 32 * TICKS) % (1 << 32), PACKETS[30]
    )

    assert [len(sound) for _, sound in pieces] == [2 * FRAME, FRAME]


def test_a_long_silence_is_not_filled() -> None:
    line = Line()
    line.bring(*range(30))

    assert line.bring(31, late_ticks=50 * TICKS) == [31]


def test_a_loss_within_a_silence_is_not_taken_from_the_packet_after_it() -> None:
    line = Line()
    line.bring(*range(30))

    pieces = line.receiver.receive(
        FIRST_SEQUENCE + 31 & 0xFFFF, (FIRST_TIMESTAMP + 32 * TICKS) % (1 << 32), PACKETS[31]
    )

    assert [len(sound) for _, sound in pieces] == [2 * FRAME, FRAME]


def test_of_a_flood_of_lost_packets_only_the_last_is_made_good() -> None:
    line = Line()
    line.bring(*range(LOST - 20))

    assert line.bring(LOST + 1) == [LOST, LOST + 1]


def test_without_fec_nothing_of_a_flood_is() -> None:
    line = Line(PLAIN)
    line.bring(*range(10))

    assert line.bring(60) == [60]


def test_a_sender_that_begins_again_is_heard_at_once() -> None:
    line = Line()
    line.bring(*range(30), 31)

    pieces = line.receiver.receive(FIRST_SEQUENCE - 9000, 77, PACKETS[0])

    assert [timestamp for timestamp, _ in pieces] == [77]


def test_a_gap_that_no_packets_fill_is_left_alone() -> None:
    line = Line()
    line.bring(*range(30))

    assert line.bring(30, late_ticks=7) == [30]


@pytest.mark.parametrize(("rate_hz", "ms"), [(8000, 10), (24000, 40), (48000, 60)])
def test_packets_of_any_length_are_recovered_at_any_rate(rate_hz: int, ms: int) -> None:
    receiver, packets = OpusReceiver(rate_hz), coded(loss_percent=30, seconds=1.2, ms=ms)
    lost = next(n for n in range(600 // ms, len(packets)) if carries_previous(packets[n])) - 1
    for number in range(lost):
        receiver.receive(number, number * 48 * ms, packets[number])

    (begin, recovered), (_, _) = receiver.receive(lost + 1, (lost + 1) * 48 * ms, packets[lost + 1])

    assert begin == lost * 48 * ms
    assert len(recovered) == rate_hz * ms // 1000


def test_120_ms_are_decoded_and_2_5_ms_too() -> None:
    receiver = OpusReceiver(48000)
    longest, shortest = (
        bytes([0x59, 1, 2, 3, 4]),
        OpusEncoder(48000, bit_rate=64000).encode(np.zeros(120, np.int16)),
    )

    sizes = [len(receiver.receive(1, 0, longest)[0][1]), len(receiver.receive(2, 5760, shortest)[0][1])]

    assert sizes == [5760, 120]


def test_the_silence_of_a_far_end_that_stops_sending_is_no_loss() -> None:
    encoder = OpusEncoder(RATE_HZ, bit_rate=24000, is_dtx=True)
    said = np.concatenate((voice(RATE_HZ), np.zeros(RATE_HZ, np.int16), voice(RATE_HZ)))
    receiver, sequence, heard = OpusReceiver(RATE_HZ), 0, 0
    for number, frame in enumerate(said.reshape(-1, FRAME)):
        packet = encoder.encode(frame)
        if len(packet) > 2:
            pieces = receiver.receive(sequence, number * TICKS, packet)
            sequence += 1
            heard += sum(len(sound) for _, sound in pieces)
            assert pieces[-1][0] == number * TICKS
        else:
            sound = receiver.conceal(FRAME)
            assert sound is not None
            heard += len(sound)

    assert sequence < 130
    assert heard == len(said)


ORDERS = st.lists(
    st.tuples(st.sampled_from(("bring", "conceal", "garbage")), st.integers(-6, 8)), max_size=60
)


@given(ORDERS)
def test_whatever_comes_in_whatever_order_pieces_are_whole_and_few(orders: list[tuple[str, int]]) -> None:
    receiver, newest = OpusReceiver(RATE_HZ), 20
    for kind, step in orders:
        if kind == "conceal":
            sound = receiver.conceal(FRAME)
            assert sound is None or len(sound) == FRAME
            continue
        number = max(0, min(len(PACKETS) - 1, newest + step))
        newest = max(newest, number)
        payload = PACKETS[number] if kind == "bring" else bytes([0x5B, 3, 1])
        try:
            pieces = receiver.receive(number, number * TICKS, payload)
        except ValueError:
            assert kind == "garbage"
            continue
        assert sum(len(sound) for _, sound in pieces) <= 6 * 7 * FRAME
        assert all(begin % TICKS == 0 for begin, _ in pieces)
        assert not pieces or packet_ticks(payload) == TICKS


def loudness(sound: Sound) -> float:
    return float(np.sqrt(np.square(sound, dtype=float).mean()))


def gain_at_the_end(packets: list[bytes], burst: int) -> float:
    """Of the last frame that libopus alone makes up of a burst: how loud ours is beside it, in the mean."""
    gains = []
    for lost in range(20, len(packets) - burst - 1, 7):
        line, alone = Line(packets), OpusDecoder(RATE_HZ)
        line.bring(*range(lost), lost + burst)
        for packet in packets[:lost]:
            alone.decode(packet)
        faded = alone.conceal(burst * FRAME)[-FRAME:]
        gains.append((loudness(line.heard[lost + burst - 1]) + 1) / (loudness(faded) + 1))
    assert min(gains) >= 1
    return float(np.mean(gains))


def test_a_burst_sounds_on_where_libopus_alone_fades() -> None:
    assert gain_at_the_end(PLAIN, 4) > 1.05


def test_a_decoder_that_is_asked_to_go_on_sounds_on_too() -> None:
    line, alone = Line(PLAIN), OpusDecoder(RATE_HZ)
    line.bring(*range(40))
    for packet in PLAIN[:40]:
        alone.decode(packet)

    ours = [line.receiver.conceal(FRAME) for _ in range(3)]
    theirs = [alone.conceal(FRAME) for _ in range(3)]

    assert ours[2] is not None
    assert loudness(ours[2]) > 1.2 * loudness(theirs[2])
