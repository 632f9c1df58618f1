import pytest

from bridge.sip.certificate import identities_of, vouches_for

DNS = ("DNS", "pbx.example")
SIP = ("URI", "sip:Example.com")


@pytest.mark.parametrize(
    ("names", "host", "is_theirs"),
    [
        ([DNS], "pbx.example", True),
        ([DNS], "PBX.example", True),
        ([DNS], "sip.pbx.example", False),
        ([DNS], "example", False),
        ([SIP], "example.com", True),
        ([SIP, DNS], "pbx.example", False),
        ([("URI", "sip:lena@pbx.example"), DNS], "pbx.example", True),
        ([("URI", "sip:lena@pbx.example")], "pbx.example", False),
        ([("URI", "https://pbx.example")], "pbx.example", False),
        ([("URI", "sips:pbx.example")], "pbx.example", False),
        ([("URI", "sip:")], "pbx.example", False),
        ([("DNS", "*.trunk.example")], "a.trunk.example", True),
        ([("DNS", "*.trunk.example")], "a.b.trunk.example", False),
        ([("DNS", "*.trunk.example")], "trunk.example", False),
        ([("DNS", "a*.trunk.example")], "ab.trunk.example", False),
        ([("DNS", "*.example")], "trunk.example", False),
        ([("DNS", "*")], "example", False),
        ([("DNS", "*.0.2.1")], "192.0.2.1", False),
        ([("IP Address", "192.0.2.1")], "192.0.2.1", True),
        ([("IP Address", "2001:DB8:0:0:0:0:0:1")], "2001:db8::1", True),
        ([("IP Address", "192.0.2.1")], "192.0.2.2", False),
        ([SIP, ("IP Address", "192.0.2.1")], "192.0.2.1", True),
        ([("email", "pbx.example")], "pbx.example", False),
        ([], "pbx.example", False),
    ],
)
def test_a_certificate_is_for_the_domain_that_the_uri_names(
    names: list[tuple[str, str]], host: str, is_theirs: bool
) -> None:
    assert vouches_for(names, host) is is_theirs


def test_who_is_named_can_be_said() -> None:
    assert identities_of([DNS, ("IP Address", "192.0.2.1"), ("email", "a@b")]) == ["pbx.example", "192.0.2.1"]
    assert identities_of([DNS, SIP]) == ["Example.com"]
