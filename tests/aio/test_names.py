import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import dns.rcode
import pytest

from bridge.aio.answers import Answer, Answers
from bridge.aio.names import Names
from bridge.aio.resolver import HOSTS_FILE
from bridge.errors import SetupError
from bridge.sip.flow import Address
from bridge.sip.grammar import Uri
from bridge.sip.locating import Wanted
from tests.dns_server import DnsServer, dns_server
from tests.fakes import ManualClock, SeededIds

ZONE = {
    ("_sip._udp.example.com", "SRV"): ["10 0 5070 b.example.com.", "5 0 5080 a.example.com."],
    ("_sips._tcp.example.com", "SRV"): ["1 1 5061 a.example.com."],
    ("a.example.com", "A"): ["192.0.2.1", "192.0.2.2"],
    ("a.example.com", "AAAA"): ["2001:db8::1"],
    ("b.example.com", "A"): ["192.0.2.3"],
    ("closed.example.com", "A"): ["192.0.2.9"],
    ("_sip._udp.closed.example.com", "SRV"): ["0 0 0 ."],
    ("_sip._tcp.closed.example.com", "SRV"): ["0 0 0 ."],
}


class House:
    """Names, what they ask, and a clock that stands still."""

    def __init__(self, server: DnsServer, hosts_file: str) -> None:
        self.server = server
        self.clock = ManualClock()
        self.names = Names(
            clock=self.clock, dice=SeededIds(), servers=(server.address,), hosts_file=hosts_file
        )

    async def targets(self, uri: str) -> list[tuple[str, int]]:
        return list((await self.names.locate(Wanted.of(Uri.parse(uri)))).targets)


@asynccontextmanager
async def house(hosts_file: str = "/nowhere") -> AsyncIterator[House]:
    async with dns_server(dict(ZONE)) as server:
        yield House(server, hosts_file)


async def test_a_domain_leads_to_its_servers_in_order_of_priority() -> None:
    async with house() as here:
        found = await here.names.locate(Wanted("example.com"))

        assert list(found.targets) == [
            ("192.0.2.1", 5080),
            ("192.0.2.2", 5080),
            ("2001:db8::1", 5080),
            ("192.0.2.3", 5070),
        ]
        assert {(target.transport, target.name) for target in found.targets} == {("UDP", "example.com")}
        assert found.ttl_s == pytest.approx(30)  # that there is no SRV for TCP is believed no longer


async def test_the_certificate_belongs_to_the_domain_and_not_to_its_server() -> None:
    async with house() as here:
        found = await here.names.locate(Wanted("example.com", None, "TLS"))

        assert found.targets[0] == ("192.0.2.1", 5061)
        assert (found.targets[0].transport, found.targets[0].name) == ("TLS", "example.com")
        assert found.ttl_s == 300


async def test_addresses_and_ports_need_no_more_questions_than_they_must() -> None:
    async with house() as here:
        assert await here.targets("sip:x@192.0.2.7") == [("192.0.2.7", 5060)]
        assert (await here.names.locate(Wanted("192.0.2.7"))).ttl_s is None
        assert not here.server.asked
        assert await here.targets("sip:x@b.example.com:5099") == [("192.0.2.3", 5099)]
        assert set(here.server.asked) == {("b.example.com", "A"), ("b.example.com", "AAAA")}
        assert await here.targets("sips:x@b.example.com") == [("192.0.2.3", 5061)]


async def test_an_answer_is_believed_for_its_time_and_asked_for_once() -> None:
    async with house() as here:
        await asyncio.gather(*(here.targets("sip:x@B.example.com:1") for _ in range(20)))
        assert here.server.asked["b.example.com", "A"] == 1
        here.clock.advance(299_999)
        await here.targets("sip:x@b.example.com:1")
        assert here.server.asked["b.example.com", "A"] == 1

        here.clock.advance(1)
        here.server.zone["b.example.com", "A"] = ["192.0.2.33"]

        assert await here.targets("sip:x@b.example.com:1") == [("192.0.2.33", 1)]


async def test_without_a_server_that_answers_the_last_answer_holds() -> None:
    async with house() as here:
        await here.targets("sip:x@b.example.com:1")
        here.clock.advance(301_000)
        here.server.rcode = dns.rcode.SERVFAIL

        assert await here.targets("sip:x@b.example.com:1") == [("192.0.2.3", 1)]
        with pytest.raises(SetupError, match="no DNS server answers"):
            await here.targets("sip:x@a.example.com:1")

        here.server.rcode = dns.rcode.NOERROR
        here.clock.advance(5_000)
        assert (await here.targets("sip:x@a.example.com:1"))[0] == ("192.0.2.1", 1)


@pytest.mark.parametrize("host", ["missing.example.com", "a..b", "x" * 64 + ".example", "closed.example.com"])
async def test_a_name_without_an_address_is_said(host: str) -> None:
    async with house() as here:
        with pytest.raises(SetupError, match=f"the host {host} has no address$"):
            await here.names.locate(Wanted(host))


async def test_targets_that_failed_come_last_for_a_while() -> None:
    async with house() as here:
        here.names.failed(Address("192.0.2.1", 1))
        assert (await here.targets("sip:x@a.example.com:1"))[0] == ("192.0.2.2", 1)
        here.names.failed(Address("192.0.2.2", 1), for_s=5)
        assert (await here.targets("sip:x@a.example.com:1"))[:2] == [("2001:db8::1", 1), ("192.0.2.2", 1)]

        here.clock.advance(60_000)

        assert (await here.targets("sip:x@a.example.com:1"))[0] == ("192.0.2.1", 1)


async def test_the_hosts_file_comes_before_dns(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("::5 example.com # ours\n192.0.2.5 Example.com pbx\nnonsense pbx.example\n\n# 1 2\n")
    async with house(str(hosts)) as here:
        assert await here.targets("sip:x@example.COM") == [("192.0.2.5", 5060), ("::5", 5060)]
        assert await here.targets("sip:x@pbx") == [("192.0.2.5", 5060)]
        assert not here.server.asked


async def test_this_machine_knows_its_own_names() -> None:
    async with house() as here:
        for names in (here.names, Names(clock=here.clock, dice=SeededIds(), hosts_file=HOSTS_FILE)):
            found = await names.locate(Wanted("localhost", 5060))
            assert found.targets[0] == ("127.0.0.1", 5060)
        assert not here.server.asked


async def test_a_mute_server_costs_bounded_time() -> None:
    async with dns_server({}) as server:
        server.is_mute = True
        names = Names(clock=ManualClock(), dice=SeededIds(), servers=(server.address,), patience_s=0.2)
        async with asyncio.timeout(3):
            with pytest.raises(SetupError, match="no DNS server answers"):
                await names.locate(Wanted("b.example.com", 5060))
        assert server.asked["b.example.com", "A"] > 1


async def test_one_family_is_enough_while_the_other_stays_unanswered() -> None:
    async with house() as here:
        here.server.rcode_of["b.example.com", "AAAA"] = dns.rcode.SERVFAIL

        assert await here.targets("sip:x@b.example.com:1") == [("192.0.2.3", 1)]


async def test_what_dns_does_not_know_may_be_a_name_of_this_system() -> None:
    names = Names(clock=ManualClock(), dice=SeededIds(), hosts_file="/nowhere")

    with pytest.raises(SetupError, match=r"no-such-host\.invalid has no address"):
        await names.locate(Wanted("no-such-host.invalid", 5060))


async def test_the_name_asked_for_longest_ago_is_forgotten_first() -> None:
    known = Answers[int](ManualClock(), size=2)
    asked: list[str] = []

    async def ask(name: str) -> None:
        async def look_up() -> Answer[int]:
            asked.append(name)
            return Answer((1,), 10)

        await known.ask(name, look_up)

    for name in "abAcab":
        await ask(name)

    assert "".join(asked) == "abcb"
    assert len(known) == 2


@pytest.mark.parametrize(("ttl_s", "believed_s"), [(0.0, 1.0), (86_400.0, 3600.0), (60.0, 60.0)])
async def test_times_that_are_too_short_or_too_long_are_bounded(ttl_s: float, believed_s: float) -> None:
    known = Answers[int](ManualClock())

    async def look_up() -> Answer[int]:
        return Answer((1,), ttl_s)

    assert (await known.ask("a", look_up)).ttl_s == believed_s
    assert (await known.ask("a", look_up)).ttl_s == believed_s


async def test_an_answer_of_yesterday_is_no_answer() -> None:
    clock = ManualClock()
    known = Answers[int](clock)
    silence: Answer[int] = Answer(is_silent=True)
    answers = iter([Answer((1,), 10), silence, silence])

    async def look_up() -> Answer[int]:
        return next(answers)

    assert (await known.ask("a", look_up)).records == (1,)
    clock.advance(20_000)
    stale = await known.ask("a", look_up)
    assert (stale.records, stale.is_silent) == ((1,), False)
    clock.advance(86_400_000)
    assert await known.ask("a", look_up) == Answer((), 5, is_silent=True)
