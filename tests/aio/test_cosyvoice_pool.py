"""The pool against an honest service: who gets which connection, and what happens to it afterwards."""

import asyncio
import logging

import pytest

from bridge.aio.cosyvoice_pool import TtsSettings
from bridge.audio import PcmFormat
from bridge.clock import SystemClock
from bridge.cosyvoice.task import ClientPatience
from bridge.errors import InvalidRequestError, SynthesisError, SynthesisTimeoutError, ThrottledError
from bridge.ports import Synthesizer, Voice
from tests.aio.cosyvoice_clients import FORMAT, VOICE, heard_from, pool, say
from tests.aio.cosyvoice_fake import Behaviour, FakeService, eventually, pcm_of, running, steady

MS = 1_000_000


async def test_the_pool_is_a_synthesizer() -> None:
    async with running() as service, pool(service) as tts:
        synthesizer: Synthesizer = tts
        assert synthesizer is tts


async def test_a_warm_connection_is_bound_in_the_same_turn() -> None:
    async with running() as service, pool(service) as tts:
        await tts.ready()
        asked_ns = SystemClock().now_ns()

        speech = tts.speak(VOICE, FORMAT)

        assert speech.bound_ns >= asked_ns
        await speech.send_text("Hello.")
        await speech.finish()
        assert await heard_from(speech) == pcm_of("Hello.", 8000)
        assert tts.counters["cold_starts"] == 0


async def test_one_connection_carries_one_utterance_after_another() -> None:
    async with running() as service, pool(service, spares=0, spare_share=0.0) as tts:
        for text in ("One. ", "Two. ", "Three. "):
            assert await say(tts, text) == pcm_of(text, 8000)
            await eventually(lambda: tts.idle == 1)

        assert service.connections == 1
        assert len(set(service.tasks)) == 3


async def test_an_utterance_asked_for_before_any_connection_waits_for_one() -> None:
    async with running() as service, pool(service) as tts:
        speech = tts.speak(VOICE, FORMAT)
        assert speech.bound_ns == 0
        await speech.send_text("Hello.")
        await speech.finish()

        assert await heard_from(speech) == pcm_of("Hello.", 8000)
        assert speech.bound_ns > 0
        assert tts.counters["cold_starts"] == 1


async def test_after_a_cancel_the_next_utterance_starts_at_once_and_hears_nothing_stale() -> None:
    behaviour = Behaviour(hold_cancel=asyncio.Event())
    async with running(behaviour) as service, pool(service) as tts:
        await tts.ready()
        first = tts.speak(VOICE, FORMAT)
        await first.send_text("Aaaaaaaaaa. " * 20)
        async for _ in first.audio():
            break
        await eventually(lambda: tts.idle == 1)

        flushed_ns = SystemClock().now_ns()
        written_ns = await first.cancel()
        second = tts.speak(VOICE, FORMAT)

        assert flushed_ns <= written_ns <= second.bound_ns
        assert await heard_from(first) == b""
        await second.send_text("Bbbb.")
        await second.finish()
        assert await heard_from(second) == pcm_of("Bbbb.", 8000)


async def test_a_cancelled_connection_comes_back_when_the_service_says_so() -> None:
    async with running() as service, pool(service, spares=1) as tts:
        await tts.ready()
        speech = tts.speak(VOICE, FORMAT)
        await speech.send_text("Hello. World. ")

        await speech.cancel()

        await eventually(lambda: tts.busy == 0)
        assert service.cancels == 1
        assert tts.counters["replaced"] == 0
        assert await say(tts, "Next.") == pcm_of("Next.", 8000)


async def test_a_cancel_that_is_not_answered_in_time_costs_the_connection() -> None:
    behaviour = Behaviour(hold_cancel=asyncio.Event())
    patience = ClientPatience(cancel_ns=30 * MS)
    async with running(behaviour) as service, pool(service, patience=patience) as tts:
        await tts.ready()
        speech = tts.speak(VOICE, FORMAT)
        await speech.send_text("Hello. ")

        await speech.cancel()

        await eventually(lambda: tts.counters["replaced"] == 1 and tts.idle == 1)
        assert tts.busy == 0
        assert tts.counters["lost"] == 0


async def test_a_listener_that_does_not_listen_holds_the_service_back() -> None:
    text = "a" * 390 + ". "
    behaviour = Behaviour(frame_bytes=32_000)
    async with running(behaviour) as service, pool(service, buffer_ms=500, most_ahead=10**6) as tts:
        speech = tts.speak(VOICE, PcmFormat(48_000))
        for _ in range(80):
            await speech.send_text(text)
        await speech.finish()
        await eventually(lambda: not speech.room.is_set())
        whole = len(pcm_of(text, 48_000)) * 80
        assert await steady(lambda: service.sent_bytes) < whole // 2

        length = 0
        async for pcm in speech.audio():
            length += len(pcm)

        assert length == whole


async def test_a_cancel_reaches_a_service_that_is_held_back() -> None:
    async with running(Behaviour(frame_bytes=32_000)) as service, pool(service, buffer_ms=100) as tts:
        speech = tts.speak(VOICE, PcmFormat(48_000))
        await speech.send_text(("a" * 390 + ". ") * 20)
        await eventually(lambda: not speech.room.is_set())

        await speech.cancel()

        await eventually(lambda: tts.busy == 0)
        assert tts.counters["replaced"] == 0
        assert await heard_from(speech) == b""


async def test_a_refused_key_is_told_at_once_with_the_fix_and_without_the_key(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running(Behaviour(status=401)) as service, pool(service) as tts:
        speech = tts.speak(VOICE, FORMAT)
        with pytest.raises(
            SynthesisError, match=r"answered 401: set tts\.api_key or DASHSCOPE_API_KEY"
        ) as caught:
            await heard_from(speech)
        with pytest.raises(SynthesisError, match="answered 401"):
            await speech.send_text("Hello.")
        with pytest.raises(SynthesisError, match="answered 401"):
            await tts.ready()

        assert (caught.value.code, caught.value.retryable) == ("Refused", False)
        assert service.headers[0]["Authorization"] == "Bearer sk-secret"
        # The fake runs in this process and logs what it receives; that log is the service's, not ours.
        ours = " ".join(entry.getMessage() for entry in caplog.records if entry.name != "websockets.server")
        assert "sk-secret" not in ours + repr(TtsSettings("ws://x", "sk-secret")) + repr(tts)
        assert ours.count("answered 401") == 1


async def test_a_service_that_is_too_busy_may_be_tried_again() -> None:
    async with running(Behaviour(status=503)) as service, pool(service) as tts:
        with pytest.raises(SynthesisError, match="answered 503") as caught:
            await say(tts, "Hello.")

        assert caught.value.retryable


async def test_a_service_that_is_not_there_is_named() -> None:
    async with running() as service:
        url = service.url
    async with pool(FakeService(url=url), spares=0) as tts:
        with pytest.raises(SynthesisError, match=f"{url} cannot be reached") as caught:
            await say(tts, "Hello.")

        assert (caught.value.code, caught.value.retryable) == ("Closed", True)


async def test_a_service_that_comes_back_is_found_again() -> None:
    behaviour = Behaviour(status=503)
    async with running(behaviour) as service, pool(service) as tts:
        await eventually(lambda: tts.counters["dial_failures"] >= 1)

        behaviour.status = 0

        await eventually(lambda: tts.idle == 1)


async def test_a_service_that_dies_in_mid_word_fails_that_utterance_only() -> None:
    behaviour = Behaviour(drop_after_frames=2)
    async with running(behaviour) as service, pool(service) as tts:
        await tts.ready()
        speech = tts.speak(VOICE, FORMAT)
        await speech.send_text("a" * 300 + ". ")
        await speech.finish()
        with pytest.raises(SynthesisError) as caught:
            await heard_from(speech)
        assert (caught.value.code, caught.value.retryable) == ("Closed", True)

        behaviour.drop_after_frames = 0

        assert await say(tts, "Alive.") == pcm_of("Alive.", 8000)
        assert tts.busy == 0


async def test_a_refused_task_tells_the_services_own_words_and_the_connection_is_replaced() -> None:
    async with running() as service, pool(service) as tts:
        await tts.ready()
        speech = tts.speak(Voice("no-such-model", "longanyang"), FORMAT)

        with pytest.raises(SynthesisError, match="ModelNotFound: Model not found") as caught:
            await heard_from(speech)

        assert not caught.value.retryable
        await eventually(lambda: tts.idle == 1)
        assert await say(tts, "Hello.") == pcm_of("Hello.", 8000)


async def test_a_service_that_never_starts_the_task_is_given_up() -> None:
    patience = ClientPatience(started_ns=30 * MS)
    async with running(Behaviour(silent_start=True)) as service, pool(service, patience=patience) as tts:
        with pytest.raises(SynthesisError, match="Timeout: no task-started") as caught:
            await say(tts, "Hello.")

        assert caught.value.retryable


async def test_frames_that_are_no_events_of_ours_are_counted_and_harm_nobody() -> None:
    async with running(Behaviour(garbage=True)) as service:
        async with pool(service) as tts:
            assert await say(tts, "Hello there. ") == pcm_of("Hello there. ", 8000)
        assert (tts.counters["malformed"], tts.counters["strays"]) == (2, 2)


async def test_spares_grow_with_the_number_of_speakers() -> None:
    behaviour = Behaviour(hold=asyncio.Event())
    async with running(behaviour) as service, pool(service, spares=1, spare_share=0.2) as tts:
        speeches = [tts.speak(VOICE, FORMAT) for _ in range(11)]

        await eventually(lambda: tts.busy == 11 and tts.idle == 3)

        assert service.connections == 14
        for speech in speeches:
            await speech.cancel()


async def test_many_speakers_never_hear_each_other() -> None:
    async with running() as service, pool(service) as tts:
        texts = [chr(ord("a") + n) * (n + 20) + ". " for n in range(20)]

        sounds = await asyncio.gather(*(say(tts, text) for text in texts))

        assert sounds == [pcm_of(text, 8000) for text in texts]


async def test_a_spare_is_replaced_before_the_service_would_close_it() -> None:
    async with running() as service, pool(service, retire_s=0.05, ping_s=0.02) as tts:
        await tts.ready()

        await eventually(lambda: tts.counters["retired"] >= 2 and service.open_now == 1)

        assert tts.idle == 1


async def test_a_connection_that_gives_no_sign_of_life_is_replaced() -> None:
    async with running() as service, pool(service, ping_s=0.02, pong_s=0.05) as tts:
        await tts.ready()
        (deaf,) = service.sockets

        deaf.transport.pause_reading()

        await eventually(lambda: tts.counters["replaced"] >= 1 and tts.idle == 1)
        deaf.transport.abort()


async def test_a_service_that_drops_what_it_accepts_is_dialled_ever_more_seldom_and_named_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = asyncio.get_running_loop()
    begin_s = loop.time()
    async with running(Behaviour(drop_at_open=True)) as service, pool(service) as tts:
        await eventually(lambda: tts.counters["lost"] >= 3)

        # 0.1 s before the second dial and 0.3 s before the third.
        assert loop.time() - begin_s >= 0.4
        assert service.connections <= 4
        warnings = [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING]
        lost = "the service closed the connection with 1000"
        assert warnings == [f"tts: a new connection to {service.url} was lost: {lost}"]


async def test_a_connection_that_was_of_use_ends_the_pauses_between_dials(
    caplog: pytest.LogCaptureFixture,
) -> None:
    behaviour = Behaviour(status=503)
    async with running(behaviour) as service, pool(service) as tts:
        await eventually(lambda: tts.counters["dial_failures"] == 3)
        behaviour.status = 0
        await say(tts, "Hello.")
        behaviour.status = 503
        begin_s = asyncio.get_running_loop().time()
        for socket in service.sockets:
            socket.transport.abort()

        await eventually(lambda: tts.counters["dial_failures"] == 5)

        assert asyncio.get_running_loop().time() - begin_s < 0.9
        assert caplog.text.count("answered 503") == 2


async def test_closing_ends_every_speech_and_every_connection() -> None:
    behaviour = Behaviour(hold=asyncio.Event())
    async with running(behaviour) as service:
        async with pool(service) as tts:
            await tts.ready()
            bound = tts.speak(VOICE, FORMAT)
            unbound = [tts.speak(VOICE, FORMAT) for _ in range(5)]
        for speech in (bound, *unbound):
            with pytest.raises(SynthesisError, match="Closed"):
                await heard_from(speech)
        await eventually(lambda: service.open_now == 0)
        assert (tts.idle, tts.busy) == (0, 0)
        with pytest.raises(SynthesisError, match="the client is closing"):
            await tts.ready()
        with pytest.raises(SynthesisError, match="the client is closing"):
            await say(tts, "Hello.")


async def test_a_connection_that_opens_while_the_client_closes_is_closed_too() -> None:
    behaviour = Behaviour()
    async with running(behaviour) as service:
        async with pool(service) as tts:
            await tts.ready()
            (deaf,) = service.sockets
            behaviour.hold_handshake = asyncio.Event()
            tts.speak(VOICE, FORMAT)
            waiting = tts.speak(VOICE, FORMAT)
            await eventually(lambda: len(service.headers) >= 2)
            # Deaf to the closing handshake: the client is still closing when the other one opens.
            deaf.transport.pause_reading()
            closing = asyncio.create_task(tts.close())
            with pytest.raises(SynthesisError, match="the client is closing"):
                await heard_from(waiting)
            behaviour.hold_handshake.set()

            await closing

        await eventually(lambda: service.connections >= 2 and service.sockets <= {deaf})
        deaf.transport.abort()


async def test_who_cancels_before_there_is_a_connection_takes_none() -> None:
    async with running() as service, pool(service, spares=0) as tts:
        speech = tts.speak(VOICE, FORMAT)

        await speech.cancel()

        assert await heard_from(speech) == b""
        await eventually(lambda: tts.idle == 1)
        assert service.tasks == []


async def test_no_more_connections_are_opened_than_there_may_be() -> None:
    behaviour = Behaviour(hold=asyncio.Event())
    async with running(behaviour) as service, pool(service, max_connections=3) as tts:
        speeches = [tts.speak(VOICE, FORMAT) for _ in range(8)]
        await eventually(lambda: tts.busy == 3)
        assert behaviour.hold is not None
        behaviour.hold.set()
        for number, speech in enumerate(speeches):
            await speech.send_text(f"Number {number}.")
            await speech.finish()

        sounds = await asyncio.gather(*(heard_from(speech) for speech in speeches))

        assert sounds == [pcm_of(f"Number {number}.", 8000) for number in range(8)]
        assert service.connections == 3


async def test_who_asks_whether_one_is_ready_opens_no_more_than_there_may_be() -> None:
    behaviour = Behaviour(hold=asyncio.Event())
    async with running(behaviour) as service, pool(service, max_connections=1) as tts:
        await tts.ready()
        speech = tts.speak(VOICE, FORMAT)
        asking = asyncio.create_task(tts.ready())
        await eventually(lambda: service.tasks != [])
        assert not asking.done()

        await speech.cancel()

        await asking
        assert service.connections == 1


async def test_who_waits_too_long_for_a_connection_is_told_how_many_there_may_be() -> None:
    patience = ClientPatience(connection_ns=30 * MS)
    behaviour = Behaviour(hold=asyncio.Event())
    async with running(behaviour) as service, pool(service, max_connections=1, patience=patience) as tts:
        first = tts.speak(VOICE, FORMAT)
        second = tts.speak(VOICE, FORMAT)

        with pytest.raises(SynthesisTimeoutError, match="raise max_connections") as caught:
            await heard_from(second)

        assert (caught.value.stage, caught.value.retryable) == ("connection", True)
        await first.cancel()
        await eventually(lambda: tts.idle == 1)


async def test_who_comes_when_too_many_wait_is_turned_away_at_once() -> None:
    behaviour = Behaviour(hold_handshake=asyncio.Event())
    async with running(behaviour) as service, pool(service, max_connections=1, most_waiting=2) as tts:
        waiting = [tts.speak(VOICE, FORMAT) for _ in range(2)]

        with pytest.raises(ThrottledError, match=r"Busy: .* 2 utterances wait for one") as caught:
            await heard_from(tts.speak(VOICE, FORMAT))

        assert caught.value.retryable
        assert tts.counters["turned_away"] == 1
        for speech in waiting:
            await speech.cancel()
        assert behaviour.hold_handshake is not None
        behaviour.hold_handshake.set()


async def test_a_wrong_parameter_is_refused_before_anything_is_sent() -> None:
    async with running() as service, pool(service, parameters={"volume": 500}) as tts:
        with pytest.raises(InvalidRequestError, match="'volume'"):
            tts.speak(VOICE, FORMAT)

        assert tts.busy == 0
