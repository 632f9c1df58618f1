import socket

import pytest

from bridge.aio.sip import IncomingCall, SipSettings
from bridge.aio.sip_wire import MAX_DATAGRAM_BYTES
from bridge.errors import SetupError
from tests.aio.sip_phones import FAST, LOOPBACK, NOWHERE, describe, endpoint, phone
from tests.sip.messages import parsed_request, parsed_response, raw, reply


async def test_a_taken_port_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as holder:
        holder.bind(LOOPBACK)
        port = holder.getsockname()[1]

        with pytest.raises(
            SetupError, match=rf"sip\.listen 127\.0\.0\.1:{port} \(udp\) is taken by .*--set sip\.listen="
        ):
            async with endpoint(settings=SipSettings(listen=("127.0.0.1", port))):
                pass


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
        sizes = [transport.max_size for transport in served._wire._udp._transports.values()]  # type: ignore[attr-defined]
        assert sizes == [MAX_DATAGRAM_BYTES]
