import pytest

from bridge.aio.names import Found
from bridge.app.assembly import locator
from bridge.app.config import Config
from bridge.app.dial import DialRefused, admit, admit_number, is_number
from bridge.app.settings import SipSection
from bridge.errors import ConfigError, SetupError
from bridge.sip.flow import Address
from bridge.sip.locating import Wanted
from bridge.sip.trunks import Trunk, Trunks


async def locate(wanted: Wanted) -> Found:
    return await locator(Config())(wanted)


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("sip:100@127.0.0.1:5070", ("127.0.0.1", 5070)),
        ("sip:127.3.2.1", ("127.3.2.1", 5060)),
        ("sip:+49-30@localhost;transport=udp?x=1", ("127.0.0.1", 5060)),
    ],
)
async def test_this_machine_may_always_be_called(uri: str, address: tuple[str, int]) -> None:
    assert await admit(uri, SipSection(), locate) == (address,)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "100",
        "tel:100",
        "sip:",
        "sip:a@b@127.0.0.1",
        "sip:100@127.0.0.1:70000",
        "sip:1@127.0.0.1:0",
        "sip:a b@c",
        "sip:x@[:::1]",
    ],
)
async def test_what_is_no_sip_address_is_refused(uri: str) -> None:
    with pytest.raises(ConfigError, match="must be"):
        await admit(uri, SipSection(), locate)


async def test_the_world_may_not_be_called_until_it_is_allowed() -> None:
    with pytest.raises(ConfigError, match=r"--set sip\.dial_allow=127\.0\.0\.0/8,192\.0\.2\.7"):
        await admit("sip:100@192.0.2.7", SipSection(), locate)

    wider = SipSection(dial_allow=("192.0.2.0/24",))
    assert await admit("sip:100@192.0.2.7", wider, locate) == (("192.0.2.7", 5060),)


async def test_every_address_of_a_name_is_asked_for() -> None:
    async def rebound(wanted: Wanted) -> Found:
        ips = ("10.0.0.1", "192.0.2.7", "169.254.0.1", "192.0.2.8")
        return Found(tuple(Address(ip, 5060, "UDP") for ip in ips), 1)

    wider = SipSection(dial_allow=("192.0.2.0/24",))
    assert await admit("sip:x@evil.example", wider, rebound) == (("192.0.2.7", 5060), ("192.0.2.8", 5060))
    with pytest.raises(DialRefused, match=r"10\.0\.0\.1 may not be called"):
        await admit("sip:x@evil.example", SipSection(), rebound)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "x" * 64 + ".example"])
async def test_a_name_without_an_address_is_said(host: str) -> None:
    with pytest.raises(SetupError, match="has no address"):
        await admit(f"sip:100@{host}", SipSection(), locate)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("+49 30 12345-0", True),
        ("(030) 123", True),
        ("tel:110", True),
        ("*21#", True),
        ("sip:100@127.0.0.1", False),
        ("lena", False),
        ("", False),
    ],
)
def test_a_number_is_told_from_an_address(text: str, is_one: bool) -> None:
    assert is_number(text) is is_one


def test_a_number_goes_out_only_where_a_trunk_admits_it() -> None:
    book = Trunks((Trunk("carrier", ("sip.example", 5060), "sip.example", dials=("+49*",)),))

    assert admit_number("tel:+4930123450", book).uri == "sip:+4930123450@sip.example"
    with pytest.raises(ConfigError, match=r'such as "\+43\*" to dials of the \[\[trunks\]\]'):
        admit_number("+43 1 2345678", book)
    with pytest.raises(ConfigError, match="no telephone number"):
        admit_number("+1", book)
    assert book.counters == {"not_allowed": 1, "no_number": 1}


@pytest.mark.parametrize(
    ("uri", "port"),
    [
        ("sip:x@127.0.0.1", 5060),
        ("sip:x@127.0.0.1;transport=tls", 5061),
        ("sips:x@127.0.0.1", 5061),
        ("sips:x@127.0.0.1:9;transport=tcp", 9),
    ],
)
async def test_the_port_follows_the_transport(uri: str, port: int) -> None:
    assert await admit(uri, SipSection(), locate) == (("127.0.0.1", port),)
