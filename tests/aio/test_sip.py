import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import pytest

from bridge.aio.sip import (
    CallRefused,
    IncomingCall,
    SipCall,
    SipEndpoint,
    SipSettings,
)
from bridge.aio.sip_wire import MAX_DATAGRAM_BYTES
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.errors import CallEnded, ConfigError, NegotiationError, SetupError
from bridge.sip.offer import Negotiator
from bridge.sip.timers import Timers
from tests.fakes import MS
from tests.sip.messages import OFFER, parsed_request, parsed_response, raw, reply

LOOPBACK = ("127.0.0.1", 0)
FAST = Timers(t1_ns=5 * MS, t2_ns=40 * MS, t4_ns=20 * MS)
"""Timers for a network without distance."""

NOWHERE = "a" * 300
"""A name that no server need be asked about."""

Serve = Callable[[IncomingCall], Awaitable[None]]


def describe(port: int = 40000) -> Negotiator:
    return Negotiator(ip="127.0.0.1", port=port, session_id=7)


async def refuse(incoming: IncomingCall) -> None:
    incoming.reject(486)


async def serve_until_it_ends(incoming: IncomingCall) -> None:
    call = await incoming.answer(describe(50000).answer(incoming.sdp))
    await call.ended


@asynccontextmanager
async def endpoint(
    on_call: Serve = refuse, settings: SipSettings | None = None
) -> AsyncIterator[SipEndpoint]:
    started = await SipEndpoint.start(
        settings or SipSettings(listen=LOOPBACK, close_within_s=0.1),
        clock=SystemClock(),
        dice=SystemDice(),
        on_call=on_call,
    )
    try:
        yield started
    finally:
        await started.close()


class Phone(asyncio.DatagramProtocol):
    """A socket that says exactly what a test wants, and keeps what it hears."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.DatagramTransport | None = None
        self.peer: tuple[str, int] = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # On 3.11 it is one in all but name.
        self.transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.put_nowait(data)

    @property
    def address(self) -> tuple[str, int]:
        assert self.transport is not None
        host, port = self.transport.get_extra_info("sockname")
        return host, port

    def say(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.sendto(data, self.peer)

    def invite(self, **parts: object) -> bytes:
        host, port = self.address
        parts = {
            "via": f"SIP/2.0/UDP {host}:{port}",
            "contact": f"<sip:p@{host}:{port}>",
            "body": OFFER,
            **parts,
        }
        return raw("INVITE", **parts)  # type: ignore[arg-type]


@asynccontextmanager
async def phone(peer: SipEndpoint | None = None) -> AsyncIterator[Phone]:
    loop = asyncio.get_running_loop()
    transport, made = await loop.create_datagram_endpoint(Phone, local_addr=LOOPBACK)
    if peer is not None:
        made.peer = peer.listen
    try:
        yield made
    finally:
        transport.close()


def uri(callee: SipEndpoint | Phone, user: str = "hello") -> str:
    port = callee.listen[1] if isinstance(callee, SipEndpoint) else callee.address[1]
    return f"sip:{user}@127.0.0.1:{port}"


async def test_a_call_is_answered_and_hung_up_by_the_caller() -> None:
    served: asyncio.Queue[SipCall] = asyncio.Queue()

    async def answer(incoming: IncomingCall) -> None:
        assert (incoming.to_user, incoming.local_ip, incoming.nat) == ("hello", "127.0.0.1", False)
        assert incoming.from_uri.startswith("sip:me@127.0.0.1")
        incoming.ring()
        incoming.ring()
        call = await incoming.answer(describe(50000).answer(incoming.sdp))
        await call.confirmed()
        served.put_nowait(call)
        await call.ended

    async with endpoint(answer) as callee, endpoint() as caller:
        ours = describe()
        call = await caller.call(uri(callee), sdp=ours.offer(), from_user="me")
        assert ours.accept(call.remote_sdp).remote == ("127.0.0.1", 50000)
        theirs = await served.get()
        assert theirs.call_id == call.call_id

        await call.hangup()
        await call.hangup()

        assert await theirs.ended == "caller hung up"
        assert call.ended.result() == "hung up"
        assert callee.counters["calls_received"] == 1


async def test_a_call_is_hung_up_by_the_callee() -> None:
    async def answer(incoming: IncomingCall) -> None:
        call = await incoming.answer(describe(50000).answer(incoming.sdp))
        await call.confirmed()
        await call.hangup("said goodbye")

    async with endpoint(answer) as callee, endpoint() as caller:
        call = await caller.call(uri(callee), sdp=describe().offer())

        assert await call.ended == "callee hung up"
        assert repr(call) == f"SipCall({call.call_id})"


async def test_a_refusal_reaches_the_caller_with_its_status() -> None:
    async with endpoint(refuse) as callee, endpoint() as caller:
        with pytest.raises(CallRefused, match="486 Busy Here") as caught:
            await caller.call(uri(callee), sdp=describe().offer())

        assert caught.value.status == 486


async def test_a_call_that_nobody_serves_is_refused() -> None:
    async def forget(incoming: IncomingCall) -> None:
        assert incoming.is_waiting

    async with endpoint(forget) as callee, endpoint() as caller:
        with pytest.raises(CallRefused, match="480"):
            await caller.call(uri(callee), sdp=describe().offer())


@pytest.mark.parametrize("answers_first", [True, False])
async def test_a_bug_in_serving_ends_that_call_and_is_loud(
    answers_first: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(incoming: IncomingCall) -> None:
        if answers_first:
            call = await incoming.answer(describe(50000).answer(incoming.sdp))
            await call.confirmed()
        raise ValueError("a bug")

    async with endpoint(fail) as callee, endpoint() as caller:
        if answers_first:
            call = await caller.call(uri(callee), sdp=describe().offer())
            assert await call.ended == "callee hung up"
        else:
            with pytest.raises(CallRefused, match="500"):
                await caller.call(uri(callee), sdp=describe().offer())

    assert "failed: a bug" in caplog.text


async def test_a_caller_that_gives_up_is_no_bug(caplog: pytest.LogCaptureFixture) -> None:
    rang: asyncio.Queue[IncomingCall] = asyncio.Queue()
    results: asyncio.Queue[bool] = asyncio.Queue()

    async def answer_late(incoming: IncomingCall) -> None:
        incoming.ring()
        rang.put_nowait(incoming)
        results.put_nowait(await incoming.ringing(10))
        incoming.ring()
        incoming.reject(486)
        await incoming.answer(b"")

    async with endpoint(answer_late) as callee, endpoint() as caller:
        placing = asyncio.create_task(caller.call(uri(callee), sdp=describe().offer()))
        incoming = await rang.get()
        placing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await placing

        assert await results.get() is False
        assert not incoming.is_waiting
        assert repr(incoming) == f"IncomingCall({incoming.call_id})"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_callee_that_rings_too_long_is_given_up() -> None:
    async def ring_on(incoming: IncomingCall) -> None:
        incoming.ring()
        await incoming.ringing(10)

    async with endpoint(ring_on) as callee, endpoint() as caller:
        with pytest.raises(SetupError, match=r"did not answer within 0\.05 s"):
            await caller.call(uri(callee), sdp=describe().offer(), timeout_s=0.05)


async def test_a_callee_that_is_not_there_is_given_up() -> None:
    async with phone() as silent, endpoint(settings=SipSettings(listen=LOOPBACK, timers=FAST)) as caller:
        with pytest.raises(SetupError, match="did not answer: no answer"):
            await caller.call(uri(silent), sdp=describe().offer())

        assert caller.calls == 0


@pytest.mark.parametrize(
    ("target", "message"),
    [("hello", "is not a SIP URI"), (f"sip:x@{NOWHERE}", "has no IPv4 address")],
)
async def test_an_address_that_leads_nowhere_says_so(target: str, message: str) -> None:
    async with endpoint() as caller:
        with pytest.raises(SetupError, match=message):
            await caller.call(target, sdp=b"")


async def test_the_bridge_lets_it_ring_as_long_as_it_is_told() -> None:
    settings = SipSettings(listen=LOOPBACK, answer_after_ms=60)
    loop = asyncio.get_running_loop()

    async with endpoint(serve_until_it_ends, settings) as callee, endpoint() as caller:
        began_s = loop.time()
        call = await caller.call(uri(callee), sdp=describe().offer())

        assert loop.time() - began_s >= 0.055
        await call.hangup()


async def test_a_delayed_offer_is_made_by_us_and_answered_in_the_ack() -> None:
    answers: asyncio.Queue[bytes] = asyncio.Queue()

    async def offer(incoming: IncomingCall) -> None:
        assert incoming.sdp == b""
        call = await incoming.answer(describe(50000).offer())
        answers.put_nowait(await call.answered_sdp())
        await call.ended

    async with endpoint(offer) as callee, phone(callee) as caller:
        caller.say(caller.invite(body=b""))
        await caller.heard.get()
        success = parsed_response(await caller.heard.get())
        assert (success.status, b"m=audio 50000" in success.body) == (200, True)

        caller.say(raw("ACK", branch="z9hG4bKa", to_tag=success.to.tag, body=OFFER))

        assert await answers.get() == OFFER


async def test_a_caller_that_never_acknowledges_is_hung_up_on() -> None:
    ended: asyncio.Queue[str] = asyncio.Queue()

    async def answer(incoming: IncomingCall) -> None:
        call = await incoming.answer(describe(50000).answer(incoming.sdp))
        try:
            await call.confirmed()
        except CallEnded as end:
            ended.put_nowait(end.reason)

    settings = SipSettings(listen=LOOPBACK, timers=FAST)
    async with endpoint(answer, settings) as callee, phone(callee) as caller:
        caller.say(caller.invite())

        assert await ended.get() == "no ack"
        heard = [await caller.heard.get() for _ in range(caller.heard.qsize())]
        assert heard[-1].startswith(b"BYE ")
        assert sum(data.startswith(b"SIP/2.0 200") for data in heard) > 3


async def test_a_reinvite_reaches_the_call_and_its_answer_the_peer() -> None:
    offers: list[bytes] = []
    answers: asyncio.Queue[bytes] = asyncio.Queue()
    calls: asyncio.Queue[SipCall] = asyncio.Queue()

    async def answer(incoming: IncomingCall) -> None:
        ours = describe(50000)
        call = await incoming.answer(ours.answer(incoming.sdp))

        def renegotiate(offer: bytes) -> bytes:
            offers.append(offer)
            return ours.answer(offer) if offer else ours.offer()

        call.on_reinvite = renegotiate
        call.on_answer = answers.put_nowait
        calls.put_nowait(call)
        await call.ended

    async with endpoint(answer) as callee, phone(callee) as caller:
        hold = OFFER + b"a=sendonly\r\n"
        caller.say(caller.invite())
        await caller.heard.get()
        tag = parsed_response(await caller.heard.get()).to.tag
        caller.say(raw("ACK", branch="z9hG4bKa1", to_tag=tag))
        call = await calls.get()
        caller.say(caller.invite(branch="z9hG4bK2", number=2, to_tag=tag, body=hold))
        held = parsed_response(await caller.heard.get())
        caller.say(raw("ACK", branch="z9hG4bKa2", to_tag=tag, number=2))
        assert (held.status, b"a=recvonly" in held.body) == (200, True)
        assert call.remote_sdp == hold

        caller.say(caller.invite(branch="z9hG4bK3", number=3, to_tag=tag, body=b""))
        assert b"m=audio 50000" in parsed_response(await caller.heard.get()).body
        caller.say(raw("ACK", branch="z9hG4bKa3", to_tag=tag, number=3, body=OFFER))

        assert await answers.get() == OFFER
        assert call.remote_sdp == OFFER
        assert offers == [hold, b""]


async def test_an_answer_that_nobody_waits_for_is_kept_all_the_same() -> None:
    calls: asyncio.Queue[SipCall] = asyncio.Queue()

    async def answer(incoming: IncomingCall) -> None:
        call = await incoming.answer(describe(50000).answer(incoming.sdp))
        call.on_reinvite = lambda offer: describe(50000).offer()
        calls.put_nowait(call)
        await call.ended

    async with endpoint(answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        await caller.heard.get()
        tag = parsed_response(await caller.heard.get()).to.tag
        call = await calls.get()
        caller.say(raw("ACK", branch="z9hG4bKa1", to_tag=tag))
        caller.say(caller.invite(branch="z9hG4bK3", number=3, to_tag=tag, body=b""))
        await caller.heard.get()
        caller.say(raw("ACK", branch="z9hG4bKa3", to_tag=tag, number=3, body=OFFER + b"a=x\r\n"))
        caller.say(raw("BYE", branch="z9hG4bKb", to_tag=tag, number=4))
        await call.ended

        assert call.remote_sdp == OFFER + b"a=x\r\n"


@pytest.mark.parametrize(
    ("fault", "status"), [(None, 488), (NegotiationError("no codec"), 488), (ValueError("a bug"), 500)]
)
async def test_a_reinvite_that_cannot_be_served_leaves_the_call_as_it_was(
    fault: Exception | None, status: int
) -> None:
    async def answer(incoming: IncomingCall) -> None:
        call = await incoming.answer(describe(50000).answer(incoming.sdp))

        def renegotiate(offer: bytes) -> bytes:
            assert fault is not None
            raise fault

        call.on_reinvite = renegotiate if fault is not None else None
        await call.ended

    async with endpoint(answer) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        await caller.heard.get()
        tag = parsed_response(await caller.heard.get()).to.tag
        caller.say(raw("ACK", branch="z9hG4bKa1", to_tag=tag))

        caller.say(caller.invite(branch="z9hG4bK2", number=2, to_tag=tag))

        assert parsed_response(await caller.heard.get()).status == status
        assert callee.calls == 1


async def test_progress_is_heard_and_a_repeated_success_acknowledged_again() -> None:
    async with phone() as callee, endpoint() as caller:
        callee.peer = caller.listen
        placing = asyncio.create_task(
            caller.call(uri(callee), sdp=describe().offer(), headers=(("X-Trace", "7"),))
        )
        invite = parsed_request(await callee.heard.get())
        assert invite.headers.get("X-Trace") == "7"
        host, port = callee.address
        callee.say(bytes(reply(invite, 180)))
        success = bytes(reply(invite, 200, contact=f"<sip:c@{host}:{port}>", body=OFFER))
        callee.say(success)
        call = await placing
        assert call.remote_sdp == OFFER
        assert (await callee.heard.get()).startswith(b"ACK ")

        callee.say(success)

        assert (await callee.heard.get()).startswith(b"ACK ")


async def test_draining_refuses_new_calls_and_keeps_the_old() -> None:
    async with endpoint(serve_until_it_ends) as callee, endpoint() as caller:
        call = await caller.call(uri(callee), sdp=describe().offer())

        callee.drain()

        with pytest.raises(CallRefused) as caught:
            await caller.call(uri(callee), sdp=describe().offer())
        assert caught.value.status == 503
        assert not call.ended.done()


async def test_closing_hangs_up_every_call_and_refuses_who_still_waits() -> None:
    arrived = asyncio.Event()

    async def answer_first_only(incoming: IncomingCall) -> None:
        if incoming.to_user == "first":
            await serve_until_it_ends(incoming)
        arrived.set()
        await incoming.ringing(10)

    async with endpoint(answer_first_only) as callee, endpoint() as caller:
        call = await caller.call(uri(callee, "first"), sdp=describe().offer())
        waiting = asyncio.create_task(caller.call(uri(callee, "second"), sdp=describe().offer()))
        await arrived.wait()

        await callee.close()
        await callee.close()

        assert await call.ended == "callee hung up"
        with pytest.raises(CallRefused, match="503"):
            await waiting
        assert callee.calls == 0


async def test_closing_does_not_wait_for_a_peer_that_has_vanished() -> None:
    async with endpoint(serve_until_it_ends) as callee, phone(callee) as caller:
        caller.say(caller.invite())
        await caller.heard.get()
        tag = parsed_response(await caller.heard.get()).to.tag
        caller.say(raw("ACK", branch="z9hG4bKa1", to_tag=tag))
        async with asyncio.timeout(3):
            await callee.close()

        assert callee.calls == 1


async def test_a_taken_port_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(LOOPBACK)
        port = holder.getsockname()[1]

        with pytest.raises(
            SetupError, match=rf"sip\.listen 127\.0\.0\.1:{port} \(udp\) is taken by .*--set sip\.listen="
        ):
            async with endpoint(settings=SipSettings(listen=("127.0.0.1", port))):
                pass


async def test_a_wrong_network_is_named_and_frees_the_port() -> None:
    with pytest.raises(ConfigError, match=r"sip\.allow"):
        async with endpoint(settings=SipSettings(listen=LOOPBACK, allow=("x",))):
            pass


async def test_strangers_and_rubbish_cost_one_counter_each() -> None:
    settings = SipSettings(listen=LOOPBACK, allow=("192.0.2.0/24",))
    async with endpoint(settings=settings) as closed, endpoint() as open_, phone() as caller:
        caller.peer = closed.listen
        caller.say(raw("OPTIONS"))
        caller.peer = open_.listen
        caller.say(b"rubbish\r\n\r\n")
        caller.say(raw("OPTIONS", via=f"SIP/2.0/UDP 127.0.0.1:{caller.address[1]}"))

        assert parsed_response(await caller.heard.get()).status == 200
        assert closed.counters["strangers"] == 1
        assert open_.counters["malformed"] == 1


async def test_datagrams_to_a_name_are_looked_up_and_lost_ones_counted() -> None:
    async def answer(incoming: IncomingCall) -> None:
        call = await incoming.answer(describe(50000).answer(incoming.sdp))
        await call.confirmed()
        await call.hangup()

    settings = SipSettings(listen=LOOPBACK, timers=FAST)
    async with endpoint(answer, settings) as callee, phone(callee) as caller:
        for number, host in enumerate(("localhost", NOWHERE)):
            contact = f"<sip:p@{host}:{caller.address[1]}>"
            caller.say(caller.invite(branch=f"z9hG4bK{number}", call_id=f"c{number}", contact=contact))
            await caller.heard.get()
            tag = parsed_response(await caller.heard.get()).to.tag
            caller.say(raw("ACK", branch=f"z9hG4bKa{number}", call_id=f"c{number}", to_tag=tag))
            if host == "localhost":
                while not (heard := await caller.heard.get()).startswith(b"BYE "):
                    pass
                caller.say(bytes(reply(parsed_request(heard), 200, to_tag="phone")))
        await callee.close()

        assert callee.counters["send_errors"] >= 1


async def test_a_datagram_that_the_kernel_refuses_is_counted() -> None:
    async with endpoint() as caller:
        with pytest.raises(SetupError):
            # A broadcast address: the kernel refuses it to a socket that has not asked for broadcast.
            await caller.call("sip:x@255.255.255.255", sdp=b"", timeout_s=0.05)

        assert caller.counters["send_errors"] >= 1


async def test_a_datagram_costs_no_more_memory_than_it_can_have() -> None:
    async with endpoint() as served:
        assert served._wire._transport.max_size == MAX_DATAGRAM_BYTES  # type: ignore[attr-defined]


async def test_our_address_depends_on_who_asks() -> None:
    async with endpoint(settings=SipSettings(listen=("0.0.0.0", 0), advertised_ip="198.51.100.7")) as served:
        assert served.local_ip("127.0.0.1") == "127.0.0.1"
        assert served.local_ip("sip:x@127.0.0.1:5060") == "127.0.0.1"
        assert served.local_ip("192.0.2.1") == "198.51.100.7"
        assert served.local_ip("sip:x@phone.example.com") == "198.51.100.7"
