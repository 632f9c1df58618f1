"""Calls and registrations to domains: DNS says where their servers are, and some of those do not serve."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

from bridge.aio.registrar import Registrar
from bridge.aio.sip import CallRefused, IncomingCall, SipEndpoint, SipSettings
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.errors import SetupError
from bridge.sip.digest import Credentials
from bridge.sip.message import respond
from bridge.sip.registration import Account, Registered
from bridge.sip.timers import DEFAULT_TIMERS, Timers
from tests.aio.cosyvoice_fake import eventually
from tests.aio.sip_certificates import certificate, client, server
from tests.aio.sip_phones import (
    FAST,
    LOOPBACK,
    Phone,
    describe,
    endpoint,
    phone,
    refuse,
    serve_until_it_ends,
)
from tests.dns_server import DnsServer, dns_server
from tests.fakes import MS
from tests.sip.messages import parsed_request

LENA = Credentials("lena", "open sesame")
A = {("a.example", "A"): ["127.0.0.1"]}


def srv(service: str, *ports: int) -> dict[tuple[str, str], list[str]]:
    """Servers of example.com in this order, all on one host."""
    records = [f"{place} 0 {port} a.example." for place, port in enumerate(ports)]
    return {(f"{service}.example.com", "SRV"): records, **A}


@asynccontextmanager
async def caller(
    zone: dict[tuple[str, str], list[str]], **parts: object
) -> AsyncIterator[tuple[SipEndpoint, DnsServer]]:
    async with dns_server(zone) as dns:
        made = {"listen": LOOPBACK, "timers": FAST, "close_within_s": 0.1, **parts}
        settings = SipSettings(dns_servers=(dns.address,), **made)  # type: ignore[arg-type]
        async with endpoint(settings=settings) as line:
            yield line, dns


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A TCP port of loopback that nobody listens on, and nobody can take meanwhile."""
    with socket.socket() as holder:
        holder.bind(LOOPBACK)
        yield holder.getsockname()[1]


async def heard(line: Phone) -> int:
    return line.heard.qsize()


async def test_a_silent_server_is_passed_and_tried_last_from_then_on() -> None:
    async with phone() as silent, endpoint(serve_until_it_ends) as served:
        zone = srv("_sip._udp", silent.address[1], served.listen[1])
        async with caller(zone) as (ours, _):
            call = await ours.call("sip:hello@example.com", sdp=describe().offer(), timeout_s=10)
            await call.hangup()
            invites = await heard(silent)
            assert invites > 1  # UDP repeats
            call = await ours.call("sip:hello@example.com", sdp=describe().offer(), timeout_s=10)
            await call.hangup()

            assert await heard(silent) == invites
            assert ours.counters["failovers"] == 1
            assert served.counters["calls_received"] == 2
            await eventually(lambda: not ours.calls)


async def test_both_servers_see_one_call() -> None:
    async with phone() as silent, phone() as other:
        zone = srv("_sip._udp", silent.address[1], other.address[1])
        async with caller(zone) as (ours, _):
            calling = asyncio.create_task(ours.call("sip:x@example.com", sdp=b"v=0\r\n", timeout_s=5))
            first = parsed_request(await silent.heard.get())
            second = parsed_request(await other.heard.get())
            other.peer = ours.listen
            other.say(bytes(respond(second, 486, source=other.peer, to_tag="b")))
            with pytest.raises(CallRefused, match="486"):
                await calling

    assert (first.call_id, first.from_.tag, str(first.cseq)) == (
        second.call_id,
        second.from_.tag,
        str(second.cseq),
    )
    assert first.via.branch != second.via.branch


async def test_a_closed_port_is_passed_at_once(closed_port: int) -> None:
    async with endpoint(serve_until_it_ends) as served:
        zone = srv("_sip._tcp", closed_port, served.listen[1])
        async with caller(zone) as (ours, _):
            call = await ours.call("sip:hello@example.com", sdp=describe().offer(), timeout_s=5)
            assert served.counters["connections"] == 1
            await call.hangup()
            await eventually(lambda: not ours.calls)


async def test_a_server_that_drains_is_passed() -> None:
    async with endpoint(refuse) as drained, endpoint(serve_until_it_ends) as served:
        drained.drain()
        zone = srv("_sip._udp", drained.listen[1], served.listen[1])
        async with caller(zone) as (ours, _):
            call = await ours.call("sip:hello@example.com", sdp=describe().offer(), timeout_s=5)
            assert ours.counters["failovers"] == 1
            assert call.remote_sdp
            await call.hangup()
            await eventually(lambda: not ours.calls)


async def test_a_call_fails_when_no_server_is_left(closed_port: int) -> None:
    async with endpoint(refuse) as drained:
        drained.drain()
        zone = srv("_sip._tcp", closed_port, drained.listen[1])
        async with caller(zone) as (ours, _):
            with pytest.raises(CallRefused, match="503"):
                await ours.call("sip:hello@example.com", sdp=describe().offer(), timeout_s=5)
            with pytest.raises(SetupError, match=f"no TCP connection to 127.0.0.1:{closed_port}"):
                await ours.call(
                    "sip:hello@example.com;transport=tcp",
                    sdp=b"",
                    targets=[("127.0.0.1", closed_port)],
                    timeout_s=5,
                )


async def test_a_caller_waits_for_the_next_server_no_longer_than_is_set() -> None:
    async with phone() as sleepy, endpoint(serve_until_it_ends) as served:
        zone = srv("_sip._udp", sleepy.address[1], served.listen[1])
        # With the timers of the RFC the first one could be silent for 32 s.
        async with caller(zone, timers=DEFAULT_TIMERS, failover_after_ms=500) as (ours, _):
            sleepy.peer = ours.listen
            call = await ours.call("sip:hello@example.com", sdp=describe().offer(), timeout_s=5)
            first = parsed_request(await sleepy.heard.get())
            extra = [("Contact", f"<sip:a@127.0.0.1:{sleepy.address[1]}>")]
            sleepy.say(bytes(respond(first, 200, source=sleepy.peer, to_tag="late", extra=extra)))
            async with asyncio.timeout(5):
                while not (told := await sleepy.heard.get()).startswith(b"BYE "):
                    pass
            sleepy.say(bytes(respond(parsed_request(told), 200, source=sleepy.peer)))
            assert not call.ended.done()
            await call.hangup()
            await eventually(lambda: not ours.calls)


async def test_each_server_may_ring_as_long_as_the_first() -> None:
    slow = SipSettings(listen=LOOPBACK, answer_after_ms=800, close_within_s=0.1)
    async with phone() as silent, endpoint(serve_until_it_ends, slow) as served:
        zone = srv("_sip._udp", silent.address[1], served.listen[1])
        timers = Timers(t1_ns=20 * MS, t2_ns=100 * MS, t4_ns=100 * MS)
        async with caller(zone, timers=timers) as (ours, _):
            # 1.28 s of silence and 0.8 s of ringing are more than this, but neither alone is.
            call = await ours.call("sip:hello@example.com", sdp=describe().offer(), timeout_s=1.8)
            assert ours.counters["failovers"] == 1
            await call.hangup()
            await eventually(lambda: not ours.calls)


async def test_an_explicit_port_asks_for_no_services() -> None:
    async with endpoint(serve_until_it_ends) as served, caller(dict(A)) as (ours, dns):
        call = await ours.call(f"sip:x@a.example:{served.listen[1]}", sdp=describe().offer(), timeout_s=5)
        await call.hangup()
        await eventually(lambda: not ours.calls)

        assert set(dns.asked) == {("a.example", "A"), ("a.example", "AAAA")}


async def test_a_registration_finds_the_registrar_that_serves() -> None:
    async with phone() as silent, phone() as pbx:
        zone = srv("_sip._udp", silent.address[1], pbx.address[1])
        allow = ("192.0.2.0/24",)
        async with caller(zone, allow=allow) as (ours, _):
            found: list[tuple[str, tuple[str, ...]]] = []
            registrar = Registrar(
                Account("carrier", "lena", "example.com", ("example.com", None), LENA),
                ours,
                clock=SystemClock(),
                dice=SystemDice(),
                located=lambda name, ips: found.append((name, ips)),
            )
            registrar.start()
            async with asyncio.timeout(5):
                first = parsed_request(await silent.heard.get())
                second = parsed_request(await pbx.heard.get())
                pbx.peer = ours.listen
                extra = [("Expires", "60")]
                pbx.say(bytes(respond(second, 200, source=pbx.peer, to_tag="pbx", extra=extra)))
                await registrar.settled.wait()

            assert registrar.last == Registered(60, pbx.address)
            assert (first.call_id, first.from_.tag) == (second.call_id, second.from_.tag)
            assert found == [("carrier", ("127.0.0.1",))]
            await registrar.close(within_s=0.1)


async def test_a_long_invite_goes_over_tcp_where_somebody_listens_and_over_udp_elsewhere() -> None:
    sources: list[int] = []

    async def answer(incoming: IncomingCall) -> None:
        sources.append(incoming.source[1])
        await serve_until_it_ends(incoming)

    headers = (("X-Long", "x" * 900),)
    deaf = SipSettings(listen=LOOPBACK, tcp=False, close_within_s=0.1)
    async with endpoint(answer) as both, endpoint(answer, deaf) as udp_alone, caller({}) as (ours, _):
        for callee in (both, udp_alone, udp_alone):
            call = await ours.call(
                f"sip:hello@127.0.0.1:{callee.listen[1]}",
                sdp=describe().offer(),
                headers=headers,
                timeout_s=5,
            )
            await call.hangup()
            await eventually(lambda: not ours.calls)

        assert both.counters["connections"] == 1
        assert ours.counters["send_errors"] == 1  # the second time it is known
        assert sources[0] != ours.listen[1] == sources[1] == sources[2]


NAMES = {
    "dns": x509.DNSName("example.com"),
    "sip": x509.UniformResourceIdentifier("sip:example.com"),
    "ip": x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    "other": x509.DNSName("other.example"),
    "server": x509.DNSName("a.example"),
}


@asynccontextmanager
async def secured(
    folder: Path, *names: str, lasts: timedelta = timedelta(days=1)
) -> AsyncIterator[tuple[SipEndpoint, SipEndpoint]]:
    """Who is called over TLS with this certificate, and who calls."""
    made = certificate(folder, *(NAMES[name] for name in names), lasts=lasts)
    settings = SipSettings(listen=LOOPBACK, tls_listen=(LOOPBACK,), tls=server(made), close_within_s=0.1)
    async with endpoint(serve_until_it_ends, settings) as served:
        zone = srv("_sips._tcp", served.ports["TLS"])
        async with caller(zone, tls_client=client(made)) as (ours, _):
            yield served, ours


@pytest.mark.parametrize("names", [("dns",), ("sip",), ("sip", "other"), ("other", "dns")])
async def test_a_certificate_for_the_domain_is_believed_wherever_its_server_is(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    async with secured(tmp_path, *names) as (served, ours):
        call = await ours.call("sips:hello@example.com", sdp=describe().offer(), timeout_s=5)
        await call.hangup()
        await eventually(lambda: not ours.calls)
        assert served.counters["calls_received"] == 1


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("other",), "is for other.example, not for example.com"),
        (("server",), "is for a.example, not for example.com"),
        (("ip",), "is for 127.0.0.1, not for example.com"),
    ],
)
async def test_a_certificate_for_somebody_else_is_refused_with_both_names(
    tmp_path: Path, names: tuple[str, ...], said: str
) -> None:
    async with secured(tmp_path, *names) as (served, ours):
        with pytest.raises(SetupError, match=f"did not answer: the certificate at .* {said}"):
            await ours.call("sips:hello@example.com", sdp=describe().offer(), timeout_s=5)
        assert "calls_received" not in served.counters


async def test_a_certificate_that_is_over_is_refused_and_said(tmp_path: Path) -> None:
    async with secured(tmp_path, "dns", lasts=timedelta(days=-1)) as (served, ours):
        with pytest.raises(SetupError, match=r"of example\.com at .* is not trusted: .*expired"):
            await ours.call("sips:hello@example.com", sdp=describe().offer(), timeout_s=5)
        assert "calls_received" not in served.counters


async def test_a_connection_to_one_domain_does_not_prove_another(tmp_path: Path) -> None:
    async with secured(tmp_path, "dns") as (served, ours):
        call = await ours.call("sips:hello@example.com", sdp=describe().offer(), timeout_s=5)
        place = ("127.0.0.1", served.ports["TLS"])
        with pytest.raises(SetupError, match=r"not for bank\.example"):
            await ours.call("sips:hello@bank.example", sdp=describe().offer(), targets=[place], timeout_s=5)
        assert served.counters["calls_received"] == 1
        again = await ours.call("sips:hello@example.com", sdp=describe().offer(), timeout_s=5)
        assert ours.counters["connections"] == 1
        for each in (call, again):
            await each.hangup()
        await eventually(lambda: not ours.calls)
