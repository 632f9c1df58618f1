import pytest

from bridge.errors import RemoteProtocolError
from bridge.sip.message import Headers
from bridge.sip.replaces import Replaces, replaced_by

TEXT = "12345@192.0.2.7;to-tag=us;from-tag=them"


def test_the_dialog_is_named_by_its_call_id_and_both_tags() -> None:
    assert Replaces.parse(TEXT) == Replaces("12345@192.0.2.7", "us", "them")
    assert Replaces.parse(" 1 ; From-Tag=a ; TO-TAG=b ; early-only ; x=y") == Replaces("1", "b", "a", True)


def test_what_is_written_is_what_was_read() -> None:
    for text in (TEXT, f"{TEXT};early-only"):
        assert str(Replaces.parse(text)) == text
        assert Replaces.unescaped(Replaces.parse(text).escaped) == Replaces.parse(text)


def test_in_a_uri_nothing_of_it_can_be_taken_for_the_uri() -> None:
    escaped = Replaces.parse(TEXT).escaped

    assert escaped == "12345%40192.0.2.7%3Bto-tag%3Dus%3Bfrom-tag%3Dthem"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        ";to-tag=a;from-tag=b",
        "1;to-tag=a",
        "1;from-tag=b",
        "1;to-tag=;from-tag=b",
        "1 2;to-tag=a;from-tag=b",
        "1;to-tag=a b;from-tag=c",
    ],
)
def test_half_a_name_is_none(text: str) -> None:
    with pytest.raises(RemoteProtocolError, match="no dialog is named"):
        Replaces.parse(text)


@pytest.mark.parametrize(
    "hidden", ["1%0D%0AVia: x;to-tag=a;from-tag=b", "1;to-tag=a%0D%0A;from-tag=b%0D%0AX"]
)
def test_a_line_break_cannot_hide_in_a_uri(hidden: str) -> None:
    with pytest.raises(RemoteProtocolError, match="no dialog is named"):
        Replaces.unescaped(hidden)


def test_a_tag_that_comes_twice_is_a_fault() -> None:
    with pytest.raises(RemoteProtocolError, match="two to-tag"):
        Replaces.parse(f"{TEXT};to-tag=other")


def test_a_call_takes_one_place_or_none() -> None:
    assert replaced_by(Headers()) is None
    assert replaced_by(Headers([("Replaces", TEXT)])) == Replaces.parse(TEXT)
    for extra in (("Replaces", TEXT), ("Join", TEXT)):
        with pytest.raises(RemoteProtocolError, match="two places"):
            replaced_by(Headers([("Replaces", TEXT), extra]))
