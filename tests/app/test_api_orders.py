"""Orders to a call that stands: say, play, stop, keys."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bridge.aio.fetch import FetchRefused, FetchTerms
from tests.app.api_house import House, house
from tests.call.fakes import SAMPLES_PER_WORD, ScriptedVoice
from tests.call.test_prompts import write_wav
from tests.fakes import ManualClock


async def played(served: House, samples: int) -> None:
    """Wait until the line has so many samples, and play them."""
    leg = served.media.legs[0]
    async with asyncio.timeout(5):
        while leg.written < samples:  # noqa: ASYNC110  the ring tells nobody
            await asyncio.sleep(0)
    leg.deliver(leg.play_all(0))


async def ordered(served: House, path: str, body: object) -> str:
    status, told = await served.ask("POST", path, body)
    assert status == 202, told
    return str(told["id"])


async def test_orders_are_carried_out_one_after_the_other_and_told(tmp_path: Path) -> None:
    write_wav(tmp_path / "ping.wav", 8000, 0.5)
    async with house(prompts=tmp_path, voice=ScriptedVoice(ManualClock())) as served:
        call = await served.called()
        listening = served.exchange.bus.subscribe()
        labels = [
            await ordered(served, f"/api/calls/{call}/say", {"text": "one two"}),
            await ordered(served, f"/api/calls/{call}/play", {"name": "ping.wav"}),
        ]
        await played(served, 2 * SAMPLES_PER_WORD)
        await played(served, 2 * SAMPLES_PER_WORD + 3900)

        told: list[tuple[str, Any, Any]] = []
        async with asyncio.timeout(5):
            while len(told) < 2:
                notice = await listening.next()
                assert notice is not None
                told.append((notice.kind, notice.data["id"], notice.data["played_ms"]))
        assert told[0] == ("speech.ended", labels[0], 200)
        assert told[1][:2] == ("speech.ended", labels[1])
        assert 480 < told[1][2] <= 520
        _, account = await served.ask("GET", f"/api/calls/{call}")
        assert [utterance["label"] for utterance in account["utterances"]] == labels


async def test_what_is_said_is_stopped_and_what_waits_forgotten() -> None:
    async with house(voice=ScriptedVoice(ManualClock())) as served:
        call = await served.called()
        assert await served.ask("POST", f"/api/calls/{call}/stop") == (
            200,
            {"was_speaking": False, "forgotten": 0},
        )
        await ordered(served, f"/api/calls/{call}/say", {"text": "one two three"})
        await ordered(served, f"/api/calls/{call}/say", {"text": "four", "interruptible": "none"})

        assert await served.ask("POST", f"/api/calls/{call}/stop", {"clears": True}) == (
            200,
            {"was_speaking": True, "forgotten": 1},
        )


async def test_keys_are_pressed() -> None:
    async with house() as served:
        call = await served.called()
        listening = served.exchange.bus.subscribe()
        label = await ordered(served, f"/api/calls/{call}/dtmf", {"digits": "12#", "duration_ms": 80})

        assert await served.media.legs[0].keys.get() == ("12#", 80)
        notice = await listening.next()
        assert notice is not None
        assert (notice.kind, dict(notice.data)) == ("keys.sent", {"id": label, "count": 3})


async def test_an_order_that_arrives_twice_is_carried_out_once() -> None:
    async with house(voice=ScriptedVoice(ManualClock())) as served:
        call = await served.called()
        key = {"Idempotency-Key": "k"}
        answers = [
            await served.ask("POST", f"/api/calls/{call}/say", {"text": "one"}, headers=key) for _ in range(2)
        ]

        assert answers[0] == answers[1]
        await played(served, SAMPLES_PER_WORD)
        assert len(served.exchange.call(call)["utterances"]) == 1  # type: ignore[index]


async def test_more_than_can_wait_is_refused() -> None:
    async with house(orders_per_s=100, voice=ScriptedVoice(ManualClock())) as served:
        call = await served.called()
        for _ in range(16):
            await ordered(served, f"/api/calls/{call}/say", {"text": "again"})

        status, problem = await served.ask("POST", f"/api/calls/{call}/say", {"text": "again"})

        assert (status, "16 orders" in problem["detail"]) == (429, True)


@pytest.mark.parametrize(
    ("path", "order", "status", "says"),
    [
        ("say", {"text": ""}, 422, "text"),
        ("say", {"text": "x" * 10_001}, 422, "text"),
        ("say", {"text": "x", "mode": "later"}, 422, "mode"),
        ("say", {"text": "x", "interruptible": True}, 422, "interruptible"),
        ("say", None, 415, "application/json"),
        ("play", {}, 422, "one of the two"),
        ("play", {"name": "a.wav", "url": "https://a.example/b.wav"}, 422, "one of the two"),
        ("play", {"name": "missing.wav"}, 422, "missing.wav"),
        ("play", {"name": "../secret.wav"}, 422, "not a file"),
        ("stop", {"clears": 1}, 422, "clears"),
        ("dtmf", {"digits": "12x"}, 422, "digits"),
        ("dtmf", {"digits": "1", "duration_ms": 10}, 422, "duration_ms"),
        ("transmogrify", {}, 404, "there is no"),
    ],
)
async def test_bad_orders_are_refused_with_the_field_that_is_wrong(
    tmp_path: Path, path: str, order: object, status: int, says: str
) -> None:
    async with house(prompts=tmp_path) as served:
        call = await served.called()
        answered, problem = await served.ask("POST", f"/api/calls/{call}/{path}", order)

        assert answered == status
        assert says in f"{problem['detail']} {problem.get('fields')}"
        assert not served.exchange.call(call)["utterances"]  # type: ignore[index]


@pytest.mark.parametrize("path", ["say", "play", "stop", "dtmf"])
async def test_no_order_reaches_a_call_that_does_not_stand(path: str) -> None:
    order = {"say": {"text": "x"}, "play": {"name": "x"}, "dtmf": {"digits": "1"}, "stop": {}}[path]
    async with house() as served:
        unknown, _ = await served.ask("POST", f"/api/calls/none/{path}", order)
        _, ringing = await served.ask("POST", "/api/calls", {"to": served.number})
        early, _ = await served.ask("POST", f"/api/calls/{ringing['id']}/{path}", order)
        call = await served.called()
        await served.ask("DELETE", f"/api/calls/{call}")
        await served.exchange.empty()
        late, problem = await served.ask("POST", f"/api/calls/{call}/{path}", order)

        assert (unknown, early, late) == (404, 409, 410)
        assert problem["detail"] == "the call is over"


async def test_a_file_is_fetched_and_decoded_before_the_answer(tmp_path: Path) -> None:
    write_wav(tmp_path / "ping.wav", 8000, 0.5)
    asked: list[tuple[str, FetchTerms]] = []

    async def fetch(url: str, terms: FetchTerms) -> bytes:
        asked.append((url, terms))
        return (tmp_path / "ping.wav").read_bytes()

    async with house(fetch_file=fetch, play_hosts=("a.example",)) as served:
        call = await served.called()
        await ordered(served, f"/api/calls/{call}/play", {"url": "https://a.example/ping.wav"})
        await played(served, 3900)

        ((url, terms),) = asked
        assert (url, terms.hosts) == ("https://a.example/ping.wav", ("a.example",))


@pytest.mark.parametrize(
    ("found", "status", "fix"),
    [
        (FetchRefused("no", fix='add "b" to api.play_hosts'), 403, "api.play_hosts"),
        (FetchRefused("too late"), 422, ""),
        (b"#EXTM3U\nhttp://127.0.0.1/secret", 422, ""),
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", 422, ""),
    ],
)
async def test_what_cannot_be_played_is_refused(found: bytes | FetchRefused, status: int, fix: str) -> None:
    async def fetch(url: str, terms: FetchTerms) -> bytes:
        if isinstance(found, bytes):
            return found
        raise found

    async with house(fetch_file=fetch) as served:
        call = await served.called()
        order = {"url": "https://a.example/ping.wav"}
        answered, problem = await served.ask("POST", f"/api/calls/{call}/play", order)

        assert answered == status
        assert fix in problem.get("fix", "")


async def test_a_call_that_ends_while_its_sound_is_fetched_is_over(tmp_path: Path) -> None:
    write_wav(tmp_path / "ping.wav", 8000, 0.5)
    fetching, release = asyncio.Event(), asyncio.Event()

    async def fetch(url: str, terms: FetchTerms) -> bytes:
        fetching.set()
        await release.wait()
        return (tmp_path / "ping.wav").read_bytes()

    async with house(fetch_file=fetch) as served:
        call = await served.called()
        order = asyncio.create_task(
            served.ask("POST", f"/api/calls/{call}/play", {"url": "http://a.example/b"})
        )
        await fetching.wait()
        await served.ask("DELETE", f"/api/calls/{call}")
        await served.exchange.empty()
        release.set()

        assert (await order)[0] == 409
