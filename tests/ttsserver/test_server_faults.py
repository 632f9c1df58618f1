import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from bridge.ttsserver.faults import IDLE_S, MID_WORD_FRAMES, SLOW_S
from bridge.ttsserver.server import TtsServer, TtsServerSettings
from tests.ttsserver.client import TERMINAL, client_of

TEXT = "a sentence that lasts for a good deal more than four frames, and then a little more."


@pytest.fixture
async def server() -> AsyncIterator[TtsServer]:
    async with await TtsServer.start(TtsServerSettings(listen=("127.0.0.1", 0), warm=False)) as server:
        yield server


async def test_refuse_ends_the_handshake_with_401() -> None:
    settings = TtsServerSettings(listen=("127.0.0.1", 0), warm=False, faults=("refuse",))
    async with await TtsServer.start(settings) as server:
        with pytest.raises(InvalidStatus, match="401"):
            await connect(server.url)


async def test_refuse_as_a_parameter_fails_the_task(server: TtsServer) -> None:
    async with client_of(server) as client:
        heard = await client.say("a", TEXT, x_fault="refuse")

    assert heard.code == "AccessDenied"


async def test_drop_mid_word_resets_the_connection_without_a_word(server: TtsServer) -> None:
    async with client_of(server) as client:
        heard = await client.say("a", TEXT, x_fault="drop_mid_word")

        assert heard.order[-1] not in TERMINAL
        assert len(heard.frames) <= MID_WORD_FRAMES
        assert client.socket.close_code == 1006


async def test_fail_mid_word_is_an_internal_error_after_some_sound(
    server: TtsServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with client_of(server) as client:
        heard = await client.say("a", TEXT, x_fault="fail_mid_word")

    assert heard.code == "InternalError"
    assert len(heard.frames) <= MID_WORD_FRAMES
    assert "fail_mid_word was asked for" in caplog.text


async def test_stall_goes_silent_but_still_answers_a_cancel(server: TtsServer) -> None:
    async with client_of(server) as client:
        await client.run("a", x_fault=["stall"])
        await client.text("a", TEXT)
        await client.finish("a")
        heard = await client.hear(until=("sound",))
        for _ in range(MID_WORD_FRAMES - 1):
            await client.hear(until=("sound",), into=heard)
        assert await client.silence(0.3) == []

        await client.cancel("a")

        assert (await client.hear()).order[-1] == "task-finished"


async def test_slow_cancel_goes_on_speaking_until_it_answers(server: TtsServer) -> None:
    async with client_of(server) as client:
        await client.run("a", x_fault="slow_cancel")
        await client.text("a", TEXT)
        await client.hear(until=("task-started",))

        asked = time.monotonic()
        await client.cancel("a")
        heard = await client.hear()

        assert heard.order[-1] == "task-finished"
        assert time.monotonic() - asked > 0.9 * SLOW_S


async def test_ignore_cancel_speaks_to_the_end(server: TtsServer) -> None:
    async with client_of(server) as client:
        plain = await client.say("a", TEXT)
        await client.run("b", x_fault="ignore_cancel")
        await client.text("b", TEXT)
        await client.cancel("b")

        heard = await client.hear()

    assert heard.sound == plain.sound


async def test_slow_start_keeps_the_client_waiting_for_sound(server: TtsServer) -> None:
    async with client_of(server) as client:
        asked = time.monotonic()
        heard = await client.say("a", TEXT, x_fault="slow_start")

    assert time.monotonic() - asked > 0.9 * SLOW_S
    assert heard.order[-1] == "task-finished"


async def test_throttle_refuses_every_task_as_the_cloud_does() -> None:
    settings = TtsServerSettings(listen=("127.0.0.1", 0), warm=False, faults=("throttle",))
    async with await TtsServer.start(settings) as server, client_of(server) as client:
        heard = await client.say("a", TEXT)

    assert heard.code == "Throttling.RateQuota"
    assert heard.message == "Requests rate limit exceeded, please try again later."


async def test_burst_holds_sound_back_and_then_hands_it_over_at_once(server: TtsServer) -> None:
    async with client_of(server) as client:
        asked = time.monotonic()
        await client.run("a", x_fault="burst")
        await client.text("a", TEXT)
        await client.finish("a")
        heard = await client.hear(until=("sound",))
        waited = time.monotonic() - asked
        await client.hear(into=heard)
        took = time.monotonic() - asked - waited

    assert waited > 0.9 * SLOW_S
    assert len(heard.frames) > 20
    assert took < 0.5 * SLOW_S


async def test_close_when_idle_parts_from_a_client_soon_after_its_task(server: TtsServer) -> None:
    async with client_of(server) as client:
        heard = await client.say("a", TEXT, x_fault="close_when_idle")
        asked = time.monotonic()
        await client.hear(until=("nothing",))

        assert heard.order[-1] == "task-finished"
        assert client.socket.close_code == 1000
        assert 0.5 * IDLE_S < time.monotonic() - asked < 5


async def test_a_fault_lasts_for_its_task_only(server: TtsServer) -> None:
    async with client_of(server) as client:
        await client.run("a", x_fault="stall")
        await client.text("a", TEXT + " ")
        await client.hear(until=("sound",))
        await client.cancel("a")
        await client.hear()

        async with asyncio.timeout(5):
            heard = await client.say("b", TEXT)

    assert heard.order[-1] == "task-finished"


async def test_an_unknown_fault_is_refused_with_those_that_exist(server: TtsServer) -> None:
    async with client_of(server) as client:
        heard = await client.say("a", TEXT, x_fault="explode")

    assert "there are refuse, slow_start" in heard.message
    with pytest.raises(ValueError, match="no fault is called 'explode'"):
        await TtsServer.start(TtsServerSettings(faults=("explode",)))
