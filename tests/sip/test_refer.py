from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import RemoteProtocolError
from bridge.sip.message import Request
from bridge.sip.refer import Progress, fragment, progress_of, refer_to, referral_of
from bridge.sip.replaces import Replaces
from tests.sip.messages import request

PLACE = Replaces("7@192.0.2.5", "a", "b")


def refer(to: str, *more: str) -> Request:
    return request("REFER", extra=(f"Refer-To: {to}", *more))


def notify(state: str, body: bytes = b"SIP/2.0 180 Ringing\r\n") -> Request:
    told = request("NOTIFY", extra=("Event: refer", f"Subscription-State: {state}"))
    told.body = body
    return told


def test_a_refer_says_whom_to_call() -> None:
    referral = referral_of(refer('"Ann" <sip:ann@192.0.2.5:5070>', "Referred-By: <sip:lena@192.0.2.2>"))

    assert referral.target.text == "sip:ann@192.0.2.5:5070"
    assert (referral.replaces, referral.referred_by) == (None, "<sip:lena@192.0.2.2>")
    assert not referral.is_silent
    assert referral_of(refer("sip:ann@192.0.2.5")).target.text == "sip:ann@192.0.2.5"


def test_whose_place_to_take_is_behind_the_question_mark() -> None:
    written = refer_to("sip:ann@192.0.2.5", PLACE)

    referral = referral_of(refer(written))

    assert (referral.target.text, referral.replaces) == ("sip:ann@192.0.2.5", PLACE)
    assert refer_to("sip:ann@192.0.2.5", None) == "<sip:ann@192.0.2.5>"


def test_other_fields_behind_the_question_mark_are_none_of_our_business() -> None:
    other = refer("<sip:192.0.2.5?Subject=hi&Route=%3Csip%3Aevil%3E>")
    beside = refer(f"<sip:ann@192.0.2.5?Subject=hi&REPLACES={PLACE.escaped}>")

    assert referral_of(other).replaces is None
    assert referral_of(beside).replaces == PLACE


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Refer-To: <sip:a@192.0.2.5>", "Refer-To: <sip:b@192.0.2.5>"),
        ("Refer-To: <sip:a@192.0.2.5?Replaces=x>",),
        (f"Refer-To: <sip:{'a' * 2048}@192.0.2.5>",),
        ("Refer-To: <nothing>",),
    ],
)
def test_a_refer_that_names_nobody_or_two_is_a_fault(headers: tuple[str, ...]) -> None:
    with pytest.raises(RemoteProtocolError):
        referral_of(request("REFER", extra=headers))


@pytest.mark.parametrize(
    ("fields", "is_silent"),
    [
        (("Refer-Sub: false", "Supported: norefersub"), True),
        (("Refer-Sub: FALSE;x=y", "Require: norefersub"), True),
        (("Refer-Sub: false",), False),
        (("Refer-Sub: true", "Supported: norefersub"), False),
        (("Supported: norefersub",), False),
    ],
)
def test_who_wants_no_word_says_it_twice(fields: tuple[str, ...], is_silent: bool) -> None:
    assert referral_of(refer("<sip:a@192.0.2.5>", *fields)).is_silent is is_silent


def test_progress_is_the_first_line_of_a_response() -> None:
    assert fragment(180) == b"SIP/2.0 180 Ringing\r\n"
    assert fragment(299) == b"SIP/2.0 299 Unknown\r\n"
    assert fragment(486, "Not now") == b"SIP/2.0 486 Not now\r\n"
    assert progress_of(notify("active;expires=30")) == Progress(180, "Ringing", False, 30)


@pytest.mark.parametrize(
    ("state", "body", "expected"),
    [
        ("active", b"SIP/2.0 100 Trying", Progress(100, "Trying", False, 60)),
        ("Pending ; Expires = 9", b"SIP/2.0 100\r\nTo: x\r\n", Progress(100, "", False, 9)),
        ("active;expires=never", b"\r\nSIP/2.0 200 OK\r\n", Progress(200, "OK", True, 60)),
        ("terminated;reason=noresource", b"SIP/2.0 503 Gone", Progress(503, "Gone", True, 60)),
        ("terminated;reason=timeout", b"", Progress(0, "", True, 60)),
        ("active", b"INVITE sip:x SIP/2.0", Progress(0, "", False, 60)),
    ],
)
def test_it_is_over_when_the_subscription_or_the_call_is(state: str, body: bytes, expected: Progress) -> None:
    assert progress_of(notify(state, body)) == expected


@pytest.mark.parametrize("state", ["", "asleep", ";expires=3"])
def test_a_notify_must_say_how_its_subscription_is(state: str) -> None:
    with pytest.raises(RemoteProtocolError, match="a subscription that is"):
        progress_of(notify(state))


@given(st.binary(max_size=300), st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=80))
def test_whatever_a_peer_writes_it_is_read_or_a_fault(body: bytes, text: str) -> None:
    told = notify("active", body)
    told.headers.set("Subscription-State", text)
    asked = refer("<sip:a@192.0.2.5>")
    asked.headers.set("Refer-To", text)

    for read, message in ((progress_of, told), (referral_of, asked)):
        with suppress(RemoteProtocolError):
            read(message)


def test_short_header_names_and_odd_extensions_are_as_good_as_any() -> None:
    said = referral_of(
        request(
            "REFER",
            extra=(
                "r: <sip:a@192.0.2.5>",
                "b: <sip:lena@192.0.2.2>",
                "Refer-Sub: false",
                'k: NoReferSub, "',
            ),
        )
    )

    assert (said.referred_by, said.is_silent) == ("<sip:lena@192.0.2.2>", True)
