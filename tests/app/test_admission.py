from dataclasses import replace

import pytest

from bridge.aio.sip import ANONYMOUS, CallRefused, SipEndpoint
from bridge.app.admission import Admission
from bridge.app.settings import SipSection
from bridge.app.trunking import TrunkOffice
from bridge.clock import SystemClock
from bridge.dice import SystemDice
from bridge.errors import ConfigError, SetupError
from bridge.sip.trunks import Trunk
from tests.aio.sip_phones import NOWHERE, endpoint
from tests.app.test_trunking import TRUNK, Line

CARRIER = replace(TRUNK, headers=(("X-Customer", "4711"),))


def admission(line: SipEndpoint, *trunks: Trunk, section: SipSection | None = None) -> Admission:
    office = TrunkOffice(trunks, (), Line().answer, clock=SystemClock(), dice=SystemDice())
    return Admission(section or SipSection(), office, line, trunks=trunks)


async def test_numbers_go_through_the_dial_plan() -> None:
    async with endpoint() as line:
        asked = admission(line, CARRIER)

        assert await asked.address_of("+49 30 12345-0") == "sip:+4930123450@pbx.example"
        assert await asked.address_of("tel:+4930123450") == "sip:+4930123450@pbx.example"
        async with asked.way("+4930123450") as way:
            assert (way.uri, way.targets) == ("sip:+4930123450@pbx.example", (("127.0.0.1", 5060),))
            assert way.identity.user == "lena"
            assert way.identity.headers == (("X-Customer", "4711"),)
            with pytest.raises(CallRefused, match="carries 1 calls at a time"):
                async with asked.way("+4930123451"):
                    pass


@pytest.mark.parametrize(
    "target",
    [
        "+43123456789",
        "sip:+43123456789@pbx.example",
        "sip:0900@PBX.example:5070",
        "sip:0900@127.0.0.1",
        "100",
    ],
)
async def test_what_no_trunk_may_carry_is_refused_however_it_is_written(target: str) -> None:
    async with endpoint() as line:
        asked = admission(line, CARRIER)

        with pytest.raises(ConfigError, match="may not be called"):
            await asked.address_of(target)
        with pytest.raises(ConfigError, match="may not be called"):
            async with asked.way(target):
                pass


async def test_a_number_where_a_trunk_is_is_one_of_its_numbers() -> None:
    async with endpoint() as line:
        asked = admission(line, CARRIER)

        for place in ("PBX.example;x=y", "127.0.0.1", "127.0.0.1:5060"):
            assert await asked.address_of(f"sip:+4930123450@{place}") == "sip:+4930123450@pbx.example"
        assert await asked.address_of("sip:100@127.0.0.1:5070") == "sip:100@127.0.0.1:5070"
        assert await asked.address_of("sip:ann@127.0.0.1:5060") == "sip:ann@127.0.0.1:5060"


async def test_what_may_go_by_tls_only_goes_to_no_trunk() -> None:
    async with endpoint() as line:
        with pytest.raises(ConfigError, match="not by sips"):
            await admission(line, CARRIER).address_of("sips:+4930123450@pbx.example")


async def test_addresses_are_asked_of_the_networks_that_may_be_called() -> None:
    async with endpoint() as line:
        asked = admission(line)

        assert await asked.address_of("sip:ann@127.0.0.1:5070") == "sip:ann@127.0.0.1:5070"
        async with asked.way("sip:ann@localhost:5070") as way:
            assert (way.targets, way.identity, way.endpoint) == ((("127.0.0.1", 5070),), ANONYMOUS, line)
        for target in ("sip:ann@192.0.2.1", "mailto:ann@127.0.0.1", "nonsense", "100"):
            with pytest.raises(ConfigError):
                await asked.address_of(target)
        with pytest.raises(SetupError, match="has no address"):
            await asked.address_of(f"sip:ann@{NOWHERE}")


async def test_what_peers_may_ask_for_is_a_setting() -> None:
    async with endpoint() as line:
        usual = admission(line)
        other = admission(line, section=SipSection(refer="follow", max_redirects=0))

    assert (usual.follows_referrals, usual.max_redirects) == (False, 3)
    assert (other.follows_referrals, other.max_redirects) == (True, 0)
