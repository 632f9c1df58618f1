"""Calls of real sockets against an exchange whose media is a row in memory."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.call.agent import Call
from bridge.call.archive import Archive
from bridge.call.exchange import Exchange
from bridge.call.routes import Route
from bridge.call.settings import CallObserver, CallSettings
from bridge.call.trace import CallTrace
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.engine.supervisor import MediaLeg
from bridge.errors import EngineError, NegotiationError
from bridge.plane.events import KeysSent
from tests.aio.sip_phones import Phone, endpoint, phone, uri
from tests.call.fakes import HandLeg, ScriptedVoice
from tests.call.test_prompts import write_wav
from tests.fakes import ManualClock
from tests.sip.messages import OFFER, parsed_request, parsed_response, raw, reply

REFUSED = OFFER.replace(b"m=audio 49170", b"m=audio 0")
USELESS = [REFUSED, b"hello"]
G722 = OFFER.replace(b"RTP/AVP 8 0 101", b"RTP/AVP 9 101")
G722_TOO = OFFER.replace(b"RTP/AVP 8 0 101", b"RTP/AVP 9 8 101")
OPUS = (
    G722.replace(b"AVP 9", b"AVP 96")
    + b"a=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\na=ptime:20\r\n"
)


class RowLeg(HandLeg):
    """A leg that signalling can open, and that breaks when it is told to."""

    def __init__(self, *, breaks: bool = False) -> None:
        super().__init__()
        self.local_port = 40_000
        self.is_ipv6 = False
        self.ssrc, self.cname = 7, "leg"
        self.rate_hz = 8000
        self.status = SimpleNamespace(snapshot=dict, last_rx_ns=0)
        self.terms: list[dict[str, Any]] = []
        self.is_closed = False
        self.keys: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        self.beds: list[tuple[int, dict[str, Any]] | None] = []
        self.deliver: Callable[[Any], None] = lambda event: None
        self._breaks = breaks

    def open(self, *, deliver: Callable[[object], None], **terms: object) -> None:
        if self._breaks:
            raise EngineError("the media process died after this leg was reserved")
        self.terms.append(terms)
        self.deliver = deliver

    def update(self, **terms: object) -> None:
        self.terms.append(terms)

    async def opened(self) -> None:
        pass

    def hand_key(self, digit: str, *, duration_ms: int) -> None:
        self.keys.put_nowait((digit, duration_ms))

    def press(self, digits: str, *, duration_ms: int, pause_ms: int) -> int:
        sent = KeysSent(0, 7, 0, ticket=1, count=len(digits))
        asyncio.get_running_loop().call_soon(self.deliver, sent)
        self.keys.put_nowait((digits, duration_ms))
        return 1

    def has_bed(self, name: str) -> bool:
        return bool(self.beds)

    def set_bed(self, name: str, loop: "NDArray[np.int16] | None", **levels: Any) -> None:  # noqa: ANN401
        self.beds.append((0 if loop is None else len(loop), levels))

    def stop_bed(self) -> None:
        self.beds.append(None)

    def close(self) -> None:
        self.is_closed = True


class Media:
    def __init__(self, *, breaks: bool = False, wide_hz: tuple[int, ...] = (16_000, 24_000)) -> None:
        self.legs: list[RowLeg] = []
        self.peers: list[tuple[tuple[str, int] | None, str | None]] = []
        self._wide_hz = wide_hz
        self._breaks = breaks

    def reserve(
        self, *, remote: tuple[str, int] | None = None, latch_ip: str | None = None, in_ipv6: bool = False
    ) -> MediaLeg:
        self.peers.append((remote, latch_ip))
        self.legs.append(RowLeg(breaks=self._breaks))
        self.legs[-1].is_ipv6 = in_ipv6
        return cast("MediaLeg", self.legs[-1])

    def refit(self, leg: MediaLeg, rate_hz: int) -> None:
        if rate_hz not in (8000, *self._wide_hz):
            raise EngineError(f"no row of {rate_hz} Hz is free")
        leg.rate_hz = rate_hz


class Nobody:
    def call_started(self, trace: CallTrace) -> None: ...
    def call_ended(self, trace: CallTrace) -> None: ...
    def barge_in(self, stages_ms: Mapping[str, float], breached: list[str]) -> None: ...


async def wait(call: Call) -> None:
    await asyncio.Event().wait()


async def leave(call: Call) -> None:
    pass


def exchange(
    media: Media,
    agent: Callable[[Call], Any] = wait,
    *,
    voice: ScriptedVoice | None = None,
    prompts: Path = Path("prompts"),
    observer: CallObserver | None = None,
    archive: Archive | None = None,
    **settings: Any,  # noqa: ANN401
) -> Exchange:
    return Exchange(
        media=media,
        synthesizer=voice or ScriptedVoice(ManualClock()),
        routes=[Route(agent=agent)],
        settings=CallSettings(prompts=prompts, **settings),
        clock=SystemClock(),
        dice=SystemDice(),
        observer=observer or Nobody(),
        archive=archive,
    )


async def heard(listener: Phone, beginning: bytes) -> bytes:
    async with asyncio.timeout(5):
        while not (data := await listener.heard.get()).startswith(beginning):
            pass
    return data


@pytest.mark.parametrize("answer", USELESS)
async def test_a_caller_whose_ack_brings_no_usable_answer_is_hung_up_on(answer: bytes) -> None:
    media = Media()
    async with endpoint(exchange(media).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite(body=b""))
        tag = parsed_response(await heard(caller, b"SIP/2.0 200")).to.tag

        caller.say(raw("ACK", branch="z9hG4bKa", to_tag=tag, body=answer))

        bye = parsed_request(await heard(caller, b"BYE "))
        caller.say(bytes(reply(bye, 200, to_tag="phone")))
        await callee.close()
        assert media.legs[0].is_closed
        assert callee.calls == 0


async def test_a_caller_whose_media_fails_after_the_answer_is_hung_up_on() -> None:
    async with endpoint(exchange(Media(breaks=True)).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite(body=b""))
        tag = parsed_response(await heard(caller, b"SIP/2.0 200")).to.tag

        caller.say(raw("ACK", branch="z9hG4bKa", to_tag=tag, body=OFFER))

        assert await heard(caller, b"BYE ")


async def test_a_delayed_answer_that_fits_is_served() -> None:
    media = Media()
    async with endpoint(exchange(media, leave).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite(body=b""))
        tag = parsed_response(await heard(caller, b"SIP/2.0 200")).to.tag

        caller.say(raw("ACK", branch="z9hG4bKa", to_tag=tag, body=OFFER))

        assert await heard(caller, b"BYE ")
        assert media.legs[0].terms[0]["remote"] == ("192.0.2.2", 49170)


async def test_an_agent_presses_keys_and_is_told_when_they_are_up() -> None:
    async def press(call: Call) -> None:
        await call.press("12#", duration_ms=80)

    media = Media()
    async with endpoint(exchange(media, press).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        tag = parsed_response(await heard(caller, b"SIP/2.0 200")).to.tag
        caller.say(raw("ACK", branch="z9hG4bKa", to_tag=tag))

        assert await heard(caller, b"BYE ")
        assert media.legs[0].keys.get_nowait() == ("12#", 80)


async def test_a_bed_is_read_once_and_lies_under_the_call(tmp_path: Path) -> None:
    write_wav(tmp_path / "rain.wav", 8000, 1.0)
    refused: list[str] = []

    async def think(call: Call) -> None:
        await call.bed("rain.wav")
        await call.bed("rain.wav", gain_db=-95)
        await call.bed("rain.wav", gain_db=3, under_speech_db=-40, yields=False)
        await call.bed(None)
        for gain_db, under_db in ((21, 0), (0, -101)):
            try:
                await call.bed("rain.wav", gain_db=gain_db, under_speech_db=under_db)
            except ValueError as error:
                refused.append(str(error))

    media = Media()
    async with endpoint(exchange(media, think, prompts=tmp_path).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        tag = parsed_response(await heard(caller, b"SIP/2.0 200")).to.tag
        caller.say(raw("ACK", branch="z9hG4bKa", to_tag=tag))
        assert await heard(caller, b"BYE ")

    (first, *rest) = media.legs[0].beds
    assert first is not None
    assert 7500 < first[0] < 7900
    assert first[1] == {"gain_db": -18, "under_speech_db": -30, "yields": True}
    assert rest == [
        (0, {"gain_db": -95, "under_speech_db": -100, "yields": True}),
        (0, {"gain_db": 3, "under_speech_db": -40, "yields": False}),
        None,
    ]
    assert refused == [f"a bed's level must be -100 to 20 dB, not {level}" for level in (21, -101)]


async def test_a_key_told_by_signalling_reaches_the_media_of_its_call() -> None:
    media = Media()
    async with endpoint(exchange(media).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        tag = parsed_response(await heard(caller, b"SIP/2.0 200")).to.tag
        caller.say(raw("ACK", branch="z9hG4bKa", to_tag=tag))

        info = raw("INFO", branch="z9hG4bKi", number=2, to_tag=tag, body=b"Signal=5\r\nDuration=200\r\n")
        caller.say(info.replace(b"application/sdp", b"application/dtmf-relay"))

        async with asyncio.timeout(5):
            assert await media.legs[0].keys.get() == ("5", 200)


@pytest.mark.parametrize("answer", [*USELESS, b""])
async def test_a_callee_whose_answer_is_of_no_use_is_hung_up_on(answer: bytes) -> None:
    media = Media()
    async with phone() as callee, endpoint() as caller:
        callee.peer = caller.listen
        dialling = asyncio.create_task(exchange(media).dial(caller, uri(callee), Route(agent=wait)))
        invite = parsed_request(await heard(callee, b"INVITE "))
        host, port = callee.address
        callee.say(bytes(reply(invite, 200, contact=f"<sip:c@{host}:{port}>", body=answer)))

        with pytest.raises(NegotiationError):
            await dialling

        bye = parsed_request(await heard(callee, b"BYE "))
        callee.say(bytes(reply(bye, 200)))
        await caller.close()
        assert media.legs[0].is_closed
        assert caller.calls == 0


async def test_a_callee_is_hung_up_on_when_our_media_fails() -> None:
    async with phone() as callee, endpoint() as caller:
        callee.peer = caller.listen
        broken = exchange(Media(breaks=True))
        dialling = asyncio.create_task(broken.dial(caller, uri(callee), Route(agent=wait)))
        invite = parsed_request(await heard(callee, b"INVITE "))
        host, port = callee.address
        callee.say(bytes(reply(invite, 200, contact=f"<sip:c@{host}:{port}>", body=OFFER)))

        with pytest.raises(EngineError):
            await dialling

        assert await heard(callee, b"BYE ")


async def test_a_wide_call_gets_a_wide_row_and_a_voice_of_its_rate() -> None:
    media, voice = Media(), ScriptedVoice(ManualClock())
    served = exchange(media, voice=voice)
    async with endpoint(served.answer) as callee, phone(callee) as caller:
        caller.say(caller.invite(body=G722_TOO))
        answer = await heard(caller, b"SIP/2.0 200")

        assert b" RTP/AVP 9 101\r\n" in answer
        assert (media.legs[0].rate_hz, media.legs[0].terms[0]["codec"]) == (16_000, 2)
        assert voice.rates_hz == [16_000]
        (summary,) = served.calls()
        assert (summary["codec"], summary["rate_hz"]) == ("G722", 16_000)


async def test_without_a_wide_row_a_call_is_narrow() -> None:
    media, voice = Media(wide_hz=()), ScriptedVoice(ManualClock())
    async with endpoint(exchange(media, voice=voice).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite(body=G722_TOO))
        answer = await heard(caller, b"SIP/2.0 200")

        assert b" RTP/AVP 8 101\r\n" in answer
        assert (media.legs[0].rate_hz, media.legs[0].terms[0]["codec"]) == (8000, 1)
        assert voice.rates_hz == [8000]


async def test_a_caller_who_is_only_wide_waits_for_a_wide_row() -> None:
    media = Media(wide_hz=())
    async with endpoint(exchange(media).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite(body=G722))

        assert await heard(caller, b"SIP/2.0 503")
        assert media.legs[0].is_closed


def is_told_of_opus(leg: RowLeg) -> bool:
    terms = leg.terms[0]
    assert (terms["codec"], terms["opus_fec"], terms["opus_loss_percent"]) == (6, True, 10)
    assert (terms["ptime_ms"], terms["opus_dtx"], terms["opus_max_rate_hz"]) == (20, False, 48_000)
    return leg.rate_hz == 24_000


async def test_a_late_answer_decides_what_row_a_call_gets() -> None:
    media = Media()
    async with endpoint(exchange(media, leave).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite(body=b""))
        offer = await heard(caller, b"SIP/2.0 200")
        caller.say(raw("ACK", branch="z9hG4bKa", to_tag=parsed_response(offer).to.tag, body=OPUS))

        assert await heard(caller, b"BYE ")
        assert b"m=audio 40000 RTP/AVP 111 9 0 8 110 101" in offer
        assert is_told_of_opus(media.legs[0])


async def test_a_call_of_ours_gets_the_row_that_the_answer_asks_for() -> None:
    media = Media()
    async with phone() as callee, endpoint() as caller:
        callee.peer = caller.listen
        dialling = asyncio.create_task(exchange(media).dial(caller, uri(callee), Route(agent=leave)))
        invite = parsed_request(await heard(callee, b"INVITE "))
        host, port = callee.address
        callee.say(bytes(reply(invite, 200, contact=f"<sip:c@{host}:{port}>", body=OPUS)))
        callee.say(bytes(reply(parsed_request(await heard(callee, b"BYE ")), 200)))
        await dialling

        assert b"m=audio 40000 RTP/AVP 111 9 0 8 110 101" in invite.body
        assert is_told_of_opus(media.legs[0])


@pytest.mark.parametrize(("body", "remote"), [(OFFER, ("192.0.2.2", 49170)), (b"", None)])
async def test_the_media_is_told_whom_to_expect_before_anything_is_agreed(
    body: bytes, remote: tuple[str, int] | None
) -> None:
    media = Media()
    async with endpoint(exchange(media, leave).answer) as callee, phone(callee) as caller:
        caller.say(caller.invite(body=body))
        await heard(caller, b"SIP/2.0 200")

        assert media.peers == [(remote, None)]
