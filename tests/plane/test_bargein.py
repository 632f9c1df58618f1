import numpy as np
import pytest

from bridge.plane.events import (
    Ducked,
    Flushed,
    PlaneEvent,
    PlayoutIdle,
    Resumed,
    SpeechStarted,
    VoiceStarted,
    VoiceStopped,
)
from bridge.plane.g711 import decode_ulaw, encode_ulaw
from bridge.plane.ring import PlayoutWriter
from tests.fakes import MS
from tests.plane.rig import Pcm, Rig, hiss, slam, spec, speech_onsets, speech_sentence, speech_stops


def voice(ms: int) -> Pcm:
    """Something as steady as a sung vowel."""
    return slam(ms=ms, decay_ms=50_000)


def speaking(rig: Rig | None = None) -> Rig:
    rig = rig or Rig()
    rig.wait(400)
    rig.drone()
    rig.wait(200)
    rig.events.clear()
    rig.heard.clear()
    return rig


def kinds(events: list[PlaneEvent]) -> list[type[PlaneEvent]]:
    return [type(event) for event in events]


def only(events: list[PlaneEvent], kind: type[PlaneEvent]) -> PlaneEvent:
    (event,) = [event for event in events if isinstance(event, kind)]
    return event


@pytest.mark.parametrize("phase", [0, 40, 90, 130])
@pytest.mark.parametrize("tail", [0.0, 0.3])
@pytest.mark.parametrize("decay_ms", [15, 40, 5000])
def test_a_door_slam_ducks_once_and_never_flushes(phase: int, tail: float, decay_ms: float) -> None:
    rig = speaking()

    rig.talk(slam(tail=tail, decay_ms=decay_ms, seed=phase), phase=phase)
    rig.wait(600)

    assert kinds(rig.events) == [VoiceStarted, Ducked, Resumed, VoiceStopped]
    assert rig.writer.epoch == 0


@pytest.mark.parametrize("phase", [0, 40, 90, 130])
def test_300_ms_of_speech_flush_within_280_ms_of_their_onset(phase: int) -> None:
    for onset in speech_onsets():
        rig = speaking()
        begin_ns = rig.now_ns + phase * 125_000

        rig.talk(onset, phase=phase)
        rig.wait(300)

        flushed = only(rig.events, Flushed)
        assert isinstance(flushed, Flushed)
        assert flushed.cause == "speech"
        assert flushed.verdict_ns - begin_ns <= 280 * MS


def test_a_faint_sentence_flushes_too() -> None:
    rig = speaking()

    rig.talk((speech_sentence() * 0.15).astype(np.int16))

    assert isinstance(only(rig.events, Flushed), Flushed)


def test_the_first_packet_after_the_gate_opens_is_silent_and_the_event_says_when() -> None:
    rig = speaking()
    position = rig.writer.played

    rig.tick(voice(20))

    ducked = rig.events[-1]
    assert ducked == Ducked(
        1,
        7,
        rig.now_ns,
        position=position,
        onset_ns=rig.now_ns - 20 * MS,
        gate_ns=rig.now_ns,
    )
    assert set(rig.heard[-1].payload) == {0xFF}
    assert rig.counter("silence_ducked") == 1
    assert rig.counter("ducked_samples") == 160


def test_after_a_resume_every_sample_outside_the_fade_arrives() -> None:
    rig = Rig()
    rig.wait(400)
    pcm = rig.drone()
    rig.wait(200)
    rig.talk(slam())
    rig.wait(5000)

    resumed = only(rig.events, Resumed)
    assert isinstance(resumed, Resumed)
    begin = int(np.argmax(rig.sound() != 0xFF))
    silent = rig.counter("silence_ducked") * 160
    expected = np.insert(encode_ulaw(pcm), resumed.position, np.full(silent, 0xFF, np.uint8))
    got = rig.sound()[begin : begin + len(expected)]
    differs = np.flatnonzero(got != expected)
    faded_from = resumed.position + silent
    assert len(differs)
    assert faded_from <= differs.min()
    assert differs.max() < faded_from + 40
    faded = np.abs(decode_ulaw(got[faded_from : faded_from + 40]).astype(int))
    assert (np.diff(faded) >= 0).all()


def test_a_flush_tells_position_and_epoch_and_nothing_stale_follows() -> None:
    rig = speaking()

    rig.talk(voice(300))
    flushed = only(rig.events, Flushed)
    assert isinstance(flushed, Flushed)
    assert flushed.epoch == rig.writer.epoch == 1
    assert flushed.position == rig.writer.played
    assert rig.writer.write(np.ones(160, np.int16), epoch=0) == 0
    rig.heard.clear()
    rig.wait(400)
    assert set(rig.sound().tolist()) == {0xFF}

    rig.say(np.full(160, 5000, np.int16))
    rig.wait(20)

    assert rig.heard[-1].payload == encode_ulaw(np.full(160, 5000, np.int16)).tobytes()


@pytest.mark.parametrize("bits", [0, 2])
def test_a_voice_never_ducks_where_speech_may_not_interrupt(bits: int) -> None:
    rig = speaking(Rig(spec(interruptible=bits)))

    rig.talk(voice(600))

    assert kinds(rig.events) == [VoiceStarted]


def test_what_may_interrupt_can_change_in_mid_utterance() -> None:
    rig = speaking(Rig(spec(interruptible=0)))
    rig.plane.set_interruptible(1, 1)

    rig.talk(voice(300))

    assert Flushed in kinds(rig.events)


def test_while_we_are_silent_a_voice_is_only_reported() -> None:
    rig = Rig()
    rig.wait(400)
    rig.events.clear()
    begin_ns = rig.now_ns

    rig.talk(voice(500))
    rig.wait(300)

    started, stopped = rig.events
    assert isinstance(started, VoiceStarted)
    assert isinstance(stopped, VoiceStopped)
    assert started.onset_ns == begin_ns
    assert stopped.ended_ns == begin_ns + 500 * MS


def test_a_voice_that_is_there_before_us_ducks_us_and_then_flushes() -> None:
    rig = Rig()
    rig.wait(400)
    rig.talk(voice(300))
    rig.drone()
    rig.events.clear()

    rig.talk(voice(400))

    started, ducked, flushed = rig.events
    assert isinstance(started, SpeechStarted)
    assert isinstance(ducked, Ducked)
    assert isinstance(flushed, Flushed)
    assert ducked.onset_ns == started.at_ns


@pytest.mark.parametrize("phase", [0, 20, 40, 60, 80, 100, 120, 140])
def test_a_mouth_that_closes_within_a_word_does_not_pass_for_a_door(phase: int) -> None:
    for words in speech_stops():
        rig = speaking()

        rig.talk(words, phase=phase)

        assert kinds(rig.events)[:3] == [VoiceStarted, Ducked, Flushed]


def test_a_duck_without_enough_evidence_ends_after_a_quarter_of_a_second() -> None:
    rig = speaking()

    for _ in range(6):
        rig.talk(voice(20))
        rig.wait(40)

    ducked, resumed = only(rig.events, Ducked), only(rig.events, Resumed)
    assert isinstance(ducked, Ducked)
    assert isinstance(resumed, Resumed)
    assert resumed.at_ns - ducked.gate_ns <= 260 * MS


def test_speech_flushes_even_while_ducks_rest() -> None:
    rig = speaking()
    for _ in range(2):
        rig.talk(slam())
        rig.wait(480)
    assert kinds(rig.events).count(Resumed) == 2
    rig.events.clear()

    rig.talk(voice(300))

    assert kinds(rig.events) == [VoiceStarted, Flushed]


def test_repeated_slams_duck_ever_more_rarely() -> None:
    rig = speaking()

    for _ in range(12):
        rig.writer.write(np.full(4000, 5000, np.int16), epoch=0)
        rig.talk(slam())
        rig.wait(420)

    assert 2 <= kinds(rig.events).count(Ducked) <= 5
    assert Flushed not in kinds(rig.events)


def ducked() -> Rig:
    rig = speaking()
    rig.tick(voice(20))
    rig.events.clear()
    return rig


def test_a_verdict_from_outside_flushes_or_resumes_at_once() -> None:
    speech, noise = ducked(), ducked()

    speech.plane.verdict(1, epoch=0, is_speech=True, now_ns=speech.now_ns)
    noise.plane.verdict(1, epoch=0, is_speech=False, now_ns=noise.now_ns)

    assert kinds(speech.plane.drain()) == [Flushed]
    assert kinds(noise.plane.drain()) == [Resumed]


def test_a_verdict_that_is_too_late_changes_nothing() -> None:
    rig = ducked()
    rig.plane.verdict(1, epoch=1, is_speech=True, now_ns=rig.now_ns)
    rig.plane.verdict(0, epoch=0, is_speech=True, now_ns=rig.now_ns)
    rig.wait(400)
    rig.events.clear()

    rig.plane.verdict(1, epoch=0, is_speech=True, now_ns=rig.now_ns)

    assert rig.plane.drain() == []
    assert rig.writer.epoch == 0


def test_a_command_between_gate_and_packet_still_tells_of_the_duck_first() -> None:
    rig = speaking()
    rig.now_ns += 20 * MS
    rig.deliver(rig.packet(voice(20)))

    rig.plane.flush(1, now_ns=rig.now_ns)

    assert kinds(rig.plane.drain()) == [Ducked, Flushed]


def test_an_utterance_that_ends_under_a_duck_is_over() -> None:
    rig = Rig()
    rig.wait(400)
    rig.writer.open_utterance(0)
    rig.writer.write(np.full(320, 5000, np.int16), epoch=0)
    rig.wait(40)
    rig.events.clear()

    rig.now_ns += 20 * MS
    rig.deliver(rig.packet(voice(20)))
    rig.writer.close_utterance(0)
    rig.send()

    assert kinds(rig.events) == [VoiceStarted, Ducked, PlayoutIdle]
    rig.talk(voice(300))
    assert Flushed not in kinds(rig.events)


def test_a_held_call_is_not_muted_but_its_duck_still_ends() -> None:
    rig = speaking()
    rig.now_ns += 20 * MS
    rig.deliver(rig.packet(voice(20)))
    rig.plane.update(1, spec(sending=False), now_ns=rig.now_ns)
    rig.send()

    rig.wait(300)

    assert kinds(rig.events) == [VoiceStarted, Ducked, Resumed, VoiceStopped]
    assert rig.counter("silence_ducked") == 0


def test_a_flush_by_command_works_before_the_first_sample() -> None:
    rig = Rig()
    rig.writer.open_utterance(0)

    rig.plane.flush(1, now_ns=5)

    assert rig.plane.drain() == [Flushed(1, 7, 5, position=0, epoch=1, verdict_ns=5, cause="command")]


def test_the_next_call_of_a_row_does_not_inherit_the_fade_of_the_last() -> None:
    rig = speaking()
    rig.talk(voice(20))
    rig.plane.verdict(1, epoch=0, is_speech=False, now_ns=rig.now_ns)
    assert only(rig.plane.drain(), Resumed)
    rig.plane.close(1)

    rig.plane.open(1, spec(generation=8), now_ns=rig.now_ns)
    rig.writer = PlayoutWriter(rig.columns, 1, 8)
    pcm = rig.drone(200)
    rig.send()

    assert rig.heard[-1].payload == encode_ulaw(pcm[:160]).tobytes()


def test_hiss_alone_says_nothing() -> None:
    rig = speaking()

    for at in range(50):
        rig.tick(hiss(seed=at))

    assert rig.events == []


def test_a_sensitivity_may_change_in_the_middle_of_a_call() -> None:
    rig = Rig()
    assert rig.columns.sensitivity[1] == 1

    rig.plane.set_sensitivity(1, 0)
    assert rig.columns.sensitivity[1] == 0
    rig.plane.set_sensitivity(1, -1)

    assert rig.columns.sensitivity[1] == 1
