import pytest

from bridge.errors import RemoteProtocolError
from bridge.sip.message import Headers, Request, respond
from tests.sip.messages import PHONE, parsed_request, raw, request


def test_header_names_compare_without_case_and_in_their_long_form() -> None:
    headers = Headers([("v", "one"), ("VIA", "two, three"), ("X-a", "1")])

    assert headers.all("Via") == ["one", "two, three"]
    assert headers.listed("via") == ["one", "two", "three"]
    assert headers.get("x-A") == "1"
    assert headers.get("y") is None


def test_setting_a_header_replaces_every_field_of_that_name() -> None:
    headers = Headers([("Route", "a"), ("To", "b"), ("route", "c")])

    headers.set("Route", "d")

    assert str(headers) == "To: b\r\nRoute: d\r\n"


def test_a_request_is_written_as_it_was_read() -> None:
    data = raw("INVITE", body=b"v=0\r\n", extra=("X-Name: caf\u00e9",))

    again = bytes(parsed_request(data))

    assert sorted(again.split(b"\r\n")) == sorted(data.split(b"\r\n"))


def test_bytes_that_are_no_text_are_echoed_unchanged() -> None:
    data = raw("OPTIONS").replace(b"Lena", b'"\xff\xfe"')

    answer = bytes(respond(parsed_request(data), 200, source=PHONE))

    assert b'From: "\xff\xfe" <sip:lena@192.0.2.2>;tag=phone\r\n' in answer


def test_a_response_mirrors_what_the_standard_wants() -> None:
    asked = request("INVITE", extra=("Via: SIP/2.0/UDP far;branch=z9hG4bKfar", "Record-Route: <sip:p;lr>"))

    answer = respond(asked, 180, source=("192.0.2.2", 9), to_tag="t", reason="Wait", extra=[("X-Name", "y")])

    assert bytes(answer).decode().split("\r\n") == [
        "SIP/2.0 180 Wait",
        "Via: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK1",
        "Via: SIP/2.0/UDP far;branch=z9hG4bKfar",
        "Record-Route: <sip:p;lr>",
        "From: Lena <sip:lena@192.0.2.2>;tag=phone",
        "To: <sip:bot@192.0.2.9>;tag=t",
        "Call-ID: call-1",
        "CSeq: 1 INVITE",
        "X-Name: y",
        "Content-Length: 0",
        "",
        "",
    ]


def test_trying_repeats_the_timestamp_and_nothing_else_does() -> None:
    asked = request("INVITE", extra=("Timestamp: 54.1",))

    assert respond(asked, 100, source=PHONE).headers.all("Timestamp") == ["54.1"]
    assert respond(asked, 180, source=PHONE).headers.all("Timestamp") == []


def test_a_tag_that_the_request_has_is_kept() -> None:
    answer = respond(request(to_tag="old"), 481, source=PHONE, to_tag="new")

    assert answer.to.tag == "old"
    assert answer.reason == "Call/Transaction Does Not Exist"
    assert respond(request(), 499, source=PHONE).reason == "Unknown"


@pytest.mark.parametrize("missing", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_every_message_needs_the_fields_that_make_a_transaction(missing: str) -> None:
    headers = request().headers
    headers.remove(missing)

    with pytest.raises(RemoteProtocolError):
        Request("OPTIONS", "sip:h", headers)


def test_a_doubled_field_is_as_wrong_as_a_missing_one() -> None:
    headers = request().headers
    headers.add("To", "<sip:other@h>")

    with pytest.raises(RemoteProtocolError, match="2 To headers instead of one"):
        Request("OPTIONS", "sip:h", headers)


def test_method_and_cseq_must_agree() -> None:
    with pytest.raises(RemoteProtocolError, match="a BYE whose CSeq says OPTIONS"):
        Request("BYE", "sip:h", request().headers)


def test_a_call_id_with_spaces_is_none() -> None:
    headers = request().headers
    headers.set("Call-ID", "a b")

    with pytest.raises(RemoteProtocolError, match="not a Call-ID"):
        Request("OPTIONS", "sip:h", headers)


def test_a_contact_may_be_absent_or_everybody() -> None:
    assert request(contact=None).contact is None
    assert request(contact="*").contact is None
    found = request(contact="<sip:a@h>, <sip:b@h>").contact
    assert found is not None
    assert found.uri.user == "a"


def test_messages_show_what_they_are() -> None:
    asked = request("INVITE")

    assert repr(asked) == "Request(INVITE 1 call-1)"
    assert repr(respond(asked, 200, source=PHONE)) == "Response(200 to 1 INVITE call-1)"


def test_option_tags_are_read_without_case_and_whatever_stands_between_them() -> None:
    headers = Headers([("Supported", 'Timer, "100rel'), ("k", "path ,REPLACES")])

    assert headers.tags("Supported") == {"timer", '"100rel', "path", "replaces"}
    assert headers.tags("Require") == frozenset()
