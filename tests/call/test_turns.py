import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from bridge.audio import PcmFormat
from bridge.call.routes import DEFAULT_VOICE
from bridge.call.trace import BargeInRecord, CallTrace, UtteranceRecord
from bridge.call.turns import Said, Speaker
from bridge.errors import CallEnded, SynthesisError
from bridge.plane.events import Resumed, VoiceStarted
from tests.call.fakes import SAMPLES_PER_WORD, HandLeg, ScriptedVoice
from tests.fakes import MS, ManualClock

TEXT = "one two three four five."


class Stage:
    """A speaker on a hand-turned leg."""

    def __init__(self, *, failures: tuple[int | None, ...] = ()) -> None:
        self.clock = ManualClock(start_ns=1_000 * MS)
        self.leg = HandLeg()
        self.voice = ScriptedVoice(self.clock, failures=failures)
        self.trace = CallTrace("call-1", "sip-1", "inbound", self.clock.now_ns())
        self.reported: list[BargeInRecord] = []
        self.told: list[tuple[bool, bool, str]] = []
        self.speaker = Speaker(
            self.leg,
            self.voice,
            voice=DEFAULT_VOICE,
            format=PcmFormat(8000),
            clock=self.clock,
            trace=self.trace,
            on_barge_in=self.reported.append,
            on_utterance=self._note,
            retry_pauses_s=(0.0, 0.0),
        )

    def _note(self, record: UtteranceRecord) -> None:
        self.told.append((record.is_over, record.interrupted, record.heard))

    async def written(self, samples: int) -> None:
        """Let the speaker work until the ring holds so many samples."""
        for _ in range(1000):
            await asyncio.sleep(0)  # one turn of the loop
            if self.leg.written >= samples:
                break
        await self.turns()

    async def turns(self) -> None:
        """Let everything that can run do so."""
        for _ in range(8):
            await asyncio.sleep(0)

    async def saying(self, text: str | AsyncIterator[str] = TEXT, words: int = 5) -> "asyncio.Task[Said]":
        task = asyncio.create_task(self.speaker.say(text))
        await self.written(words * SAMPLES_PER_WORD)
        return task


async def test_what_nobody_interrupts_is_heard_whole() -> None:
    stage = Stage()

    saying = await stage.saying()
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(500)))

    assert await saying == Said(heard=TEXT, unheard="", interrupted=False)
    assert stage.trace.utterances[0].end_sample == 5 * SAMPLES_PER_WORD
    assert stage.leg.interruptible == [3]


async def test_a_caller_who_interrupts_splits_the_text_at_the_last_word_played() -> None:
    stage = Stage()

    saying = await stage.saying()
    stage.speaker.on_event(stage.leg.duck(2 * SAMPLES_PER_WORD + 400, stage.clock.advance(250)))
    stage.speaker.on_event(stage.leg.cut(stage.clock.advance(200)))
    said = await saying

    assert said == Said(heard="one two ", unheard="three four five.", interrupted=True, cause="speech")
    assert stage.voice.speeches[0].is_cancelled


async def test_an_interruption_is_stamped_from_the_onset_to_the_next_reply() -> None:
    stage = Stage()

    saying = await stage.saying()
    stage.speaker.on_event(stage.leg.duck(1600, stage.clock.advance(250)))
    stage.speaker.on_event(stage.leg.cut(stage.clock.advance(200)))
    await saying
    stage.clock.advance(500)
    again = await stage.saying("yes", words=6)
    stage.speaker.on_event(stage.leg.started(stage.clock.advance(60)))
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(100)))
    await again

    record = stage.trace.barge_ins[0]
    assert record.stages_ms() == {
        "mute": 40,
        "verdict": 214,
        "flush": 1,
        "cancel": 0,
        "spare_ready": 0,
        "next_audio": 60,
    }
    assert stage.reported == [record, record]


async def test_the_next_task_is_started_at_the_flush_and_used_by_the_next_words() -> None:
    stage = Stage()

    saying = await stage.saying()
    stage.speaker.on_event(stage.leg.cut(stage.clock.advance(100)))
    await saying

    assert len(stage.voice.speeches) == 2
    again = await stage.saying("yes", words=6)
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(100)))
    await again
    assert len(stage.voice.speeches) == 2
    assert stage.voice.speeches[1].text == "yes"


async def test_a_task_that_waited_too_long_for_its_text_is_not_used() -> None:
    stage = Stage()

    stage.speaker.bind()
    stage.clock.advance(16_000)
    saying = await stage.saying()
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(500)))
    await saying

    assert [speech.text for speech in stage.voice.speeches] == ["", TEXT]
    assert stage.voice.speeches[0].is_cancelled


async def test_a_resume_is_a_false_alarm_and_changes_nothing() -> None:
    stage = Stage()
    saying = await stage.saying()
    stage.speaker.on_event(stage.leg.duck(800, stage.clock.advance(100)))
    stage.speaker.on_event(Resumed(0, 7, stage.clock.advance(80), position=800))
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(400)))

    assert not (await saying).interrupted
    assert stage.trace.false_alarms == 1
    assert not stage.trace.barge_ins


async def test_a_service_that_dies_in_mid_sentence_is_asked_again_for_the_rest() -> None:
    stage = Stage(failures=(2,))

    saying = await stage.saying()
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(500)))

    assert (await saying).heard == TEXT
    assert [speech.text for speech in stage.voice.speeches] == [TEXT, "three four five."]


async def test_a_cut_after_a_second_task_still_finds_the_right_word() -> None:
    stage = Stage(failures=(2,))

    saying = await stage.saying()
    stage.speaker.on_event(stage.leg.duck(3 * SAMPLES_PER_WORD, stage.clock.advance(300)))
    stage.speaker.on_event(stage.leg.cut(stage.clock.advance(200)))

    assert (await saying).unheard == "four five."


async def test_a_service_that_comes_back_after_some_tries_costs_no_word() -> None:
    stage = Stage(failures=(2, 0))

    saying = await stage.saying()
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(500)))

    assert (await saying).heard == TEXT
    assert [speech.text for speech in stage.voice.speeches[1:]] == ["three four five."] * 2


async def test_a_service_that_stays_away_is_the_agents_to_know() -> None:
    stage = Stage(failures=(1, 0, 0))

    saying = await stage.saying(words=1)
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(100)))

    with pytest.raises(SynthesisError, match="Closed"):
        await saying
    assert stage.trace.utterances[0].failure == "Closed"
    assert stage.leg.written == SAMPLES_PER_WORD


async def test_words_that_are_still_being_written_are_spoken_as_one() -> None:
    stage = Stage()

    async def writing() -> AsyncIterator[str]:
        yield "one two "
        yield "three four five."

    saying = await stage.saying(writing())
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(500)))

    assert (await saying).heard == TEXT


async def test_nothing_to_say_is_said_at_once() -> None:
    stage = Stage()

    assert await stage.speaker.say("") == Said(heard="", unheard="", interrupted=False)
    assert stage.voice.speeches == []


async def test_closing_frees_the_task_that_was_bound_ahead() -> None:
    stage = Stage()

    stage.speaker.bind()
    await stage.speaker.close()

    assert stage.voice.speeches[0].is_cancelled


async def test_speech_that_was_judged_without_a_duck_is_silenced_by_the_flush() -> None:
    stage = Stage()

    saying = await stage.saying()
    stage.speaker.on_event(
        VoiceStarted(0, 7, stage.clock.advance(100), onset_ns=stage.clock.now_ns() - 30 * MS)
    )
    stage.speaker.on_event(stage.leg.cut(stage.clock.advance(150)))
    await saying

    stages = stage.trace.barge_ins[0].stages_ms()
    assert stages["mute"] == 180
    assert stages["verdict"] == 149


async def test_a_sentence_that_the_agent_abandons_is_not_heard_to_its_end() -> None:
    stage = Stage()

    saying = await stage.saying()
    stage.leg.columns.played[0] = 2 * SAMPLES_PER_WORD
    saying.cancel()
    await stage.turns()
    assert int(stage.leg.columns.epoch[0]) == 1
    record = stage.trace.utterances[0]
    assert (record.heard, record.unheard) == ("one two ", "three four five.")
    assert record.end_sample == 2 * SAMPLES_PER_WORD
    assert not saying.done()
    stage.speaker.on_event(stage.leg.flushed(stage.clock.advance(2), cause="command"))
    with pytest.raises(asyncio.CancelledError):
        await saying

    again = await stage.saying("six", words=6)
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(100)))
    assert await again == Said(heard="six", unheard="", interrupted=False)


async def test_a_flush_of_an_utterance_that_is_over_does_not_cut_the_next() -> None:
    stage = Stage()
    stage.leg.flush()

    saying = await stage.saying()
    stage.speaker.on_event(stage.leg.flushed(stage.clock.advance(2)))
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(500)))

    assert not (await saying).interrupted


async def test_who_still_speaks_when_the_call_is_over_is_told_so() -> None:
    stage = Stage()

    saying = await stage.saying()
    await stage.speaker.close()
    stage.leg.columns.generation[0] = 0
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(500)))

    with pytest.raises(CallEnded):
        await stage.speaker.say("anybody there?")
    with pytest.raises(CallEnded):
        await stage.speaker.play(np.zeros(160, np.int16))
    saying.cancel()
    await asyncio.wait({saying})


async def test_a_source_that_fails_is_told_once_its_last_words_were_heard() -> None:
    stage = Stage()

    async def broken() -> AsyncIterator[str]:
        yield "one two"
        raise ZeroDivisionError

    saying = await stage.saying(broken(), words=2)
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(200)))

    with pytest.raises(ZeroDivisionError):
        await saying
    assert stage.trace.utterances[0].text == "one two"


async def test_a_sentence_that_never_got_the_floor_does_not_read_its_source() -> None:
    stage = Stage()
    pulled: list[int] = []

    async def endless() -> AsyncIterator[str]:
        while True:
            pulled.append(1)
            yield "more "
            await asyncio.sleep(0)

    first = await stage.saying()
    second = asyncio.create_task(stage.speaker.say(endless()))
    await stage.turns()
    second.cancel()
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(500)))
    await first
    await asyncio.wait({second})

    assert pulled == []


async def test_an_utterance_may_be_harder_to_interrupt_than_the_others() -> None:
    stage = Stage()

    for sensitivity in ("low", "low", None):
        playing = asyncio.create_task(stage.speaker.play(np.zeros(800, np.int16), sensitivity=sensitivity))
        await stage.written(stage.leg.written + 800)
        stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(100)))
        await playing

    assert stage.leg.sensitivity == [0, -1]
    assert stage.speaker.sensitivity == -1


async def test_a_sensitivity_that_does_not_exist_says_nothing() -> None:
    stage = Stage()

    with pytest.raises(ValueError, match="lowest"):
        await stage.speaker.say(TEXT, sensitivity="lowest")

    assert not stage.trace.utterances


async def test_what_is_stopped_ends_where_it_was_and_says_that_it_was_told_to() -> None:
    stage = Stage()
    saying = await stage.saying()
    stage.leg.columns.played[0] = 2 * SAMPLES_PER_WORD

    assert stage.speaker.stop()
    assert not stage.speaker.stop()
    stage.speaker.on_event(stage.leg.flushed(stage.clock.advance(20), cause="command"))

    assert await saying == Said(
        heard="one two ", unheard="three four five.", interrupted=True, cause="command"
    )
    assert not stage.speaker.stop()


async def test_what_comes_first_stops_what_is_said_and_goes_before_what_waits() -> None:
    stage = Stage()
    saying = await stage.saying()
    waiting = await stage.saying("later")

    urgent = asyncio.create_task(stage.speaker.say("fire", first=True, label="u"))
    await stage.turns()
    stage.speaker.on_event(stage.leg.flushed(stage.clock.advance(20), cause="command"))
    assert (await saying).cause == "command"
    await stage.written(6 * SAMPLES_PER_WORD)
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(20)))

    assert await urgent == Said(heard="fire", unheard="", interrupted=False)
    assert stage.speaker.has_begun("u")
    assert [record.label for record in stage.trace.utterances] == ["", "u", ""]
    waiting.cancel()


async def test_a_stop_that_came_too_late_does_not_cut_the_next_one() -> None:
    stage = Stage()
    saying = await stage.saying()
    end = stage.leg.play_all(stage.clock.advance(500))

    stage.speaker.stop()
    stage.speaker.on_event(end)
    following = await stage.saying("next", words=5)
    assert not saying.done()
    stage.speaker.on_event(stage.leg.flushed(stage.clock.advance(20), cause="command"))
    await stage.written(6 * SAMPLES_PER_WORD)
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(20)))

    assert (await saying).interrupted is False
    assert await following == Said(heard="next", unheard="", interrupted=False)


async def test_each_utterance_is_told_when_it_sounds_and_when_it_is_over() -> None:
    stage = Stage()

    saying = await stage.saying()
    stage.speaker.on_event(stage.leg.started(stage.clock.advance(20)))
    stage.speaker.on_event(stage.leg.play_all(stage.clock.advance(500)))
    await saying

    assert stage.told == [(False, False, ""), (True, False, TEXT)]
