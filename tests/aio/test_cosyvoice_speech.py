"""One utterance, from its first text to its last word."""

import asyncio
import gc
import weakref
from collections import Counter
from typing import cast

import pytest

from bridge.aio.cosyvoice_connection import Bearer, Connection
from bridge.aio.cosyvoice_speech import PooledSpeech
from bridge.audio import PcmFormat
from bridge.clock import SystemClock
from bridge.cosyvoice.formats import TaskParameters
from bridge.cosyvoice.message import FinishTask, RunTask, TaskFinished, TaskStarted, decode_action
from bridge.cosyvoice.task import ClientPatience, ClientTask
from bridge.errors import LocalProtocolError, SynthesisError
from bridge.ports import SentenceMark, Speech, WordTime
from tests.aio.cosyvoice_clients import FORMAT, VOICE, heard_from, pool
from tests.aio.cosyvoice_fake import Behaviour, eventually, pause, pcm_of, running

MS = 1_000_000


class Wire:
    """A connection to a service that says what the test says, and nothing else."""

    def __init__(self) -> None:
        self.bearer: Bearer | None = None
        self.counters: Counter[str] = Counter()
        self.tasks_carried = 0
        self.texts: list[str] = []
        self.freed: list[bool] = []

    def write(self, text: str) -> None:
        self.texts.append(text)

    def has_asked_to(self, finish: FinishTask) -> bool:
        return decode_action(self.texts[-1]) == finish


async def begun(wire: Wire, patience: ClientPatience | None = None) -> PooledSpeech:
    """A speech whose service has its first text."""
    run = RunTask("task", VOICE.model, TaskParameters(VOICE.name, "pcm", 8000).to_wire())
    speech = PooledSpeech(
        ClientTask(run, rate=8000, patience=patience),
        clock=SystemClock(),
        most_bytes=1000,
        free=lambda connection, reusable: wire.freed.append(reusable),
        forget=lambda speech: None,
    )
    speech.bind(cast("Connection", wire))
    speech.receive(TaskStarted("task"))
    await speech.send_text("Hello. ")
    return speech


async def held_back(wire: Wire, patience: ClientPatience) -> PooledSpeech:
    """A speech with more sound than its listener wants."""
    speech = await begun(wire, patience)
    speech.receive(bytes(1600))
    assert not speech.room.is_set()
    return speech


async def test_sound_arrives_while_text_is_still_being_written() -> None:
    async with running() as service, pool(service) as tts:
        speech: Speech = tts.speak(VOICE, FORMAT)
        sound = speech.audio()
        await speech.send_text("One. ")
        await speech.send_text("Tw")

        first = await anext(sound)

        assert pcm_of("One. ", 8000).startswith(first)
        await speech.send_text("o.")
        await speech.finish()
        rest = b"".join([pcm async for pcm in sound])
        assert first + rest == pcm_of("One. Two.", 8000)


async def test_every_piece_of_sound_holds_whole_samples() -> None:
    async with running(Behaviour(frame_bytes=333)) as service, pool(service) as tts:
        speech = tts.speak(VOICE, PcmFormat(16_000))
        await speech.send_text("Odd frames.")
        await speech.finish()

        pieces = [pcm async for pcm in speech.audio()]

        assert all(len(pcm) % 2 == 0 for pcm in pieces)
        assert b"".join(pieces) == pcm_of("Odd frames.", 16_000)


async def test_word_times_count_from_the_first_sample_and_point_into_the_whole_text() -> None:
    async with running() as service, pool(service) as tts:
        speech = tts.speak(VOICE, FORMAT)
        await speech.send_text("Go on. ")
        await speech.send_text("Go.")
        await speech.finish()

        await heard_from(speech)

        assert speech.words == [
            WordTime("Go", 0, 2, 0, 40),
            WordTime("on", 3, 5, 60, 100),
            WordTime("Go", 7, 9, 140, 180),
        ]


async def test_a_service_without_word_times_gives_none() -> None:
    async with running() as service, pool(service, word_times=False) as tts:
        speech = tts.speak(VOICE, FORMAT)
        await speech.send_text("Go on.")
        await speech.finish()

        await heard_from(speech)

        assert speech.words == []


async def test_an_utterance_without_text_ends_in_silence() -> None:
    async with running() as service, pool(service) as tts:
        speech = tts.speak(VOICE, FORMAT)

        await speech.finish()

        assert await heard_from(speech) == b""
        await eventually(lambda: tts.busy == 0)


async def test_a_text_that_pauses_too_long_is_ended_and_says_so() -> None:
    patience = ClientPatience(silence_ns=30 * MS)
    async with running() as service, pool(service, patience=patience) as tts:
        speech = tts.speak(VOICE, FORMAT)
        await speech.send_text("Hello")

        assert await heard_from(speech) == pcm_of("Hello", 8000)

        with pytest.raises(
            SynthesisError, match="Timeout: the task was ended because its text paused"
        ) as caught:
            await speech.send_text(" again.")
        assert caught.value.retryable


async def test_a_service_that_ends_a_task_by_itself_is_not_called_our_pause() -> None:
    wire = Wire()
    speech = await begun(wire)
    speech.receive(TaskFinished("task"))

    with pytest.raises(SynthesisError, match="Closed: the service ended the task before its text"):
        await speech.send_text("more")

    assert wire.freed == [True]


async def test_a_task_that_gets_no_text_gives_its_connection_back() -> None:
    patience = ClientPatience(silence_ns=30 * MS)
    async with running() as service, pool(service, patience=patience) as tts:
        speech = tts.speak(VOICE, FORMAT)

        with pytest.raises(SynthesisError, match="Timeout: no text for"):
            await heard_from(speech)

        await eventually(lambda: tts.busy == 0)
        assert tts.counters["replaced"] == tts.counters["lost"] == 0


async def test_text_after_a_cancel_is_dropped() -> None:
    async with running() as service, pool(service) as tts:
        speech = tts.speak(VOICE, FORMAT)
        await speech.cancel()

        await speech.send_text("too late")
        await speech.finish()

        assert await heard_from(speech) == b""


async def test_a_cancel_wakes_the_listener() -> None:
    async with running(Behaviour(hold=asyncio.Event())) as service, pool(service) as tts:
        await tts.ready()
        speech = tts.speak(VOICE, FORMAT)
        await speech.send_text("Hello. ")
        listener = asyncio.create_task(heard_from(speech))
        await eventually(lambda: service.tasks != [])

        await speech.cancel()

        assert await listener == b""


async def test_text_after_the_end_is_our_own_bug() -> None:
    async with running() as service, pool(service) as tts:
        speech = tts.speak(VOICE, FORMAT)
        await speech.send_text("Hello.")
        await speech.finish()

        with pytest.raises(LocalProtocolError, match="text after the end"):
            await speech.send_text("more")
        await speech.cancel()


async def test_a_cancel_after_the_end_disturbs_nobody() -> None:
    async with running() as service, pool(service) as tts:
        speech = tts.speak(VOICE, FORMAT)
        await speech.send_text("Hello.")
        await speech.finish()
        await heard_from(speech)

        await speech.cancel()

        assert service.cancels == 0


async def test_a_cancel_is_not_waited_for_any_longer_when_sound_was_held_back() -> None:
    wire = Wire()
    speech = await held_back(wire, ClientPatience(cancel_ns=30 * MS))

    await speech.cancel()

    await eventually(lambda: wire.freed == [False])


async def test_a_text_that_pauses_is_ended_while_sound_is_held_back() -> None:
    wire = Wire()
    speech = await held_back(wire, ClientPatience(silence_ns=30 * MS, stall_ns=30 * MS))

    await eventually(lambda: wire.has_asked_to(FinishTask("task")))

    # From here on the service is silent because nobody reads it; it is given up when somebody does.
    assert wire.freed == []
    with pytest.raises(SynthesisError, match="Timeout: no sound for"):
        await heard_from(speech)


async def test_text_waits_while_the_service_has_plenty() -> None:
    behaviour = Behaviour(hold=asyncio.Event())
    async with running(behaviour) as service, pool(service, most_ahead=20) as tts:
        speech = tts.speak(VOICE, FORMAT)
        await speech.send_text("A sentence of more than twenty. ")
        sending = asyncio.create_task(speech.send_text("Another. "))
        await eventually(lambda: service.tasks != [])
        assert not sending.done()

        assert behaviour.hold is not None
        behaviour.hold.set()
        await sending

        await speech.finish()
        assert await heard_from(speech) == pcm_of("A sentence of more than twenty. Another. ", 8000)


async def test_a_cancel_frees_whoever_waits_to_hand_over_text() -> None:
    behaviour = Behaviour(hold=asyncio.Event())
    async with running(behaviour) as service, pool(service, most_ahead=20) as tts:
        speech = tts.speak(VOICE, FORMAT)
        await speech.send_text("A sentence of more than twenty. ")
        sending = asyncio.create_task(speech.send_text("Another. "))
        await eventually(lambda: service.tasks != [])

        await speech.cancel()

        await sending
        assert await heard_from(speech) == b""


async def test_a_border_between_sentences_is_known_once_the_sound_has_come_to_it() -> None:
    async with running() as service, pool(service) as tts:
        speech = tts.speak(VOICE, FORMAT)
        await speech.send_text("One. Two.")
        await speech.finish()

        sound = await heard_from(speech)

        assert speech.sentence == SentenceMark(9, len(sound) // 2)


async def test_a_speech_that_nobody_wants_goes_at_once_and_its_deadline_finds_nobody() -> None:
    loop = asyncio.get_running_loop()
    faults: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))
    gc.disable()
    try:
        wire = Wire()
        speech = await begun(wire, ClientPatience(silence_ns=MS, stall_ns=MS, first_sound_ns=MS))
        left = weakref.ref(speech)

        wire.bearer = None
        del speech
        assert left() is None
        await pause(0.01)
    finally:
        gc.enable()

    assert faults == []
