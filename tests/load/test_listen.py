from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.load.listen import Heard
from tests.load.synthetic import FRAME_NS, MS, received, silence, speech


def heard(*parts: np.ndarray, **how: object) -> Heard:
    return Heard(received(np.concatenate(parts), **how), 0)  # type: ignore[arg-type]


def test_the_mute_is_the_first_silent_packet_after_which_silence_holds() -> None:
    call = heard(speech(1, 1600), silence(2), speech(2, 1600), silence(10))
    onset_ns = 9 * FRAME_NS + 5 * MS

    # Packets 10 and 11 are silent, but sound follows after 40 ms; 22 is the first of a lasting silence.
    assert call.mute_ns(onset_ns) == 22 * FRAME_NS
    assert call.mute_ms(onset_ns) == 12 * 20 + 15


def test_silence_of_one_packet_less_than_100_ms_is_no_mute() -> None:
    assert heard(speech(1, 1600), silence(4)).mute_ns(0) is None
    assert heard(speech(1, 1600), silence(5)).mute_ns(0) == 10 * FRAME_NS


def test_silence_before_the_onset_does_not_count() -> None:
    call = heard(silence(20), speech(1, 1600), silence(10))

    assert call.mute_ns(20 * FRAME_NS) == 30 * FRAME_NS


def test_the_first_sound_is_the_first_packet_that_can_be_heard() -> None:
    soft = np.full(160, 0xF0, np.uint8)
    call = heard(silence(3), soft, speech(1, 320), silence(3))

    assert call.audible_ns() == 4 * FRAME_NS
    assert call.audible_ns(5 * FRAME_NS + 1) is None
    assert call.was_audible(4 * FRAME_NS, 5 * FRAME_NS)
    assert not call.was_audible(0, 4 * FRAME_NS)


def test_an_utterance_that_came_untouched_is_whole() -> None:
    said = speech(3, 5000)
    call = heard(silence(7), said, silence(9))

    match = call.match(said)

    assert match.is_whole
    assert (match.begin_sample, match.end_sample) == (7 * 160, 7 * 160 + 5000)


def test_silence_at_the_end_of_an_utterance_is_not_asked_for() -> None:
    said = speech(3, 800)
    call = heard(silence(2), said)

    assert call.match(np.concatenate((said, silence(4)))).is_whole


def test_an_utterance_that_was_cut_matches_up_to_the_cut() -> None:
    said = speech(3, 8000)
    call = heard(silence(2), said[:3200], silence(40))

    match = call.match(said)

    assert not match.is_whole
    assert not match.is_complete
    assert (match.matched, match.expected) == (3200, 8000)


def test_a_duck_and_a_resume_with_a_fade_are_complete_but_not_whole() -> None:
    said = speech(3, 8000)
    rest = said[3200:].copy()
    rest[:40] = 0xF0
    call = heard(silence(2), said[:3200], silence(14), rest, silence(9))

    match = call.match(said)

    assert match.is_complete
    assert not match.is_whole
    assert match.gaps == ((3200, 14 * 160),)
    assert match.altered == 40
    assert match.matched == 8000 - 40
    assert match.end_sample == (2 + 14) * 160 + 8000


def test_a_pause_is_placed_where_it_began_even_when_the_speech_pauses_there_too() -> None:
    said = np.concatenate((speech(3, 3220), np.full(300, 0xFF, np.uint8), speech(4, 4000)))
    call = heard(silence(2), said[:3360], silence(3), said[3360:], silence(9))

    match = call.match(said)

    assert match.is_complete
    assert match.altered == 0
    # One packet of the pause cannot be told from the speaker's own silence of 300 samples.
    assert sum(length for _, length in match.gaps) == 3 * 160


def test_slots_that_the_sender_skipped_are_a_pause() -> None:
    said = speech(3, 8000)
    packets = received(np.concatenate((said[:3200], silence(6), said[3200:], silence(5))))
    kept = [replace(packet, sequence=number) for number, packet in enumerate(packets[:20] + packets[26:])]

    call = Heard(kept, 0)

    match = call.match(said)
    assert match.is_complete
    assert match.gaps == ((3200, 960),)
    assert call.arrivals().lost == 0
    assert call.arrivals().timestamp_jumps == 1


def test_an_altered_sample_ends_the_match() -> None:
    said = speech(3, 4000)
    wrong = said.copy()
    wrong[2000] ^= 0x10

    match = heard(silence(2), wrong, silence(9)).match(said)

    assert match.matched == 2000
    assert not match.is_complete


def test_words_that_never_came_are_not_found() -> None:
    match = heard(silence(3), speech(1, 3200)).match(speech(2, 3200))

    assert match.begin_sample == -1
    assert not match.is_whole


def test_the_second_of_two_equal_utterances_is_found_behind_the_first() -> None:
    said = speech(5, 1600)
    call = heard(said, silence(5), said)

    first = call.match(said)
    second = call.match(said, from_sample=first.end_sample)

    assert second.begin_sample == 15 * 160


def test_sound_that_belongs_to_no_utterance_is_counted() -> None:
    call = heard(speech(1, 1600), silence(5), speech(2, 800))

    assert call.uncovered([(0, 1600)], from_sample=0) == 800
    assert call.uncovered([(0, 1600), (2400, 3200)], from_sample=0) == 0
    assert call.uncovered([], from_sample=2400) == 800


def test_loss_lateness_and_order_are_told_apart() -> None:
    packets = received(speech(1, 3200), late_ns={4: 25 * MS, 6: 19 * MS}, lost=frozenset({9}))
    packets.sort(key=lambda packet: packet.arrival_ns)

    arrivals = Heard([*packets, packets[-1]], 0).arrivals()

    assert (arrivals.lost, arrivals.duplicates, arrivals.late) == (1, 1, 1)
    assert arrivals.reordered == 1
    assert arrivals.timestamp_jumps == 0
    assert arrivals.packets == 20


def test_runs_of_sound_are_parted_by_silences_of_60_ms() -> None:
    call = heard(speech(1, 800), silence(2), speech(2, 800), silence(3), speech(3, 160))

    runs = call.runs()

    assert [(run.begin_sample, run.end_sample) for run in runs] == [(0, 12 * 160), (15 * 160, 16 * 160)]
    assert runs[0].begin_ns == 0
    assert runs[0].end_ns == 12 * FRAME_NS


def test_a_sample_has_an_instant_and_an_instant_a_sample() -> None:
    call = heard(speech(1, 1600), begin_ns=1_000 * MS)

    assert call.instant_ns(168) == 1_021 * MS
    assert call.sample_after(1_021 * MS) == 320
    assert call.sample_after(9_000 * MS) == 1600
    with pytest.raises(LookupError):
        call.instant_ns(1600)


def test_a_call_without_packets_is_silent_in_every_way() -> None:
    call = Heard([], 0)

    assert call.arrivals().packets == 0
    assert call.mute_ns(0) is None
    assert call.audible_ns() is None
    assert call.runs() == []
    assert call.match(speech(1, 800)).begin_sample == -1


@given(
    lead=st.integers(0, 6),
    length=st.integers(500, 4000),
    cut=st.integers(2, 40),
    pause=st.integers(1, 30),
    fade=st.integers(0, 48),
)
def test_wherever_speech_pauses_every_sample_is_accounted_for(
    lead: int, length: int, cut: int, pause: int, fade: int
) -> None:
    said = speech(6, length)
    cut = min(cut * 160, (length - 200) // 160 * 160)
    rest = said[cut:].copy()
    rest[:fade] = 0xFE
    call = heard(silence(lead), said[:cut], silence(pause), rest, silence(6))

    match = call.match(said)

    assert match.matched + match.altered == length
    assert match.altered <= fade
    assert match.gaps == ((cut, pause * 160),)
