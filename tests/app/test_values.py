import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from bridge.app.values import (
    Codecs,
    HeaderLines,
    HostList,
    Listen,
    MaybeAddress,
    Networks,
    PortRange,
    Token,
    TtsUrl,
)

listens = TypeAdapter[tuple[str, int]](Listen)
networks = TypeAdapter[tuple[str, ...]](Networks)
ranges = TypeAdapter[tuple[int, int]](PortRange)
addresses = TypeAdapter[str | None](MaybeAddress)
codecs = TypeAdapter[tuple[str, ...]](Codecs)
urls = TypeAdapter[str](TtsUrl)
header_lines = TypeAdapter[tuple[tuple[str, str], ...]](HeaderLines)

IPS = st.integers(0, 2**32 - 1).map(lambda number: str(ipaddress.IPv4Address(number)))


@given(IPS, st.integers(0, 65535))
def test_every_ipv4_address_and_port_is_read(ip: str, port: int) -> None:
    assert listens.validate_python(f"{ip}:{port}") == (ip, port)


def test_localhost_is_the_one_name_that_needs_no_resolver() -> None:
    assert listens.validate_python("localhost:80") == ("127.0.0.1", 80)


@given(st.lists(st.tuples(IPS, st.integers(0, 32)), max_size=4))
def test_networks_are_read_from_a_list_and_from_one_text_alike(items: list[tuple[str, int]]) -> None:
    texts = [str(ipaddress.IPv4Network((ip, bits), strict=False)) for ip, bits in items]

    assert networks.validate_python(texts) == networks.validate_python(", ".join(texts)) == tuple(texts)


@given(st.integers(0, 70000), st.integers(0, 70000))
def test_a_range_of_ports_is_taken_exactly_if_a_call_fits(first: int, last: int) -> None:
    fits = 1024 <= first <= last <= 65535 and any(
        port % 2 == 0 for port in (first, first + 1) if port <= last
    )

    try:
        assert ranges.validate_python(f"{first}-{last}") == (first, last)
        taken = True
    except ValidationError:
        taken = False
    assert taken is fits


def test_a_range_of_ports_may_be_two_numbers() -> None:
    assert ranges.validate_python([20000, 20001]) == (20000, 20001)


def test_codecs_are_named_in_any_case_and_kept_in_order() -> None:
    assert codecs.validate_python("g722, pcmu,L16/16000") == ("G722", "PCMU", "L16/16000")
    assert codecs.validate_python(["OPUS"]) == ("opus",)


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["G729"], '"G729" must be one of PCMU,'),
        ([], "at least one"),
        (["PCMU", "pcmu"], "none of them twice"),
    ],
)
def test_codecs_that_we_do_not_speak_are_refused(names: list[str], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        codecs.validate_python(names)


def test_no_address_is_none() -> None:
    assert addresses.validate_python("") is None
    assert addresses.validate_python("192.0.2.1") == "192.0.2.1"


@pytest.mark.parametrize("url", ["", "embedded", "cloud", "ws://h", "wss://h:1/p?q=1"])
def test_a_service_is_named_or_addressed(url: str) -> None:
    assert urls.validate_python(url) == url


@pytest.mark.parametrize(
    "url",
    ["h:1", "http://h", "ws://", "ws:///p", "wss://me@h", "Embedded", "ws://[", "ws://h:0", "ws://h:70000"],
)
def test_anything_else_is_no_service(url: str) -> None:
    with pytest.raises(ValidationError):
        urls.validate_python(url)


@pytest.mark.parametrize("token", ["short", "with space in it", "with&ampersand", "ümlaut-ümlaut", 12345678])
def test_a_token_must_survive_in_an_address(token: object) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Token).validate_python(token)


@pytest.mark.parametrize("written", ['["a.b", "c.d"]', "a.b, c.d", ["a.b", "c.d"]])
def test_a_list_may_be_written_as_in_the_file_or_with_commas(written: object) -> None:
    assert TypeAdapter(HostList).validate_python(written) == ("a.b", "c.d")


@pytest.mark.parametrize("written", ["[a.b]", "[1]", "[", '["a"'])
def test_half_a_list_is_refused(written: str) -> None:
    with pytest.raises(ValidationError, match="must be a list of texts"):
        TypeAdapter(HostList).validate_python(written)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ([], ()),
        ("", ()),
        (["X-Customer: 4711", "Subject : a, b"], (("X-Customer", "4711"), ("Subject", "a, b"))),
        ("X-Note: a, b", (("X-Note", "a, b"),)),
        ('["X-A: 1", "X-B: 2"]', (("X-A", "1"), ("X-B", "2"))),
        ((("X-A", "1"),), (("X-A", "1"),)),
    ],
)
def test_headers_are_lines(written: object, read: object) -> None:
    assert header_lines.validate_python(written) == read


@pytest.mark.parametrize(
    "written", [["Via: x"], ["X-A"], ["X-A: 1\r\nVia: x"], "nonsense", [1], ["X A: 1"], ["Contact: <sip:x>"]]
)
def test_a_header_that_is_not_a_users_to_set_is_refused(written: object) -> None:
    with pytest.raises(ValidationError):
        header_lines.validate_python(written)
