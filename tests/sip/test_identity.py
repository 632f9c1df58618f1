import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import LocalProtocolError
from bridge.sip.identity import (
    Diversion,
    Presented,
    checked_headers,
    custom_headers,
    display_name,
    fault_of_header,
    presented,
)
from bridge.sip.message import Headers
from tests.sip.messages import request

CARRIED = (
    'P-Asserted-Identity: "Lena M." <sip:+493012345@carrier.example>, <tel:+493012345>',
    'Diversion: <sip:+4930777@carrier.example>;reason="no-answer";counter=1',
    "Diversion: <sip:+4930888@carrier.example>;reason=unconditional",
    "History-Info: <sip:+4930888@carrier.example>;index=1, <sip:+4930777@carrier.example>;index=1.1",
    'Reason: Q.850;cause=16;text="Terminated"',
    "X-Customer: 4711",
    "x-note: a, b",
)


def test_who_calls_and_by_what_way() -> None:
    caller = presented(request("INVITE", extra=CARRIED), is_trusted=True)

    assert caller == Presented(
        name="Lena",
        asserted=("sip:+493012345@carrier.example", "tel:+493012345"),
        asserted_name="Lena M.",
        diversions=(
            Diversion("sip:+4930777@carrier.example", "no-answer"),
            Diversion("sip:+4930888@carrier.example", "unconditional"),
        ),
        history=("sip:+4930888@carrier.example", "sip:+4930777@carrier.example"),
        cause='Q.850;cause=16;text="Terminated"',
        headers=(("X-Customer", "4711"), ("x-note", "a, b")),
    )


def test_a_stranger_asserts_nothing() -> None:
    caller = presented(request("INVITE", extra=CARRIED), is_trusted=False)

    assert (caller.asserted, caller.asserted_name) == ((), "")
    assert caller.diversions


def test_what_cannot_be_read_is_left_out() -> None:
    odd = request(
        "INVITE",
        extra=(
            'P-Asserted-Identity: "',
            "Diversion: <sip:>",
            "History-Info: , <sip:a@192.0.2.1>",
            "X-Y: \xe9",
        ),
    )

    caller = presented(odd, is_trusted=True)

    assert (caller.asserted, caller.diversions) == ((), ())
    assert caller.history == ("sip:a@192.0.2.1",)
    assert caller.headers == (("X-Y", "é"),)
    headers = Headers([("X-Raw", b"a\xff".decode("utf-8", "surrogateescape"))])
    assert custom_headers(headers) == (("X-Raw", "a\ufffd"),)


def test_a_flood_of_headers_is_cut() -> None:
    headers = Headers([(f"X-{number}", "v") for number in range(99)])
    long = Headers([("X-Long", "v" * 1025), ("X-Short", "v")])

    assert len(custom_headers(headers)) == 32
    assert custom_headers(long) == (("X-Short", "v"),)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<sip:a@192.0.2.1>", ""),
        ("sip:a@192.0.2.1;tag=1", ""),
        ("Ann  Lee <sip:a@192.0.2.1>", "Ann Lee"),
        (' "Ann \\"A\\" Lee" <sip:a@192.0.2.1>', 'Ann "A" Lee'),
        ('"half', "half"),
    ],
)
def test_the_name_before_an_address(text: str, name: str) -> None:
    assert display_name(text) == name


@pytest.mark.parametrize("name", ["Via", "FROM", "contact", "Content-Length", "m", "Replaces", "Route"])
def test_what_makes_a_message_what_it_is_is_not_a_users_to_set(name: str) -> None:
    assert fault_of_header(name, "x") == f"{name} is the bridge's own to set"


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("X-A", "1\r\nVia: x", "X-A has a line break or another control character"),
        ("X-A", "a\x00b", "X-A has a line break or another control character"),
        ("X-A", "a\ud800b", "X-A has half a character, which UTF-8 cannot say"),
        ("X-A", "a\udcff", "X-A has half a character, which UTF-8 cannot say"),
        ("X A", "1", "'X A' is no name of a header"),
        ("", "1", "'' is no name of a header"),
        ("X-A\r\nVia", "1", "'X-A\\r\\nVia' is no name of a header"),
        ("X-A", " ", "X-A must have 1 to 1024 characters"),
        ("X-A", "v" * 1025, "X-A must have 1 to 1024 characters"),
    ],
)
def test_a_header_cannot_smuggle_another(name: str, value: str, fault: str) -> None:
    assert fault_of_header(name, value) == fault
    with pytest.raises(LocalProtocolError, match=r"RFC 3261 §7\.3\.1"):
        checked_headers([(name, value)])


def test_what_a_user_may_set_is_sent_as_it_is() -> None:
    fields = (("X-Customer", "4711"), ("Subject", "Grüße"), ("Diversion", "<sip:a@192.0.2.1>"))

    assert checked_headers(fields) == fields
    with pytest.raises(LocalProtocolError, match="33 header fields are more than 32"):
        checked_headers([("X-A", "1")] * 33)


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=120))
def test_no_header_refuses_a_call(text: str) -> None:
    invite = request("INVITE")
    for name in ("P-Asserted-Identity", "Diversion", "History-Info", "Reason", "X-Any"):
        invite.headers.add(name, text)

    assert presented(invite, is_trusted=True).name == "Lena"
