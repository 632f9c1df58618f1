"""Every place at which our sound may break off or begin, measured on what was sent."""

import numpy as np
import pytest

from bridge.plane.events import Flushed
from bridge.plane.floor import DUCKED
from bridge.plane.ring import PlayoutWriter
from bridge.plane.spec import PlaneSettings
from tests.plane.clicks import bends, click
from tests.plane.rig import Pcm, Rig, slam, spec, speech_onsets, speech_sentence

_QUIET_FRAMES = 4


def voice(ms: int = 2000) -> Pcm:
    """A vowel of 140 Hz that is nowhere silent."""
    time = np.arange(ms * 8) / 8000
    wave = 6000 * np.sin(2 * np.pi * 140 * time) + 3000 * np.sin(2 * np.pi * 420 * time + 1)
    pcm: Pcm = wave.astype(np.int16)
    return pcm


def late(sound: Pcm, cut: int, *, fades: bool = True) -> tuple[Rig, Pcm]:
    """Say a sound whose service pauses after `cut` samples; return what was sent."""
    rig = Rig(settings=PlaneSettings(fades=fades))
    rig.writer.open_utterance(0)
    rig.writer.write(sound[:cut], epoch=0)
    rig.wait(20 * (cut // 160 + _QUIET_FRAMES))
    rig.writer.write(sound[cut:], epoch=0)
    rig.writer.close_utterance(0)
    rig.wait(200)
    return rig, rig.sent()


CUTS = range(800, 8000, 487)


@pytest.mark.parametrize("sound", [voice(), speech_sentence()], ids=["vowel", "speech"])
def test_speech_that_is_late_neither_breaks_off_nor_comes_back_with_a_click(sound: Pcm) -> None:
    broken: list[tuple[float, float]] = []
    soft: list[tuple[float, float]] = []
    for fades in (False, True):
        for cut in CUTS:
            sent = late(sound, cut, fades=fades)[1]
            off, on = cut // 160 * 160, (cut // 160 + _QUIET_FRAMES) * 160
            (soft if fades else broken).append((click(sent, off, like=sound), click(sent, on, like=sound)))

    assert np.max(broken, axis=0).min() > 2
    assert np.max(soft, axis=0).max() < 1.6
    assert np.median(soft) < 0.2 * np.median(broken)


def test_speech_that_is_late_loses_no_sample_and_no_position() -> None:
    sound = voice()
    rig, sent = late(sound, 1000)

    assert rig.columns.played[1] == 960 + 1600
    assert sent[:960].tolist() == sound[:960].tolist()
    back = 960 + _QUIET_FRAMES * 160
    assert sent[back + 40 :].tolist() == sound[1000 : 1000 + len(sent) - back - 40].tolist()
    assert not sent[1000:back].any()
    assert rig.counter("silence_tts_late") == _QUIET_FRAMES


def test_the_end_of_what_is_late_is_made_of_the_samples_that_are_there() -> None:
    sound = voice()
    with_more, sent = late(sound, 960 + 100)

    fade = 1 - np.arange(1, 41) / 41
    assert np.abs(sent[960:1000] - sound[960:1000] * fade).max() <= 1
    assert with_more.columns.played[1] == 960 + 1600


def test_a_crowd_that_is_late_at_once_ends_softly_too() -> None:
    count = 70
    rig = Rig(capacity=count)
    for row in range(count):
        if row != 1:
            rig.plane.open(row, spec(generation=7), now_ns=0)
        writer = PlayoutWriter(rig.columns, row, 7)
        writer.open_utterance(0)
        writer.write(voice(40), epoch=0)
    rows = np.arange(count)
    for _ in range(4):
        rig.now_ns += 20_000_000
        rig.plane.build(rows, now_ns=rig.now_ns)

    sent = rig.columns.capture[:, 1, : 4 * 160]
    for row in (0, 63, 64, 69):
        assert click(sent[row], 320, like=voice()) < 3
        assert not sent[row, 360:].any()


@pytest.mark.parametrize("samples", [0, 20, 100])
def test_an_agent_who_stops_late_speech_clicks_as_little(samples: int) -> None:
    sound = voice()
    rig = Rig()
    rig.writer.open_utterance(0)
    rig.writer.write(sound[: 480 + samples], epoch=0)
    rig.wait(60)

    rig.plane.flush(1, now_ns=rig.now_ns)
    rig.wait(60)

    sent = rig.sent()
    assert click(sent, 480, like=sound) < 1.6
    assert sent[480:520].any()
    assert not sent[520:].any()


def test_what_was_finished_has_no_tail() -> None:
    rig = Rig()
    rig.say(voice(40))
    rig.wait(40)

    rig.plane.flush(1, now_ns=rig.now_ns)
    rig.wait(40)

    assert not rig.sent()[320:].any()


def test_keys_of_ours_neither_break_speech_off_nor_lose_any() -> None:
    sound = voice()
    rig = Rig(spec(dtmf_payload_type=-1))
    rig.say(sound)
    rig.wait(100)

    rig.plane.press(1, "1", ticket=1, duration_ms=100, pause_ms=100, now_ns=rig.now_ns)
    rig.wait(400)

    sent = rig.sent()
    # The tone rises over what ends beneath it; it bends sharper than any vowel.
    assert click(sent, 800, like=sent[900:1400]) < 1.5
    assert click(sent, 2400, like=sound) < 1.5
    assert sent[2440:3200].tolist() == sound[840:1600].tolist()


def test_a_hold_ends_in_a_fade() -> None:
    sound = voice()
    rig = Rig()
    rig.say(sound)
    rig.wait(100)
    rig.plane.update(1, spec(sending=False), now_ns=rig.now_ns)
    rig.wait(100)
    rig.sent()

    rig.plane.update(1, spec(), now_ns=rig.now_ns)
    rig.wait(100)

    sent = np.concatenate((np.zeros(160, np.int16), rig.sent()))
    assert click(sent, 160, like=sound) < 1.5


def test_a_duck_in_vain_returns_without_a_click() -> None:
    sound = voice(4000)
    rig = Rig()
    rig.say(sound)
    rig.wait(400)
    rig.talk(slam())
    rig.wait(600)

    sent = rig.sent()
    silent = np.flatnonzero(sent.reshape(-1, 160).any(axis=1) == 0)
    back = (int(silent[-1]) + 1) * 160
    assert click(sent, back, like=sound) < 1.5


def test_a_voice_silences_us_at_once_and_a_key_softly() -> None:
    """The one cut that is meant to be one: it is under the caller's own voice, and must not wait."""
    sound = voice(4000)
    rig = Rig()
    rig.say(sound)
    rig.wait(400)

    rig.talk(speech_onsets()[0][:320])

    assert rig.columns.floor_state[1] == DUCKED
    sent = rig.sent().reshape(-1, 160)
    first = int(np.flatnonzero(sent.any(axis=1) == 0)[0])
    assert sent[first - 1].tolist() == sound[(first - 1) * 160 : first * 160].tolist()


@pytest.mark.parametrize("gain_db", [0, 6])
def test_an_agent_who_stops_us_leaves_no_click(gain_db: int) -> None:
    sound = voice()
    rig = Rig(spec(gain_db=gain_db))
    rig.say(sound)
    rig.wait(100)

    rig.plane.flush(1, now_ns=rig.now_ns)
    rig.wait(40)

    assert [event.position for event in rig.events if isinstance(event, Flushed)] == [800]
    louder = (sound * 10 ** (gain_db / 20)).clip(-32768, 32767).astype(np.int16)
    assert click(rig.sent(), 800, like=louder) < 1.5


def test_the_measure_knows_a_click() -> None:
    sound = voice()
    broken = sound.copy()
    broken[4000:] = 0

    assert click(broken, 4000, like=sound) > 5
    assert bends(sound)[[0, -1]].tolist() == [0, 0]
