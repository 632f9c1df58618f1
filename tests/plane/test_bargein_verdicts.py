"""The floor while somebody outside judges the voices."""

import numpy as np
import pytest

from bridge.plane.events import Ducked, Flushed, PlaneEvent, PlayoutIdle, Resumed, VoiceQuestioned
from bridge.plane.g711 import decode_ulaw
from bridge.plane.spec import PlaneSettings, judged
from tests.fakes import MS
from tests.plane.rig import Pcm, Rig, hiss, slam, spec, speech_onsets

JUDGED = judged(PlaneSettings())
ONSET = speech_onsets()[0]


def voice(ms: int) -> Pcm:
    return slam(ms=ms, decay_ms=50_000)


def speaking(settings: PlaneSettings = JUDGED) -> Rig:
    rig = Rig(settings=settings)
    rig.wait(400)
    rig.drone()
    rig.wait(200)
    rig.events.clear()
    rig.heard.clear()
    return rig


def told(rig: Rig, is_speech: bool, *, question: int = 0) -> list[PlaneEvent]:
    rig.plane.verdict(
        rig.row, epoch=rig.writer.epoch, is_speech=is_speech, question=question, now_ns=rig.now_ns
    )
    events = rig.plane.drain()
    rig.events += events
    return events


def kinds(rig: Rig) -> list[type[PlaneEvent]]:
    return [type(event) for event in rig.events if not type(event).__name__.startswith("VoiceS")]


def question(rig: Rig) -> int:
    return int(rig.columns.question[rig.row])


def in_vain(rig: Rig) -> None:
    """Two ducks that were for nothing: the next voice comes while ducks rest."""
    for wait_ms in (320, 220):
        rig.talk(voice(40))
        told(rig, is_speech=False)
        rig.wait(wait_ms)
    rig.events.clear()


def test_a_duck_asks_and_waits_for_the_answer() -> None:
    rig = speaking()

    rig.talk(ONSET[:1280])

    assert kinds(rig) == [VoiceQuestioned, Ducked]
    assert question(rig) == 1


def test_speech_flushes_and_noise_plays_on() -> None:
    rig, noisy = speaking(), speaking()
    rig.talk(voice(120))
    noisy.talk(voice(120))

    told(rig, is_speech=True, question=1)
    told(noisy, is_speech=False, question=1)

    assert kinds(rig) == [VoiceQuestioned, Ducked, Flushed]
    assert kinds(noisy) == [VoiceQuestioned, Ducked, Resumed]
    assert question(rig) == question(noisy) == 0


@pytest.mark.parametrize("wrong", [2, 7])
def test_an_answer_to_another_question_changes_nothing(wrong: int) -> None:
    rig = speaking()
    rig.talk(voice(120))

    told(rig, is_speech=True, question=wrong)

    assert kinds(rig) == [VoiceQuestioned, Ducked]


def test_without_an_answer_the_gate_s_own_evidence_counts() -> None:
    rig, slammed = speaking(), speaking()

    rig.talk(np.concatenate((ONSET, ONSET)))
    slammed.talk(slam(ms=80, decay_ms=5000))
    slammed.wait(300)

    flushed = next(event for event in rig.events if isinstance(event, Flushed))
    ducked = next(event for event in rig.events if isinstance(event, Ducked))
    assert flushed.at_ns - ducked.gate_ns == 240 * MS
    assert kinds(slammed) == [VoiceQuestioned, Ducked, Resumed]


def test_speech_of_which_the_gate_heard_too_little_is_waited_for() -> None:
    """An echo is speech, too; only sounds that are not ours are evidence."""
    rig = speaking()
    rig.tick(voice(20))

    assert told(rig, is_speech=True) == []
    rig.tick(voice(20))
    rig.tick(voice(20))

    assert kinds(rig) == [VoiceQuestioned, Ducked, Flushed]


def test_where_ducks_rest_a_voice_is_judged_while_we_go_on() -> None:
    rig, noisy = speaking(), speaking()
    for call in (rig, noisy):
        in_vain(call)
        call.talk(voice(160))

    told(rig, is_speech=True)
    told(noisy, is_speech=False)

    assert kinds(rig) == [VoiceQuestioned, Flushed]
    assert kinds(noisy) == [VoiceQuestioned]
    assert question(noisy) == 0


def test_a_voice_that_goes_on_after_it_was_called_noise_is_judged_again() -> None:
    rig = speaking()
    rig.talk(voice(120))
    told(rig, is_speech=False)

    rig.talk(voice(300))

    assert kinds(rig)[-1] is VoiceQuestioned
    assert question(rig) == 2


def test_where_ducks_rest_a_question_without_answer_ends_by_itself() -> None:
    rig, talker = speaking(), speaking()
    for call in (rig, talker):
        in_vain(call)

    rig.talk(voice(160))
    rig.wait(300)
    talker.talk(voice(500))

    assert kinds(rig) == [VoiceQuestioned]
    assert question(rig) == 0
    assert Flushed in kinds(talker)


def test_an_utterance_that_ends_takes_its_question_along() -> None:
    rig = Rig(settings=JUDGED)
    rig.wait(400)
    rig.say(hiss(1600, level_db=-20))
    rig.wait(40)
    rig.talk(voice(40))
    rig.writer.close_utterance(rig.writer.epoch)

    told(rig, is_speech=False)
    rig.wait(400)

    assert kinds(rig)[-1] is PlayoutIdle
    assert question(rig) == 0


@pytest.mark.parametrize(("sensitivity", "opens"), [(0, False), (1, True), (2, True)])
def test_sensitivity_decides_how_loud_a_voice_must_be(sensitivity: int, opens: bool) -> None:
    call = spec(sensitivity=sensitivity)
    rig = Rig(call)
    rig.wait(400)
    rig.drone()
    rig.wait(200)

    rig.talk(hiss(2400, level_db=-52))

    assert (Ducked in kinds(rig)) is opens
    assert int(rig.columns.sensitivity[rig.row]) == sensitivity


def test_a_row_that_says_nothing_of_it_is_as_sensitive_as_all() -> None:
    rig = Rig(settings=PlaneSettings(sensitivity=2))

    assert int(rig.columns.sensitivity[rig.row]) == 2
    rig.plane.update(rig.row, spec(sensitivity=0), now_ns=0)
    assert int(rig.columns.sensitivity[rig.row]) == 0


def largest_step(rig: Rig) -> int:
    return int(np.abs(np.diff(decode_ulaw(rig.sound()).astype(int))).max())


def tone(ms: int = 2000) -> Pcm:
    wave: Pcm = np.rint(np.sin(np.arange(ms * 8) * 2 * np.pi * 200 / 8000) * 12000).astype(np.int16)
    return wave


@pytest.mark.parametrize(("fades", "most"), [(True, 2600), (False, 30000)])
def test_what_an_agent_cuts_off_ends_without_a_click(fades: bool, most: int) -> None:
    rig = Rig(settings=PlaneSettings(fades=fades))
    rig.wait(400)
    rig.say(tone() + np.int16(8000))
    rig.wait(100)
    position = rig.writer.played
    rig.heard[:] = rig.heard[-1:]

    rig.plane.flush(rig.row, now_ns=rig.now_ns)
    rig.wait(60)

    assert rig.writer.played == position
    assert (largest_step(rig) > 2600) is not fades
    assert largest_step(rig) <= most
    assert set(rig.heard[-1].payload) == {0xFF}


def test_a_flush_in_silence_stays_silent_and_the_next_words_are_whole() -> None:
    rig = Rig()
    rig.wait(400)
    rig.say(tone())
    rig.wait(100)
    rig.plane.flush(rig.row, now_ns=rig.now_ns)
    rig.plane.flush(rig.row, now_ns=rig.now_ns)
    rig.say(np.full(320, 9000, np.int16))
    rig.heard.clear()

    rig.wait(40)

    assert (np.abs(decode_ulaw(rig.sound()).astype(int) - 9000) < 300).all()


@pytest.mark.parametrize(("gain_db", "expected"), [(-6, 4010), (6, 15962), (20, 32124)])
def test_gain_makes_us_louder_or_quieter_up_to_full_scale(gain_db: int, expected: int) -> None:
    rig = Rig(spec(gain_db=gain_db))
    rig.wait(400)
    rig.say(np.full(800, 8000, np.int16))
    rig.heard.clear()

    rig.wait(60)

    assert decode_ulaw(rig.sound())[:160] == pytest.approx(expected, rel=0.03)
