"""Trunks whose server is a domain: every address of it is heard, and called in the order that DNS says."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from bridge.aio.sip import SipEndpoint, SipSettings
from bridge.app.assembly import accounts, sip_settings, trunks
from bridge.app.settings import Config, SipSection
from bridge.app.trunk_settings import TrunkSection
from bridge.app.trunking import TrunkOffice
from bridge.call.routes import Route
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.sip.flow import Address
from bridge.sip.message import respond
from bridge.sip.registration import Account
from bridge.sip.trunks import Trunk
from tests.aio.cosyvoice_fake import eventually
from tests.aio.sip_phones import FAST, LOOPBACK, Phone, endpoint, phone
from tests.aio.test_registrar import LENA
from tests.app.test_trunking import TRUNK, Line, admitted
from tests.dns_server import dns_server
from tests.sip.messages import parsed_request

DOMAIN = replace(TRUNK, server=("carrier.example", None), allow=(), max_calls=9)
ZONE = {
    ("_sip._udp.carrier.example", "SRV"): ["2 0 5070 b.example.", "1 0 5080 a.example."],
    ("a.example", "A"): ["127.0.0.2", "127.0.0.3"],
    ("b.example", "A"): ["127.0.0.4"],
    ("carrier.example", "A"): ["127.0.0.5"],
}


@asynccontextmanager
async def office(
    line: Line,
    trunk: Trunk,
    *,
    zone: dict[tuple[str, str], list[str]] = ZONE,
    registrations: Sequence[Account] = (),
) -> AsyncIterator[tuple[TrunkOffice, SipEndpoint]]:
    made = TrunkOffice([trunk], registrations, line.answer, clock=SystemClock(), dice=SystemDice())
    async with dns_server(zone) as dns:
        settings = SipSettings(
            listen=LOOPBACK,
            allow=("192.0.2.0/24",),
            close_within_s=0.1,
            timers=FAST,
            dns_servers=(dns.address,),
        )
        async with endpoint(made.answer, settings) as sip:
            made.open(sip)
            try:
                yield made, sip
            finally:
                await made.close()


async def test_a_trunk_may_call_from_every_address_of_its_domain() -> None:
    line = Line()
    line.over.set()
    async with office(line, DOMAIN) as (made, sip):
        await eventually(lambda: made.book.of_caller("127.0.0.4", "lena") == "carrier")
        loop = asyncio.get_running_loop()
        for ip in ("127.0.0.3", "127.0.0.4"):
            transport, caller = await loop.create_datagram_endpoint(Phone, local_addr=(ip, 0))
            caller.peer = sip.listen
            caller.say(caller.invite(uri="sip:lena@127.0.0.1", call_id=ip, branch=f"z9hG4bK{ip}"))
            async with asyncio.timeout(3):
                await line.serving.acquire()
            transport.close()

        assert made.book.of_caller("127.0.0.5", "lena") is None
        assert sip.counters.get("strangers", 0) == 0


async def test_calls_are_tried_at_the_servers_of_the_domain_in_order() -> None:
    line = Line()
    line.over.set()
    async with office(line, DOMAIN) as (made, sip):
        await made.dial(line, sip, admitted(made), Route())

    (uri, targets, _) = line.dialled[0]
    assert uri == "sip:+4930123450@pbx.example"
    assert targets == (("127.0.0.2", 5080), ("127.0.0.3", 5080), ("127.0.0.4", 5070))
    assert made.lines() == ["trunk carrier: calls go to carrier.example"]


async def test_the_server_that_has_our_registration_comes_first() -> None:
    line = Line()
    line.over.set()
    async with phone() as pbx:
        zone = {
            ("_sip._udp.carrier.example", "SRV"): [f"1 0 {pbx.address[1]} b.example.", "2 0 5080 a.example."],
            ("a.example", "A"): ["127.0.0.1"],
            ("b.example", "A"): ["127.0.0.1"],
        }
        account = Account("carrier", "lena", "pbx.example", ("carrier.example", None), LENA)
        async with office(line, DOMAIN, zone=zone, registrations=(account,)) as (made, sip):
            request = parsed_request(await pbx.heard.get())
            pbx.peer = sip.listen
            pbx.say(bytes(respond(request, 200, source=pbx.peer, to_tag="pbx")))
            await made.settled(within_s=3)
            zone["_sip._udp.carrier.example", "SRV"] = []
            zone["carrier.example", "A"] = []
            await made.dial(line, sip, admitted(made), Route())

            assert line.dialled[0][1] == (pbx.address, ("127.0.0.1", 5080))
            assert request.uri == "sip:pbx.example"


async def test_a_trunk_over_tls_without_a_port_is_at_5061() -> None:
    config = Config(
        sip=SipSection(dns_servers=(("127.0.0.1", 5353),), max_udp_bytes=1200),
        trunks=(
            TrunkSection.model_validate(
                {
                    "name": "carrier",
                    "server": "192.0.2.7",
                    "transport": "tls",
                    "dials": ["+49*"],
                    "user": "lena",
                    "registers": True,
                }
            ),
        ),
    )
    (trunk,), (account,) = trunks(config), accounts(config)
    line = Line()
    line.over.set()
    async with office(line, trunk) as (made, sip):
        await made.dial(line, sip, admitted(made), Route())

    ((target,),) = (dialled[1] for dialled in line.dialled)
    assert isinstance(target, Address)
    assert (target, target.transport, target.name) == (("192.0.2.7", 5061), "TLS", "192.0.2.7")
    assert account.server == trunk.server == ("192.0.2.7", None)
    settings = sip_settings(config)
    assert (settings.dns_servers, settings.max_udp_bytes) == ((("127.0.0.1", 5353),), 1200)
