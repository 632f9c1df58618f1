"""Which family of addresses a call's media goes by, and what address of ours it is told."""

from types import SimpleNamespace
from typing import cast

import pytest

from bridge.call.caller import Caller
from bridge.call.line import Media, expected, media_ip, of_family
from bridge.call.settings import CallSettings
from bridge.engine.leg import MediaLeg
from bridge.errors import NegotiationError
from tests.sip.test_offer import offered

BOTH = CallSettings(advertised_ip="203.0.113.9", advertised_ip6="2001:db8::9")


def caller(local_ip: str, connection: str, *lines: str) -> Caller:
    sdp = offered("m=audio 4000 RTP/AVP 0", *lines, session=f"c=IN {connection}")
    return cast("Caller", SimpleNamespace(local_ip=local_ip, sdp=sdp))


def leg(*, is_ipv6: bool) -> MediaLeg:
    return cast("MediaLeg", SimpleNamespace(is_ipv6=is_ipv6))


@pytest.mark.parametrize(
    ("local_ip", "connection", "settings", "outcome"),
    [
        ("10.0.0.1", "IP4 10.0.0.7", CallSettings(), (("10.0.0.7", 4000), False)),
        ("fd00::1", "IP6 fd00::7", CallSettings(), (("fd00::7", 4000), True)),
        # By the other family only where our address of it is known.
        ("10.0.0.1", "IP6 fd00::7", CallSettings(), (None, False)),
        ("10.0.0.1", "IP6 fd00::7", BOTH, (("fd00::7", 4000), True)),
        ("fd00::1", "IP4 10.0.0.7", CallSettings(), (None, True)),
        ("fd00::1", "IP4 10.0.0.7", BOTH, (("10.0.0.7", 4000), False)),
        ("fd00::1", "IP4 0.0.0.0", BOTH, (None, True)),
    ],
)
def test_media_goes_where_the_caller_is(
    local_ip: str,
    connection: str,
    settings: CallSettings,
    outcome: tuple[tuple[str, int] | None, bool],
) -> None:
    assert expected(caller(local_ip, connection), settings) == outcome


def test_with_ice_the_address_of_the_offer_says_nothing() -> None:
    assert expected(caller("fd00::1", "IP4 10.0.0.7", "a=ice-ufrag:abcd"), BOTH) == (None, True)


def test_the_advertised_address_is_that_of_its_family() -> None:
    assert media_ip(leg(is_ipv6=False), "10.0.0.1", CallSettings()) == "10.0.0.1"
    assert media_ip(leg(is_ipv6=True), "fd00::1", CallSettings()) == "fd00::1"
    assert media_ip(leg(is_ipv6=True), "10.0.0.1", BOTH) == "2001:db8::9"
    assert media_ip(leg(is_ipv6=False), "fd00::1", BOTH) == "203.0.113.9"


def test_no_address_is_said_that_the_media_cannot_have() -> None:
    with pytest.raises(NegotiationError, match="media by IPv6 from"):
        media_ip(leg(is_ipv6=True), "10.0.0.1", CallSettings(advertised_ip="203.0.113.9"))
    with pytest.raises(NegotiationError, match="media by IPv4 from"):
        media_ip(leg(is_ipv6=False), "fd00::1", CallSettings())


def test_a_call_of_ours_gets_a_leg_of_the_family_that_its_server_turns_out_to_have() -> None:
    closed: list[bool] = []
    four = cast("MediaLeg", SimpleNamespace(is_ipv6=False, close=lambda: closed.append(False)))
    six = leg(is_ipv6=True)
    media = cast("Media", SimpleNamespace(reserve=lambda *, in_ipv6: six if in_ipv6 else four))

    assert of_family("10.0.0.1", four, media) is four
    assert not closed
    assert of_family("fd00::1", four, media) is six
    assert closed == [False]
