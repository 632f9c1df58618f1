"""Signalling over IPv6, alone and beside IPv4, on every transport."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from bridge.aio.certificates import self_made, server_context
from bridge.aio.sip import IncomingCall, SipSettings
from bridge.aio.sip_lines import Line, LineLimits, Lines
from bridge.aio.sip_wire import SipWire
from bridge.clock import SystemClock
from bridge.errors import SetupError
from bridge.sip.flow import Address
from tests.aio.sip_phones import FAST, LOOPBACK, describe, endpoint, serve_until_it_ends
from tests.sip.messages import OFFER, parsed_response, raw

SIX = ("::1", 0)
ALLOW = ("127.0.0.0/8", "::1/128")


def settings(*listen: tuple[str, int], **others: object) -> SipSettings:
    also = listen[1] if len(listen) > 1 else None
    made = {"allow": ALLOW, "close_within_s": 0.5, "timers": FAST, **others}
    return SipSettings(listen=listen[0], listen_also=also, **made)  # type: ignore[arg-type]


def secured(folder: Path, *listen: tuple[str, int]) -> SipSettings:
    made = self_made(folder, ["::1", "127.0.0.1"])
    return settings(
        *listen,
        tls_listen=listen,
        ws_listen=listen,
        tls=server_context(made, setting="sip.tls_cert"),
        tls_client=ssl.create_default_context(cafile=str(made.certificate)),
    )


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
@pytest.mark.parametrize("host", ["[::1]", "127.0.0.1"])
async def test_one_line_serves_both_families_over_every_transport(
    tmp_path: Path, host: str, transport: str
) -> None:
    both = secured(tmp_path, LOOPBACK, SIX)
    ours = SIX if host == "[::1]" else LOOPBACK
    seen: list[IncomingCall] = []

    async def answer(incoming: IncomingCall) -> None:
        seen.append(incoming)
        await serve_until_it_ends(incoming)

    async with endpoint(answer, both) as callee, endpoint(settings=secured(tmp_path, ours)) as caller:
        name = transport.upper() + ("6" if host == "[::1]" else "")
        uri = f"sip:hello@{host}:{callee.ports[name]};transport={transport}"
        call = await caller.call(uri, sdp=describe().offer(), timeout_s=5)
        await call.hangup()

        (incoming,) = seen
        assert incoming.source[0] == incoming.local_ip == host.strip("[]")


async def test_an_answer_says_how_it_is_reached_over_ipv6() -> None:
    async with endpoint(serve_until_it_ends, settings(LOOPBACK, SIX)) as callee:
        port = callee.ports["UDP6"]
        assert port != callee.ports["UDP"] == callee.listen[1]
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as phone:
            phone.bind(SIX)
            phone.setblocking(False)
            own = phone.getsockname()[1]
            # Another spelling of the same address is no sign of a NAT.
            invite = raw(
                "INVITE",
                via=f"SIP/2.0/UDP [0:0::1]:{own}",
                contact=f"<sip:p@[::1]:{own}>",
                body=OFFER,
            )
            phone.sendto(invite, ("::1", port))
            loop = asyncio.get_running_loop()
            while (answer := parsed_response(await loop.sock_recv(phone, 4096))).status < 200:
                pass

        assert answer.headers.get("Contact") == f"<sip:cosybridge@[::1]:{port}>"
        assert "received" not in (answer.headers.get("Via") or "")


async def test_who_is_of_a_family_that_we_have_no_socket_of_is_not_called() -> None:
    async with endpoint(settings=settings(LOOPBACK)) as ours:
        assert ours.local_ip("::1") == "127.0.0.1"
        assert ours.local_ip("sip:x@[::1]:5070") == "127.0.0.1"
        with pytest.raises(SetupError, match=r"sip\.listen"):
            await ours.call("sip:x@[::1]:5070", sdp=b"")
        with pytest.raises(SetupError, match=r"sip\.listen has no address of that family"):
            await ours.call("sip:x@[::1]:5070", sdp=b"", targets=[("::1", 5070)])


async def test_a_datagram_to_a_family_without_a_socket_is_counted() -> None:
    def ignore(data: bytes, source: tuple[str, int]) -> None: ...

    wire = SipWire(ignore, SystemClock())
    await wire.add(SIX, advertised_ip="2001:db8::7")

    assert not wire.send(b"", ("192.0.2.1", 5060))

    assert wire.send_errors == 1
    assert wire.local_ip("2001:db8::1") == "2001:db8::7"
    assert wire.local_ip("::1") == "::1"
    wire.close()


async def test_a_taken_port_of_ipv6_is_named_with_brackets() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as holder:
        holder.bind(SIX)
        port = holder.getsockname()[1]

        with pytest.raises(SetupError, match=rf"sip\.listen \[::1\]:{port} \(udp\) is taken by"):
            async with endpoint(settings=settings(LOOPBACK, ("::1", port))):
                pass


async def test_a_number_that_is_free_for_udp_only_is_left() -> None:
    with socket.create_server(SIX, family=socket.AF_INET6) as holder:
        port = holder.getsockname()[1]

        with pytest.raises(SetupError, match=rf"\[::1\]:{port} \(tcp\) is taken"):
            async with endpoint(settings=settings(LOOPBACK, ("::1", port))):
                pass


def test_one_network_of_64_bits_has_the_connections_of_one_source() -> None:
    lines = Lines(LineLimits(most_per_source=1), on_cut=lambda _: None)

    class Open(Line):
        def send(self, data: bytes) -> None: ...

        def close(self) -> None: ...

    first = Open(Address("2001:db8::1", 5060, "TCP", lines.number()))
    lines.enter(first)
    assert not lines.has_room("2001:db8::2")
    assert lines.has_room("2001:db8:0:1::2")

    lines.leave(first)

    assert lines.has_room("2001:db8::2")
