"""The voice as a program uses it."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

import bridge
from bridge.aio.cosyvoice import CosyVoice
from bridge.aio.script import Text
from bridge.cosyvoice.client_patience import Deadlines
from bridge.errors import (
    AuthenticationError,
    BridgeError,
    ConfigError,
    ConnectionLostError,
    InvalidRequestError,
    LocalProtocolError,
    SynthesisTimeoutError,
)
from bridge.ports import SpeechChunk, WordTime
from bridge.speech.heard import Heard
from tests.aio.cosyvoice_fake import Behaviour, eventually, pcm_of, running

RATE = 24_000
"""What is asked for where nothing is said."""


async def writing(*pieces: str) -> AsyncIterator[str]:
    for piece in pieces:
        yield piece
        await asyncio.sleep(0)


async def test_a_text_becomes_sound_with_its_place() -> None:
    async with running() as service, CosyVoice(url=service.url) as tts:
        chunks = [chunk async for chunk in tts.stream("Hello there. Hi.")]

        whole = pcm_of("Hello there. Hi.", RATE)
        assert b"".join(chunk.data for chunk in chunks) == whole
        for chunk in chunks:
            assert chunk.position_samples is not None
            begin = 2 * chunk.position_samples
            assert whole[begin : begin + len(chunk.data)] == chunk.data


@pytest.mark.parametrize("how", ["text", "list", "generator", "async"])
async def test_a_text_may_come_in_any_way(how: str) -> None:
    pieces = ["One. ", "Two."]
    sources: dict[str, Callable[[], Text]] = {
        "text": lambda: "".join(pieces),
        "list": lambda: pieces,
        "generator": lambda: (piece for piece in pieces),
        "async": lambda: writing(*pieces),
    }
    async with running() as service, CosyVoice(url=service.url) as tts:
        assert await tts.synthesize(sources[how]()) == pcm_of("One. Two.", RATE)


async def test_word_times_come_as_values_behind_their_sound() -> None:
    async with running() as service, CosyVoice(url=service.url) as tts:
        stream = tts.stream("Go on. Go.", words=True)
        items = [item async for item in stream]

        words = [item for item in items if isinstance(item, WordTime)]
        assert words == stream.words
        assert [(word.text, word.begin_index, word.begin_ms) for word in words] == [
            ("Go", 0, 0),
            ("on", 3, 60),
            ("Go", 7, 140),
        ]
        sounded = 0
        for item in items:
            if isinstance(item, SpeechChunk):
                assert item.position_samples is not None
                sounded = item.position_samples + len(item.data) // 2
            else:
                assert item.end_ms * RATE <= sounded * 1000


async def test_without_being_asked_no_words_are_told() -> None:
    async with running() as service, CosyVoice(url=service.url) as tts:
        stream = tts.stream("Go on.")
        assert (stream.text, stream.words, stream.task_id) == ("", [], "")
        async for _ in stream:
            pass

        assert stream.words == []
        assert stream.text == "Go on."
        assert stream.task_id == service.tasks[0]
        assert not service.parameters[0].word_timestamp_enabled


async def test_what_was_heard_is_known_by_the_sample() -> None:
    async with running() as service, CosyVoice(url=service.url) as tts:
        stream = tts.stream("One two three.", words=True)
        async for _ in stream:
            pass

        assert stream.heard(RATE * 170 // 1000) == Heard("One two ", "three.", estimated=False)


async def test_a_stream_may_ask_for_what_the_client_does_not() -> None:
    async with (
        running() as service,
        CosyVoice(url=service.url, voice="longxiaochun_v3", volume=20) as tts,
    ):
        await tts.synthesize("Hi.")
        await tts.synthesize("Hi.", volume=80, format="mp3", sample_rate=16_000, seed=5)

        first, second = service.parameters
        assert (first.voice, first.volume, first.format, first.sample_rate) == (
            "longxiaochun_v3",
            20,
            "pcm",
            RATE,
        )
        assert (second.voice, second.volume, second.format, second.sample_rate, second.seed) == (
            "longxiaochun_v3",
            80,
            "mp3",
            16_000,
            5,
        )


async def test_packed_sound_is_handed_on_as_it_comes_and_has_no_place() -> None:
    async with running(Behaviour(frame_bytes=333)) as service, CosyVoice(url=service.url) as tts:
        chunks = [chunk async for chunk in tts.stream("Odd frames.", format="mp3")]

        assert b"".join(chunk.data for chunk in chunks) == pcm_of("Odd frames.", RATE)
        assert any(len(chunk.data) % 2 for chunk in chunks)
        assert {chunk.position_samples for chunk in chunks} == {None}


async def test_who_leaves_the_loop_has_cancelled_the_task_in_place() -> None:
    async with running() as service, CosyVoice(url=service.url) as tts:
        async for _ in tts.stream(["A sentence. "] * 1000):
            break

        await eventually(lambda: tts.pool.busy == 0 and service.cancels == 1)
        assert tts.pool.counters["replaced"] == tts.pool.counters["lost"] == 0
        assert await tts.synthesize("Next.") == pcm_of("Next.", RATE)


async def test_a_listener_who_is_cancelled_has_cancelled_the_task() -> None:
    async with (
        running(Behaviour(hold=asyncio.Event())) as service,
        CosyVoice(url=service.url) as tts,
    ):
        listening = asyncio.create_task(tts.synthesize("Hello."))
        await eventually(lambda: service.tasks != [])

        listening.cancel()
        await asyncio.wait({listening})

        await eventually(lambda: tts.pool.busy == 0 and service.cancels == 1)


async def test_a_stream_that_is_kept_is_cancelled_at_the_end_of_its_block() -> None:
    async with running() as service, CosyVoice(url=service.url) as tts:
        async with tts.stream(["A sentence. "] * 1000) as stream:
            items = aiter(stream)
            await anext(items)

        assert [item async for item in items] == []
        await eventually(lambda: tts.pool.busy == 0 and service.cancels == 1)


async def test_a_stream_nobody_iterated_has_started_nothing() -> None:
    async with running() as service, CosyVoice(url=service.url) as tts:
        async with tts.stream("Hello."):
            pass

        assert service.tasks == []


async def test_a_stream_is_iterated_once() -> None:
    async with running() as service, CosyVoice(url=service.url) as tts:
        stream = tts.stream("Hello.")
        async for _ in stream:
            pass

        with pytest.raises(LocalProtocolError, match="iterated once"):
            aiter(stream)


async def test_a_connection_that_dies_in_mid_sentence_is_not_heard() -> None:
    behaviour = Behaviour(drop_after_frames=3, drop_once=True)
    async with running(behaviour) as service, CosyVoice(url=service.url) as tts:
        chunks = [chunk async for chunk in tts.stream("One two three. Four five six.")]

        assert b"".join(chunk.data for chunk in chunks) == pcm_of("One two three. Four five six.", RATE)
        positions = [chunk.position_samples for chunk in chunks]
        lengths = [len(chunk.data) // 2 for chunk in chunks]
        assert positions == [sum(lengths[:number]) for number in range(len(lengths))]


async def test_many_streams_at_a_time_never_hear_each_other() -> None:
    async with running() as service, CosyVoice(url=service.url, max_connections=4) as tts:
        texts = [chr(ord("a") + number) * (number + 5) + ". " for number in range(12)]

        sounds = await asyncio.gather(*(tts.synthesize(text) for text in texts))

        assert sounds == [pcm_of(text, RATE) for text in texts]
        assert service.connections <= 4


async def test_a_wrong_parameter_is_refused_where_it_is_given() -> None:
    with pytest.raises(InvalidRequestError, match="'volume'"):
        CosyVoice(url="ws://127.0.0.1:9", volume=101)
    async with running() as service, CosyVoice(url=service.url) as tts:
        with pytest.raises(InvalidRequestError, match="'speech_rate'"):
            tts.stream("Hello.", speech_rate=5)

        assert service.tasks == []


async def test_a_key_that_is_refused_says_so_with_its_status() -> None:
    body = '{"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "r-1"}'
    async with (
        running(Behaviour(status=401, body=body)) as service,
        CosyVoice(url=service.url, api_key="sk-wrong") as tts,
    ):
        with pytest.raises(AuthenticationError, match=r"InvalidApiKey: .*Invalid API-key") as caught:
            await tts.synthesize("Hello.")
        with pytest.raises(AuthenticationError):
            await tts.ready()

        assert (caught.value.status, caught.value.request_id) == (401, "r-1")
        assert not caught.value.retryable


@pytest.mark.parametrize(
    ("behaviour", "deadlines", "stage"),
    [
        (Behaviour(silent_start=True), Deadlines(started_s=0.03), "start"),
        (Behaviour(hold=asyncio.Event()), Deadlines(first_sound_s=0.03), "first-sound"),
        (Behaviour(hold=asyncio.Event()), Deadlines(task_s=0.03), "task"),
        (Behaviour(hold_handshake=asyncio.Event()), Deadlines(open_s=0.03), "handshake"),
    ],
)
async def test_what_does_not_come_in_time_is_named(
    behaviour: Behaviour, deadlines: Deadlines, stage: str
) -> None:
    async with running(behaviour) as service:
        async with CosyVoice(url=service.url, deadlines=deadlines, retry_pauses_s=()) as tts:
            with pytest.raises(SynthesisTimeoutError) as caught:
                await tts.synthesize("Hello.")
        for held in (behaviour.hold, behaviour.hold_handshake):
            if held is not None:
                held.set()

    assert caught.value.stage == stage


async def test_a_service_that_is_not_there_is_named() -> None:
    async with CosyVoice(url="ws://127.0.0.1:9", retry_pauses_s=(0.0,)) as tts:
        with pytest.raises(ConnectionLostError, match=r"ws://127\.0\.0\.1:9 cannot be reached"):
            await tts.synthesize("Hello.")


async def test_closing_ends_what_is_still_spoken() -> None:
    async with running(Behaviour(hold=asyncio.Event())) as service:
        async with CosyVoice(url=service.url) as tts:
            listening = asyncio.create_task(tts.synthesize("Hello."))
            await eventually(lambda: service.tasks != [])
        with pytest.raises(ConnectionLostError, match="the client is closing"):
            await listening
        await eventually(lambda: service.open_now == 0)


def test_a_client_that_is_not_open_says_how_to_open_it() -> None:
    with pytest.raises(LocalProtocolError, match="use `async with CosyVoice"):
        CosyVoice(url="ws://127.0.0.1:9").stream("Hello.")


@pytest.fixture
def keyless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DASHSCOPE_API_KEY", raising=False)


@pytest.mark.usefixtures("keyless")
def test_without_a_service_the_ways_to_one_are_named() -> None:
    with pytest.raises(ConfigError, match=r"set DASHSCOPE_API_KEY .* give url= .* `cosybridge tts`"):
        CosyVoice()


@pytest.mark.usefixtures("keyless")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"api_key": "sk-1", "region": "mars"}, "there is no region 'mars'"),
        ({"api_key": "sk-1", "workspace": "a/b"}, "a workspace id has"),
        ({"url": "http://127.0.0.1"}, "url must start with ws:// or wss://, not 'http://127"),
        ({"url": "wss://{workspace_id}.example"}, "needs a workspace"),
    ],
)
def test_an_address_that_cannot_be_is_refused(arguments: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        CosyVoice(**arguments)  # type: ignore[arg-type]


async def test_the_key_of_the_environment_is_for_the_cloud_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-cloud")
    async with running() as service, CosyVoice(url=service.url, workspace="ws-1") as tts:
        await tts.ready()

    assert "Authorization" not in service.headers[0]
    assert service.headers[0]["X-DashScope-WorkSpace"] == "ws-1"
    CosyVoice()


def test_every_name_that_users_import_is_there() -> None:
    assert all(getattr(bridge, name) for name in bridge.__all__)
    assert bridge.CosyVoice is CosyVoice
    assert issubclass(bridge.SynthesisTimeoutError, BridgeError)
