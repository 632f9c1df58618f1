import pytest

from bridge.sip.methods import (
    ALLOW,
    refusal_of_content,
    refusal_of_extensions,
    refusal_of_method,
    refusal_of_new,
    refusal_of_outsider,
)
from tests.sip.messages import OFFER, request


@pytest.mark.parametrize(("method", "status"), [("REGISTER", 405), ("PUBLISH", 405), ("DANCE", 501)])
def test_what_is_not_served_is_refused_with_what_is(method: str, status: int) -> None:
    assert refusal_of_method(request(method)) == (
        status,
        [("Allow", ALLOW)],
    )
    assert refusal_of_new(request(method)) == refusal_of_method(request(method))


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS", "BYE"])
def test_what_is_served_is_not_refused(method: str) -> None:
    assert refusal_of_new(request(method, body=OFFER)) is None


def test_a_body_must_be_plain_sdp() -> None:
    refusal = (415, [("Accept", "application/sdp"), ("Accept-Encoding", "identity")])

    assert refusal_of_content(request("INVITE", body=OFFER, extra=("Content-Encoding: gzip",))) == refusal
    multipart = request("INVITE", body=OFFER)
    multipart.headers.set("Content-Type", "multipart/mixed;boundary=x")
    assert refusal_of_new(multipart) == refusal
    shouted = request("INVITE", body=OFFER)
    shouted.headers.set("Content-Type", "Application/SDP ; charset=x")
    assert refusal_of_content(shouted) is None


def test_an_extension_that_must_be_understood_is_refused() -> None:
    asked = request("INVITE", extra=("Require: 100rel, foo", "Require: timer, x"))

    assert refusal_of_extensions(asked) == (420, [("Unsupported", "foo, x")])
    assert refusal_of_extensions(request(extra=('Require: "',))) == (400, [])


def test_only_schemes_that_name_a_phone_are_served() -> None:
    assert refusal_of_new(request(uri="tel:+4930123")) is None
    assert refusal_of_new(request(uri="http://example.com")) == (416, [])


@pytest.mark.parametrize(
    "accept", ["application/sdp", "text/plain, application/SDP;q=0.4", "application/*", "*/*"]
)
def test_a_caller_who_takes_a_description_is_served(accept: str) -> None:
    assert refusal_of_new(request("INVITE", extra=(f"Accept: {accept}",))) is None


@pytest.mark.parametrize(("accept", "status"), [("text/plain", 406), ("", 406), ('"', 400)])
def test_a_caller_who_takes_no_description_is_refused(accept: str, status: int) -> None:
    assert refusal_of_new(request("INVITE", extra=(f"Accept: {accept}",))) == (status, [])
    assert refusal_of_new(request("OPTIONS", extra=(f"Accept: {accept}",))) is None


def test_a_call_out_of_nothing_is_nobodys_to_ask_for_and_only_an_invite_takes_places() -> None:
    assert refusal_of_outsider(request("REFER")) == (403, [])
    assert refusal_of_outsider(request("OPTIONS", extra=("Replaces: a;to-tag=b;from-tag=c",))) == (400, [])
    assert refusal_of_outsider(request("OPTIONS")) is None
    assert refusal_of_outsider(request("INVITE", extra=("Replaces: a;to-tag=b;from-tag=c",))) is None


def test_a_subscription_out_of_nothing_is_one_that_we_do_not_know() -> None:
    assert refusal_of_new(request("SUBSCRIBE")) == (489, [("Allow-Events", "refer")])


def test_what_is_supported_may_be_required() -> None:
    assert refusal_of_extensions(request(extra=("Require: Replaces, norefersub",))) is None
