"""Calls over TCP, TLS and WebSocket between two endpoints on loopback, and peers that misbehave."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from bridge.aio.certificates import self_made, server_context
from bridge.aio.sip import SipCall, SipEndpoint, SipSettings
from bridge.aio.sip_lines import LineLimits
from bridge.errors import SetupError
from bridge.sip.flow import Address
from tests.aio.cosyvoice_fake import eventually
from tests.aio.sip_phones import FAST, LOOPBACK, describe, endpoint, serve_until_it_ends
from tests.sip.messages import OFFER, parsed_request, parsed_response, raw


def over(callee: SipEndpoint, transport: str) -> str:
    return f"sip:hello@127.0.0.1:{callee.ports[transport.upper()]};transport={transport}"


def tls_settings(folder: Path) -> SipSettings:
    made = self_made(folder, ["127.0.0.1", "localhost"])
    return SipSettings(
        listen=LOOPBACK,
        tls_listen=(LOOPBACK,),
        tls=server_context(made, setting="sip.tls_cert"),
        tls_client=ssl.create_default_context(cafile=str(made.certificate)),
        ws_listen=(LOOPBACK,),
        close_within_s=0.5,
    )


@asynccontextmanager
async def stream(callee: SipEndpoint) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", callee.ports["TCP"])
    yield reader, writer
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


async def message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return head + await reader.readexactly(length)


async def test_udp_and_tcp_have_one_port() -> None:
    async with endpoint() as served:
        assert served.ports["TCP"] == served.ports["UDP"] == served.listen[1]


@pytest.mark.parametrize("transport", ["tcp", "tls"])
async def test_a_call_over_a_connection_stays_on_it(tmp_path: Path, transport: str) -> None:
    settings = tls_settings(tmp_path)
    async with endpoint(serve_until_it_ends, settings) as callee, endpoint(settings=settings) as caller:
        call = await caller.call(over(callee, transport), sdp=describe().offer())
        assert callee.counters["connections"] == caller.counters["connections"] == 1
        other = await caller.call(over(callee, transport), sdp=describe().offer())
        assert callee.counters["connections"] == 1
        await call.hangup()
        await other.hangup()
        await eventually(lambda: not (callee.calls or caller.calls))


async def test_who_is_called_by_sips_is_called_by_tls_and_by_nothing_else(tmp_path: Path) -> None:
    settings = tls_settings(tmp_path)
    async with endpoint(serve_until_it_ends, settings) as callee, endpoint(settings=settings) as caller:
        target = f"sips:hello@127.0.0.1:{callee.ports['TLS']}"
        call = await caller.call(target, sdp=describe().offer())
        assert callee.counters["connections"] == 1
        await call.hangup()
        with pytest.raises(SetupError, match="by TLS only"):
            await caller.call(target, sdp=b"", targets=[Address("127.0.0.1", callee.listen[1], "UDP")])
        await eventually(lambda: not (callee.calls or caller.calls))


async def test_the_callee_hangs_up_on_the_callers_connection(tmp_path: Path) -> None:
    served: asyncio.Queue[SipCall] = asyncio.Queue()

    async def answer(incoming: object) -> None:
        call = await incoming.answer(describe(50000).answer(incoming.sdp))  # type: ignore[attr-defined]
        served.put_nowait(call)
        await call.confirmed()
        await call.hangup()

    async with (
        endpoint(answer) as callee,
        endpoint(settings=SipSettings(listen=LOOPBACK, tcp=False)) as caller,
    ):
        call = await caller.call(over(callee, "tcp"), sdp=describe().offer())
        assert await call.ended == "callee hung up"
        assert callee.counters["connections"] == 1


async def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    settings = tls_settings(tmp_path / "one")
    stranger = tls_settings(tmp_path / "two")
    async with endpoint(serve_until_it_ends, settings) as callee, endpoint(settings=stranger) as caller:
        with pytest.raises(SetupError, match="did not answer"):
            await caller.call(over(callee, "tls"), sdp=describe().offer())
        assert caller.counters["send_errors"] == 1
        assert "calls_received" not in callee.counters


async def test_a_callee_without_a_port_is_known_at_once() -> None:
    async with endpoint(settings=SipSettings(listen=LOOPBACK, tcp=False)) as silent, endpoint() as caller:
        port = silent.listen[1]
        begin_s = asyncio.get_running_loop().time()
        with pytest.raises(SetupError, match="did not answer"):
            await caller.call(f"sip:x@127.0.0.1:{port};transport=tcp", sdp=b"")
        assert asyncio.get_running_loop().time() - begin_s < 5


async def test_a_web_page_calls_and_is_hung_up_on_its_own_connection(tmp_path: Path) -> None:
    served: asyncio.Queue[SipCall] = asyncio.Queue()

    async def answer(incoming: object) -> None:
        call = await incoming.answer(describe(50000).answer(incoming.sdp))  # type: ignore[attr-defined]
        await call.confirmed()
        served.put_nowait(call)
        await call.ended

    settings = SipSettings(
        listen=LOOPBACK, ws_listen=(LOOPBACK,), timers=FAST, ws_origins=("https://shop.example",)
    )
    async with endpoint(answer, settings) as callee, aiohttp.ClientSession() as client:
        url = f"http://127.0.0.1:{callee.ports['WS']}/"
        origin = {"Origin": "https://shop.example"}
        async with client.ws_connect(url, protocols=("sip",), headers=origin) as page:
            via, contact = "SIP/2.0/WS abc.invalid", "<sip:me@abc.invalid;transport=ws>"
            await page.send_str(raw("INVITE", via=via, contact=contact, body=OFFER).decode())
            assert (await page.receive_str()).startswith("SIP/2.0 100 ")
            ok = parsed_response((await page.receive_str()).encode())
            assert ok.status == 200
            assert f":{callee.ports['WS']};transport=ws>" in (ok.headers.get("Contact") or "")
            ack = raw("ACK", via=via, branch="z9hG4bK2", to_tag=ok.to.tag)
            await page.send_bytes(ack)
            call = await served.get()
            await call.hangup()
            while (heard := await page.receive_str()).startswith("SIP/2.0 200 "):
                pass  # said again until our ACK was read
            bye = parsed_request(heard.encode())
            assert (bye.method, bye.via.transport, bye.uri) == (
                "BYE",
                "WS",
                "sip:me@abc.invalid;transport=ws",
            )
            await page.send_str("\r\n\r\n")
            assert await page.receive_str() == "\r\n"


@pytest.mark.parametrize(
    ("protocols", "origin", "status"),
    [((), "", 400), (("sip",), "https://evil.example", 403), (("xmpp",), "", 400)],
)
async def test_other_pages_and_other_protocols_get_no_socket(
    protocols: tuple[str, ...], origin: str, status: int
) -> None:
    async with (
        endpoint(settings=SipSettings(listen=LOOPBACK, ws_listen=(LOOPBACK,))) as callee,
        aiohttp.ClientSession() as client,
    ):
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await client.ws_connect(
                f"http://127.0.0.1:{callee.ports['WS']}/",
                protocols=protocols,
                headers={"Origin": origin} if origin else {},
            )
        assert caught.value.status == status


async def test_a_ping_gets_its_pong_and_a_drop_of_nonsense_ends_the_connection() -> None:
    async with endpoint() as callee, stream(callee) as (reader, writer):
        writer.write(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"\r\n"
        writer.write(raw("OPTIONS", via="SIP/2.0/TCP 192.0.2.2:5060") * 2)
        assert [parsed_response(await message(reader)).status for _ in range(2)] == [200, 200]
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""


async def test_a_silent_connection_and_one_in_drops_are_closed() -> None:
    limits = LineLimits(greeting_s=0.1, idle_s=30)
    settings = SipSettings(listen=LOOPBACK, lines=limits)
    async with endpoint(settings=settings) as callee, stream(callee) as (reader, _):
        assert await reader.read() == b""
    async with endpoint(settings=settings) as callee, stream(callee) as (reader, writer):
        with suppress(ConnectionError):
            for byte in b"OPTIONS ":
                writer.write(bytes([byte]))
                await asyncio.sleep(0.02)
            assert await reader.read() == b""
        assert callee.counters["connections"] == 0


async def test_connections_of_one_source_have_a_limit() -> None:
    settings = SipSettings(listen=LOOPBACK, lines=LineLimits(most_per_source=2))
    async with endpoint(settings=settings) as callee, stream(callee) as one, stream(callee) as two:
        for reader, writer in (one, two):
            writer.write(b"\r\n\r\n")
            await reader.readexactly(2)
        async with stream(callee) as (reader, _):
            with suppress(ConnectionError):
                assert await reader.read() == b""
        assert callee.counters["connections_refused"] == 1


async def test_a_peer_that_does_not_read_is_left() -> None:
    limits = LineLimits(unsent_bytes=1000)
    settings = SipSettings(listen=LOOPBACK, lines=limits, max_requests_per_s=100_000)
    asked = raw(
        "OPTIONS",
        via="SIP/2.0/TCP 192.0.2.2:5060",
        extra=tuple(f"Via: SIP/2.0/TCP {'h' * 9000}:{n}" for n in (1, 2)),
    )
    async with endpoint(settings=settings) as callee, stream(callee) as (_, writer):
        for number in range(2000):
            writer.write(asked.replace(b"z9hG4bK1", f"z9hG4bK{number}".encode()))
            if writer.transport.get_write_buffer_size() > 1 << 20:
                break
        await eventually(lambda: callee.counters["connections"] == 0)
        assert callee.counters["connections_refused"] == 0  # it was let in, and then left


@pytest.mark.parametrize("flood", [b"\r\n\r\n", b"A\r\nl:0\r\n\r\n"], ids=["pings", "nonsense"])
async def test_a_peer_that_says_very_much_takes_turns_with_the_others(flood: bytes) -> None:
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    async with endpoint() as served, stream(served) as (reader, writer):
        counting = asyncio.create_task(count())
        writer.write(flood * (65_536 // len(flood)))
        writer.write_eof()
        async with asyncio.timeout(10):
            pongs = await reader.read()
        counting.cancel()

    # 64 KiB at one go were two or three turns.
    assert turns > 16
    assert len(pongs) < 200
