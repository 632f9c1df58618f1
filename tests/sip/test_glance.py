import pytest

from bridge.sip.glance import is_behind_nat, media_address
from tests.sip.test_offer import offered


def test_a_private_address_behind_a_public_one_shows_a_nat() -> None:
    private = offered("m=audio 4000 RTP/AVP 0", session="c=IN IP4 192.168.1.2")

    assert is_behind_nat(private, source_ip="8.8.8.8")
    assert not is_behind_nat(private, source_ip="192.168.1.2")
    assert not is_behind_nat(
        offered("m=audio 4000 RTP/AVP 0", session="c=IN IP4 9.9.9.9"), source_ip="8.8.8.8"
    )
    assert not is_behind_nat(offered("m=audio 4 RTP/AVP 0", session="c=IN IP4 0.0.0.0"), source_ip="8.8.8.8")
    assert not is_behind_nat(offered("m=audio 4 RTP/AVP 0", session="b=AS:1"), source_ip="8.8.8.8")
    assert not is_behind_nat(b"", source_ip="8.8.8.8")


@pytest.mark.parametrize(
    ("lines", "session", "address"),
    [
        (("m=audio 4000 RTP/AVP 0",), "c=IN IP4 10.0.0.1", ("10.0.0.1", 4000)),
        (
            ("m=video 6 RTP/AVP 31", "m=audio 4000 RTP/AVP 0", "c=IN IP4 10.0.0.2"),
            "c=IN IP4 10.0.0.1",
            ("10.0.0.2", 4000),
        ),
        (("m=audio 0 RTP/AVP 0", "m=audio 4002 RTP/AVP 0"), "c=IN IP4 10.0.0.1", ("10.0.0.1", 4002)),
        (("m=audio 4000 RTP/AVP 0",), "c=IN IP4 0.0.0.0", None),
        (("m=audio 4000 RTP/AVP 0",), "c=IN IP6 2001:DB8:0::7", ("2001:db8::7", 4000)),
        (("m=audio 4000 RTP/AVP 0",), "c=IN IP6 ::", None),
        (("m=audio 4000 RTP/AVP 0",), "c=IN IP4 phone.example", None),
        (("m=video 4000 RTP/AVP 31",), "c=IN IP4 10.0.0.1", None),
    ],
)
def test_where_the_sound_will_come_from_is_seen_at_a_glance(
    lines: tuple[str, ...], session: str, address: tuple[str, int] | None
) -> None:
    assert media_address(offered(*lines, session=session)) == address


def test_what_cannot_be_read_names_nothing() -> None:
    assert media_address(b"no description") is None
    assert media_address(b"") is None


def test_the_loopback_of_somebody_else_is_not_ours() -> None:
    sdp = offered("m=audio 4000 RTP/AVP 0", session="c=IN IP4 127.0.0.1")
    assert is_behind_nat(sdp, source_ip="192.168.0.7")
    assert not is_behind_nat(sdp, source_ip="127.0.0.2")


def test_an_ipv6_address_shows_a_nat_as_an_ipv4_address_does() -> None:
    def told(address: str, source_ip: str) -> bool:
        return is_behind_nat(offered("m=audio 4 RTP/AVP 0", session=f"c=IN {address}"), source_ip=source_ip)

    assert told("IP6 fd00::7", "2606:4700::1")
    assert told("IP6 ::1", "fd00::7")
    assert not told("IP6 ::1", "::1")
    assert not told("IP6 2606:4700::2", "2606:4700::1")
    assert not told("IP6 ::", "2606:4700::1")
    assert not told("IP4 10.0.0.1", "2606:4700::1")
