"""What is read of single calls, and by whom."""

import wave
from pathlib import Path
from typing import Any

from bridge.app.api.answers import CallDetail, Timeline, Transcript
from bridge.call.agent import Call
from bridge.plane.events import Digit, VoiceStarted, VoiceStopped
from tests.app.api_house import READER, House, house
from tests.call.fakes import ScriptedVoice
from tests.fakes import ManualClock

LOOKING = {"Authorization": f"Bearer {READER}"}
WHERE: dict[str, int] = {"row": 0, "generation": 7, "at_ns": 50_000_000}


async def talk(call: Call) -> None:
    await call.say("Good morning.")


async def over(served: House) -> str:
    """A call in which both sounded, and that is over."""
    id = await served.called()
    leg = served.media.legs[0]
    leg.deliver(VoiceStarted(**WHERE, onset_ns=40_000_000))
    leg.deliver(VoiceStopped(**WHERE, ended_ns=45_000_000))
    leg.deliver(Digit(**WHERE, digit="5", duration_ms=10))
    await served.ask("DELETE", f"/api/calls/{id}")
    await served.hung_up()
    await served.exchange.empty()
    return id


def recorded(folder: Path, id: str, frames: int = 800) -> bytes:
    path = folder / f"{id}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(range(256)) * (frames * 4 // 256))
    return path.read_bytes()


async def test_a_timeline_tells_who_sounded_and_not_what() -> None:
    async with house() as served:
        id = await over(served)
        status, drawn = await served.ask("GET", f"/api/calls/{id}/timeline", headers=LOOKING)
        nowhere, _ = await served.ask("GET", "/api/calls/nobody/timeline")

    assert (status, nowhere) == (200, 404)
    assert Timeline.model_validate(drawn)
    assert drawn["caller"] == [{"number": 1, "began_ns": 40_000_000, "ended_ns": 45_000_000}]
    assert drawn["keys"] == [{"number": 1, "began_ns": 40_000_000, "ended_ns": 50_000_000}]


async def test_a_transcript_is_there_if_texts_are_kept() -> None:
    async with house(agent=talk, voice=ScriptedVoice(ManualClock()), keeps_text=True) as served:
        id = await over(served)
        status, told = await served.ask("GET", f"/api/calls/{id}/transcript")
    assert status == 200
    assert Transcript.model_validate(told)

    async with house() as served:
        id = await over(served)
        status, problem = await served.ask("GET", f"/api/calls/{id}/transcript")
    assert (status, problem["fix"]) == (404, "switch recording.transcripts on")


async def test_a_token_that_only_looks_sees_no_word_unless_it_is_opened() -> None:
    async with house(agent=talk, voice=ScriptedVoice(ManualClock()), keeps_text=True) as served:
        id = await over(served)
        status, problem = await served.ask("GET", f"/api/calls/{id}/transcript", headers=LOOKING)
        _, hidden = await served.ask("GET", f"/api/calls/{id}", headers=LOOKING)
        _, shown = await served.ask("GET", f"/api/calls/{id}")
    assert (status, problem["fix"]) == (403, "add transcripts to http.read_token_opens")
    assert [each["text"] for each in hidden["utterances"]] == [None] * len(shown["utterances"])
    assert (hidden["has_transcript"], shown["has_transcript"]) == (False, True)
    assert CallDetail(**hidden)

    async with house(agent=talk, keeps_text=True, read_opens=("transcripts",)) as served:
        id = await over(served)
        status, _ = await served.ask("GET", f"/api/calls/{id}/transcript", headers=LOOKING)
    assert status == 200


async def test_a_recording_is_played_in_parts_and_saved(tmp_path: Path) -> None:
    async with house(recordings=tmp_path) as served:
        id = await over(served)
        file = recorded(tmp_path, id)
        place = f"/api/calls/{id}/recording"
        async with served.client.get(place) as whole:
            assert (whole.status, await whole.read()) == (200, file)
            assert whole.headers["Content-Type"] == "audio/wav"
            assert whole.headers["Content-Disposition"] == f'inline; filename="{id}.wav"'
            assert whole.headers["Accept-Ranges"] == "bytes"
        async with served.client.get(place, headers={"Range": "bytes=100-199"}) as part:
            assert (part.status, await part.read()) == (206, file[100:200])
            assert part.headers["Content-Range"] == f"bytes 100-199/{len(file)}"
        async with served.client.get(place, headers={"Range": f"bytes={len(file)}-"}) as beyond:
            assert beyond.status == 416
        async with served.client.get(place, params={"download": "true"}) as saved:
            assert saved.headers["Content-Disposition"].startswith("attachment")
        status, problem = await served.ask("GET", f"{place}?download=perhaps")
        assert (status, list(problem["fields"])) == (422, ["download"])
        _, detail = await served.ask("GET", f"/api/calls/{id}")
        assert detail["has_recording"]


async def test_a_recording_is_open_to_whom_the_settings_say(tmp_path: Path) -> None:
    async def ask(served: House, id: str) -> tuple[int, Any]:
        return await served.ask("GET", f"/api/calls/{id}/recording", headers=LOOKING)

    async with house(recordings=tmp_path) as served:
        id = await over(served)
        recorded(tmp_path, id)
        status, problem = await ask(served, id)
    assert (status, problem["fix"]) == (403, "add recordings to http.read_token_opens")

    async with house(recordings=tmp_path, read_opens=("recordings",)) as served:
        id = await over(served)
        file = recorded(tmp_path, id)
        async with served.client.get(f"/api/calls/{id}/recording", headers=LOOKING) as answer:
            assert (answer.status, await answer.read()) == (200, file)


async def test_what_there_is_no_recording_of_is_said(tmp_path: Path) -> None:
    async with house(recordings=tmp_path) as served:
        id = await served.called()
        recorded(tmp_path, id)
        assert (await served.ask("GET", f"/api/calls/{id}/recording"))[0] == 409
        (tmp_path / f"{id}.wav").unlink()
        await served.ask("DELETE", f"/api/calls/{id}")
        await served.hung_up()
        await served.exchange.empty()
        status, problem = await served.ask("GET", f"/api/calls/{id}/recording")
        assert (status, problem["fix"]) == (404, "switch recording.enabled on")
        for elsewhere in ("..%2f..%2fetc%2fpasswd", "nobody"):
            assert (await served.ask("GET", f"/api/calls/{elsewhere}/recording"))[0] == 404


async def test_a_token_that_only_looks_orders_nothing() -> None:
    async with house() as served:
        id = await served.called()
        one = f"/api/calls/{id}"
        orders = [("POST", f"{one}/{what}") for what in ("say", "play", "stop", "dtmf", "hold", "transfer")]
        for method, path in [("POST", "/api/calls"), ("DELETE", one), *orders]:
            status, problem = await served.ask(method, path, headers=LOOKING)
            assert (status, problem["detail"]) == (403, "this token only looks"), path
        for path in ("/api/calls", one, f"{one}/path", "/api/choices", "/api/openapi.json"):
            assert (await served.ask("GET", path, headers=LOOKING))[0] == 200
        assert served.exchange.call(id) is not None
        assert len(served.exchange) == 1
